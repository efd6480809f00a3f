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

// look finds out what a name is; the file, its time and the folder are asked
// for at once, so that it takes one round trip.
func (f *FS) look(ctx context.Context, name vfs.Name) (o object, isFile bool, when time.Time, err error) {
	key, err := f.key(name)
	if err != nil {
		return object{}, false, time.Time{}, err
	}
	type folder struct {
		when time.Time
		err  error
	}
	folders := make(chan folder, 1)
	go func() {
		when, err := f.folderTime(ctx, key+"/")
		folders <- folder{when, err}
	}()
	times := make(chan given, 1)
	go func() { times <- f.given(ctx, name) }()
	info, err := f.store.core.StatObject(ctx, f.bucket, key, minio.StatObjectOptions{})
	asFolder, t := <-folders, <-times
	switch {
	case err == nil && t.err != nil:
		return object{}, false, time.Time{}, t.err
	case err == nil:
		o = object{size: info.Size, etag: clean(info.ETag), time: info.LastModified}
		o.time = t.of(o)
		return o, true, time.Time{}, nil
	case !notFound(err):
		return object{}, false, time.Time{}, explain(ctx, err)
	case asFolder.err == nil:
		return object{}, false, asFolder.when, nil
	case !isNotExist(asFolder.err):
		return object{}, false, time.Time{}, asFolder.err
	}
	return object{}, false, time.Time{}, f.missing(ctx, name)
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
		_, err = f.store.core.StatObject(ctx, f.bucket, key, minio.StatObjectOptions{})
		if err == nil {
			return vfs.ErrNotDir
		}
		if !notFound(err) {
			return explain(ctx, err)
		}
		if _, err := f.folderTime(ctx, key+"/"); err == nil {
			break
		}
	}
	return fs.ErrNotExist
}

// mustBeFolder demands that a folder is there.
func (f *FS) mustBeFolder(ctx context.Context, name vfs.Name) error {
	if name.IsRoot() {
		return nil
	}
	info, err := f.Stat(ctx, name)
	if err == nil && info.Type != vfs.TypeDir {
		err = vfs.ErrNotDir
	}
	return err
}

// notFound reports that the store has no such key. Some stores say that a
// path through a file is bad rather than missing.
func notFound(err error) bool {
	answer := minio.ToErrorResponse(err)
	return answer.StatusCode == 404 || answer.Code == "NoSuchKey" || answer.Code == "XMinioParentIsObject" ||
		strings.HasPrefix(answer.Code, "ObjectParentIsFile")
}
