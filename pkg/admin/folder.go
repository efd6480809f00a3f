package admin

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"ftps/pkg/fault"
)

// RuntimeFolder returns where the sockets of uid's servers lie, each named by
// its control port.
func RuntimeFolder(uid int, getenv func(string) string) string {
	if uid == 0 {
		return "/run/ftps"
	}
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "ftps")
	}
	return filepath.Join(os.TempDir(), "ftps-"+strconv.Itoa(uid))
}

// SocketIn returns the name of a server's socket in folder.
func SocketIn(folder string, controlPort int) string {
	return filepath.Join(folder, strconv.Itoa(controlPort)+".sock")
}

// MakeFolder makes the runtime folder where there is none, for uid alone. In
// a folder that everybody may write, the name may be taken: it must then be
// uid's own.
func MakeFolder(folder string, uid int) error {
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fault.Wrap(err, "console.socket.failed", folder, cause(err))
	}
	info, err := os.Lstat(folder)
	if err != nil {
		return fault.Wrap(err, "console.socket.failed", folder, cause(err))
	}
	if !info.IsDir() || info.Mode().Perm()&0o022 != 0 || !ownedBy(info, uid) {
		return fault.New("console.socket.folder", folder)
	}
	return nil
}

// Live returns the sockets in uid's runtime folder behind which a server
// listens; for root also those of servers that root started as others.
func Live(uid int, getenv func(string) string) (paths []string) {
	folder := RuntimeFolder(uid, getenv)
	found, _ := filepath.Glob(filepath.Join(folder, "*.sock"))
	if uid == 0 {
		others, _ := filepath.Glob(filepath.Join(folder+"-*", "*.sock"))
		found = append(found, others...)
	} else if info, err := os.Lstat(folder); err != nil || !ownedBy(info, uid) {
		return nil // whoever made it would be taken for a server
	}
	for _, path := range found {
		conn, err := net.DialTimeout("unix", path, time.Second)
		if err == nil {
			conn.Close()
			paths = append(paths, path)
		}
	}
	return paths
}
