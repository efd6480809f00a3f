//go:build !linux && !darwin && !freebsd

package jail

import (
	"errors"
	"io/fs"
	"os"

	"ftps/pkg/vfs"
)

const locks = false

func lock(*os.File) bool { return true }

func available(*os.Root) (int64, error) { return 0, errors.ErrUnsupported }

func identify(*vfs.Info, fs.FileInfo) {}

func keepOwner(*os.File, fs.FileInfo) {}
