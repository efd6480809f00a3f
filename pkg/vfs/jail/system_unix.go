//go:build linux || darwin || freebsd

package jail

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"

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
