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

// copy copies an object within the store, if it is still the one that was
// looked at.
func (f *FS) copy(ctx context.Context, source, target string, o object) (etag string, err error) {
	dst := minio.CopyDestOptions{Bucket: f.bucket, Object: target}
	src := minio.CopySrcOptions{Bucket: f.bucket, Object: source, MatchETag: o.etag}
	defer f.store.datings.forget(f.at(target)) // of what was there
	if o.size > maxCopy {
		return f.copyPieces(ctx, source, target, o)
	}
	done, err := f.store.core.Client.CopyObject(ctx, dst, src)
	return clean(done.ETag), explain(ctx, err)
}

// copyPieces copies a long object piece by piece: the store is silent while it
// copies one, and a silence that is too long is an outage.
func (f *FS) copyPieces(ctx context.Context, source, target string, o object) (etag string, err error) {
	id, err := f.store.core.NewMultipartUpload(ctx, f.bucket, target, withTime(o.time))
	if err != nil {
		return "", explain(ctx, err)
	}
	defer func() {
		if err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
			defer cancel()
			f.store.core.AbortMultipartUpload(ctx, f.bucket, target, id)
		}
	}()
	pieces, err := f.copyParts(ctx, source, target, id, o.etag, o.size)
	if err != nil {
		return "", err
	}
	done, err := f.store.core.CompleteMultipartUpload(ctx, f.bucket, target, id, complete(pieces), minio.PutObjectOptions{})
	return clean(done.ETag), explain(ctx, err)
}

// copyParts has the store copy the first bytes of an object into a multipart
// upload.
func (f *FS) copyParts(ctx context.Context, source, target, id, etag string, length int64) (pieces []piece, err error) {
	step := max(maxCopy, length/(maxParts/2))
	for from := int64(0); from < length; {
		// No piece but the last may be short, and the last may not be the last.
		n := min(length-from, step)
		if rest := length - from - n; rest > 0 && rest < minPart {
			n -= minPart
		}
		number := len(pieces) + 1
		p, err := f.store.core.CopyObjectPart(ctx, f.bucket, source, f.bucket, target, id, number, from, n,
			map[string]string{"x-amz-copy-source-if-match": etag})
		if err != nil {
			return nil, explain(ctx, err)
		}
		pieces = append(pieces, piece{number, clean(p.ETag), n})
		from += n
	}
	return pieces, nil
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
