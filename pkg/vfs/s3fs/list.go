package s3fs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"
	"sync"

	"github.com/minio/minio-go/v7"

	"ftps/pkg/vfs"
)

// listing is how keys are listed: the ones of a folder, with folders in it as
// one entry each, or all below.
type listing struct {
	all   bool
	meta  bool // with what each object was stored with, where the store lists that
	limit int  // keys in one answer, 0 is the store's most
}

// objects yields the keys that begin with a prefix, in order, page by page. A
// listing that its context broke off ends with an error: the library has it
// end as if it were whole, and half a listing taken for a whole one is half a
// quota counted.
func (f *FS) objects(ctx context.Context, prefix string, l listing) iter.Seq[minio.ObjectInfo] {
	return func(yield func(minio.ObjectInfo) bool) {
		meta, any := l.meta && !f.store.metaless.Load(), false
		pages, walk := walking(ctx)
		for o := range f.store.core.ListObjectsIter(pages, f.bucket, minio.ListObjectsOptions{
			Prefix: prefix, Recursive: l.all || l.limit > 0, MaxKeys: l.limit, WithMetadata: meta,
		}) {
			if code := minio.ToErrorResponse(o.Err).StatusCode; o.Err != nil && meta && !any && (code == 400 || code == 501) {
				// A store that minds a word which is MinIO's own.
				f.store.metaless.Store(true)
				for o := range f.objects(ctx, prefix, l) {
					if !yield(o) {
						return
					}
				}
				return
			}
			any = true
			o.Err = listed(o, prefix)
			walk.saw()
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

// asked is for how many files at once a listing asks when they were changed.
const asked = 32

// entry is one of a listing.
type entry struct {
	base   string
	folder bool
	object
	later chan entry // has it once the store has told its time
	err   error      // the last one's
}

func (e entry) info() vfs.Info {
	if e.folder {
		return folderInfo(e.base, e.time)
	}
	return e.object.info(e.base)
}

func (f *FS) list(ctx context.Context, folder vfs.Name, yield func(vfs.Info) bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	prefix, err := f.folderKey(folder)
	if err != nil {
		return err
	}
	found, err := f.pass(ctx, prefix, yield)
	if err != nil || found {
		return err
	}
	// Nothing begins with the folder's name and a slash: it is empty, a file,
	// or nothing at all. A store under load has listed nothing where there was
	// something, and whoever mirrors that would take all of it for gone.
	if _, err := f.folderTime(ctx, prefix); err == nil {
		_, err = f.pass(ctx, prefix, yield)
		return err
	} else if !isNotExist(err) {
		return err
	}
	return f.mustBeFolder(ctx, folder)
}

// pass lists a folder once, and reports whether there was anything.
func (f *FS) pass(ctx context.Context, prefix string, yield func(vfs.Info) bool) (found bool, err error) {
	var asking sync.WaitGroup
	defer asking.Wait()
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	line, some := make(chan entry, asked), false
	asking.Go(func() {
		defer close(line)
		some = f.entries(inner, prefix, line, &asking)
	})
	for e := range line {
		if e.later != nil {
			e = <-e.later
		}
		if e.err != nil {
			return true, e.err
		}
		if !yield(e.info()) {
			return true, nil
		}
	}
	if ctx.Err() != nil {
		return true, context.Cause(ctx)
	}
	return some, nil
}

// entries walks a folder and its times side by side. A file of which neither
// tells when it was changed is asked for, many of them at once. It reports
// whether there was anything.
func (f *FS) entries(ctx context.Context, prefix string, line chan<- entry, asking *sync.WaitGroup) (found bool) {
	put := func(e entry) bool {
		select {
		case line <- e:
			return e.err == nil
		case <-ctx.Done():
			return false
		}
	}
	times := f.dated(ctx, prefix+hiddenTime+"/")
	defer times.stop()
	for o := range f.objects(ctx, prefix, listing{meta: true}) {
		if o.Err != nil {
			put(entry{err: explain(ctx, o.Err)})
			return found
		}
		found = true
		base, isFolder := strings.CutSuffix(o.Key[len(prefix):], "/")
		if !showable(base) {
			continue
		}
		e := entry{base: base, folder: isFolder, object: describe(o)}
		if !isFolder {
			e.object, e.err = times.of(base, e.object)
			if known := e.err != nil || e.told || o.UserMetadata != nil; !known {
				if e.object, known = f.store.datings.of(f.at(o.Key), e.object); !known {
					e.later = f.ask(ctx, o.Key, e, asking)
				}
			}
		}
		if !put(e) {
			return found
		}
	}
	return found
}

// ask has the store tell the time of one file. Where it may not, or knows
// nothing of a file that it has just listed, the time is that of the listing:
// a file that a listing leaves out is one that a mirror takes for gone.
func (f *FS) ask(ctx context.Context, key string, e entry, asking *sync.WaitGroup) chan entry {
	e.later = nil
	answer := make(chan entry, 1)
	asking.Go(func() {
		o, err := f.head(ctx, key)
		switch {
		case err == nil:
			one := dating{etag: o.etag, stored: e.time}
			if o.own {
				one.own = o.time
			}
			f.store.datings.learn(f.at(key), one)
			e.object = o
		case !errors.Is(err, fs.ErrPermission) && !isNotExist(err):
			e.err = err
		}
		answer <- e
	})
	return answer
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
	if used < 0 {
		return 0, fmt.Errorf("%w: more bytes than can be counted", vfs.ErrUnavailable)
	}
	return used, nil
}
