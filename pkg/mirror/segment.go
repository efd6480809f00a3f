package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

const (
	// minSegment is what a connection of its own is worth.
	minSegment = 4 << 20
	// seam is how much before a segment is fetched with it, and compared
	// with the end of the one before: a server that got an offset wrong is
	// found out.
	seam = 4 << 10
	// noteEvery is how often the record of segments is written.
	noteEvery = 2 * time.Second
)

// segment is a stretch of a file: from up to, not including, to; of it done
// bytes are here.
type segment struct{ from, to, done int64 }

type segments []segment

// String is how a record keeps them: "0-4194304:1000,…".
func (s segments) String() string {
	var parts []string
	for _, g := range s {
		parts = append(parts, fmt.Sprintf("%d-%d:%d", g.from, g.to, g.done))
	}
	return strings.Join(parts, ",")
}

// parseSegments reads what String wrote. What does not cover the file exactly
// is none.
func parseSegments(text string, size int64) segments {
	var s segments
	var at int64
	for word := range strings.SplitSeq(text, ",") {
		var g segment
		if n, err := fmt.Sscanf(word, "%d-%d:%d", &g.from, &g.to, &g.done); n != 3 || err != nil ||
			g.from != at || g.to <= g.from || g.done < 0 || g.done > g.to-g.from {
			return nil
		}
		at = g.to
		s = append(s, g)
	}
	if at != size {
		return nil
	}
	return s
}

// beginning is how much of the file is here without a hole.
func (s segments) beginning() int64 {
	var n int64
	for _, g := range s {
		n += g.done
		if g.done < g.to-g.from {
			break
		}
	}
	return n
}

func (s segments) there() (n int64) {
	for _, g := range s {
		n += g.done
	}
	return n
}

// divide makes n segments of a file of which the beginning is here.
func divide(beginning, size int64, n int) segments {
	var s segments
	if beginning > 0 {
		s = append(s, segment{0, beginning, beginning})
	}
	n = max(1, min(n, int((size-beginning)/minSegment)))
	step := (size - beginning + int64(n) - 1) / int64(n)
	for at := beginning; at < size; at += step {
		s = append(s, segment{from: at, to: min(at+step, size)})
	}
	return s
}

// segmented reports whether a file comes over several connections.
func (r *run) segmented(c *ftpclient.Conn, item Item) bool {
	return r.plan.Direction == Download && !r.plan.Tree && r.o.Segments > 1 && item.Size >= 2*minSegment &&
		item.Precise && (c.Features().Has("REST") || c.Features().Has("RANG"))
}

// several is one file on its way over several connections.
type several struct {
	run  *run
	item Item
	part *part
	hash bool // the server tells the whole file's
	stop context.CancelCauseFunc

	mu       sync.Mutex
	segments segments
	noted    time.Time
	moved    int64
	gone     bool // on from what another connection brought
}

// segments brings one file. The connection it was given goes back before
// others are asked for, and it returns the one that it holds at the end.
func (r *run) segments(ctx context.Context, c *ftpclient.Conn, root *os.Root, item Item, resume bool) (*ftpclient.Conn, Done, error) {
	start := time.Now()
	if resume && present(root, item) {
		return c, Done{Item: item, Bytes: item.Size, Resumed: true, Verified: Present}, nil
	}
	proof := r.t.sums(c, item.Size)
	if err := r.t.ready(proof); err != nil {
		return c, Done{}, err
	}
	p, reason, err := openPart(root, item.Local, newRecord(r.t.cfg.Site, c.Pin(), item.Remote, "", item.Size, exact(item)), resume, r.planned())
	if err != nil {
		return c, Done{}, err
	}
	if (p.size > 0 || p.segments.there() > 0) && !proof.has && r.t.proofWanted() {
		// All of it is to be compared, and that is no faster in parts.
		p.leave()
		d, err := r.download(ctx, c, root, item, resume)
		return c, d, err
	}
	if reason != nil {
		r.t.tell(Restarted{Item: item, Reason: reason})
	}
	s := &several{run: r, item: item, part: p, segments: p.segments, noted: start, hash: proof.has}
	if s.segments == nil {
		s.segments = divide(p.size, item.Size, r.o.Segments)
	}
	before := s.segments.there()
	s.gone = before > 0
	r.t.tell(Started{Item: item, Offset: before})
	r.t.pool.Put(c)
	s.note(true) // before the first byte: the part will have holes
	err = s.all(ctx)
	if errors.Is(err, ErrOverlap) && ctx.Err() == nil {
		// Another file's bytes may be among what is here.
		s.spoilt(nil)
		r.t.tell(Restarted{Item: item, Reason: ErrOverlap})
		s.segments, s.part.seams, before = divide(0, item.Size, r.o.Segments), nil, 0
		s.note(true)
		err = s.all(ctx)
	}
	if err != nil {
		if errors.Is(err, ErrSize) {
			s.spoilt(nil)
		} else {
			s.note(true)
		}
		p.leave()
		return nil, Done{}, err
	}
	if c, err = r.t.pool.Get(ctx); err != nil {
		s.note(true)
		p.leave()
		return nil, Done{}, err
	}
	verified, err := s.verify(ctx, c, proof)
	if errors.Is(err, errUnproven) {
		p.leave()
		d, err := r.download(ctx, c, root, item, true)
		return c, d, err
	}
	if err == nil {
		err = p.finish(item.Local, item.ModTime, r.t.cfg.NoSync)
	}
	if err != nil {
		p.leave()
		return c, Done{}, err
	}
	return c, Done{
		Item: item, Bytes: item.Size, Moved: s.moved, SHA256: proof.sum(),
		Seconds: time.Since(start).Seconds(), Resumed: before > 0, Verified: verified,
	}, nil
}

// all brings the segments that are not whole. The first that fails for good
// ends the others.
func (s *several) all(ctx context.Context) error {
	ctx, s.stop = context.WithCancelCause(ctx)
	defer s.stop(nil)
	var group sync.WaitGroup
	for i := range s.segments {
		if g := s.segments[i]; g.done == g.to-g.from {
			continue
		}
		group.Go(func() {
			for attempt := 0; ; attempt++ {
				err := s.one(ctx, i)
				if err == nil || ctx.Err() != nil {
					return
				}
				if attempt >= s.run.t.cfg.Retries || !ftpclient.Again(err) || !s.hash && s.run.t.proofWanted() {
					s.stop(err)
					return
				}
				s.mu.Lock()
				s.gone = true
				s.mu.Unlock()
				s.run.t.tell(Retrying{Item: s.item, Attempt: attempt + 1, Err: err})
				_ = ftpclient.Pause(ctx, attempt)
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// one brings what is missing of a segment.
func (s *several) one(ctx context.Context, i int) error {
	c, err := s.run.t.pool.Get(ctx)
	if err != nil {
		return err
	}
	defer func() { s.run.t.pool.Put(c) }()
	s.mu.Lock()
	g := s.segments[i]
	s.mu.Unlock()
	at := g.from + g.done
	// What is before it is fetched too, where that is this segment's own, or
	// compared in the end.
	back := min(seam, at)
	var d *ftpclient.Download
	if c.Features().Has("RANG") {
		d, err = c.RetrieveRange(ctx, s.item.Remote, at-back, g.to)
	} else {
		d, err = c.Retrieve(ctx, s.item.Remote, at-back)
	}
	if err != nil {
		return err
	}
	err = s.copy(d, i, at, back)
	if errors.Is(err, errEnough) {
		// With REST there is no way to say where to stop but to stop.
		d.Close()
		return nil
	}
	if closing := d.Close(); err == nil {
		err = closing
	}
	return err
}

// errEnough: a segment is whole, and the server sends on.
var errEnough = errors.New("mirror: enough")

func (s *several) copy(d *ftpclient.Download, i int, at, back int64) error {
	before := make([]byte, back)
	if _, err := io.ReadFull(d, before); err != nil {
		if verdict := d.Close(); verdict != nil {
			return verdict
		}
		return ftpclient.ErrTruncated
	}
	if at > s.segments[i].from {
		ours := make([]byte, back)
		if _, err := s.part.file.ReadAt(ours, at-back); err != nil {
			return err
		}
		// The seam may reach into the segment before, which is still on its
		// way; its own end of it is compared.
		own := min(back, at-s.segments[i].from)
		if !s.run.t.same(ours[back-own:], before[back-own:]) {
			return ErrOverlap
		}
	} else if back > 0 {
		s.mu.Lock()
		s.part.seams = append(s.part.seams, seamOf{at - back, before})
		s.mu.Unlock()
	}
	buf := make([]byte, bufferSize)
	m := meter{run: s.run, item: s.item}
	defer m.flush()
	end := s.segments[i].to
	for at < end {
		n, err := fill(&m, d, buf[:min(int64(len(buf)), end-at)])
		if n > 0 {
			if _, err := s.part.file.WriteAt(buf[:n], at); err != nil {
				return err
			}
			at += int64(n)
			s.mu.Lock()
			s.segments[i].done += int64(n)
			s.moved += int64(n)
			s.mu.Unlock()
			s.note(false)
		}
		if err == io.EOF && at < end {
			return ErrSize
		}
		if err != nil && err != io.EOF {
			return err
		}
	}
	// The end, and its verdict; a byte more than the last is too much where
	// there is a range, and at the end of the file.
	n, err := d.Read(buf[:1])
	switch {
	case n == 0 && err == io.EOF:
		return nil
	case n > 0 && end < s.item.Size:
		return errEnough
	case n > 0:
		return ErrSize
	}
	return err
}

// note writes the record of segments, after what it speaks of is on the disk.
func (s *several) note(now bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !now && time.Since(s.noted) < noteEvery {
		return
	}
	s.noted = time.Now()
	if !s.run.t.cfg.NoSync {
		s.part.file.Sync()
	}
	s.part.what.Segments, s.part.what.Offset = s.segments.String(), 0
	s.part.writeRecord(s.part.what)
}

// verify compares the seams, asks whether the file is still the same, and
// compares the hash of the whole.
func (s *several) verify(ctx context.Context, c *ftpclient.Conn, proof *sums) (Verified, error) {
	for _, seam := range s.part.seams {
		ours := make([]byte, len(seam.theirs))
		if _, err := s.part.file.ReadAt(ours, seam.at); err != nil {
			return 0, err
		}
		if !bytes.Equal(ours, seam.theirs) {
			return 0, s.spoilt(ErrSize)
		}
	}
	e, err := c.Stat(ctx, s.item.Remote)
	switch {
	case err != nil:
		return 0, err
	case e.Type != ftp.File || e.Size != s.item.Size || !e.ModTime.Equal(s.item.ModTime):
		return 0, s.spoilt(ErrChanged)
	}
	if err := hashFirst(proof, s.part.file, s.item.Size); err != nil {
		return 0, err
	}
	proven, err := s.run.t.byHash(ctx, c, s.item.Remote, s.item.Size, proof)
	switch {
	case errors.Is(err, ErrHash):
		return 0, s.spoilt(err)
	case err != nil:
		return 0, err
	case proven:
		return ByHash, nil
	case s.gone && s.run.t.proofWanted():
		return 0, errUnproven
	}
	return BySize, nil
}

// spoilt empties the part: nothing may be built upon it.
func (s *several) spoilt(err error) error {
	s.part.what.Segments = ""
	s.part.restart()
	return err
}

// seamOf is what the server has before a segment.
type seamOf struct {
	at     int64
	theirs []byte
}
