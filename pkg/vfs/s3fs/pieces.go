package s3fs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"net/url"

	"github.com/minio/minio-go/v7"
)

// piece is one part of a multipart upload.
type piece struct {
	number int
	etag   string
	size   int64
}

func total(pieces []piece) (sum int64) {
	for _, p := range pieces {
		sum += p.size
	}
	return sum
}

func complete(pieces []piece) []minio.CompletePart {
	parts := make([]minio.CompletePart, len(pieces))
	for i, p := range pieces {
		parts[i] = minio.CompletePart{PartNumber: p.number, ETag: p.etag}
	}
	return parts
}

// pieceSize is how much the next piece holds. Who announced the size gets
// pieces that suffice for it; the others get eight times as much from the
// thousandth on, which suffices for half a terabyte.
func (u *upload) pieceSize() int {
	if u.next > maxParts {
		return 0
	}
	size := int64(u.fs.store.opts.PartSize)
	if u.how.Size > 0 {
		return int(max(size, min(u.how.Size/(maxParts-1000), math.MaxInt32)))
	}
	if u.next > 1000 {
		size *= 8
	}
	return int(size)
}

// multipart begins a multipart upload and leaves a record of it.
func (u *upload) multipart(ctx context.Context) error {
	if u.id != "" {
		return nil
	}
	id, err := u.fs.store.core.NewMultipartUpload(ctx, u.fs.bucket, u.key, withTime(u.how.ModTime))
	if err != nil {
		return explain(ctx, err)
	}
	prefix, err := u.fs.beside(hiddenPart, u.name)
	if err == nil {
		r := record{key: prefix + url.PathEscape(id), target: u.key, id: id}
		u.fs.store.claim(u.fs.bucket, r)
		if u.record != nil { // was a lone one
			err = u.fs.delete(ctx, u.record.key)
			u.fs.store.unclaim(u.fs.bucket, *u.record)
		}
		u.id, u.record = id, &r
	}
	if err == nil {
		u.fs.store.seen.madePart(u.fs.at(u.folder))
		err = u.fs.putSmall(ctx, u.record.key, nil)
	}
	return err
}

// send sends what was collected as the next piece; it waits while as many as
// may are on their way.
func (u *upload) send() error {
	if err := u.multipart(u.ctx); err != nil {
		return err
	}
	var spare []byte
	select {
	case spare = <-u.turns:
	case <-u.stop:
		return errInterrupted
	case <-u.ctx.Done():
		return context.Cause(u.ctx)
	}
	number, content := u.next, u.buf
	u.next++
	u.buf = spare[:0]
	before, done := u.hashed, make(chan struct{})
	u.hashed = done
	u.flying.Go(func() {
		defer func() { u.turns <- content }()
		u.add(content, before, done)
		p, err := u.fs.store.core.PutObjectPart(u.ctx, u.fs.bucket, u.key, u.id, number,
			bytes.NewReader(content), int64(len(content)), u.fs.store.sign(content))
		u.mu.Lock()
		defer u.mu.Unlock()
		if err != nil {
			if u.err == nil {
				u.err = explain(u.ctx, err)
			}
			return
		}
		u.sent = append(u.sent, piece{number, clean(p.ETag), int64(len(content))})
	})
	return nil
}

// add hashes a piece behind the one before.
func (u *upload) add(content []byte, before, done chan struct{}) {
	if before != nil {
		<-before
	}
	if u.hash != nil {
		u.hash.Write(content)
	}
	close(done)
}

// sign gives the hash by which the store checks what it got; over TLS the
// records' own checks do. A piece goes in one, not in chunks with a hash each.
func (s *Store) sign(content []byte) minio.PutObjectPartOptions {
	opts := minio.PutObjectPartOptions{DisableContentSha256: true}
	if s.opts.Endpoint.Scheme != "https" {
		sum := sha256.Sum256(content)
		opts.Sha256Hex = hex.EncodeToString(sum[:])
	}
	return opts
}
