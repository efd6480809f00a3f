package s3fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"ftps/pkg/vfs"
)

// record is a hidden object that stands for an upload: from the moment its
// first piece is sent, so that a server that dies leaves a trace to clean
// up, and for a new file that broke off until it is gone on with. Its content
// is what the pieces in the store do not hold yet.
type record struct {
	key    string
	target string // the key of the file to be
	id     string // of the multipart upload, "" where everything is in the record
	tail   int64  // bytes of content
	time   time.Time
}

// lone marks the record of an upload that fits in its record.
const lone = "~"

// parseRecord reads a record's key.
func parseRecord(key string) (record, bool) {
	target, upload, ok := hiddenKey(hiddenPart, key)
	if !ok {
		return record{}, false
	}
	r := record{key: key, target: target}
	if strings.HasPrefix(upload, lone) {
		return r, true
	}
	var err error
	r.id, err = url.PathUnescape(upload)
	return r, err == nil
}

// records lists the uploads of a file, the newest first.
func (f *FS) records(ctx context.Context, name vfs.Name) ([]record, error) {
	prefix, err := f.beside(hiddenPart, name)
	if err != nil {
		return nil, err
	}
	var all []record
	for o := range f.objects(ctx, prefix, listing{all: true}) {
		if o.Err != nil {
			return nil, explain(ctx, o.Err)
		}
		r, ok := parseRecord(o.Key)
		if !ok {
			continue
		}
		r.tail, r.time = o.Size, o.LastModified
		if len(all) > 0 && all[0].time.Before(r.time) {
			all[0], r = r, all[0]
		}
		all = append(all, r)
	}
	return all, nil
}

// stored lists the pieces that the store holds of an upload, those that
// follow each other from the first one on.
func (f *FS) stored(ctx context.Context, r record) ([]piece, error) {
	if r.id == "" {
		return nil, nil
	}
	var pieces []piece
	for marker := 0; ; {
		page, err := f.store.core.ListObjectParts(ctx, f.bucket, r.target, r.id, marker, 1000)
		if err != nil {
			err = explain(ctx, err)
			if errors.Is(err, vfs.ErrBusy) { // no such upload
				err = fs.ErrNotExist
			}
			return nil, err
		}
		for _, p := range page.ObjectParts {
			if p.PartNumber != len(pieces)+1 {
				return pieces, nil
			}
			if p.Size < 0 {
				return nil, fmt.Errorf("%w: a part of %d bytes", vfs.ErrUnavailable, p.Size)
			}
			pieces = append(pieces, piece{number: p.PartNumber, etag: clean(p.ETag), size: p.Size})
		}
		if !page.IsTruncated || len(page.ObjectParts) == 0 {
			return pieces, nil
		}
		marker = page.NextPartNumberMarker
	}
}

// Part implements [vfs.FS].
func (f *FS) Part(ctx context.Context, name vfs.Name) (int64, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if name.IsRoot() {
		return 0, fs.ErrNotExist
	}
	_, isFile, err := f.kind(ctx, name)
	if isFile {
		return 0, fs.ErrNotExist
	}
	if err != nil && !isNotExist(err) {
		return 0, err
	}
	all, err := f.records(ctx, name)
	if err != nil {
		return 0, err
	}
	if len(all) == 0 {
		return 0, fs.ErrNotExist
	}
	pieces, err := f.stored(ctx, all[0])
	if err != nil {
		return 0, err
	}
	n := total(pieces) + all[0].tail
	if n == 0 {
		return 0, fs.ErrNotExist
	}
	return n, nil
}

// OpenPart implements [vfs.FS]: what an upload has sent cannot be read back
// before it is whole.
func (f *FS) OpenPart(ctx context.Context, _ vfs.Name) (vfs.File, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, errors.ErrUnsupported
}

// refresh reads a record again once it is claimed: until then another upload
// may have gone on from it, or removed it (fs.ErrNotExist).
func (f *FS) refresh(ctx context.Context, r *record) error {
	info, err := f.store.core.StatObject(ctx, f.bucket, r.key, minio.StatObjectOptions{})
	if err != nil {
		if notFound(err) {
			return fs.ErrNotExist
		}
		return explain(ctx, err)
	}
	r.tail = info.Size
	return nil
}

// drop removes a claimed upload with all its pieces and returns how many
// bytes it held.
func (f *FS) drop(ctx context.Context, r record) (int64, error) {
	if err := f.refresh(ctx, &r); err != nil {
		if isNotExist(err) { // never written, or cleaned away: what it stood for must not stay
			return 0, f.abandon(ctx, r)
		}
		return 0, err
	}
	held := r.tail
	if r.id != "" {
		pieces, err := f.stored(ctx, r)
		if err != nil && !isNotExist(err) {
			return 0, err
		}
		held += total(pieces)
		if err := f.abandon(ctx, r); err != nil {
			return 0, err
		}
	}
	if err := f.delete(ctx, r.key); err != nil {
		return 0, err
	}
	return held, nil
}

// abandon has the store forget a multipart upload and its pieces.
func (f *FS) abandon(ctx context.Context, r record) error {
	if r.id == "" {
		return nil
	}
	err := f.store.core.AbortMultipartUpload(ctx, f.bucket, r.target, r.id)
	if err != nil && minio.ToErrorResponse(err).Code == "NoSuchUpload" {
		return nil
	}
	return explain(ctx, err)
}

// partless reports that no broken upload lies in a folder.
func (f *FS) partless(ctx context.Context, folder string) bool {
	if _, ok := f.store.seen.partless.knows(f.at(folder)); ok {
		return true
	}
	for range f.objects(ctx, folder+hiddenPart+"/", listing{limit: 1}) {
		return false
	}
	f.store.seen.partless.learn(f.at(folder), struct{}{})
	return true
}

// tailOf reads what a record holds.
func (f *FS) tailOf(ctx context.Context, r record) ([]byte, error) {
	if r.tail == 0 {
		return nil, nil
	}
	body, info, _, err := f.store.core.GetObject(ctx, f.bucket, r.key, minio.GetObjectOptions{})
	if err != nil {
		return nil, explain(ctx, err)
	}
	defer body.Close()
	if info.Size != r.tail {
		return nil, vfs.ErrBusy // written anew since it was listed
	}
	// Nothing is made for a length that is merely told.
	tail, err := io.ReadAll(io.LimitReader(body, r.tail))
	if err == nil && int64(len(tail)) < r.tail {
		err = io.ErrUnexpectedEOF
	}
	return tail, explain(ctx, err)
}

// claim takes a record for one upload of this process. Two servers that go
// on from one record at once cannot mix their bytes: a piece that the other
// one wrote has another ETag, and the upload does not complete.
func (s *Store) claim(bucket string, r record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := bucket + "/" + r.key
	if s.parts[at] {
		return false
	}
	s.parts[at] = true
	return true
}

func (s *Store) unclaim(bucket string, r record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.parts, bucket+"/"+r.key)
}

func (s *Store) claimed(bucket string, r record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parts[bucket+"/"+r.key]
}

// Sweep removes what broken uploads left longer ago than age, on whatever
// server. It reads the whole listing of the tree.
func (f *FS) Sweep(ctx context.Context, age time.Duration) (removed int, err error) {
	for o := range f.objects(ctx, f.prefix, listing{all: true}) {
		if o.Err != nil {
			return removed, explain(ctx, o.Err)
		}
		r, ok := parseRecord(o.Key)
		if !ok || time.Since(o.LastModified) < age || !f.store.claim(f.bucket, r) {
			continue
		}
		_, err := f.drop(ctx, r)
		f.store.unclaim(f.bucket, r)
		if err != nil {
			return removed, err
		}
		removed++
	}
	n, err := f.sweepUnrecorded(ctx, age)
	return removed + n, err
}

// sweepUnrecorded removes the uploads of which a server that died left no
// record, where the store lists uploads by prefix.
func (f *FS) sweepUnrecorded(ctx context.Context, age time.Duration) (removed int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pages, walk := walking(ctx)
	for u := range f.store.core.ListIncompleteUploads(pages, f.bucket, f.prefix, true) {
		if u.Err != nil {
			return removed, explain(ctx, u.Err)
		}
		walk.saw()
		r := record{target: u.Key, id: u.UploadID}
		if time.Since(u.Initiated) < age {
			continue
		}
		if err := f.abandon(ctx, r); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
