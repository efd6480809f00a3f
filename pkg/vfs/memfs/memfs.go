// Package memfs is a tree in memory that keeps the promises of [vfs.FS], for
// tests. It has no symlinks and nothing but files and folders in it.
//
// The content of a file is never changed, only replaced, so an open file
// keeps reading what it was opened on.
package memfs

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"ftps/pkg/vfs"
)

// FS is a tree in memory.
type FS struct {
	*tree
	umask fs.FileMode
	quota *vfs.Quota
}

var _ vfs.FS = (*FS)(nil)

// tree is what the views of one tree share.
type tree struct {
	mu   sync.Mutex
	root *node
	next uint64
}

// node is a file or a folder.
type node struct {
	id      uint64
	mode    fs.FileMode
	modTime time.Time
	data    []byte           // of a file
	entries map[string]*node // of a folder, else nil
	parts   map[string]*part // by the name to be; of a folder
	uploads int              // under way into a folder
}

type part struct {
	data []byte
	busy bool // an upload works on it
}

// New returns an empty tree whose umask is 027.
func New() *FS {
	f := &FS{tree: &tree{}, umask: 0o027}
	f.root = f.newFolder(0o777 &^ f.umask)
	return f
}

func (t *tree) newNode(mode fs.FileMode) *node {
	t.next++
	return &node{id: t.next, mode: mode, modTime: time.Now()}
}

func (t *tree) newFolder(mode fs.FileMode) *node {
	n := t.newNode(mode)
	n.entries = make(map[string]*node)
	n.parts = make(map[string]*part)
	return n
}

// find returns the node of a name.
func (t *tree) find(name vfs.Name) (*node, error) {
	n := t.root
	if name.IsRoot() {
		return n, nil
	}
	for base := range strings.SplitSeq(name.Relative(), "/") {
		if n.entries == nil {
			return nil, vfs.ErrNotDir
		}
		if n = n.entries[base]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

// folder returns the folder that holds, or would hold, name.
func (t *tree) folder(name vfs.Name) (*node, error) {
	n, err := t.find(name.Parent())
	if err == nil && n.entries == nil {
		err = vfs.ErrNotDir
	}
	return n, err
}

func describe(base string, n *node) vfs.Info {
	d := vfs.Info{
		Name:    base,
		Size:    int64(len(n.data)),
		ModTime: n.modTime.UTC(),
		Mode:    n.mode,
		Links:   1,
		Unique:  strconv.FormatUint(n.id, 36),
	}
	if n.entries != nil {
		d.Type = vfs.TypeDir
	}
	return d
}

// Stat implements [vfs.FS].
func (f *FS) Stat(ctx context.Context, name vfs.Name) (vfs.Info, error) {
	if ctx.Err() != nil {
		return vfs.Info{}, context.Cause(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.find(name)
	if err != nil {
		return vfs.Info{}, err
	}
	return describe(name.Base(), n), nil
}

// List implements [vfs.FS].
func (f *FS) List(ctx context.Context, name vfs.Name) iter.Seq2[vfs.Info, error] {
	return func(yield func(vfs.Info, error) bool) {
		infos, err := f.list(name)
		for _, info := range infos {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
				break
			}
			if !yield(info, nil) {
				return
			}
		}
		if err != nil {
			yield(vfs.Info{}, err)
		}
	}
}

func (f *FS) list(name vfs.Name) ([]vfs.Info, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.find(name)
	if err != nil {
		return nil, err
	}
	if n.entries == nil {
		return nil, vfs.ErrNotDir
	}
	infos := make([]vfs.Info, 0, len(n.entries))
	for base, child := range n.entries {
		infos = append(infos, describe(base, child))
	}
	return infos, nil
}

type file struct {
	*bytes.Reader
	info vfs.Info
}

func (f *file) Info() vfs.Info { return f.info }
func (f *file) Close() error   { return nil }

// Open implements [vfs.FS].
func (f *FS) Open(ctx context.Context, name vfs.Name) (vfs.File, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.find(name)
	if err != nil {
		return nil, err
	}
	if n.entries != nil {
		return nil, vfs.ErrIsDir
	}
	return &file{bytes.NewReader(n.data), describe(name.Base(), n)}, nil
}

// Part implements [vfs.FS].
func (f *FS) Part(ctx context.Context, name vfs.Name) (int64, error) {
	data, err := f.part(ctx, name)
	return int64(len(data)), err
}

// Sum implements [vfs.FS]: it keeps no hashes.
func (f *FS) Sum(context.Context, vfs.Name, string) ([]byte, int64, error) {
	return nil, 0, errors.ErrUnsupported
}

// OpenPart implements [vfs.FS].
func (f *FS) OpenPart(ctx context.Context, name vfs.Name) (vfs.File, error) {
	data, err := f.part(ctx, name)
	if err != nil {
		return nil, err
	}
	// Uploads write behind what is there already, or to another buffer.
	info := vfs.Info{Name: name.Base(), Size: int64(len(data)), Mode: 0o600, Links: 1}
	return &file{bytes.NewReader(data), info}, nil
}

func (f *FS) part(ctx context.Context, name vfs.Name) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	folder, err := f.folder(name)
	if err != nil {
		return nil, err
	}
	p := folder.parts[name.Base()]
	if folder.entries[name.Base()] != nil || p == nil || len(p.data) == 0 {
		return nil, fs.ErrNotExist
	}
	return p.data, nil
}

// change runs a change of the tree under its lock.
func (f *FS) change(ctx context.Context, do func() error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return do()
}

// Mkdir implements [vfs.FS].
func (f *FS) Mkdir(ctx context.Context, name vfs.Name) error {
	return f.change(ctx, func() error {
		folder, err := f.folder(name)
		if err != nil {
			return err
		}
		if name.IsRoot() || folder.entries[name.Base()] != nil {
			return fs.ErrExist
		}
		folder.entries[name.Base()] = f.newFolder(0o777 &^ f.umask)
		return nil
	})
}

// Rmdir implements [vfs.FS].
func (f *FS) Rmdir(ctx context.Context, name vfs.Name) error {
	return f.change(ctx, func() error {
		n, err := f.find(name)
		switch {
		case err != nil:
			return err
		case name.IsRoot():
			return fs.ErrPermission
		case n.entries == nil:
			return vfs.ErrNotDir
		case len(n.entries) > 0:
			return vfs.ErrNotEmpty
		case n.uploads > 0:
			return vfs.ErrBusy
		}
		for _, p := range n.parts {
			f.quota.Shrink(int64(len(p.data)))
		}
		folder, err := f.folder(name)
		if err == nil {
			delete(folder.entries, name.Base())
		}
		return err
	})
}

// Remove implements [vfs.FS].
func (f *FS) Remove(ctx context.Context, name vfs.Name) error {
	return f.change(ctx, func() error {
		if name.IsRoot() {
			return vfs.ErrIsDir
		}
		folder, err := f.folder(name)
		if err != nil {
			return err
		}
		base := name.Base()
		n, p := folder.entries[base], folder.parts[base]
		switch {
		case n == nil && p == nil:
			return fs.ErrNotExist
		case n == nil && p.busy:
			return vfs.ErrBusy
		case n == nil:
			delete(folder.parts, base)
			f.quota.Shrink(int64(len(p.data)))
			return nil
		case n.entries != nil:
			return vfs.ErrIsDir
		}
		delete(folder.entries, base)
		f.quota.Shrink(int64(len(n.data)))
		return nil
	})
}

// Rename implements [vfs.FS].
func (f *FS) Rename(ctx context.Context, from, to vfs.Name) error {
	return f.change(ctx, func() error {
		if from.IsRoot() {
			return fs.ErrPermission
		}
		if to.IsRoot() {
			return fs.ErrExist
		}
		source, err := f.folder(from)
		if err != nil {
			return err
		}
		n := source.entries[from.Base()]
		if n == nil {
			return fs.ErrNotExist
		}
		target, err := f.folder(to)
		if err != nil {
			return err
		}
		old := target.entries[to.Base()]
		switch {
		case old == n:
			return nil
		case old != nil && (old.entries != nil || n.entries != nil):
			return fs.ErrExist
		case strings.HasPrefix(to.String(), from.String()+"/"):
			return vfs.ErrBadName // a folder into itself
		case old != nil:
			f.quota.Shrink(int64(len(old.data)))
		}
		delete(source.entries, from.Base())
		target.entries[to.Base()] = n
		return nil
	})
}

// Chtimes implements [vfs.FS].
func (f *FS) Chtimes(ctx context.Context, name vfs.Name, mtime time.Time) error {
	return f.change(ctx, func() error {
		n, err := f.find(name)
		if err == nil {
			n.modTime = mtime
		}
		return err
	})
}

// Chmod implements [vfs.FS].
func (f *FS) Chmod(ctx context.Context, name vfs.Name, mode fs.FileMode) error {
	return f.change(ctx, func() error {
		n, err := f.find(name)
		if err == nil {
			n.mode = mode.Perm()
		}
		return err
	})
}

// Available implements [vfs.FS]; memory is taken to be endless.
func (f *FS) Available(ctx context.Context, name vfs.Name) (int64, error) {
	if _, err := f.Stat(ctx, name); err != nil {
		return 0, err
	}
	return min(f.quota.Left(), math.MaxInt64), nil
}

// Used implements [vfs.FS].
func (f *FS) Used(ctx context.Context) (used int64, err error) {
	err = f.change(ctx, func() error {
		used = f.root.bytes()
		return nil
	})
	return used, err
}

func (n *node) bytes() int64 {
	sum := int64(len(n.data))
	for _, child := range n.entries {
		sum += child.bytes()
	}
	for _, p := range n.parts {
		sum += int64(len(p.data))
	}
	return sum
}

// Metered implements [vfs.FS].
func (f *FS) Metered(q *vfs.Quota) vfs.FS {
	view := *f
	view.quota = q
	return &view
}

// Close implements [vfs.FS].
func (f *FS) Close() error { return nil }

// Names lists the files and parts of the tree, for tests that want to see
// what a client cannot: "/a", "/b (part)".
func (f *FS) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	var visit func(at string, n *node)
	visit = func(at string, n *node) {
		for base, child := range n.entries {
			names = append(names, at+"/"+base)
			visit(at+"/"+base, child)
		}
		for base := range n.parts {
			names = append(names, at+"/"+base+" (part)")
		}
	}
	visit("", f.root)
	slices.Sort(names)
	return names
}
