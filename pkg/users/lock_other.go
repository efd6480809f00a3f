//go:build !unix

package users

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"ftps/pkg/fault"
)

// lock takes the lock of that name, or gives up with ErrLocked when ctx ends.
// Where there is no flock, who made the file holds the lock until it is
// removed.
func lock(ctx context.Context, name, _ string) (release func(), err error) {
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			return func() { f.Close(); os.Remove(name) }, nil
		}
		// While the last owner removes it the system refuses the name.
		if !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrPermission) {
			return nil, fault.Wrap(err, "users.file.nolock", name, reason(err))
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil, fault.Wrap(errors.Join(ErrLocked, ctx.Err()), "users.file.locked", name)
		}
	}
}

// keepOwner has nothing to do: files belong to who makes them.
func keepOwner(*os.File, os.FileInfo) error { return nil }

// inode tells nothing here; size and time have to do.
func inode(os.FileInfo) uint64 { return 0 }
