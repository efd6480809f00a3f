package memfs

import (
	"context"
	"io/fs"
	"time"

	"ftps/pkg/vfs"
)

// upload writes to a buffer of its own. Where it has the part, the part shows
// the buffer's growth, as it would on a disk.
type upload struct {
	fs     *FS
	how    vfs.How
	folder *node
	base   string

	part    *part // nil where the part is taken, or a file is replaced
	over    bool  // a file had the name at the beginning
	data    []byte
	start   int64
	begun   bool
	settled bool
}

// Create implements [vfs.FS].
func (f *FS) Create(ctx context.Context, name vfs.Name, how vfs.How) (vfs.Upload, error) {
	u := &upload{fs: f, how: how, base: name.Base()}
	if how.Offset < 0 {
		return nil, vfs.ErrOffset
	}
	err := f.change(ctx, func() error {
		if name.IsRoot() {
			return vfs.ErrIsDir
		}
		folder, err := f.folder(name)
		if err != nil {
			return err
		}
		u.folder = folder
		if err := u.open(); err != nil {
			return err
		}
		folder.uploads++
		return nil
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

func (u *upload) open() error {
	old := u.folder.entries[u.base]
	switch {
	case old == nil:
		return u.openNew()
	case u.how.New:
		return fs.ErrExist
	case old.entries != nil:
		return vfs.ErrIsDir
	}
	u.over = true
	return u.openCopy(old)
}

func (u *upload) openNew() error {
	p := u.folder.parts[u.base]
	resume := u.how.Append || u.how.Offset > 0
	switch {
	case u.how.New && u.how.Offset > 0 && !u.how.Append:
		return vfs.ErrOffset
	case p != nil && p.busy && resume && !u.how.New:
		return vfs.ErrBusy
	case u.how.New || p != nil && p.busy:
		if u.how.Size > u.fs.quota.Left() {
			return vfs.ErrQuota
		}
		return nil
	}
	var data []byte
	if p != nil {
		data = p.data
	}
	u.start = u.how.Offset
	if u.how.Append {
		u.start = int64(len(data))
	}
	if u.start > int64(len(data)) {
		return vfs.ErrOffset
	}
	if u.how.Size-int64(len(data)) > u.fs.quota.Left() {
		return vfs.ErrQuota
	}
	if p == nil {
		p = &part{}
		u.folder.parts[u.base] = p
	}
	p.busy = true
	u.part, u.data = p, data
	return nil
}

func (u *upload) openCopy(old *node) error {
	u.start = u.how.Offset
	if u.how.Append {
		u.start = int64(len(old.data))
	}
	if u.start > int64(len(old.data)) {
		return vfs.ErrOffset
	}
	if u.how.Size > u.fs.quota.Left() {
		return vfs.ErrQuota
	}
	if err := u.fs.quota.Grow(u.start); err != nil {
		return err
	}
	u.data, u.begun = append([]byte(nil), old.data[:u.start]...), true
	return nil
}

// Offset implements [vfs.Upload].
func (u *upload) Offset() int64 { return u.start }

func (u *upload) begin() {
	if !u.begun {
		u.fs.quota.Shrink(int64(len(u.data)) - u.start)
		u.data = append([]byte(nil), u.data[:u.start]...)
		u.begun = true
	}
}

// Write implements [vfs.Upload].
func (u *upload) Write(b []byte) (int, error) {
	u.fs.mu.Lock()
	defer u.fs.mu.Unlock()
	if u.settled {
		return 0, fs.ErrClosed
	}
	u.begin()
	if err := u.fs.quota.Grow(int64(len(b))); err != nil {
		return 0, err
	}
	u.data = append(u.data, b...)
	if u.part != nil {
		u.part.data = u.data
	}
	return len(b), nil
}

// Commit implements [vfs.Upload].
func (u *upload) Commit(ctx context.Context) error {
	return u.fs.change(ctx, func() error {
		if u.settled {
			return fs.ErrClosed
		}
		u.begin()
		if u.how.Size >= 0 && int64(len(u.data)) != u.how.Size {
			return vfs.ErrIncomplete
		}
		n := u.fs.newNode(0o666 &^ u.fs.umask)
		if old := u.folder.entries[u.base]; old != nil {
			if u.how.New {
				return fs.ErrExist
			}
			if old.entries != nil {
				return vfs.ErrIsDir
			}
			n.mode = old.mode
			u.fs.quota.Shrink(int64(len(old.data)))
		}
		n.data, n.modTime = u.data, time.Now()
		if !u.how.ModTime.IsZero() {
			n.modTime = u.how.ModTime
		}
		u.folder.entries[u.base] = n
		if p := u.folder.parts[u.base]; p != nil && (p == u.part || !p.busy) {
			if p != u.part {
				u.fs.quota.Shrink(int64(len(p.data)))
			}
			delete(u.folder.parts, u.base)
		}
		u.settle()
		return nil
	})
}

func (u *upload) settle() {
	u.settled = true
	u.folder.uploads--
}

// Abort implements [vfs.Upload].
func (u *upload) Abort() error {
	return u.fs.change(context.Background(), func() error {
		if u.settled {
			return nil
		}
		u.settle()
		if u.part == nil && !u.over &&
			u.folder.entries[u.base] == nil && u.folder.parts[u.base] == nil {
			u.part = &part{}
			u.folder.parts[u.base] = u.part
		}
		if u.part == nil {
			u.fs.quota.Shrink(int64(len(u.data)))
			return nil
		}
		u.part.data, u.part.busy = u.data, false
		if len(u.data) == 0 {
			delete(u.folder.parts, u.base)
		}
		return nil
	})
}
