package jail

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"ftps/pkg/vfs"
)

// Commit implements [vfs.Upload].
func (u *upload) Commit(ctx context.Context) error {
	if u.settled {
		return fs.ErrClosed
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := u.begin(); err != nil {
		return u.fs.explain(err)
	}
	if u.how.Size >= 0 && u.length != u.how.Size {
		return vfs.ErrIncomplete
	}
	if err := u.dress(); err != nil {
		return u.fs.explain(err)
	}
	if !u.fs.opts.NoSync {
		if err := u.fs.disk.sync(u.file); err != nil {
			return u.fs.explain(err)
		}
	}
	if err := u.place(); err != nil {
		return u.fs.explain(err)
	}
	if kindOf(u.hidden) != part {
		// A part from before the file was whole is of no use any more.
		_ = u.fs.discard(u.folder, partName(u.fs.opts.Account, u.base))
	}
	u.close()
	return nil
}

// dress gives the file the mode, the owner and the time it shall have. The
// mode comes after the owner, since chown(2) may clear bits of it; the time
// before the file has its name, so that nobody sees it with another.
func (u *upload) dress() error {
	mode := 0o666 &^ u.fs.opts.Umask
	if old, err := u.folder.Lstat(u.base); err == nil && old.Mode().IsRegular() {
		mode = old.Mode().Perm()
		keepOwner(u.file, old)
	}
	if err := u.file.Chmod(mode); err != nil || u.how.ModTime.IsZero() {
		return err
	}
	return u.folder.Chtimes(u.hidden, time.Time{}, u.how.ModTime)
}

// place gives the file its name, or leaves everything as it was: a reader
// must not see what the client is told has failed. Until the folder is synced
// the old file therefore keeps a second name to come back from. Where the
// file system has no hard links it cannot come back, in that one case.
func (u *upload) place() error {
	var old fs.FileInfo
	spare := ""
	err := u.fs.quota.Free(func() (int64, error) {
		named, err := u.folder.Lstat(u.base)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return 0, u.placeNew()
		case err != nil:
			return 0, err
		case u.how.New:
			return 0, fs.ErrExist
		case named.IsDir():
			return 0, vfs.ErrIsDir
		}
		old = named
		if !u.fs.opts.NoSync {
			if name := tempName(); u.folder.Link(u.base, name) == nil {
				spare = name
			}
		}
		return bytesOf(old), u.fs.disk.rename(u.folder, u.hidden, u.base)
	})
	if err == nil && !u.fs.opts.NoSync {
		if err = u.fs.disk.syncDir(u.folder); err != nil {
			err = errors.Join(err, u.fs.quota.Free(func() (int64, error) { return u.displace(old, spare) }))
			spare = ""
		}
	}
	if spare != "" {
		_ = u.folder.Remove(spare)
	}
	if err == nil && u.how.New {
		_ = u.folder.Remove(u.hidden)
	}
	return err
}

// placeNew gives the file a name that was free a moment ago. Rename would
// replace what came since; only a link can refuse to.
func (u *upload) placeNew() error {
	if u.how.New {
		err := u.folder.Link(u.hidden, u.base)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return u.fs.disk.rename(u.folder, u.hidden, u.base)
}

// displace undoes place and returns the bytes that are gone with it, which is
// negative where the old file is back.
func (u *upload) displace(old fs.FileInfo, spare string) (int64, error) {
	named, err := u.folder.Lstat(u.base)
	if err != nil {
		return 0, err
	}
	mine, err := u.file.Stat()
	if err != nil {
		return 0, err
	}
	length := u.length
	switch {
	case !os.SameFile(named, mine):
		// A later upload has replaced this one already.
		u.length = 0
		if spare != "" {
			_ = u.folder.Remove(spare)
		}
		return 0, nil
	case spare != "":
		u.length = 0
		return length - bytesOf(old), u.fs.disk.rename(u.folder, spare, u.base)
	case old != nil:
		u.length = 0
		return 0, nil
	case u.how.New && u.folder.Remove(u.base) == nil:
		return 0, nil
	}
	return 0, u.fs.disk.rename(u.folder, u.base, u.hidden)
}

// Abort implements [vfs.Upload].
func (u *upload) Abort() error {
	if u.settled {
		return nil
	}
	var err error
	if u.file != nil {
		err = u.leave()
	}
	u.close()
	return u.fs.explain(err)
}

// leave leaves of an unfinished upload what the next one can go on from.
func (u *upload) leave() error {
	if u.length == 0 || u.old != nil {
		return u.drop()
	}
	if kindOf(u.hidden) == temporary {
		// Another session had the part when this one began. If it is free by
		// now and there is no file yet, this is the part.
		if _, err := u.folder.Lstat(u.base); err == nil {
			return u.drop()
		}
		if err := u.folder.Link(u.hidden, partName(u.fs.opts.Account, u.base)); err != nil {
			return u.drop()
		}
		if err := u.folder.Remove(u.hidden); err != nil {
			return err
		}
	}
	if u.begun && !u.fs.opts.NoSync {
		// A resume will trust every byte of it.
		return u.fs.disk.sync(u.file)
	}
	return nil
}

func (u *upload) drop() error {
	err := u.folder.Remove(u.hidden)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		u.fs.quota.Shrink(u.length)
	}
	return err
}

func (u *upload) close() {
	u.settled = true
	if u.file != nil {
		u.file.Close()
	}
	u.folder.Close()
}
