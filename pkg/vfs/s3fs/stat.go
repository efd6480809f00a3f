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

const (
	fileMode   fs.FileMode = 0o640
	folderMode fs.FileMode = 0o750
)

// object is what the store tells of one key.
type object struct {
	size int64
	etag string
	time time.Time // as the client gave it, else when it was stored
	own  bool      // the time is the object's own, and goes with it
	told bool      // the time lies beside the file
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
func (f *FS) at(key string) string { return strings.TrimSuffix(f.bucket+"/"+key, "/") }

// head asks for the object of one key; fs.ErrNotExist where there is none. The
// answer has no body, so it does not tell why something is forbidden.
func (f *FS) head(ctx context.Context, key string) (object, error) {
	info, err := f.store.core.StatObject(ctx, f.bucket, key, minio.StatObjectOptions{})
	if err == nil {
		return describe(info), explain(ctx, listed(info, key))
	}
	if ctx.Err() == nil && notFound(err) {
		return object{}, fs.ErrNotExist
	}
	return object{}, explain(ctx, err)
}

// find finds out what a key is. A file's time is that of the store. The file
// is asked for by its key: a listing may overlook one that is being replaced.
func (f *FS) find(ctx context.Context, key string) (o object, isFile bool, err error) {
	o, forbidden := f.head(ctx, key)
	if forbidden == nil {
		return o, true, nil
	}
	if !isNotExist(forbidden) && !errors.Is(forbidden, fs.ErrPermission) {
		return object{}, false, forbidden
	}
	_, err = f.folderTime(ctx, key+"/")
	if isNotExist(err) {
		err = forbidden // or merely not there
	}
	return object{}, false, err
}

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
	return t.of(o), true, time.Time{}, nil
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
		if _, ok := f.store.seen.folders.knows(f.at(key)); ok {
			break
		}
		_, isFile, err := f.find(ctx, key)
		switch {
		case isFile:
			return vfs.ErrNotDir
		case err == nil:
			f.store.seen.folders.learn(f.at(key), struct{}{})
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
	if err != nil {
		return err
	}
	if _, ok := f.store.seen.folders.knows(f.at(key)); ok {
		return nil
	}
	_, isFile, err := f.kind(ctx, name)
	switch {
	case err != nil:
		return err
	case isFile:
		return vfs.ErrNotDir
	}
	f.store.seen.folders.learn(f.at(key), struct{}{})
	return nil
}

// notFound reports that the store has no such key. Some stores say that a
// path through a file is bad rather than missing.
func notFound(err error) bool {
	answer := minio.ToErrorResponse(err)
	return answer.StatusCode == 404 || answer.Code == "NoSuchKey" || answer.Code == "XMinioParentIsObject" ||
		strings.HasPrefix(answer.Code, "ObjectParentIsFile")
}
