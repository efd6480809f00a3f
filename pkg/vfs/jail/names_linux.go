//go:build linux && (amd64 || arm64)

package jail

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nameReader reads the names in a folder, a batch at a time, and looks at what
// has them. It is [os.File.Readdirnames] and fstatat(2) with one allocation for
// a batch, not two for each name.
type nameReader struct {
	buf  [8 << 10]byte // some 256 names: the kernel's part is no cheaper with more
	list []string
}

// next returns the next batch, or io.EOF. The list is valid until the next
// call; the names stay.
func (r *nameReader) next(d *os.File) ([]string, error) {
	conn, err := d.SyscallConn()
	if err != nil {
		return nil, err
	}
	n := 0
	cerr := conn.Control(func(fd uintptr) {
		n, err = unix.ReadDirent(int(fd), r.buf[:])
		for errors.Is(err, unix.EINTR) {
			n, err = unix.ReadDirent(int(fd), r.buf[:])
		}
	})
	switch {
	case cerr != nil:
		return nil, cerr
	case err != nil:
		return nil, &os.PathError{Op: "getdents", Path: d.Name(), Err: err}
	case n == 0:
		return nil, io.EOF
	}
	r.list = r.list[:0]
	text := string(r.buf[:n])
	for at := 0; at < n; {
		// getdents64(2): inode, offset, length of the record, type, name, NUL.
		const lengthAt, nameAt = 16, 19
		next := at + int(binary.NativeEndian.Uint16(r.buf[at+lengthAt:]))
		name, _, _ := strings.Cut(text[at+nameAt:next], "\x00")
		if inode := binary.NativeEndian.Uint64(r.buf[at:]); inode != 0 && name != "." && name != ".." {
			r.list = append(r.list, name)
		}
		at = next
	}
	return r.list, nil
}

// stat looks at what has a name of the last batch. The NUL that the kernel put
// behind each name is still there, so that none is copied to get one.
func (r *nameReader) stat(fd uintptr, name string, st *unix.Stat_t) error {
	_, _, errno := unix.Syscall6(unix.SYS_NEWFSTATAT, fd,
		uintptr(unsafe.Pointer(unsafe.StringData(name))), uintptr(unsafe.Pointer(st)), unix.AT_SYMLINK_NOFOLLOW, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
