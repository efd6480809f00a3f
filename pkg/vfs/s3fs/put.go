package s3fs

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/minio/minio-go/v7"

	"ftps/pkg/vfs"
)

// putSmall stores a whole object, with its SHA-256 for the store to check
// and keep.
func (f *FS) putSmall(ctx context.Context, key string, content []byte) error {
	_, _, err := f.put(ctx, key, content, withTime(time.Time{}))
	return err
}

// putNew is put for a key that must not be taken: fs.ErrExist. A request whose
// answer was lost is sent again, and then finds what it made itself.
func (f *FS) putNew(ctx context.Context, key string, content []byte, mtime time.Time) (etag string, hash []byte, err error) {
	nonce := rand.Text()
	opts := withTime(mtime)
	opts.UserMetadata[maker] = nonce
	opts.SetMatchETagExcept("*")
	etag, hash, err = f.put(ctx, key, content, opts)
	if !errors.Is(err, vfs.ErrBusy) {
		return etag, hash, err
	}
	info, err := f.store.core.StatObject(ctx, f.bucket, key, minio.StatObjectOptions{})
	if err == nil && info.UserMetadata[maker] == nonce {
		return clean(info.ETag), hash, nil
	}
	if err != nil && !notFound(err) {
		return "", nil, explain(ctx, err)
	}
	return "", nil, fs.ErrExist
}

func (f *FS) put(ctx context.Context, key string, content []byte, opts minio.PutObjectOptions) (etag string, hash []byte, err error) {
	sum := sha256.Sum256(content)
	opts.UserMetadata["x-amz-checksum-sha256"] = base64.StdEncoding.EncodeToString(sum[:])
	opts.DisableContentSha256 = true // no chunks with a hash each: the request bears that of the whole
	done, err := f.store.core.PutObject(ctx, f.bucket, key, bytes.NewReader(content), int64(len(content)), "", hex.EncodeToString(sum[:]), opts)
	if told := done.ChecksumSHA256; err == nil && told != "" && told != opts.UserMetadata["x-amz-checksum-sha256"] {
		err = fmt.Errorf("s3fs: the store has other bytes of %q than were sent", key)
	}
	return clean(done.ETag), sum[:], explain(ctx, err)
}
