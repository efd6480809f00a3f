package pki

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ftps/pkg/fault"
)

// lockWait is how long another process may hold a file.
const lockWait = 5 * time.Second

// lock keeps other processes from changing the file at path, by a lock on
// path.lock beside it.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, unwritable(path+".lock", err)
	}
	for end := time.Now().Add(lockWait); ; time.Sleep(10 * time.Millisecond) {
		taken, err := tryLock(f)
		switch {
		case err != nil:
			f.Close()
			return nil, unwritable(path+".lock", err)
		case taken:
			return func() { f.Close() }, nil // and with it the lock
		case time.Now().After(end):
			f.Close()
			return nil, fault.New("pki.known.locked", path)
		}
	}
}

// writeWhole puts data at path so that a reader, and a machine that loses
// power, sees the old file or the new one and never a part. A symlink's target
// is replaced, not the link, and a file that is there keeps its mode and,
// where permitted, its owner.
func writeWhole(path string, data []byte, mode fs.FileMode) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	old, err := os.Stat(path)
	if err == nil {
		mode = old.Mode().Perm()
	}
	temp, err := writeTemp(path, data, mode, old)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		os.Remove(temp)
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// writeNew is writeWhole for a file that must not be there yet: it fails with
// fs.ErrExist rather than replace anything, a dangling symlink included.
func writeNew(path string, data []byte, mode fs.FileMode) error {
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	temp, err := writeTemp(path, data, mode, nil)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	// A link, unlike a rename, never replaces.
	err = os.Link(temp, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		// A file system without links: the look above has to do.
		err = os.Rename(temp, path)
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// writeTemp writes and syncs a temporary file beside path.
func writeTemp(path string, data []byte, mode fs.FileMode, old fs.FileInfo) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if old != nil {
		keepOwner(f, old) // before the mode: a change of owner may clear bits
	}
	if err := f.Chmod(mode); err != nil {
		return "", err
	}
	if _, err := f.Write(data); err != nil {
		return "", err
	}
	if err := f.Sync(); err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}
