package users

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ftps/pkg/fault"
)

// File is a users.yaml that is changed. A change holds the lock on the file's
// name with ".lock" behind it, and is written whole or not at all; comments,
// order, owner and mode stay, and everything that was not changed stays byte
// for byte. A file that is not there is made, 0600, by Add; by root, for the
// owner of its folder, who else could not read it.
type File struct {
	Path string        // the file, or a symlink to it: then the target is replaced
	Wait time.Duration // how long to wait for the lock; 0 is 10 s

	step func(name string) error // what tests let fail, or nil
}

// Add puts an account into the file and returns the path that was written.
// A name that is there is ErrExists.
func (f File) Add(ctx context.Context, u User) (string, error) {
	if err := CheckName(u.Name); err != nil {
		return "", err
	}
	return f.change(ctx, func(path string) edit { return add(path, u) }, true)
}

// Remove takes an account out of the file and returns the path that was
// written. A name that is not there is ErrNoAccount.
func (f File) Remove(ctx context.Context, name string) (string, error) {
	return f.change(ctx, func(path string) edit { return remove(path, name) }, false)
}

// SetPassword gives an account another bcrypt line, from [Hash], and returns
// the path that was written. A name that is not there is ErrNoAccount.
func (f File) SetPassword(ctx context.Context, name, hash string) (string, error) {
	if err := checkHash(hash); err != nil {
		return "", err
	}
	return f.change(ctx, func(path string) edit { return setPassword(path, name, hash) }, false)
}

func (f File) change(ctx context.Context, what func(path string) edit, mayMake bool) (string, error) {
	wait := f.Wait
	if wait <= 0 {
		wait = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()

	path, err := target(f.Path)
	if err != nil {
		return "", fault.Wrap(err, "users.file.unreadable", f.Path, reason(err))
	}
	// Others may know the file by the symlink's name or by its own: both
	// locks are taken, the link's first.
	named, err := filepath.Abs(f.Path)
	if err != nil {
		return "", err
	}
	for _, name := range distinct(named, path) {
		release, err := lock(ctx, name+".lock", name)
		if err != nil {
			return "", err
		}
		defer release()
	}

	text, info, err := read(path)
	if errors.Is(err, fs.ErrNotExist) && mayMake {
		text, info, err = nil, nil, nil
	}
	if err != nil {
		return "", err
	}
	changed, err := what(path).apply(path, text)
	if err != nil {
		return "", err
	}
	return path, f.replace(path, changed, info)
}

func distinct(a, b string) []string {
	if a == b {
		return []string{a}
	}
	return []string{a, b}
}

// target follows symlinks to the file's own place, which need not exist yet.
func target(path string) (string, error) {
	path, err := filepath.Abs(path)
	for range 40 {
		if err != nil {
			return "", err
		}
		folder, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return "", err
		}
		path = filepath.Join(folder, filepath.Base(path))
		link, err := os.Readlink(path)
		if err != nil {
			return path, nil // a file, or nothing yet
		}
		if !filepath.IsAbs(link) {
			link = filepath.Join(folder, link)
		}
		path = link
	}
	return "", &fs.PathError{Op: "readlink", Path: path, Err: errors.New("too many symlinks")}
}

// replace makes text the content of path: written beside it, synced, and
// renamed over it. was is what the old text was read from, or nil.
func (f File) replace(path string, text []byte, was fs.FileInfo) (err error) {
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	defer func() {
		if err == nil {
			return
		}
		_ = os.Remove(temp)
		var known *fault.Error
		if !errors.As(err, &known) {
			err = fault.Wrap(err, "users.file.unwritten", path, reason(err))
		}
	}()
	// What a crash left behind: we hold the lock, so it is nobody's.
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := f.fails("write"); err != nil {
		return err
	}
	if _, err := out.Write(text); err != nil {
		return err
	}
	if like, err := likeness(path, was); err != nil {
		return err
	} else if like != nil {
		if err := keepOwner(out, like); err != nil {
			return fault.Wrap(errors.Join(ErrOwner, err), "users.file.owner", path)
		}
	}
	if was != nil {
		// After the owner: chown clears bits of the mode.
		if err := out.Chmod(was.Mode().Perm()); err != nil {
			return err
		}
	}
	if err := f.fails("sync"); err != nil {
		return err
	}
	if err := out.Sync(); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	if err := f.fails("rename"); err != nil {
		return err
	}
	// An editor knows nothing of the lock.
	if !unchanged(path, was) {
		return fault.Wrap(ErrChanged, "users.file.changed", path)
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// likeness is whose owner a file at path gets: that of the file before it, or
// of its folder where root makes the first. nil is who makes it.
func likeness(path string, was fs.FileInfo) (fs.FileInfo, error) {
	if was != nil || os.Geteuid() != 0 {
		return was, nil
	}
	return os.Stat(filepath.Dir(path))
}

func (f File) fails(step string) error {
	if f.step == nil {
		return nil
	}
	return f.step(step)
}

// unchanged reports whether path is still what was read.
func unchanged(path string, was fs.FileInfo) bool {
	now, err := os.Lstat(path)
	if was == nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	return err == nil && os.SameFile(was, now) && was.Size() == now.Size() && was.ModTime().Equal(now.ModTime())
}

// syncFolder makes a rename last: until then a crash may bring the old file
// back.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
