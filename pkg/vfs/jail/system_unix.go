//go:build linux || darwin || freebsd

package jail

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ftps/pkg/vfs"
)

// locks says that lock tells a file in use from an idle one.
const locks = true

// lock locks a file until it is closed and reports whether it could. A file
// system without locks has none in use.
func lock(file *os.File) bool {
	conn, err := file.SyscallConn()
	if err != nil {
		return true
	}
	busy := false
	_ = conn.Control(func(fd uintptr) {
		busy = errors.Is(unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
	})
	return !busy
}

// available returns the bytes that a process without privileges may still
// write on the file system of folder.
func available(folder *os.Root) (int64, error) {
	d, err := folder.Open(".")
	if err != nil {
		return 0, err
	}
	defer d.Close()
	conn, err := d.SyscallConn()
	if err != nil {
		return 0, err
	}
	var st unix.Statfs_t
	cerr := conn.Control(func(fd uintptr) { err = unix.Fstatfs(int(fd), &st) })
	if cerr != nil {
		return 0, cerr
	}
	return int64(st.Bavail) * int64(st.Bsize), err
}

// entries calls yield for everything in a folder, links undescribed, a batch
// of names at a time. An entry that cannot be looked at comes with its error.
//
// os.Root looks at a path, part by part; the names that the kernel has just
// told are single parts of this very folder and need no more than fstatat(2),
// which follows no link here.
func entries(ctx context.Context, folder *os.Root, yield func(d vfs.Info, err error) error) error {
	d, err := folder.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	conn, err := d.SyscallConn()
	if err != nil {
		return err
	}
	var s scribe
	var folderNames nameReader
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		bases, rerr := folderNames.next(d)
		cerr := conn.Control(func(fd uintptr) {
			for _, base := range bases {
				if !vfs.Listable(base) {
					continue
				}
				serr := folderNames.stat(fd, base, &s.st)
				for errors.Is(serr, unix.EINTR) {
					serr = folderNames.stat(fd, base, &s.st)
				}
				if err = yield(s.describe(base), serr); err != nil {
					return
				}
			}
		})
		switch {
		case err != nil:
			return err
		case cerr != nil:
			return cerr
		case rerr == io.EOF:
			return nil
		case rerr != nil:
			return rerr
		}
	}
}

// scribe describes one entry after the other, and keeps what most of them have
// in common.
type scribe struct {
	st                unix.Stat_t
	dev, owner, group numeral
	unique            []byte          // dev and inode, made there
	text              strings.Builder // of the last entries' unique facts
}

// textSize is how much text is allocated at once, in bytes.
const textSize = 4 << 10

// keep returns b as a string. Many share an allocation.
func (s *scribe) keep(b []byte) string {
	if s.text.Cap()-s.text.Len() < len(b) {
		s.text.Reset()
		s.text.Grow(max(textSize, len(b)))
	}
	from := s.text.Len()
	s.text.Write(b)
	return s.text.String()[from:]
}

// numeral is a number and how it is written.
type numeral struct {
	n    uint64
	text string
}

func (k *numeral) of(n uint64, base int) string {
	if k.text == "" || k.n != n {
		k.n, k.text = n, strconv.FormatUint(n, base)
	}
	return k.text
}

func (s *scribe) describe(base string) vfs.Info {
	st := &s.st
	s.unique = append(append(s.unique[:0], s.dev.of(uint64(st.Dev), 36)...), '.')
	s.unique = strconv.AppendUint(s.unique, st.Ino, 36)
	d := vfs.Info{
		Name:    base,
		ModTime: time.Unix(st.Mtim.Unix()).UTC(),
		Mode:    fs.FileMode(st.Mode) & fs.ModePerm,
		Links:   max(1, int(st.Nlink)),
		Unique:  s.keep(s.unique),
		Owner:   s.owner.of(uint64(st.Uid), 10),
		Group:   s.group.of(uint64(st.Gid), 10),
	}
	switch uint32(st.Mode) & unix.S_IFMT {
	case unix.S_IFREG:
		d.Size = st.Size
	case unix.S_IFDIR:
		d.Type = vfs.TypeDir
	case unix.S_IFLNK:
		d.Type = vfs.TypeLink
	default:
		d.Type = vfs.TypeOther
	}
	return d
}

// identify adds what the system knows of a file. Owner and group stay
// numbers: to resolve them may ask the network.
func identify(d *vfs.Info, info fs.FileInfo) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	d.Links = max(1, int(st.Nlink))
	d.Unique = strconv.FormatUint(uint64(st.Dev), 36) + "." + strconv.FormatUint(uint64(st.Ino), 36)
	d.Owner = strconv.FormatUint(uint64(st.Uid), 10)
	d.Group = strconv.FormatUint(uint64(st.Gid), 10)
}

// keepOwner gives file the owner and group of old as far as the process may:
// only root gives files away, but many may choose among their groups.
func keepOwner(file *os.File, old fs.FileInfo) {
	was, ok := old.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	info, err := file.Stat()
	if err != nil {
		return
	}
	is, ok := info.Sys().(*syscall.Stat_t)
	if !ok || is.Uid == was.Uid && is.Gid == was.Gid {
		return
	}
	if file.Chown(int(was.Uid), int(was.Gid)) != nil {
		_ = file.Chown(-1, int(was.Gid))
	}
}
