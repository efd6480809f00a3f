package jail

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"ftps/pkg/vfs"
)

// keptBits are the bits of a folder that chmod(2) would clear and that belong
// to whoever set them on the machine.
const keptBits = fs.ModeSetgid | fs.ModeSticky

// Mkdir implements [vfs.FS].
func (f *FS) Mkdir(ctx context.Context, name vfs.Name) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if name.IsRoot() {
		return fs.ErrExist
	}
	mode := fs.ModePerm &^ f.opts.Umask
	return f.at(name, false, func(p string) error {
		if err := f.root.Mkdir(p, mode); err != nil {
			return err
		}
		// The process has a umask too, which Mkdir obeys.
		if info, err := f.root.Lstat(p); err == nil && info.IsDir() && info.Mode().Perm() != mode {
			if err := f.root.Chmod(p, mode|info.Mode()&keptBits); err != nil {
				return err
			}
		}
		return f.syncParents(p)
	})
}

// syncParents makes changes of names last: a file that is whole on the disk
// is lost even so if the folder that holds its folder never got there.
func (f *FS) syncParents(paths ...string) error {
	if f.opts.NoSync {
		return nil
	}
	synced := ""
	for _, p := range paths {
		parent := path.Dir(p)
		if parent == synced {
			continue
		}
		folder, err := f.folder(parent)
		if err != nil {
			return err
		}
		err = f.disk.syncDir(folder)
		folder.Close()
		if err != nil {
			return err
		}
		synced = parent
	}
	return nil
}

// Rmdir implements [vfs.FS].
func (f *FS) Rmdir(ctx context.Context, name vfs.Name) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if name.IsRoot() {
		return fs.ErrPermission
	}
	return f.at(name, false, func(p string) error {
		info, err := f.root.Lstat(p)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return vfs.ErrNotDir
		}
		if err := f.clear(ctx, p); err != nil {
			return err
		}
		return f.root.Remove(p)
	})
}

// clear removes the parts from a folder that holds nothing else.
func (f *FS) clear(ctx context.Context, p string) error {
	folder, err := f.folder(p)
	if err != nil {
		return err
	}
	defer folder.Close()
	var parts []string
	err = names(ctx, folder, func(base string) error {
		if kindOf(base) == visible {
			return vfs.ErrNotEmpty
		}
		parts = append(parts, base)
		return nil
	})
	if err != nil {
		return err
	}
	for _, base := range parts {
		if err := f.discard(folder, base); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// discard removes a hidden file that no upload works on.
func (f *FS) discard(folder *os.Root, base string) error {
	held, err := hold(folder, base)
	if err != nil {
		return err
	}
	defer held.Close()
	return f.unlink(folder, base)
}

// unlink removes a file and takes its bytes off the quota.
func (f *FS) unlink(folder *os.Root, base string) error {
	return f.quota.Free(func() (int64, error) {
		info, err := folder.Lstat(base)
		if err != nil {
			return 0, err
		}
		return bytesOf(info), folder.Remove(base)
	})
}

// bytesOf returns what a name counts in the quota.
func bytesOf(info fs.FileInfo) int64 {
	if info == nil || !info.Mode().IsRegular() {
		return 0
	}
	return info.Size()
}

// Remove implements [vfs.FS].
func (f *FS) Remove(ctx context.Context, name vfs.Name) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if name.IsRoot() {
		return vfs.ErrIsDir
	}
	return f.at(name, false, func(p string) error {
		folder, err := f.folder(path.Dir(p))
		if err != nil {
			return err
		}
		defer folder.Close()
		base := path.Base(p)
		info, err := folder.Lstat(base)
		if errors.Is(err, fs.ErrNotExist) {
			return f.discard(folder, partName(f.opts.Account, base))
		}
		if err != nil {
			return err
		}
		if info.IsDir() {
			return vfs.ErrIsDir
		}
		return f.unlink(folder, base)
	})
}

// Rename implements [vfs.FS].
func (f *FS) Rename(ctx context.Context, from, to vfs.Name) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if from.IsRoot() {
		return fs.ErrPermission
	}
	if to.IsRoot() {
		return fs.ErrExist
	}
	source, err := f.place(from)
	if err != nil {
		return err
	}
	target, err := f.place(to)
	if err != nil {
		return err
	}
	err = f.quota.Free(func() (int64, error) { return f.rename(source, target) })
	if err == nil {
		err = f.syncParents(target, source)
	}
	return f.explain(err)
}

// place returns the path of a name whose folder os.Root can reach; the name
// itself need not exist.
func (f *FS) place(name vfs.Name) (place string, err error) {
	err = f.at(name, false, func(p string) error {
		place = p
		_, err := f.root.Lstat(p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return place, err
}

// rename moves one path to another and returns the bytes that went with what
// it replaced.
func (f *FS) rename(from, to string) (int64, error) {
	old, err := f.root.Lstat(from)
	if err != nil {
		return 0, err
	}
	if from == to {
		return 0, nil
	}
	replaced, err := f.root.Lstat(to)
	if errors.Is(err, fs.ErrNotExist) {
		err = f.root.Rename(from, to)
		if errors.Is(err, syscall.EINVAL) {
			return 0, vfs.ErrBadName // a folder into itself
		}
		return 0, err
	}
	if err != nil {
		return 0, err
	}
	if os.SameFile(old, replaced) {
		// rename(2) does nothing between two hard links. With one link the
		// two names differ in case only and the file system ignores it.
		if describe("", old).Links > 1 && !old.IsDir() {
			return bytesOf(old), f.root.Remove(from)
		}
		return 0, f.root.Rename(from, to)
	}
	if old.IsDir() || f.isFolder(to, replaced) {
		return 0, fs.ErrExist
	}
	return bytesOf(replaced), f.root.Rename(from, to)
}

// isFolder reports whether a name shows as a folder, if only as a link to one.
func (f *FS) isFolder(p string, info fs.FileInfo) bool {
	if info.Mode()&fs.ModeSymlink == 0 {
		return info.IsDir()
	}
	followed, err := f.follow(p, true)
	if err != nil {
		return false
	}
	target, err := f.root.Lstat(followed)
	return err == nil && target.IsDir()
}

// Chtimes implements [vfs.FS].
func (f *FS) Chtimes(ctx context.Context, name vfs.Name, mtime time.Time) error {
	return f.mark(ctx, name, func(p string, _ fs.FileInfo) error {
		return f.root.Chtimes(p, time.Time{}, mtime)
	})
}

// Chmod implements [vfs.FS].
func (f *FS) Chmod(ctx context.Context, name vfs.Name, mode fs.FileMode) error {
	return f.mark(ctx, name, func(p string, info fs.FileInfo) error {
		mode := mode.Perm()
		if info.IsDir() {
			mode |= info.Mode() & keptBits
		}
		return f.root.Chmod(p, mode)
	})
}

// mark runs a change of attributes on a file or a folder.
func (f *FS) mark(ctx context.Context, name vfs.Name, change func(string, fs.FileInfo) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return f.at(name, true, func(p string) error {
		info, err := f.root.Stat(p)
		if err != nil {
			return err
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			return vfs.ErrNotRegular
		}
		return change(p, info)
	})
}

// Available implements [vfs.FS].
func (f *FS) Available(ctx context.Context, name vfs.Name) (left int64, err error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	err = f.at(name, true, func(p string) error {
		folder, err := f.folder(p)
		if errors.Is(f.explain(err), vfs.ErrNotDir) {
			folder, err = f.folder(path.Dir(p))
		}
		if err != nil {
			return err
		}
		defer folder.Close()
		left, err = available(folder)
		return err
	})
	if err != nil {
		return 0, err
	}
	return min(left, f.quota.Left()), nil
}
