package jail

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"syscall"

	"ftps/pkg/vfs"
)

// Stat implements [vfs.FS].
func (f *FS) Stat(ctx context.Context, name vfs.Name) (vfs.Info, error) {
	if ctx.Err() != nil {
		return vfs.Info{}, context.Cause(ctx)
	}
	info, err := f.stat(name)
	if err == nil {
		return describe(name.Base(), info), nil
	}
	// A link that leads nowhere is still something one may list and remove.
	err2 := f.at(name, false, func(path string) (err error) {
		info, err = f.root.Lstat(path)
		return err
	})
	if err2 == nil && info.Mode()&fs.ModeSymlink != 0 {
		return describe(name.Base(), info), nil
	}
	return vfs.Info{}, err
}

func (f *FS) stat(name vfs.Name) (info fs.FileInfo, err error) {
	err = f.at(name, true, func(path string) (err error) {
		info, err = f.root.Stat(path)
		return err
	})
	return info, err
}

func describe(base string, info fs.FileInfo) vfs.Info {
	d := vfs.Info{
		Name:    base,
		ModTime: info.ModTime().UTC(),
		Mode:    info.Mode().Perm(),
		Links:   1,
	}
	switch {
	case info.Mode().IsRegular():
		d.Size = info.Size()
	case info.IsDir():
		d.Type = vfs.TypeDir
	case info.Mode()&fs.ModeSymlink != 0:
		d.Type = vfs.TypeLink
	default:
		d.Type = vfs.TypeOther
	}
	identify(&d, info)
	return d
}

// List implements [vfs.FS].
func (f *FS) List(ctx context.Context, name vfs.Name) iter.Seq2[vfs.Info, error] {
	return func(yield func(vfs.Info, error) bool) {
		err := f.list(ctx, name, func(info vfs.Info) bool { return yield(info, nil) })
		if err != nil && !errors.Is(err, errStop) {
			yield(vfs.Info{}, f.explain(err))
		}
	}
}

var errStop = errors.New("jail: listing not wanted any more")

func (f *FS) list(ctx context.Context, name vfs.Name, yield func(vfs.Info) bool) error {
	var folder *os.Root
	err := f.at(name, true, func(path string) (err error) {
		folder, err = f.folder(path)
		return err
	})
	if err != nil {
		return err
	}
	defer folder.Close()
	return entries(ctx, folder, func(d vfs.Info, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone since the batch was read
		}
		if err != nil {
			return err
		}
		if d.Type == vfs.TypeLink {
			if target, err := f.stat(name.Child(d.Name)); err == nil {
				d = describe(d.Name, target)
			}
		}
		if !yield(d) {
			return errStop
		}
		return nil
	})
}

// file is an open file and what was known of it then.
type file struct {
	*os.File
	info vfs.Info
}

func (f *file) Info() vfs.Info { return f.info }

// Open implements [vfs.FS].
func (f *FS) Open(ctx context.Context, name vfs.Name) (vfs.File, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	// Opening a device can have effects of its own, so look first. What was
	// swapped in since is caught by the second look, at what was opened.
	info, err := f.stat(name)
	if err != nil {
		return nil, err
	}
	if err := regular(info); err != nil {
		return nil, err
	}
	var opened *os.File
	err = f.at(name, true, func(path string) (err error) {
		opened, err = f.root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	info, err = opened.Stat()
	if err == nil {
		err = regular(info)
	}
	if err != nil {
		opened.Close()
		return nil, f.explain(err)
	}
	return &file{opened, describe(name.Base(), info)}, nil
}

func regular(info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return vfs.ErrIsDir
	case !info.Mode().IsRegular():
		return vfs.ErrNotRegular
	}
	return nil
}
