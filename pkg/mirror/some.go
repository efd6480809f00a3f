package mirror

import (
	"context"
	"os"
	"path"
	"slices"
)

// GetSome brings several remote files, and with Options.Recursive folders,
// into one local folder, each under its own name. Of an item its path, size,
// time and whether it is a folder are used.
func (t *Transfer) GetSome(ctx context.Context, items []Item, local string, o Options) (Result, error) {
	plan, err := retried(ctx, t, func() (*Plan, error) { return t.planGetSome(ctx, items, local, o) })
	if err != nil {
		return Result{}, told(err)
	}
	return t.Run(ctx, plan, o)
}

func (t *Transfer) planGetSome(ctx context.Context, items []Item, local string, o Options) (*Plan, error) {
	p := &Plan{Direction: Download, Tree: true, Root: local}
	taken := make(map[string]bool)
	for _, item := range items {
		item.Local = path.Base(item.Remote)
		switch {
		case taken[item.Local]:
			// Two folders have a file of this name; here there is room for one.
			p.gap(item.Remote, ErrTwice)
		case item.Folder && !o.Recursive:
			p.skip(item.Remote, ErrIsFolder)
		case item.Folder:
			p.Folders = append(p.Folders, item)
		default:
			p.file(item)
		}
		taken[item.Local] = true
	}
	for _, top := range slices.Clone(p.Folders) {
		c, err := t.pool.Get(ctx)
		if err != nil {
			return nil, err
		}
		if err := t.grow(ctx, c, p, top); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// PutSome sends several files, and with Options.Recursive folders, of one
// local folder into a remote one, each under its own name.
func (t *Transfer) PutSome(ctx context.Context, local string, names []string, remote string, o Options) (Result, error) {
	root, err := os.OpenRoot(local)
	if err != nil {
		return Result{}, told(err)
	}
	defer root.Close()
	p := &Plan{Direction: Upload, Tree: true, Root: local, Base: remote}
	for _, name := range names {
		info, err := root.Stat(name)
		switch {
		case err != nil:
			p.gap(name, told(err))
		case info.IsDir() && !o.Recursive:
			p.skip(name, ErrIsFolder)
		case info.IsDir():
			if err := p.walk(ctx, root, name); err != nil {
				return Result{}, told(err)
			}
		case !info.Mode().IsRegular():
			p.skip(name, ErrNotRegular)
		default:
			p.file(Item{Remote: joinRemote(remote, name), Local: name, Size: info.Size(), ModTime: info.ModTime(), Precise: true})
		}
	}
	return t.Run(ctx, p, o)
}
