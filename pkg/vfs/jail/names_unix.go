//go:build (linux && !amd64 && !arm64) || darwin || freebsd

package jail

import (
	"os"

	"golang.org/x/sys/unix"
)

// nameReader reads the names in a folder, a batch at a time, and looks at what
// has them.
type nameReader struct{}

// next returns the next batch, or io.EOF.
func (*nameReader) next(d *os.File) ([]string, error) { return d.Readdirnames(batch) }

// stat looks at what has a name of the last batch.
func (*nameReader) stat(fd uintptr, name string, st *unix.Stat_t) error {
	return unix.Fstatat(int(fd), name, st, unix.AT_SYMLINK_NOFOLLOW)
}
