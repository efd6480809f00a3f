package s3fs

import (
	"cmp"
	"context"
	"crypto/rand"
	"io/fs"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"

	"ftps/pkg/vfs"
)

// cleanup is how long the tidying after an upload may take.
const cleanup = 30 * time.Second

// Commit implements [vfs.Upload].
func (u *upload) Commit(ctx context.Context) error {
	if u.ended {
		return fs.ErrClosed
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := u.begin(); err != nil {
		return err
	}
	if u.how.Size >= 0 && u.length != u.how.Size {
		return vfs.ErrIncomplete
	}
	if u.id != "" && len(u.buf) > 0 {
		if err := u.send(); err != nil {
			return err
		}
	}
	u.flying.Wait()
	if err := u.failed(); err != nil {
		return err
	}
	freed, err := u.place(ctx)
	if err != nil {
		return err
	}
	u.fs.quota.Shrink(freed)
	u.fs.store.seen.made(u.fs.at(u.key))
	u.settle()
	u.fs.store.seen.objects.learn(u.fs.at(u.key), known{u.etag, u.length, u.sum, u.old != nil || u.resumed})
	if !u.resumed {
		u.fs.store.datings.learn(u.fs.at(u.key), dating{u.etag, time.Now(), u.how.ModTime})
	}
	u.tidy(ctx)
	return nil
}

// place makes the upload the file of its name and returns the bytes that the
// old one held.
func (u *upload) place(ctx context.Context) (freed int64, err error) {
	done, err := u.fs.store.turn.take(ctx, u.fs.at(u.key))
	if err != nil {
		return 0, err
	}
	defer done()
	if u.fs.quota != nil || u.how.New {
		info, err := u.fs.store.core.StatObject(ctx, u.fs.bucket, u.key, minio.StatObjectOptions{})
		switch {
		case err == nil && u.how.New:
			return 0, fs.ErrExist
		case err == nil:
			freed = info.Size
		case !notFound(err):
			return 0, explain(ctx, err)
		}
	}
	if u.id != "" {
		slices.SortFunc(u.sent, func(a, b piece) int { return a.number - b.number })
		done, err := u.fs.store.core.CompleteMultipartUpload(ctx, u.fs.bucket, u.key, u.id, complete(u.sent), minio.PutObjectOptions{})
		u.etag = clean(done.ETag)
		if u.hash != nil {
			u.sum = u.hash.Sum(nil)
		}
		return freed, explain(ctx, err)
	}
	if u.how.New {
		u.etag, u.sum, err = u.fs.putNew(ctx, u.key, u.buf, u.how.ModTime)
	} else {
		u.etag, u.sum, err = u.fs.put(ctx, u.key, u.buf, withTime(u.how.ModTime))
	}
	return freed, err
}

// tidy removes what the file has outlived: its own record, other broken
// uploads of the name, and the time of its predecessor. The file is stored
// already: what cannot be removed now is swept later.
func (u *upload) tidy(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	if u.record != nil {
		u.fs.delete(ctx, u.record.key)
		u.fs.store.unclaim(u.fs.bucket, *u.record)
	}
	if u.old != nil {
		u.fs.removeFacts(ctx, u.name, u.old.size)
	}
	if u.resumed {
		// The store keeps the time that was told when the upload began.
		_ = u.fs.give(ctx, u.name, u.etag, cmp.Or(u.how.ModTime, time.Now()), false)
	}
	if u.id != "" && u.sum != nil {
		u.fs.keepSum(ctx, u.key, u.etag, u.sum)
	}
	if _, ok := u.fs.store.seen.partless.knows(u.fs.at(u.folder)); ok && u.record == nil {
		return
	}
	all, err := u.fs.records(ctx, u.name)
	if err != nil {
		return
	}
	for _, r := range all {
		if u.fs.store.claim(u.fs.bucket, r) {
			if held, err := u.fs.drop(ctx, r); err == nil {
				u.fs.quota.Shrink(held)
			}
			u.fs.store.unclaim(u.fs.bucket, r)
		}
	}
}

// settle ends the upload's part in the folder's count.
func (u *upload) settle() {
	u.ended = true
	u.cancel()
	u.fs.store.leave(u.fs.bucket + "/" + u.folder)
}

// Abort implements [vfs.Upload].
func (u *upload) Abort() error {
	if u.ended {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), cleanup)
	defer cancel()
	u.flying.Wait()
	defer u.settle()
	if u.from != nil { // not even begun: the part stays as it was
		u.fs.store.unclaim(u.fs.bucket, *u.from)
		return nil
	}
	if u.old == nil && !u.how.New && u.begun && u.length > 0 {
		err := u.leave(ctx)
		if err == nil {
			return nil
		}
	}
	var err error
	if u.record != nil {
		_, err = u.fs.drop(ctx, *u.record)
		u.fs.store.unclaim(u.fs.bucket, *u.record)
	} else if u.id != "" {
		err = explain(ctx, u.fs.store.core.AbortMultipartUpload(ctx, u.fs.bucket, u.key, u.id))
	}
	u.fs.quota.Shrink(u.length)
	u.length = 0
	return err
}

// leave keeps a broken upload of a new file for a client that goes on.
func (u *upload) leave(ctx context.Context) error {
	if u.record == nil {
		prefix, err := u.fs.beside(hiddenPart, u.name)
		if err != nil {
			return err
		}
		u.record = &record{key: prefix + lone + rand.Text(), target: u.key}
		u.fs.store.claim(u.fs.bucket, *u.record)
	}
	// Pieces that failed leave a gap; what stands behind it is lost.
	slices.SortFunc(u.sent, func(a, b piece) int { return a.number - b.number })
	whole := len(u.sent) == u.next-1
	if !whole {
		u.buf = nil
	}
	u.fs.store.seen.madePart(u.fs.at(u.folder))
	if err := u.fs.putSmall(ctx, u.record.key, u.buf); err != nil {
		return err
	}
	held := int64(len(u.buf))
	for i, p := range u.sent {
		if p.number != i+1 {
			break
		}
		held += p.size
	}
	u.fs.quota.Shrink(u.length - held)
	u.length = held
	u.fs.store.unclaim(u.fs.bucket, *u.record)
	return nil
}
