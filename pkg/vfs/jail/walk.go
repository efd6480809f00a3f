package jail

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
)

// batch is how many names of a folder are held at a time.
const batch = 256

// walk calls visit for everything below root but the folders, without
// following symlinks. What vanishes meanwhile, or may not be read, is passed
// over. Folders wait as paths, so that a deep tree needs no descriptors.
func walk(ctx context.Context, root *os.Root, visit func(folder *os.Root, base string, info fs.FileInfo) error) error {
	waiting := []string{"."}
	for len(waiting) > 0 {
		path := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		folder, err := root.OpenRoot(path + "/.")
		if gone(err) {
			continue
		}
		if err != nil {
			return err
		}
		err = names(ctx, folder, func(base string) error {
			info, err := folder.Lstat(base)
			switch {
			case gone(err):
				return nil
			case err != nil:
				return err
			case info.IsDir():
				waiting = append(waiting, path+"/"+base)
				return nil
			}
			return visit(folder, base, info)
		})
		folder.Close()
		if err != nil && !gone(err) {
			return err
		}
	}
	return nil
}

func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
}

// names calls yield for every name in a folder, a batch at a time.
func names(ctx context.Context, folder *os.Root, yield func(base string) error) error {
	d, err := folder.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		bases, err := d.Readdirnames(batch)
		for _, base := range bases {
			if err := yield(base); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
