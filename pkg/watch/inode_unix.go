//go:build unix

package watch

import (
	"io/fs"
	"syscall"
)

// inode tells a file from the one that was renamed over it.
func inode(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}
