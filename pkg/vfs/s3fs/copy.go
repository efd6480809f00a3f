package s3fs

import (
	"context"

	"github.com/minio/minio-go/v7"
)

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
