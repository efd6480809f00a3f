package s3fs

import (
	"context"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"

	"ftps/pkg/vfs"
)

// listing is how keys are listed: the ones of a folder, with folders in it as
// one entry each, or all below.
type listing struct {
	all   bool
	limit int // keys in one answer, 0 is the store's most
}

// objects yields the keys that begin with a prefix, in order, page by page. A
// listing that its context broke off ends with an error: the library has it
// end as if it were whole, and half a listing taken for a whole one is half a
// quota counted.
func (f *FS) objects(ctx context.Context, prefix string, l listing) iter.Seq[minio.ObjectInfo] {
	all := f.store.core.ListObjectsIter(ctx, f.bucket, minio.ListObjectsOptions{
		Prefix: prefix, Recursive: l.all || l.limit > 0, MaxKeys: l.limit,
	})
	return func(yield func(minio.ObjectInfo) bool) {
		for o := range all {
			if !yield(o) || o.Err != nil {
				return
			}
		}
		if ctx.Err() != nil {
			yield(minio.ObjectInfo{Err: context.Cause(ctx)})
		}
	}
}

// List implements [vfs.FS].
func (f *FS) List(ctx context.Context, folder vfs.Name) iter.Seq2[vfs.Info, error] {
	return func(yield func(vfs.Info, error) bool) {
		if err := f.list(ctx, folder, func(i vfs.Info) bool { return yield(i, nil) }); err != nil {
			yield(vfs.Info{}, err)
		}
	}
}

func (f *FS) list(ctx context.Context, folder vfs.Name, yield func(vfs.Info) bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	prefix, err := f.folderKey(folder)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	times := f.dated(ctx, prefix+hiddenTime+"/")
	defer times.stop()
	found := false
	for o := range f.objects(ctx, prefix, listing{}) {
		if o.Err != nil {
			return explain(ctx, o.Err)
		}
		found = true
		base := o.Key[len(prefix):]
		if sub, isFolder := strings.CutSuffix(base, "/"); isFolder {
			if showable(sub) && !yield(folderInfo(sub, o.LastModified)) {
				return nil
			}
			continue
		}
		if !showable(base) {
			continue
		}
		entry := object{size: o.Size, etag: clean(o.ETag), time: o.LastModified}
		if entry.time, err = times.of(base, entry); err != nil {
			return err
		}
		if !yield(entry.info(base)) {
			return nil
		}
	}
	if !found && !folder.IsRoot() {
		// Nothing begins with the folder's name and a slash: it is a file, or
		// nothing at all.
		return f.mustBeFolder(ctx, folder)
	}
	return nil
}

// showable also leaves out what other programs may have stored and no path
// can name.
func showable(base string) bool { return base != "." && base != ".." && vfs.Listable(base) }

// dated begins a walk of the times below a prefix; the walk must be stopped.
func (f *FS) dated(ctx context.Context, prefix string) *dated {
	d := &dated{}
	d.next, d.stop = iter.Pull(func(yield func(timed) bool) {
		for o := range f.objects(ctx, prefix, listing{all: true}) {
			if o.Err != nil {
				yield(timed{given: given{err: explain(ctx, o.Err)}})
				return
			}
			base, tail, _ := decode(o.Key[len(prefix):])
			if g, ok := parseTime(tail); ok && !yield(timed{base, g}) {
				return
			}
		}
	})
	d.at, d.more = d.next()
	return d
}

// Available implements [vfs.FS]; a store is taken to be endless.
func (f *FS) Available(ctx context.Context, name vfs.Name) (int64, error) {
	if _, err := f.Stat(ctx, name); err != nil {
		return 0, err
	}
	return f.quota.Left(), nil
}

// Used implements [vfs.FS]: it lists every object of the tree, and the parts
// of every broken upload.
func (f *FS) Used(ctx context.Context) (int64, error) {
	var used int64
	for o := range f.objects(ctx, f.prefix, listing{all: true}) {
		if o.Err != nil {
			return 0, explain(ctx, o.Err)
		}
		used += o.Size
		r, ok := parseRecord(o.Key)
		if !ok {
			continue
		}
		stored, err := f.stored(ctx, r)
		if err != nil && !isNotExist(err) {
			return 0, err
		}
		used += total(stored)
	}
	return used, nil
}
