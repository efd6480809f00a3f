package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

// recordFrom is the length from which an upload is noted, so that it can be
// resumed. Below it, sending again costs less than the record.
const recordFrom = 256 << 10

// pieceSize is a piece of an upload: the layers below gather records, and
// between two pieces a slow line can tell how far it is.
const pieceSize = 64 << 10

// upload sends one file.
func (r *run) upload(ctx context.Context, c *ftpclient.Conn, root *os.Root, item Item, resume bool) (Done, error) {
	start := time.Now()
	info, err := root.Stat(item.Local)
	if err != nil {
		return Done{}, err
	}
	if !info.Mode().IsRegular() {
		return Done{}, ErrNotRegular
	}
	file, err := root.OpenFile(item.Local, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return Done{}, err
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return Done{}, err
	}
	if !info.Mode().IsRegular() {
		return Done{}, ErrNotRegular
	}
	item.Size, item.ModTime, item.Precise = info.Size(), info.ModTime(), true
	source, err := filepath.Abs(filepath.Join(r.plan.Root, filepath.FromSlash(item.Local)))
	if err != nil {
		return Done{}, err
	}
	p := &putting{
		run: r, ctx: ctx, conn: c, item: item, file: file,
		record: newRecord(r.t.cfg.Site, c.Pin(), item.Remote, source, item.Size, item.ModTime),
	}
	done, err := p.put(resume)
	if errors.Is(err, errNoRename) && c.Usable() && ctx.Err() == nil {
		// An account that may not rename: straight into its place.
		r.t.direct.Store(true)
		done, err = p.put(resume)
	}
	done.Seconds = time.Since(start).Seconds()
	return done, err
}

// putting is one upload under way.
type putting struct {
	run    *run
	ctx    context.Context
	conn   *ftpclient.Conn
	item   Item
	file   *os.File
	hash   *sums
	record record
	target string // the name it grows under
	back   int64  // bytes that were read back, to compare them
}

func (p *putting) put(resume bool) (Done, error) {
	p.hash = p.run.t.sums(p.conn, p.item.Size)
	if err := p.run.t.ready(p.hash); err != nil {
		return Done{}, err
	}
	if err := p.place(); err != nil {
		return Done{}, err
	}
	var offset int64
	if resume {
		var done bool
		var err error
		if offset, done, err = p.resumable(); err != nil {
			return Done{}, err
		}
		if done {
			return Done{Item: p.item, Bytes: p.item.Size, Resumed: true, Verified: Present}, nil
		}
	}
	if err := hashFirst(p.hash, p.file, offset); err != nil {
		return Done{}, err
	}
	if p.item.Size >= recordFrom {
		p.run.t.records().note(p.record)
	}
	u, err := p.conn.Store(p.ctx, p.target, ftpclient.StoreOptions{Offset: offset, Size: p.item.Size, ModTime: p.item.ModTime})
	if err != nil {
		return Done{}, err
	}
	p.run.t.tell(Started{Item: p.item, Offset: offset})
	moved, err := p.copy(u, offset)
	if err != nil {
		var local *localError
		if errors.As(err, &local) {
			// The source is at fault: the server must not keep this.
			u.Abort()
			return Done{}, local.err
		}
		if closeErr := u.Close(); closeErr != nil {
			err = closeErr
		}
		return Done{}, err
	}
	verified, err := p.verify(u.Close())
	if err != nil {
		return Done{}, err
	}
	if !u.Dated() {
		if err := p.date(); err != nil {
			return Done{}, err
		}
	}
	if err := p.rename(); err != nil {
		return Done{}, err
	}
	p.run.t.records().forget(p.record)
	return Done{
		Item: p.item, Bytes: p.item.Size, Moved: moved + p.back, SHA256: p.hash.sum(),
		Resumed: offset > 0, Verified: verified,
	}, nil
}

// date sets the file's time, where the server has MFMT: the file is stored
// whether its time is kept or not.
func (p *putting) date() error {
	err := p.conn.SetModTime(p.ctx, p.target, p.item.ModTime)
	switch {
	case err == nil:
		return nil
	case p.ctx.Err() != nil:
		return p.ctx.Err()
	case !p.conn.Usable():
		return err
	}
	return nil
}

// localError is a failure of the source, not of the connection.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }

// copy sends the file from offset on. The source must be as long at the end
// as it was at the beginning.
func (p *putting) copy(u *ftpclient.Upload, offset int64) (moved int64, err error) {
	buf := make([]byte, bufferFor(p.item.Size, pieceSize))
	m := meter{run: p.run, item: p.item}
	defer m.flush()
	for {
		n, err := p.file.Read(buf)
		if n > 0 {
			if offset+moved+int64(n) > p.item.Size {
				return moved, &localError{ErrChanged}
			}
			if _, err := u.Write(buf[:n]); err != nil {
				return moved, err
			}
			p.hash.Write(buf[:n])
			moved += int64(n)
			m.add(n)
		}
		switch {
		case err == io.EOF:
			info, statErr := p.file.Stat()
			if statErr != nil {
				return moved, &localError{statErr}
			}
			if offset+moved != p.item.Size || !info.ModTime().Equal(p.item.ModTime) {
				return moved, &localError{ErrChanged}
			}
			return moved, nil
		case err != nil:
			return moved, &localError{err}
		}
	}
}

// verify compares what the server has with what was sent.
func (p *putting) verify(verdict error) (Verified, error) {
	switch {
	case errors.Is(verdict, ftpclient.ErrUnconfirmed) && p.conn.Usable() && p.ctx.Err() == nil:
		// Not SIZE: it may answer for a part that is no file yet.
		if e, err := p.conn.Stat(p.ctx, p.target); err == nil && e.Type == ftp.File && e.Size == p.item.Size {
			if proven, err := p.proven(); proven || err != nil {
				return ByHash, err
			}
			return Unclean, nil
		}
		return 0, verdict
	case verdict != nil && !errors.Is(verdict, ftpclient.ErrUnclean):
		return 0, verdict
	}
	if proven, err := p.proven(); proven || err != nil {
		return ByHash, err
	}
	if p.run.t.cfg.Verify == VerifyNone && verdict == nil {
		return Confirmed, nil
	}
	n, err := p.conn.Size(p.ctx, p.target)
	var reply *ftpclient.ReplyError
	switch {
	case err == nil && n != p.item.Size:
		return 0, fmt.Errorf("%w: %d, not %d", ErrSize, n, p.item.Size)
	case err == nil && verdict != nil:
		return Unclean, nil
	case err == nil:
		return BySize, nil
	case errors.As(err, &reply) && p.conn.Usable():
		// A server without SIZE, or an account that may only write.
		return Confirmed, verdict
	}
	return 0, err
}

func (p *putting) proven() (bool, error) {
	return p.run.t.byHash(p.ctx, p.conn, p.target, p.item.Size, p.hash)
}

// resumable returns where an upload can go on: at the length of what the
// server has, if that was begun from this very file. done means that there
// is nothing left to send.
func (p *putting) resumable() (offset int64, done bool, err error) {
	n, err := p.size(p.item.Remote)
	if err != nil {
		return 0, false, err
	}
	if n == p.item.Size {
		e, err := p.conn.Stat(p.ctx, p.item.Remote)
		if err == nil && e.Type == ftp.File && e.Size == n && e.Precise &&
			e.ModTime.Truncate(time.Second).Equal(p.item.ModTime.UTC().Truncate(time.Second)) {
			return 0, true, nil
		}
		if err != nil && !p.conn.Usable() {
			return 0, false, err
		}
	}
	if p.target != p.item.Remote {
		if n, err = p.size(p.target); err != nil {
			return 0, false, err
		}
	}
	if n <= 0 {
		return 0, false, nil
	}
	offset, reason, err := p.goOn(n)
	if reason != nil {
		p.run.t.tell(Restarted{Item: p.item, Reason: reason})
	}
	return offset, false, err
}

// size is a file's length, or -1 where there is nothing, or nothing to be
// known.
func (p *putting) size(name string) (int64, error) {
	n, err := p.conn.Size(p.ctx, name)
	if err != nil && (!p.conn.Usable() || p.ctx.Err() != nil) {
		return 0, err
	}
	if err != nil {
		return -1, nil
	}
	return n, nil
}

// goOn decides about n bytes that the server has. Their size says nothing:
// the record must be of the same file, and their end must be the file's.
func (p *putting) goOn(n int64) (offset int64, reason, err error) {
	match, found := p.run.t.records().matches(p.record)
	switch {
	case !found:
		return 0, ErrNoRecord, nil
	case !match, n > p.item.Size:
		return 0, ErrSourceChanged, nil
	}
	same, told, err := p.run.t.prefix(p.ctx, p.conn, p.target, p.file, n, true)
	switch {
	case err != nil:
		return 0, nil, err
	case told && !same:
		return 0, ErrOverlap, nil
	case told:
		return n, nil, nil
	}
	from := n - min(overlap, n)
	if p.run.t.proofWanted() {
		from = 0
		p.run.t.tell(Comparing{Item: p.item, Bytes: n})
	}
	d, err := p.conn.Retrieve(p.ctx, p.target, from)
	var reply *ftpclient.ReplyError
	if errors.As(err, &reply) && p.conn.Usable() && !ftpclient.Again(err) {
		// Neither hashed nor read back. The record says that an upload from
		// this very file was begun, not that these bytes are of it: another
		// client may have left them since.
		if p.run.t.cfg.Verify == VerifyNone {
			return n, nil, nil
		}
		return 0, ErrUnproven, nil
	}
	if err != nil {
		return 0, nil, err
	}
	same, err = p.readBack(d, from, n)
	switch {
	case err != nil:
		return 0, nil, err
	case !same:
		return 0, ErrOverlap, nil
	}
	return n, nil, nil
}

// readBack reports whether what the server has from an offset on, up to its
// end at n, is what the file has there. An error is one of the way, and says
// nothing about that.
func (p *putting) readBack(d *ftpclient.Download, from, n int64) (same bool, err error) {
	theirs, ours := make([]byte, bufferSize), make([]byte, bufferSize)
	m := meter{run: p.run, item: p.item}
	defer m.flush()
	same = true
	for same && err == nil {
		var k int
		k, err = fill(&m, d, theirs)
		if _, err := p.file.ReadAt(ours[:k], from); err != nil {
			d.Close()
			return false, err
		}
		from += int64(k)
		p.back += int64(k)
		same = from <= n && p.run.t.same(ours[:k], theirs[:k])
	}
	d.Close()
	switch {
	case p.ctx.Err() != nil:
		return false, p.ctx.Err()
	case !p.conn.Usable():
		return false, ftpclient.ErrLost
	case !same:
		return false, nil
	case err != io.EOF && !errors.Is(err, ftpclient.ErrUnclean):
		return false, err
	}
	return from == n, nil
}
