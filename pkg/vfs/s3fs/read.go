package s3fs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"ftps/pkg/vfs"
)

// Open implements [vfs.FS]. The request that tells what the file is brings
// its bytes as well. The time in the file's Info is the object's own.
func (f *FS) Open(ctx context.Context, name vfs.Name) (vfs.File, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if name.IsRoot() {
		return nil, vfs.ErrIsDir
	}
	key, err := f.key(name)
	if err != nil {
		return nil, err
	}
	// The body lives as long as the file, not as long as the command.
	alive, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	opts := minio.GetObjectOptions{Checksum: true}
	body, info, _, err := f.store.core.GetObject(alive, f.bucket, key, opts)
	stop()
	if err != nil {
		cancel()
		if !notFound(err) {
			return nil, explain(ctx, err)
		}
		_, isFile, err := f.kind(ctx, name)
		if err == nil {
			err = vfs.ErrIsDir
			if isFile {
				err = vfs.ErrBusy // it came just now
			}
		}
		return nil, err
	}
	o := describe(info)
	if o.size < 0 {
		cancel()
		body.Close()
		return nil, fmt.Errorf("%w: an object of %d bytes", vfs.ErrUnavailable, o.size)
	}
	file := &file{
		fs: f, key: key, info: o.info(name.Base()), etag: o.etag, size: o.size,
		ctx: alive, cancel: cancel, body: body,
	}
	sum := sumOf(info)
	if sum == nil {
		sum = f.keptSum(ctx, key, o.etag, o.size)
	}
	if sum != nil {
		f.store.seen.objects.learn(f.at(key), known{o.etag, o.size, sum, true})
	} else {
		file.hash = sha256.New()
	}
	if o.size <= wholeRead {
		if err := file.keep(); err != nil {
			file.Close()
			return nil, explain(ctx, err)
		}
	}
	return file, nil
}

// Sum implements [vfs.FS]. The store keeps none of files that came in pieces:
// that of our own lies beside them, and that of another program's is computed
// while the file is read, for whoever asks afterwards.
func (f *FS) Sum(ctx context.Context, name vfs.Name, algorithm string) ([]byte, int64, error) {
	if ctx.Err() != nil {
		return nil, 0, context.Cause(ctx)
	}
	key, err := f.key(name)
	if err != nil || name.IsRoot() || algorithm != "SHA-256" {
		return nil, 0, errors.ErrUnsupported
	}
	if k, ok := f.store.seen.objects.knows(f.at(key)); ok && k.sum != nil {
		return k.sum, k.size, nil
	}
	info, err := f.store.core.StatObject(ctx, f.bucket, key, minio.StatObjectOptions{Checksum: true})
	if err != nil {
		return nil, 0, explain(ctx, err)
	}
	sum := sumOf(info)
	if sum == nil {
		sum = f.keptSum(ctx, key, clean(info.ETag), info.Size)
	}
	if sum == nil {
		return nil, 0, errors.ErrUnsupported
	}
	return sum, info.Size, nil
}

// sumOf is the SHA-256 of a whole object as the store keeps it, or nil: that
// of an object in pieces is a hash of hashes, and told in another form.
func sumOf(info minio.ObjectInfo) []byte {
	sum, err := base64.StdEncoding.DecodeString(info.ChecksumSHA256)
	if err != nil || len(sum) != sha256.Size {
		return nil
	}
	return sum
}

// file reads one object as it was when it was opened. One answer of the
// store is read from front to back; it is asked again where somebody reads
// elsewhere, or where the answer broke off.
type file struct {
	fs     *FS
	key    string
	info   vfs.Info
	etag   string
	size   int64
	ctx    context.Context
	cancel context.CancelFunc
	whole  *bytes.Reader // small files

	mu   sync.Mutex
	body io.ReadCloser // nil is none
	at   int64         // where body goes on
	pos  int64         // of Read

	hash   hash.Hash // of what was read from the beginning on, nil where the sum is known
	hashed int64
}

// note hashes what was read at an offset, if it is what comes next. Whoever
// reads the whole file leaves its hash for the one who asks for it.
func (f *file) note(b []byte, off int64) {
	if f.hash == nil || off != f.hashed {
		return
	}
	f.hash.Write(b)
	if f.hashed += int64(len(b)); f.hashed == f.size {
		f.fs.store.sums.learn(f.fs.at(f.key), f.etag, f.hash.Sum(nil))
		f.hash = nil
	}
}

// keep reads a small file whole.
func (f *file) keep() error {
	defer f.body.Close()
	content := make([]byte, f.size)
	_, err := io.ReadFull(f.body, content)
	f.body = nil
	f.whole = bytes.NewReader(content)
	if err == nil {
		f.note(content, 0)
	}
	return err
}

// Info implements [vfs.File].
func (f *file) Info() vfs.Info { return f.info }

// Interrupt implements [vfs.Interruptible].
func (f *file) Interrupt() { f.cancel() }

// Close implements [vfs.File].
func (f *file) Close() error {
	f.cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.body != nil {
		f.body.Close()
		f.body = nil
	}
	return nil
}

// Seek implements [vfs.File].
func (f *file) Seek(offset int64, whence int) (int64, error) {
	if f.whole != nil {
		return f.whole.Seek(offset, whence)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		offset += f.size
	}
	if offset < 0 {
		return 0, vfs.ErrOffset
	}
	f.pos = offset
	return offset, nil
}

// Read implements [vfs.File].
func (f *file) Read(p []byte) (int, error) {
	if f.whole != nil {
		return f.whole.Read(p)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.readAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}

// ReadAt implements [vfs.File].
func (f *file) ReadAt(p []byte, off int64) (n int, err error) {
	if f.whole != nil {
		return f.whole.ReadAt(p, off)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for n < len(p) && err == nil {
		var got int
		got, err = f.readAt(p[n:], off+int64(n))
		n += got
	}
	if n == len(p) {
		err = nil
	}
	return n, err
}

// readAt reads what comes next at off. An answer that breaks off is asked
// for again from there: a store that lost a machine serves from the others.
func (f *file) readAt(p []byte, off int64) (int, error) {
	if off >= f.size {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	p = p[:min(int64(len(p)), f.size-off)]
	var broken error
	began, opts := time.Now(), f.fs.store.opts
	for attempt := range opts.Attempts {
		if attempt > 0 {
			// Each question is tried as often by itself: a store that stands
			// still is not asked for minutes.
			if time.Since(began) > 2*opts.Patience {
				break
			}
			select {
			case <-time.After(time.Duration(attempt) * 250 * time.Millisecond):
			case <-f.ctx.Done():
				return 0, context.Cause(f.ctx)
			}
		}
		if f.body == nil || f.at != off {
			if err := f.ask(off); err != nil {
				if errors.Is(err, vfs.ErrUnavailable) {
					broken = err
					continue
				}
				return 0, err
			}
		}
		n, err := f.body.Read(p)
		f.at += int64(n)
		if n > 0 {
			f.note(p[:n], off)
			return n, nil
		}
		if err == nil {
			continue
		}
		f.body.Close()
		f.body = nil
		broken = fmt.Errorf("%w: %w", vfs.ErrUnavailable, err)
	}
	return 0, broken
}

// ask requests the object from off to its end, if it is still the same.
func (f *file) ask(off int64) error {
	if f.body != nil {
		f.body.Close()
		f.body = nil
	}
	var opts minio.GetObjectOptions
	if err := errors.Join(opts.SetRange(off, f.size-1), opts.SetMatchETag(f.etag)); err != nil {
		return err
	}
	body, info, header, err := f.fs.store.core.GetObject(f.ctx, f.fs.bucket, f.key, opts)
	if err != nil {
		err = explain(f.ctx, err)
		if errors.Is(err, fs.ErrNotExist) {
			err = vfs.ErrBusy // removed under the reader
		}
		return err
	}
	// A store, or a cache before it, that minds neither condition would splice
	// two files, or a file with itself.
	began := strings.HasPrefix(header.Get("Content-Range"), fmt.Sprintf("bytes %d-", off)) // RFC 9110 §14.4
	switch {
	case f.fs.store.trusting:
	case clean(info.ETag) != f.etag:
		err = vfs.ErrBusy
	case off > 0 && !began:
		err = fmt.Errorf("%w: it does not begin where it was asked to", vfs.ErrUnavailable)
	}
	if err != nil {
		body.Close()
		return err
	}
	f.body, f.at = body, off
	return nil
}
