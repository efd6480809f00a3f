package mirror

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

// Direction of a plan.
type Direction uint8

// The directions, seen from here.
const (
	Download Direction = iota
	Upload
)

// Plan is what a run will do.
type Plan struct {
	Direction Direction
	Tree      bool   // more than one named file
	Root      string // the local folder that Item.Local is relative to
	Base      string // the remote folder of a tree, "" otherwise
	Folders   []Item // to make, parents first; the first is the top of a tree
	Files     []Item
	Bytes     int64     // the sum of the known sizes
	Skipped   []Failure // left out on purpose
	Gaps      []Failure // not seen: 4yz, unknown lines, refused names
}

// Item is one file or folder of a plan.
type Item struct {
	ID      int    // its place in the plan
	Remote  string // the path on the server
	Local   string // the path below Plan.Root, with slashes
	Size    int64  // bytes; -1 unknown
	ModTime time.Time
	Precise bool // ModTime is to the second
	Folder  bool
}

// Name is what to call an item when talking about it: its path on the server.
func (i Item) Name() string { return i.Remote }

const (
	// maxDepth and maxEntries end the scan of a tree that has no end.
	maxDepth   = 128
	maxEntries = 4_000_000
)

func (p *Plan) file(i Item) {
	i.ID = len(p.Files)
	p.Files = append(p.Files, i)
	p.Bytes += max(0, i.Size)
}

func (p *Plan) gap(name string, err error)  { p.Gaps = append(p.Gaps, Failure{name, err}) }
func (p *Plan) skip(name string, err error) { p.Skipped = append(p.Skipped, Failure{name, err}) }

// PlanGet scans a remote file or folder. Nothing is changed.
func (t *Transfer) PlanGet(ctx context.Context, remote, local string, o Options) (*Plan, error) {
	info, statErr := os.Stat(local)
	target, err := Place(remote, local, statErr == nil && info.IsDir(), true)
	if err != nil {
		return nil, err
	}
	c, err := t.pool.Get(ctx)
	if err != nil {
		return nil, err
	}
	top, err := c.Stat(ctx, remote)
	if err == nil && top.Type == ftp.Dir && o.Recursive {
		p := &Plan{Direction: Download, Tree: true, Root: target, Base: remote}
		p.Folders = append(p.Folders, Item{Remote: remote, Local: ".", Folder: true})
		return p, t.grow(ctx, c, p, p.Folders[0])
	}
	t.pool.Put(c)
	if err != nil {
		return nil, err
	}
	if top.Type == ftp.Dir {
		return nil, ErrIsFolder
	}
	p := &Plan{Direction: Download, Root: filepath.Dir(target)}
	p.file(Item{Remote: remote, Local: filepath.Base(target), Size: top.Size, ModTime: top.ModTime, Precise: top.Precise})
	return p, nil
}

// grow scans the remote tree below a folder as a mirror does, over as many
// connections as it is wide, and adds it to the plan. c is put back.
func (t *Transfer) grow(ctx context.Context, c *ftpclient.Conn, p *Plan, top Item) error {
	found, err := t.scanFolder(ctx, c, top.Remote, &choice{})
	if err != nil {
		return err
	}
	p.Skipped, p.Gaps = append(p.Skipped, found.skipped...), append(p.Gaps, found.gaps...)
	for _, name := range found.order {
		n := found.nodes[name]
		item := Item{
			Remote: joinRemote(top.Remote, name), Local: path.Join(top.Local, name), Size: n.size, ModTime: n.time,
			Precise: n.precise, Folder: n.kind == aFolder,
		}
		switch n.kind {
		case aFolder:
			p.Folders = append(p.Folders, item)
		case aFile:
			p.file(item)
		}
	}
	return nil
}

// joinRemote is not path.Join: a name that a server gave is not to be
// cleaned into another one.
func joinRemote(folder, name string) string {
	switch {
	case folder == "" || folder == ".":
		return name
	case strings.HasSuffix(folder, "/"):
		return folder + name
	}
	return folder + "/" + name
}

// PlanPut scans a local file or folder. Nothing is changed.
func (t *Transfer) PlanPut(ctx context.Context, local, remote string, o Options) (*Plan, error) {
	info, err := os.Stat(local)
	if err != nil {
		return nil, err
	}
	if info.IsDir() && !o.Recursive {
		return nil, ErrIsFolder
	}
	target, err := t.placeRemote(ctx, local, remote)
	if err != nil {
		return nil, err
	}
	p := &Plan{Direction: Upload}
	if !info.IsDir() {
		if !info.Mode().IsRegular() {
			return nil, ErrNotRegular
		}
		// A symlink that is named is followed, as cp does.
		real, err := filepath.EvalSymlinks(local)
		if err != nil {
			return nil, err
		}
		p.Root = filepath.Dir(real)
		p.file(Item{Remote: target, Local: filepath.Base(real), Size: info.Size(), ModTime: info.ModTime(), Precise: true})
		return p, nil
	}
	p.Tree, p.Root, p.Base = true, local, target
	root, err := os.OpenRoot(local)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return p, p.walk(ctx, root, ".")
}

// placeRemote asks the server whether the target is a folder.
func (t *Transfer) placeRemote(ctx context.Context, local, remote string) (string, error) {
	if remote == "" || remote == "." || remote == "/" {
		return Place(absolute(local), remote, true, false)
	}
	c, err := t.pool.Get(ctx)
	if err != nil {
		return "", err
	}
	defer t.pool.Put(c)
	e, err := c.Stat(ctx, strings.TrimRight(remote, "/"))
	if err != nil && ftpclient.Class(err) != ftpclient.NotFound {
		return "", err
	}
	return Place(absolute(local), remote, err == nil && e.Type == ftp.Dir, false)
}

// absolute keeps "." and ".." as they are: they stand for their content.
func absolute(local string) string {
	if base := filepath.Base(local); base == "." || base == ".." {
		return base
	}
	return local
}

// walk scans the local tree from a name on. Symlinks are followed to files
// inside the tree and nowhere else.
func (p *Plan) walk(ctx context.Context, root *os.Root, from string) error {
	return fs.WalkDir(root.FS(), from, func(name string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		remote := p.Base
		if name != "." {
			remote = joinRemote(p.Base, name)
		}
		switch {
		case err != nil:
			p.gap(name, err)
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			if strings.Count(name, "/") >= maxDepth {
				return ErrTooDeep
			}
			p.Folders = append(p.Folders, Item{Remote: remote, Local: name, Folder: true})
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			info, err := root.Stat(name)
			if err != nil || !info.Mode().IsRegular() {
				p.skip(name, ErrSymlink)
				return nil
			}
			p.file(Item{Remote: remote, Local: name, Size: info.Size(), ModTime: info.ModTime(), Precise: true})
			return nil
		case !d.Type().IsRegular():
			p.skip(name, ErrNotRegular)
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err != nil {
			p.gap(name, err)
			return nil
		}
		p.file(Item{Remote: remote, Local: name, Size: info.Size(), ModTime: info.ModTime(), Precise: true})
		return nil
	})
}
