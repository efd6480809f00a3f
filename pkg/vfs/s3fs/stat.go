package s3fs

import (
	"context"
	"io/fs"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"ftps/pkg/vfs"
)

const (
	fileMode   fs.FileMode = 0o640
	folderMode fs.FileMode = 0o750
)

// object is what the store tells of one key.
type object struct {
	size int64
	etag string
	time time.Time // as the client gave it, else when it was stored
}

func (o object) info(base string) vfs.Info {
	return vfs.Info{Name: base, Type: vfs.TypeFile, Size: o.size, ModTime: o.time.UTC(), Mode: fileMode, Links: 1, Unique: o.etag}
}

func folderInfo(base string, when time.Time) vfs.Info {
	return vfs.Info{Name: base, Type: vfs.TypeDir, ModTime: when.UTC(), Mode: folderMode, Links: 1}
}

// Stat implements [vfs.FS].
func (f *FS) Stat(ctx context.Context, name vfs.Name) (vfs.Info, error) {
	if ctx.Err() != nil {
		return vfs.Info{}, context.Cause(ctx)
	}
	if name.IsRoot() {
		return folderInfo("/", time.Time{}), nil
	}
	o, isFile, when, err := f.look(ctx, name)
	switch {
	case err != nil:
		return vfs.Info{}, err
	case isFile:
		return o.info(name.Base()), nil
	}
	return folderInfo(name.Base(), when), nil
}

// at is what recent knows a key by.
func (f *FS) at(key string) string { return f.bucket + "/" + strings.TrimSuffix(key, "/") }

// find finds out what a key is: one short listing tells of the file and of
// the folder. A file's time is that of the store.
func (f *FS) find(ctx context.Context, key string) (o object, isFile bool, err error) {
	page, err := f.store.core.ListObjectsV2(f.bucket, key, "", "", "/", nearby)
	if ctx.Err() != nil {
		return object{}, false, context.Cause(ctx)
	}
	if err != nil && !notFound(err) {
		return object{}, false, explain(ctx, err)
	}
	for _, c := range page.Contents {
		if c.Key == key {
			return object{size: c.Size, etag: clean(c.ETag), time: c.LastModified}, true, nil
		}
	}
	for _, p := range page.CommonPrefixes {
		if p.Prefix == key+"/" {
			return object{}, false, nil
		}
	}
	if page.IsTruncated { // many names begin like this one
		_, err := f.folderTime(ctx, key+"/")
		return object{}, false, err
	}
	return object{}, false, fs.ErrNotExist
}

// nearby is how many keys find asks for.
const nearby = 50

// kind is find for a name, with the error for one that is not there.
func (f *FS) kind(ctx context.Context, name vfs.Name) (o object, isFile bool, err error) {
	key, err := f.key(name)
	if err != nil {
		return object{}, false, err
	}
	o, isFile, err = f.find(ctx, key)
	if isNotExist(err) {
		err = f.missing(ctx, name)
	}
	return o, isFile, err
}

// look is kind with the time that a file was given, and that of a folder.
func (f *FS) look(ctx context.Context, name vfs.Name) (o object, isFile bool, when time.Time, err error) {
	times := make(chan given, 1)
	go func() { times <- f.given(ctx, name) }()
	o, isFile, err = f.kind(ctx, name)
	t := <-times
	switch {
	case err != nil:
		return object{}, false, time.Time{}, err
	case !isFile:
		key, _ := f.folderKey(name)
		when, err = f.folderTime(ctx, key)
		return object{}, false, when, err
	case t.err != nil:
		return object{}, false, time.Time{}, t.err
	}
	o.time = t.of(o)
	return o, true, time.Time{}, nil
}

// folderTime returns the time of a folder's marker, zero where only its
// files imply the folder; fs.ErrNotExist where nothing does.
func (f *FS) folderTime(ctx context.Context, prefix string) (time.Time, error) {
	for o := range f.objects(ctx, prefix, listing{limit: 1}) {
		if o.Err != nil {
			return time.Time{}, explain(ctx, o.Err)
		}
		// The marker sorts before all it holds.
		if o.Key == prefix {
			return o.LastModified, nil
		}
		return time.Time{}, nil
	}
	return time.Time{}, fs.ErrNotExist
}

// missing is the error for a name that is not there: the path may run
// through a file.
func (f *FS) missing(ctx context.Context, name vfs.Name) error {
	for at := name.Parent(); !at.IsRoot(); at = at.Parent() {
		key, err := f.key(at)
		if err != nil {
			return err
		}
		if f.store.seen.isFolder(f.at(key)) {
			break
		}
		_, isFile, err := f.find(ctx, key)
		switch {
		case isFile:
			return vfs.ErrNotDir
		case err == nil:
			f.store.seen.sawFolder(f.at(key))
			return fs.ErrNotExist
		case !isNotExist(err):
			return err
		}
	}
	return fs.ErrNotExist
}

// mustBeFolder demands that a folder is there.
func (f *FS) mustBeFolder(ctx context.Context, name vfs.Name) error {
	if name.IsRoot() {
		return nil
	}
	key, err := f.key(name)
	if err != nil || f.store.seen.isFolder(f.at(key)) {
		return err
	}
	_, isFile, err := f.kind(ctx, name)
	switch {
	case err != nil:
		return err
	case isFile:
		return vfs.ErrNotDir
	}
	f.store.seen.sawFolder(f.at(key))
	return nil
}

// notFound reports that the store has no such key. Some stores say that a
// path through a file is bad rather than missing.
func notFound(err error) bool {
	answer := minio.ToErrorResponse(err)
	return answer.StatusCode == 404 || answer.Code == "NoSuchKey" || answer.Code == "XMinioParentIsObject" ||
		strings.HasPrefix(answer.Code, "ObjectParentIsFile")
}
