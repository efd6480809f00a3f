//go:build !linux && !darwin && !freebsd

package jail

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"ftps/pkg/vfs"
)

const locks = false

func lock(*os.File) bool { return true }

func available(*os.Root) (int64, error) { return 0, errors.ErrUnsupported }

// entries calls yield for everything in a folder, links undescribed, a batch
// of names at a time. An entry that cannot be looked at comes with its error.
func entries(ctx context.Context, folder *os.Root, yield func(d vfs.Info, err error) error) error {
	return names(ctx, folder, func(base string) error {
		if !vfs.Listable(base) {
			return nil
		}
		info, err := folder.Lstat(base)
		if err != nil {
			return yield(vfs.Info{}, err)
		}
		return yield(describe(base, info), nil)
	})
}

func identify(*vfs.Info, fs.FileInfo) {}

func keepOwner(*os.File, fs.FileInfo) {}
