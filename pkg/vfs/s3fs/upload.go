package s3fs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io/fs"
	"sync"
	"time"

	"ftps/pkg/vfs"
)

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

func (u *upload) failed() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
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

// maker is the header by which a server knows what it has put.
const maker = "Ftps-Maker"
