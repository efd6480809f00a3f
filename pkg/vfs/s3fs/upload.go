package s3fs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"math"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"ftps/pkg/vfs"
)

// cleanup is how long the tidying after an upload may take.
const cleanup = 30 * time.Second

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

// upload collects bytes and sends them in pieces, several at once. One that
// fits in a piece is sent with Commit as a single object.
type upload struct {
	fs     *FS
	name   vfs.Name
	key    string
	folder string
	how    vfs.How
	ctx    context.Context // of the pieces under way
	cancel context.CancelFunc

	old    *object // the whole file that had the name at the beginning
	from   *record // what this upload goes on from, and has claimed
	kept   []piece // of from
	length int64   // what the quota counts
	start  int64
	begun  bool
	ended  bool

	id      string // of the multipart upload
	resumed bool   // which another upload began, with a time of its own
	etag    string // of the file, once it is one
	sum     []byte // its SHA-256, where it is known
	record  *record
	buf     []byte
	turns   chan []byte // one token for each piece that may travel: the buffer of the next
	flying  sync.WaitGroup
	hash    hash.Hash     // of all pieces, nil where the beginning is not at hand
	hashed  chan struct{} // closed when the last piece sent is in hash
	stop    chan struct{} // closed by Interrupt
	halt    sync.Once

	mu   sync.Mutex
	sent []piece
	next int // number of the next piece
	err  error
}

// Create implements [vfs.FS].
func (f *FS) Create(ctx context.Context, name vfs.Name, how vfs.How) (vfs.Upload, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if name.IsRoot() {
		return nil, vfs.ErrIsDir
	}
	if how.Offset < 0 {
		return nil, vfs.ErrOffset
	}
	key, err := f.key(name)
	if err != nil {
		return nil, err
	}
	folder, err := f.folderKey(name.Parent())
	if err != nil {
		return nil, err
	}
	if _, err := f.beside(hiddenPart, name); err != nil {
		return nil, err
	}
	u := &upload{fs: f, name: name, key: key, folder: folder, how: how, next: 1,
		turns: make(chan []byte, f.store.opts.Parallel), stop: make(chan struct{}), hash: sha256.New()}
	for range f.store.opts.Parallel {
		u.turns <- nil
	}
	u.ctx, u.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := f.store.enter(f.bucket + "/" + folder); err != nil {
		u.cancel()
		return nil, err
	}
	if err := u.open(ctx); err != nil {
		u.Abort()
		return nil, err
	}
	return u, nil
}

// enter counts the uploads under way into a folder. None begins where the
// folder is being renamed or removed: what came in between would be removed
// with what had been copied.
func (s *Store) enter(folder string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at := range s.held {
		if strings.HasPrefix(folder, at) {
			return vfs.ErrBusy
		}
	}
	s.uploads[folder]++
	return nil
}

func (s *Store) leave(folder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uploads[folder]--; s.uploads[folder] == 0 {
		delete(s.uploads, folder)
	}
}

// hold keeps uploads out of a folder into which none is under way.
func (s *Store) hold(folder string) (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[folder] || s.busy(folder) {
		return nil, vfs.ErrBusy
	}
	s.held[folder] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.held, folder)
	}, nil
}

// busy reports uploads into a folder, or into one below it; mu is held.
func (s *Store) busy(folder string) bool {
	for at := range s.uploads {
		if strings.HasPrefix(at, folder) {
			return true
		}
	}
	return false
}

func (u *upload) open(ctx context.Context) error {
	o, isFile, err := u.look(ctx)
	switch {
	case isNotExist(err):
		if err := u.fs.mustBeFolder(ctx, u.name.Parent()); err != nil {
			return err
		}
		return u.openNew(ctx)
	case err != nil:
		return err
	case u.how.New:
		return fs.ErrExist
	case !isFile:
		return vfs.ErrIsDir
	}
	u.old = &o
	return u.openCopy(ctx)
}

// look is find, which who only writes to a new file of a folder in use can
// mostly do without.
func (u *upload) look(ctx context.Context) (o object, isFile bool, err error) {
	if plain := u.how.Offset == 0 && !u.how.Append && !u.how.New; plain && u.fs.vacant(ctx, u.folder, u.name.Base()) {
		return object{}, false, fs.ErrNotExist
	}
	return u.fs.find(ctx, u.key)
}

// openNew goes on from what a broken upload left, or begins anew.
func (u *upload) openNew(ctx context.Context) error {
	resume := u.how.Append || u.how.Offset > 0
	if u.how.New {
		if u.how.Offset > 0 && !u.how.Append {
			return vfs.ErrOffset
		}
		return u.fits(0)
	}
	var all []record
	if resume || !u.fs.partless(ctx, u.folder) {
		var err error
		if all, err = u.fs.records(ctx, u.name); err != nil {
			return err
		}
	}
	for i, r := range all {
		if !u.fs.store.claimed(u.fs.bucket, r) {
			continue
		}
		if resume && i == 0 {
			return vfs.ErrBusy
		}
		all = nil
		break
	}
	if len(all) > 0 {
		if err := u.take(ctx, all[0]); err != nil {
			return err
		}
	}
	if u.from == nil {
		if u.how.Offset > 0 {
			return vfs.ErrOffset
		}
		return u.fits(0)
	}
	pieces, err := u.fs.stored(ctx, *u.from)
	if err != nil && !isNotExist(err) {
		return err
	}
	held := total(pieces)
	u.length = held + u.from.tail
	u.start = u.how.Offset
	if u.how.Append {
		u.start = u.length
	}
	if u.start > u.length {
		return vfs.ErrOffset
	}
	if err := u.fits(u.length); err != nil {
		return err
	}
	var sum int64
	for _, p := range pieces {
		if sum+p.size > u.start {
			break
		}
		sum += p.size
		u.kept = append(u.kept, p)
	}
	if sum < u.start && len(u.kept) < len(pieces) {
		// A piece that the store has cannot be cut, nor read back.
		u.start = 0
		return errors.ErrUnsupported
	}
	return nil
}

// take claims what is gone on from, if it is still there.
func (u *upload) take(ctx context.Context, r record) error {
	if !u.fs.store.claim(u.fs.bucket, r) {
		return nil
	}
	err := u.fs.refresh(ctx, &r)
	if err != nil {
		u.fs.store.unclaim(u.fs.bucket, r)
		if isNotExist(err) {
			return nil
		}
		return err
	}
	u.from = &r
	return nil
}

// openCopy goes on from a whole file: the store copies its beginning.
func (u *upload) openCopy(ctx context.Context) error {
	u.start = u.how.Offset
	if u.how.Append {
		u.start = u.old.size
	}
	if u.start > u.old.size {
		return vfs.ErrOffset
	}
	if err := u.fits(0); err != nil {
		return err
	}
	if err := u.fs.quota.Grow(u.start); err != nil {
		return err
	}
	u.length, u.begun = u.start, true
	if u.start < minPart {
		return u.readOld(ctx)
	}
	if err := u.multipart(ctx); err != nil {
		return err
	}
	u.hash = nil
	var err error
	u.sent, err = u.fs.copyParts(ctx, u.key, u.key, u.id, u.old.etag, u.start)
	u.next += len(u.sent)
	return err
}

// readOld reads the beginning of the file that is gone on from.
func (u *upload) readOld(ctx context.Context) error {
	if u.start == 0 {
		return nil
	}
	file, err := u.fs.Open(ctx, u.name)
	if err != nil {
		return err
	}
	defer file.Close()
	if file.Info().Unique != u.old.etag {
		return vfs.ErrBusy // replaced since it was looked at
	}
	var content bytes.Buffer
	if _, err := vfs.CopyRange(ctx, &content, file, 0, u.start); err != nil {
		return err
	}
	u.buf = content.Bytes()
	return nil
}

// fits refuses an announced size for which the quota has no room.
func (u *upload) fits(there int64) error {
	if u.how.Size-there > u.fs.quota.Left() {
		return vfs.ErrQuota
	}
	return nil
}

// Offset implements [vfs.Upload].
func (u *upload) Offset() int64 { return u.start }

// begin takes up the part that is gone on from. It waits for the first byte,
// so that an upload that is refused on the way costs the client no part.
func (u *upload) begin() error {
	if u.begun {
		return nil
	}
	u.begun = true
	if u.from == nil {
		return nil
	}
	if u.start == 0 {
		return u.discard()
	}
	tail, err := u.fs.tailOf(u.ctx, *u.from)
	if err != nil {
		return err
	}
	u.fs.quota.Shrink(u.length - u.start)
	u.length = u.start
	u.buf = tail[:max(0, u.start-total(u.kept))]
	u.id, u.sent, u.next = u.from.id, u.kept, len(u.kept)+1
	u.resumed = u.id != ""
	if len(u.kept) > 0 {
		u.hash = nil
	}
	u.record, u.from = u.from, nil
	return nil
}

// discard removes the part that this upload replaces.
func (u *upload) discard() error {
	_, err := u.fs.drop(u.ctx, *u.from)
	u.fs.store.unclaim(u.fs.bucket, *u.from)
	u.from = nil
	if err == nil {
		u.fs.quota.Shrink(u.length)
		u.length = 0
	}
	return err
}

// Write implements [vfs.Upload].
func (u *upload) Write(b []byte) (n int, err error) {
	if u.ended {
		return 0, fs.ErrClosed
	}
	if err := u.begin(); err != nil {
		return 0, err
	}
	if err := u.failed(); err != nil {
		return 0, err
	}
	if err := u.fs.quota.Grow(int64(len(b))); err != nil {
		return 0, err
	}
	u.length += int64(len(b))
	for len(b) > 0 {
		size := u.pieceSize()
		if size == 0 {
			return n, vfs.ErrNoSpace
		}
		take := min(len(b), size-len(u.buf))
		u.buf = append(u.buf, b[:take]...)
		n, b = n+take, b[take:]
		if len(u.buf) >= size {
			if err := u.send(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
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

func (u *upload) failed() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
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

// errInterrupted is for who called [vfs.Interruptible]; it knows why.
var errInterrupted = errors.New("s3fs: interrupted")

// Interrupt implements [vfs.Interruptible]. Pieces on their way get a moment
// more, so that a client that goes on later loses less.
func (u *upload) Interrupt() {
	u.halt.Do(func() {
		close(u.stop)
		time.AfterFunc(lastPieces, u.cancel)
	})
}

// lastPieces is how long pieces on their way may take once nobody waits.
const lastPieces = 5 * time.Second

// sign gives the hash by which the store checks what it got; over TLS the
// records' own checks do.
func (s *Store) sign(content []byte) minio.PutObjectPartOptions {
	if s.opts.Endpoint.Scheme == "https" {
		return minio.PutObjectPartOptions{DisableContentSha256: true}
	}
	sum := sha256.Sum256(content)
	return minio.PutObjectPartOptions{Sha256Hex: hex.EncodeToString(sum[:])}
}

// putSmall stores a whole object, with its SHA-256 for the store to check
// and keep.
func (f *FS) putSmall(ctx context.Context, key string, content []byte) error {
	_, _, err := f.put(ctx, key, content, withTime(time.Time{}))
	return err
}

// maker is the header by which a server knows what it has put.
const maker = "Ftps-Maker"

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
	done, err := f.store.core.PutObject(ctx, f.bucket, key, bytes.NewReader(content), int64(len(content)), "", hex.EncodeToString(sum[:]), opts)
	if told := done.ChecksumSHA256; err == nil && told != "" && told != opts.UserMetadata["x-amz-checksum-sha256"] {
		err = fmt.Errorf("s3fs: the store has other bytes of %q than were sent", key)
	}
	return clean(done.ETag), sum[:], explain(ctx, err)
}

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
