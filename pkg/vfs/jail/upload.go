package jail

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"

	"ftps/pkg/vfs"
)

// upload is a file being written: to the account's part, or to a temporary
// file where a file is replaced or the part is taken.
type upload struct {
	fs     *FS
	how    vfs.How
	folder *os.Root // held by descriptor: renaming it away does not matter
	base   string   // the name to be

	file   *os.File // locked while it is open
	hidden string   // the name of file in folder
	old    fs.FileInfo

	start   int64 // where writing begins
	length  int64 // what file holds and the quota counts
	begun   bool  // whether file was cut at start
	settled bool
}

// spot opens the folder in which an upload of name lands and returns its name
// there, behind all symlinks.
func (f *FS) spot(name vfs.Name) (folder *os.Root, base string, err error) {
	p, err := f.follow(name.Relative(), true)
	if err != nil {
		return nil, "", err
	}
	if p == "." {
		return nil, "", vfs.ErrIsDir
	}
	base = path.Base(p)
	if !vfs.Listable(base) {
		return nil, "", vfs.ErrBadName
	}
	folder, err = f.folder(path.Dir(p))
	return folder, base, err
}

// Create implements [vfs.FS].
func (f *FS) Create(ctx context.Context, name vfs.Name, how vfs.How) (vfs.Upload, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if how.Offset < 0 {
		return nil, vfs.ErrOffset
	}
	folder, base, err := f.spot(name)
	if err != nil {
		return nil, f.explain(err)
	}
	u := &upload{fs: f, how: how, folder: folder, base: base}
	if err := u.open(ctx); err != nil {
		u.Abort()
		return nil, f.explain(err)
	}
	return u, nil
}

func (u *upload) open(ctx context.Context) error {
	old, err := u.folder.Lstat(u.base)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return u.openNew()
	case err != nil:
		return err
	case u.how.New:
		return fs.ErrExist
	}
	if err := regular(old); err != nil {
		return err
	}
	u.old = old
	return u.openCopy(ctx)
}

// openNew goes on from the part, or begins one.
func (u *upload) openNew() error {
	if !u.how.Append {
		u.start = u.how.Offset
	}
	if u.how.New {
		if u.start > 0 {
			return vfs.ErrOffset
		}
		if err := u.fits(0); err != nil {
			return err
		}
		return u.openTemp()
	}
	resume := u.how.Append || u.start > 0
	name := partName(u.fs.opts.Account, u.base)
	file, err := hold(u.folder, name)
	if errors.Is(err, fs.ErrNotExist) {
		if u.start > 0 {
			return vfs.ErrOffset
		}
		file, err = create(u.folder, name)
		if errors.Is(err, fs.ErrExist) {
			err = vfs.ErrBusy // somebody began at this moment
		}
	}
	if errors.Is(err, vfs.ErrBusy) && !resume {
		if err := u.fits(0); err != nil {
			return err
		}
		return u.openTemp()
	}
	if err != nil {
		return err
	}
	u.file, u.hidden = file, name
	info, err := file.Stat()
	if err != nil {
		return err
	}
	u.length = info.Size()
	if u.how.Append {
		u.start = u.length
	}
	if u.start > u.length {
		return vfs.ErrOffset
	}
	return u.fits(u.length)
}

// openCopy begins a file that will replace the old one, with as much of the
// old one in it as the upload goes on from.
func (u *upload) openCopy(ctx context.Context) error {
	// Replacing needs no right to the file itself, only to its folder. A file
	// that its owner made read-only is to stay as it is, so ask.
	mode := os.O_WRONLY
	if u.how.Append || u.how.Offset > 0 {
		mode = os.O_RDWR
	}
	old, err := u.folder.OpenFile(u.base, mode|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ETXTBSY) {
		// A program that runs cannot be written, but well be replaced.
		old, err = u.folder.OpenFile(u.base, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	}
	if err != nil {
		return err
	}
	defer old.Close()
	info, err := old.Stat()
	if err != nil {
		return err
	}
	if err := regular(info); err != nil {
		return err
	}
	u.start = u.how.Offset
	if u.how.Append {
		u.start = info.Size()
	}
	if u.start > info.Size() {
		return vfs.ErrOffset
	}
	if err := u.fits(0); err != nil {
		return err
	}
	if err := u.openTemp(); err != nil {
		return err
	}
	if err := u.fs.quota.Grow(u.start); err != nil {
		return err
	}
	u.length, u.begun = u.start, true
	return copyFile(ctx, u.file, old, u.start)
}

func (u *upload) openTemp() error {
	for {
		u.hidden = tempName()
		file, err := create(u.folder, u.hidden)
		if err == nil {
			u.file = file
		}
		// Nobody else works on a name of chance: a sweep took the file in the
		// moment before it was locked, as that of another server may, which has
		// begun to take this one's place.
		if !errors.Is(err, vfs.ErrBusy) {
			return err
		}
	}
}

// fits refuses an announced size for which there is no room beside the bytes
// that are there already.
func (u *upload) fits(there int64) error {
	need := u.how.Size - there
	if need <= 0 {
		return nil
	}
	if need > u.fs.quota.Left() {
		return vfs.ErrQuota
	}
	if left, err := available(u.folder); err == nil && need > left {
		return vfs.ErrNoSpace
	}
	return nil
}

// Offset implements [vfs.Upload].
func (u *upload) Offset() int64 { return u.start }

// begin cuts the part where writing starts. It waits for the first byte, so
// that an upload that is refused on the way costs the client no part.
func (u *upload) begin() error {
	if u.begun {
		return nil
	}
	if u.length > u.start {
		if err := u.file.Truncate(u.start); err != nil {
			return err
		}
		u.fs.quota.Shrink(u.length - u.start)
		u.length = u.start
	}
	if _, err := u.file.Seek(u.start, 0); err != nil {
		return err
	}
	u.begun = true
	return nil
}

// Write implements [vfs.Upload].
func (u *upload) Write(b []byte) (int, error) {
	if u.settled {
		return 0, fs.ErrClosed
	}
	if err := u.begin(); err != nil {
		return 0, u.fs.explain(err)
	}
	if err := u.fs.quota.Grow(int64(len(b))); err != nil {
		return 0, err
	}
	n, err := u.fs.disk.write(u.file, b)
	u.length += int64(n)
	u.fs.quota.Shrink(int64(len(b) - n))
	return n, u.fs.explain(err)
}
