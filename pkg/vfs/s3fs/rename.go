package s3fs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"ftps/pkg/vfs"
)

// Rename implements [vfs.FS]. The store copies, and then the old name is
// removed: a reader may see both for a moment, and what breaks in between
// leaves both.
func (f *FS) Rename(ctx context.Context, from, to vfs.Name) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if from.IsRoot() {
		return fs.ErrPermission
	}
	if to.IsRoot() {
		return fs.ErrExist
	}
	o, isFile, _, err := f.look(ctx, from)
	if err != nil {
		return err
	}
	if err := f.mustBeFolder(ctx, to.Parent()); err != nil {
		return err
	}
	if from == to {
		return nil
	}
	_, overFile, err := f.kind(ctx, to)
	if err != nil && !isNotExist(err) {
		return err
	}
	switch {
	case err == nil && !(isFile && overFile):
		return fs.ErrExist
	case !isFile && strings.HasPrefix(to.String(), from.String()+"/"):
		return vfs.ErrBadName // a folder into itself
	case !isFile:
		return f.renameFolder(ctx, from, to)
	}
	if err := f.keepFolder(ctx, from.Parent()); err != nil {
		return err
	}
	return f.renameFile(ctx, from, to, o)
}

func (f *FS) renameFile(ctx context.Context, from, to vfs.Name, o object) error {
	source, err := f.key(from)
	if err != nil {
		return err
	}
	target, err := f.key(to)
	if err != nil {
		return err
	}
	defer f.store.seen.forget(f.at(source))
	defer f.store.seen.forget(f.at(target))
	done, err := f.store.turn.take(ctx, f.at(source), f.at(target))
	if err != nil {
		return err
	}
	defer done()
	old, missing := f.head(ctx, target)
	if missing != nil && !isNotExist(missing) {
		return missing
	}
	etag, err := f.copy(ctx, source, target, o)
	if err != nil {
		return err
	}
	f.quota.Shrink(old.size)
	if missing == nil {
		if err := f.removeFacts(ctx, to, old.size); err != nil {
			return err
		}
	}
	if err := f.follow(ctx, source, o, to, target, etag); err != nil {
		return err
	}
	if err := f.delete(ctx, source); err != nil {
		f.quota.Grow(o.size) // both are there
		return err
	}
	return f.removeFacts(ctx, from, o.size)
}

// follow lays beside a copy what lay beside the file. A file keeps its time
// when it is renamed; where there is no place for it, the time is that of the
// copy.
func (f *FS) follow(ctx context.Context, source string, o object, to vfs.Name, target, etag string) error {
	if sum := f.keptSum(ctx, source, o.etag, o.size); sum != nil && inPieces(o.size) {
		f.keepSum(ctx, target, etag, sum)
	}
	if o.own || o.size > maxCopy { // it came with the copy
		return nil
	}
	err := f.give(ctx, to, etag, o.time, false)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// renameFolder copies every object and then removes the old ones. What fails
// on the way takes the copies back.
func (f *FS) renameFolder(ctx context.Context, from, to vfs.Name) error {
	source, err := f.folderKey(from)
	if err != nil {
		return err
	}
	target, err := f.folderKey(to)
	if err != nil {
		return err
	}
	release, err := f.store.hold(f.bucket + "/" + source)
	if err != nil {
		return err
	}
	defer release()
	defer f.store.seen.forget(f.at(source))
	var keys []minio.ObjectInfo
	for o := range f.objects(ctx, source, listing{all: true, meta: true}) {
		if o.Err != nil {
			return explain(ctx, o.Err)
		}
		if len(target)-len(source)+len(o.Key) > maxKey {
			return vfs.ErrBadName
		}
		if keys = append(keys, o); len(keys) > f.store.opts.MaxRename {
			return fmt.Errorf("s3fs: more than %d objects in the folder: %w", f.store.opts.MaxRename, errors.ErrUnsupported)
		}
	}
	times := timesOf(keys)
	for done, o := range keys {
		if err := f.moveCopy(ctx, o, target+o.Key[len(source):], times); err != nil {
			f.takeBack(ctx, keys[:done+1], source, target)
			return err
		}
	}
	if err := f.keepFolder(ctx, from.Parent()); err != nil {
		return err
	}
	for _, o := range keys {
		if err := f.forgetMoved(ctx, o); err != nil {
			return err
		}
	}
	return f.marked(ctx, target) // also where only files implied it
}

// timesOf reads the times among a folder's keys, by the key of the file.
func timesOf(keys []minio.ObjectInfo) map[string]given {
	times := make(map[string]given)
	for _, o := range keys {
		if file, g, ok := parseTimeKey(o.Key); ok {
			times[file] = g
		}
	}
	return times
}

// moveCopy copies one object of a folder. What lies beside a file is written
// anew, since its copy may have another ETag; an upload that the store holds in
// pieces belongs to its old key and is left behind.
func (f *FS) moveCopy(ctx context.Context, o minio.ObjectInfo, target string, times map[string]given) error {
	if isFact(o.Key) {
		return nil
	}
	if strings.HasSuffix(o.Key, "/") {
		return f.marked(ctx, target) // some stores copy no markers
	}
	r, isRecord := parseRecord(o.Key)
	if isRecord && r.id != "" {
		return nil
	}
	from := times[o.Key].of(describe(o))
	if !from.told && !isRecord && o.UserMetadata == nil {
		var err error
		if from, err = f.head(ctx, o.Key); err != nil {
			return err
		}
	}
	etag, err := f.copy(ctx, o.Key, target, from)
	if err != nil || isRecord {
		return err
	}
	name, err := vfs.Resolve(vfs.Name{}, "/"+strings.TrimPrefix(target, f.prefix))
	if err != nil {
		return nil // no path can name it, so nobody asks for its time
	}
	return f.follow(ctx, o.Key, from, name, target, etag)
}

// isFact reports that a key is a time or a hash that lies beside a file.
func isFact(key string) bool {
	_, _, isTime := hiddenKey(hiddenTime, key)
	_, _, isSum := hiddenKey(hiddenSum, key)
	return isTime || isSum
}

// forgetMoved removes a key whose copy is in place. What another server has
// put there since stays.
func (f *FS) forgetMoved(ctx context.Context, o minio.ObjectInfo) error {
	if r, ok := parseRecord(o.Key); ok && r.id != "" {
		return f.forget(ctx, o.Key)
	}
	if !isFact(o.Key) && !strings.HasSuffix(o.Key, "/") {
		now, err := f.head(ctx, o.Key)
		if isNotExist(err) || err == nil && now.etag != clean(o.ETag) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return f.delete(ctx, o.Key)
}

// takeBack removes the copies of a rename that failed, and what lies beside
// them. What another server has put into the new folder meanwhile stays.
func (f *FS) takeBack(ctx context.Context, keys []minio.ObjectInfo, source, target string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	for _, o := range keys {
		if isFact(o.Key) {
			continue
		}
		key := target + o.Key[len(source):]
		f.delete(ctx, key)
		for _, kind := range []string{hiddenTime, hiddenSum} {
			if prefix, err := f.besideKey(kind, key); err == nil && !strings.HasSuffix(key, "/") {
				f.removeAll(ctx, prefix, "")
			}
		}
	}
}
