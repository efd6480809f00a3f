package s3fs

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"ftps/pkg/vfs"
)

func (f *FS) delete(ctx context.Context, key string) error {
	return explain(ctx, f.store.core.RemoveObject(ctx, f.bucket, key, minio.RemoveObjectOptions{}))
}

// removeAll removes every key below a prefix but one.
func (f *FS) removeAll(ctx context.Context, prefix, but string) error {
	for o := range f.objects(ctx, prefix, listing{all: true}) {
		if o.Err != nil {
			return explain(ctx, o.Err)
		}
		if o.Key == but {
			continue
		}
		if err := f.delete(ctx, o.Key); err != nil {
			return err
		}
	}
	return nil
}

// Mkdir implements [vfs.FS].
func (f *FS) Mkdir(ctx context.Context, name vfs.Name) error {
	if name.IsRoot() {
		return fs.ErrExist
	}
	key, err := f.folderKey(name)
	if err != nil {
		return err
	}
	done, err := f.store.turn.take(ctx, f.at(key))
	if err != nil {
		return err
	}
	defer done()
	_, _, err = f.kind(ctx, name)
	if err == nil {
		return fs.ErrExist
	}
	if !isNotExist(err) {
		return err
	}
	if err := f.mustBeFolder(ctx, name.Parent()); err != nil {
		return err
	}
	err = f.mark(ctx, key)
	if err == nil {
		f.store.seen.made(f.at(key))
		f.store.seen.folders.learn(f.at(key), struct{}{})
	}
	return err
}

// mark makes the marker of a folder, or tells that there is one. It is never
// replaced: MinIO lists an object that is being replaced as if it were gone,
// and the folder with it.
func (f *FS) mark(ctx context.Context, key string) error {
	_, _, err := f.putNew(ctx, key, nil, time.Time{})
	return err
}

// marked is mark where it is well that there is one already.
func (f *FS) marked(ctx context.Context, key string) error {
	if err := f.mark(ctx, key); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// keepFolder makes the marker of a folder that only its files implied, before
// the last of them goes: a folder does not vanish because it is empty.
func (f *FS) keepFolder(ctx context.Context, folder vfs.Name) error {
	if folder.IsRoot() {
		return nil
	}
	key, err := f.folderKey(folder)
	if err != nil {
		return err
	}
	when, err := f.folderTime(ctx, key)
	if err == nil && when.IsZero() || isNotExist(err) {
		return f.marked(ctx, key)
	}
	return err
}

// Rmdir implements [vfs.FS].
func (f *FS) Rmdir(ctx context.Context, name vfs.Name) error {
	info, err := f.Stat(ctx, name)
	switch {
	case err != nil:
		return err
	case name.IsRoot():
		return fs.ErrPermission
	case info.Type != vfs.TypeDir:
		return vfs.ErrNotDir
	}
	prefix, err := f.folderKey(name)
	if err != nil {
		return err
	}
	done, err := f.store.hold(f.bucket + "/" + prefix)
	if err != nil {
		return err
	}
	defer done()
	var hidden []string
	for o := range f.objects(ctx, prefix, listing{all: true}) {
		if o.Err != nil {
			return explain(ctx, o.Err)
		}
		rest := o.Key[len(prefix):]
		if kind, _, _ := strings.Cut(rest, "/"); rest != "" && kind != hiddenPart && kind != hiddenTime && kind != hiddenSum {
			return vfs.ErrNotEmpty
		}
		if rest != "" {
			hidden = append(hidden, o.Key)
		}
	}
	defer f.store.seen.forget(f.at(prefix))
	for _, key := range hidden {
		if err := f.forget(ctx, key); err != nil {
			return err
		}
	}
	if err := f.keepFolder(ctx, name.Parent()); err != nil {
		return err
	}
	return f.delete(ctx, prefix)
}

// forget removes a hidden key, with the upload that it stands for.
func (f *FS) forget(ctx context.Context, key string) error {
	r, ok := parseRecord(key)
	if !ok {
		return f.delete(ctx, key)
	}
	held, err := f.drop(ctx, r)
	if err == nil {
		f.quota.Shrink(held)
	}
	return err
}

// Remove implements [vfs.FS].
func (f *FS) Remove(ctx context.Context, name vfs.Name) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if name.IsRoot() {
		return vfs.ErrIsDir
	}
	_, isFile, err := f.kind(ctx, name)
	switch {
	case isNotExist(err):
		return f.removePart(ctx, name, err)
	case err != nil:
		return err
	case !isFile:
		return vfs.ErrIsDir
	}
	if err := f.keepFolder(ctx, name.Parent()); err != nil {
		return err
	}
	return f.removeFile(ctx, name)
}

func (f *FS) removeFile(ctx context.Context, name vfs.Name) error {
	key, err := f.key(name)
	if err != nil {
		return err
	}
	defer f.store.seen.forget(f.at(key))
	done, err := f.store.turn.take(ctx, f.at(key))
	if err != nil {
		return err
	}
	defer done()
	o, err := f.head(ctx, key)
	if err == nil {
		err = f.delete(ctx, key)
	}
	if err != nil {
		return err
	}
	f.quota.Shrink(o.size)
	return f.removeFacts(ctx, name, o.size)
}

func (f *FS) removePart(ctx context.Context, name vfs.Name, otherwise error) error {
	all, err := f.records(ctx, name)
	if err != nil || len(all) == 0 {
		return otherwise
	}
	for _, r := range all {
		if !f.store.claim(f.bucket, r) {
			return vfs.ErrBusy
		}
		held, err := f.drop(ctx, r)
		f.store.unclaim(f.bucket, r)
		if err != nil {
			return err
		}
		f.quota.Shrink(held)
	}
	return nil
}
