package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"ftps/pkg/ftpclient"
)

// overlap is how much of a part is fetched again and compared before the
// rest is put behind it, where a hash proves the whole in the end or nobody
// asked for proof. Else all of the part is.
const overlap = 64 << 10

// bufferSize is a piece of a copy: large, for each makes system calls.
const bufferSize = 256 << 10

// download brings one file.
func (r *run) download(ctx context.Context, c *ftpclient.Conn, root *os.Root, item Item, resume bool) (Done, error) {
	start := time.Now()
	if err := complete(ctx, c, &item, resume); err != nil {
		return Done{}, err
	}
	if resume && present(root, item) {
		return Done{Item: item, Bytes: item.Size, Resumed: true, Verified: Present}, nil
	}
	h := r.t.sums(c, item.Size)
	if err := r.t.ready(h); err != nil {
		return Done{}, err
	}
	if !resume && item.Size >= 0 && item.Size < smallFile {
		done, err := r.small(ctx, c, root, item, h)
		if done.Seconds = time.Since(start).Seconds(); !errors.Is(err, errAlone) {
			return done, err
		}
		h.reset()
	}
	want := newRecord(r.t.cfg.Site, c.Pin(), item.Remote, "", item.Size, exact(item))
	p, reason, err := openPart(root, item.Local, want, resume, r.planned())
	if err != nil {
		return Done{}, err
	}
	if err := p.plain(); err != nil {
		p.leave()
		return Done{}, err
	}
	g := &getting{run: r, ctx: ctx, conn: c, item: item, part: p, hash: h}
	if reason != nil {
		r.t.tell(Restarted{Item: item, Reason: reason})
	}
	done, err := g.get()
	if err == nil {
		err = p.finish(item.Local, item.ModTime, r.t.cfg.NoSync)
	}
	if err != nil {
		p.leave()
		return Done{}, err
	}
	p.sweep(item.Local, r.planned())
	done.Seconds = time.Since(start).Seconds()
	return done, nil
}

// planned are the names that the plan fills; made once.
func (r *run) planned() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.names == nil {
		r.names = make(map[string]bool, len(r.plan.Files))
		for _, f := range r.plan.Files {
			r.names[f.Local] = true
		}
		for _, f := range r.plan.Folders {
			r.names[f.Local] = true
		}
	}
	return r.names
}

// complete asks for what the listing did not say: the exact time, for the
// local file's and for resume, and the size.
func complete(ctx context.Context, c *ftpclient.Conn, item *Item, resume bool) error {
	if item.Size < 0 {
		n, err := c.Size(ctx, item.Remote)
		switch {
		case err == nil:
			item.Size = n
		case !c.Usable() || ctx.Err() != nil:
			return err
		}
	}
	if !item.Precise && (resume || len(c.Features().Names()) == 0 || c.Features().Has("MDTM")) {
		t, err := c.ModTime(ctx, item.Remote)
		switch {
		case err == nil:
			item.ModTime, item.Precise = t, true
		case !c.Usable() || ctx.Err() != nil:
			return err
		}
	}
	return nil
}

// exact is the time that a record may rely on.
func exact(item Item) time.Time {
	if !item.Precise {
		return time.Time{}
	}
	return item.ModTime
}

// present reports whether the file is here already, by size and time.
func present(root *os.Root, item Item) bool {
	if item.Size < 0 || !item.Precise {
		return false
	}
	info, err := root.Stat(item.Local)
	return err == nil && info.Mode().IsRegular() && info.Size() == item.Size &&
		info.ModTime().Truncate(time.Second).Equal(item.ModTime.Truncate(time.Second))
}

// getting is one download under way.
type getting struct {
	run  *run
	ctx  context.Context
	conn *ftpclient.Conn
	item Item
	part *part
	hash *sums

	proven bool   // the server's hash of a range proved the part
	whole  bool   // all of the part is to be compared: no hash will
	here   int64  // bytes of the part that are compared as they come
	ours   []byte // for that
}

// errUnproven: a file that was gone on with is complete, and the server that
// was to tell its hash does not.
var errUnproven = errors.New("mirror: nothing proves the part")

func (g *getting) get() (Done, error) {
	done, err := g.once()
	if errors.Is(err, errUnproven) {
		before := done.Moved
		g.whole = true
		done, err = g.once()
		done.Moved += before
	}
	return done, err
}

func (g *getting) once() (Done, error) {
	d, err := g.open()
	if err != nil {
		return Done{}, err
	}
	offset := g.part.size - g.here
	g.run.t.tell(Started{Item: g.item, Offset: offset})
	moved, err := g.copy(d)
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	total := offset + moved
	verified := Confirmed
	if g.item.Size >= 0 {
		verified = BySize
	}
	switch {
	case errors.Is(err, ftpclient.ErrUnclean) && g.item.Size == total:
		verified = Unclean
	case errors.Is(err, ftpclient.ErrUnclean) && g.item.Size > total:
		return Done{}, fmt.Errorf("%w: %d of %d", ftpclient.ErrTruncated, total, g.item.Size)
	case err != nil:
		return Done{}, err
	case g.item.Size >= 0 && total != g.item.Size:
		// Said to be whole, and is not what was listed: it changed, or
		// somebody lies. Nothing may be built upon it.
		g.part.restart()
		return Done{}, ErrSize
	}
	proven, err := g.run.t.byHash(g.ctx, g.conn, g.item.Remote, total, g.hash)
	if err != nil {
		if errors.Is(err, ErrHash) {
			g.part.restart() // nothing may be built upon this either
		}
		return Done{}, err
	}
	switch {
	case proven:
		verified = ByHash
	case offset > 0 && !g.proven && g.run.t.proofWanted():
		g.part.size = total
		return Done{Moved: moved}, errUnproven
	}
	return Done{
		Item: g.item, Bytes: total, Moved: moved, SHA256: g.hash.sum(),
		Resumed: offset > 0 || g.here > 0, Verified: verified,
	}, nil
}

// open begins the download where the part ends, if what the server sends for
// the part's end is what the part has; or at the first byte, to compare all
// of the part, where nothing else would prove it.
func (g *getting) open() (*ftpclient.Download, error) {
	n := g.part.size
	if n == 0 {
		return g.fresh(nil)
	}
	// The whole of the part, where the server can hash a part of a file.
	same, told, err := g.run.t.prefix(g.ctx, g.conn, g.item.Remote, g.part.file, n, false)
	switch {
	case err != nil:
		return nil, err
	case told && !same:
		return g.fresh(ErrOverlap)
	case told:
		g.proven = true
	case g.whole, !g.hash.has && g.run.t.proofWanted():
		return g.compared(n)
	}
	back := min(overlap, n)
	d, err := g.conn.Retrieve(g.ctx, g.item.Remote, n-back)
	if err != nil {
		var reply *ftpclient.ReplyError
		if errors.As(err, &reply) && (reply.Command == "REST" || reply.Reply.Code == 554) && g.conn.Usable() {
			return g.fresh(ErrNoResume)
		}
		return nil, err
	}
	theirs, ours := make([]byte, back), make([]byte, back)
	if _, err := g.part.file.ReadAt(ours, n-back); err != nil {
		d.Close()
		return nil, err
	}
	_, err = io.ReadFull(d, theirs)
	switch {
	case g.ctx.Err() != nil:
		d.Close()
		return nil, g.ctx.Err()
	case ftpclient.Again(err): // which says nothing about what is here
		d.Close()
		return nil, err
	}
	if !g.run.t.same(ours, theirs) {
		d.Close()
		if !g.conn.Usable() {
			return nil, ftpclient.ErrLost
		}
		return g.fresh(ErrOverlap)
	}
	if err := g.hashPart(n); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// hashPart reads the part that is here already and leaves the file at its
// end.
func (g *getting) hashPart(n int64) error {
	if err := hashFirst(g.hash, g.part.file, n); err != nil {
		return err
	}
	return g.part.file.Truncate(n)
}

// hashFirst reads a file's first n bytes and leaves it there.
func hashFirst(h io.Writer, file *os.File, n int64) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.CopyN(h, file, n)
	return err
}

// fresh begins at the first byte; reason says why, where a part is given up.
func (g *getting) fresh(reason error) (*ftpclient.Download, error) {
	if reason != nil {
		g.run.t.tell(Restarted{Item: g.item, Reason: reason})
	}
	if err := g.part.restart(); err != nil {
		return nil, err
	}
	g.hash.reset()
	return g.conn.Retrieve(g.ctx, g.item.Remote, 0)
}

// compared begins at the first byte and keeps the part: what comes is held
// against it. That moves as much as beginning again would, and what is here
// stays if it breaks off once more.
func (g *getting) compared(n int64) (*ftpclient.Download, error) {
	g.run.t.tell(Comparing{Item: g.item, Bytes: n})
	if err := g.part.file.Truncate(n); err != nil {
		return nil, err
	}
	g.hash.reset()
	g.here = n
	return g.conn.Retrieve(g.ctx, g.item.Remote, 0)
}

// keep puts what came in its place at an offset, unless the part has it
// already. At the first difference the rest of the part goes.
func (g *getting) keep(m *meter, b []byte, at int64) error {
	if n := min(int64(len(b)), g.here-at); n > 0 {
		if g.ours == nil {
			g.ours = make([]byte, bufferSize)
		}
		ours := g.ours[:n]
		if _, err := g.part.file.ReadAt(ours, at); err != nil {
			return err
		}
		if g.run.t.same(ours, b[:n]) {
			b, at = b[n:], at+n
		} else {
			if err := g.part.file.Truncate(at); err != nil {
				return err
			}
			g.part.size, g.here = 0, 0
			m.flush()
			g.run.t.tell(Restarted{Item: g.item, Reason: ErrOverlap})
			m.add(int(at) + len(b)) // they were moved all the same
		}
	}
	if len(b) == 0 {
		return nil
	}
	_, err := g.part.file.WriteAt(b, at)
	return err
}

// copy writes what comes to the part and returns how much that was. More
// than the file is long is the end of it.
func (g *getting) copy(d *ftpclient.Download) (moved int64, err error) {
	buf := make([]byte, bufferFor(g.item.Size, bufferSize))
	m := meter{run: g.run, item: g.item}
	defer m.flush()
	offset := g.part.size - g.here
	for {
		n, err := fill(&m, d, buf)
		if n > 0 {
			if g.item.Size >= 0 && offset+moved+int64(n) > g.item.Size {
				return moved, ErrSize
			}
			if err := g.keep(&m, buf[:n], offset+moved); err != nil {
				return moved, err
			}
			g.hash.Write(buf[:n])
			moved += int64(n)
		}
		if err == io.EOF {
			return moved, nil
		}
		if err != nil {
			return moved, err
		}
	}
}

// bufferFor is largest for files that fill it: of thousands of small ones
// each would have it cleared for nothing. One byte more than the file tells
// its end without another read.
func bufferFor(size int64, largest int64) int64 {
	if size < 0 || size >= largest {
		return largest
	}
	return size + 1
}

// fill reads until the buffer is full or the stream ends: TLS hands out
// records, and a write for each would be sixteen times the system calls.
func fill(m *meter, r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
		m.add(k)
	}
	return n, err
}

// meter tells of moved bytes often enough for a slow line and seldom enough
// for a fast one.
type meter struct {
	run   *run
	item  Item
	n     int64
	last  time.Time
	aside time.Time // when the goroutine last stepped aside
}

const (
	tellBytes = 256 << 10
	tellEvery = 100 * time.Millisecond
	// asideEvery is how often a copy lets others have the processor: Go's
	// watchdog else takes it away after 10 ms, and in each system call behind.
	asideEvery = 5 * time.Millisecond
)

func (m *meter) add(n int) {
	m.n += int64(n)
	now := time.Now()
	if m.n >= tellBytes || now.Sub(m.last) >= tellEvery {
		m.flush()
	}
	if now.Sub(m.aside) >= asideEvery {
		m.aside = now
		runtime.Gosched()
	}
}

func (m *meter) flush() {
	if m.n > 0 {
		m.run.t.tell(Moved{Item: m.item, N: m.n})
	}
	m.n, m.last = 0, time.Now()
}
