//go:build unix

package mirror

import (
	"io/fs"
	"syscall"
)

// nonblock keeps the opening of a FIFO, put in a file's place after it was
// looked at, from waiting for a writer.
const nonblock = syscall.O_NONBLOCK

// alone reports whether a file has no other name: one that another user has
// given a second name here (a hard link) is not to be written into.
func alone(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return !ok || st.Nlink <= 1
}
