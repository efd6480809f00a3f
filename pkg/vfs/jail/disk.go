package jail

import (
	"errors"
	"os"
	"syscall"
)

// disk holds the calls whose order and success decide what a crash leaves
// behind. Tests record them, replay them up to any point, and have them fail.
type disk struct {
	write   func(file *os.File, b []byte) (int, error)
	sync    func(file *os.File) error
	rename  func(folder *os.Root, from, to string) error
	syncDir func(folder *os.Root) error
}

func realDisk() disk {
	return disk{
		write:   (*os.File).Write,
		sync:    (*os.File).Sync,
		rename:  (*os.Root).Rename,
		syncDir: syncDir,
	}
}

func syncDir(folder *os.Root) error {
	d, err := folder.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.Sync()
	// Some file systems (CIFS, some of FUSE) cannot sync a folder and say so.
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}
