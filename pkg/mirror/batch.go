package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

const (
	// smallFile is the length up to which a file travels in a batch: it is
	// held in memory, and not resumed.
	smallFile = recordFrom
	// batchSize is how many files a connection takes at a time: enough to
	// make the wait at their ends small, few enough to share the work.
	batchSize = 128
	// batchLeast is how many it takes at least: to log in once more costs
	// more than a few small files.
	batchLeast = 16
)

// batches puts small files together, by the order of the plan; the others
// stay alone.
func (r *run) batches() [][]Item {
	var all [][]Item
	var batch []Item
	size := min(batchSize, max(batchLeast, len(r.plan.Files)/r.t.cfg.Jobs))
	for _, item := range r.plan.Files {
		if !r.batched(item) {
			all = append(all, []Item{item})
			continue
		}
		if batch = append(batch, item); len(batch) == size {
			all, batch = append(all, batch), nil
		}
	}
	if len(batch) > 0 {
		all = append(all, batch)
	}
	return all
}

// batched are files that are small for sure.
func (r *run) batched(item Item) bool {
	return r.plan.Tree && item.Size >= 0 && item.Size < smallFile && item.Precise &&
		(r.plan.Direction == Download || !r.o.Resume)
}

// several moves a batch over one pipeline. Whatever does not go through it is
// moved alone, which has more ways to. What a lost connection left goes over
// the next pipeline; the file that was lost with it goes alone before, with
// the pauses between its tries that a server may need to come back.
func (r *run) several(ctx context.Context, root *os.Root, batch []Item) {
	for len(batch) > 0 && ctx.Err() == nil {
		alone, again := batch, []Item(nil)
		if len(batch) > 1 {
			alone, again = r.piped(ctx, root, batch)
		}
		if len(alone) == 0 && len(again) == len(batch) {
			alone, again = batch[:1], batch[1:] // so that this comes to an end
		}
		for _, item := range alone {
			r.one(ctx, root, item)
		}
		batch = again
	}
}

// piped returns what it has not moved: to be moved alone, and over another
// pipeline.
func (r *run) piped(ctx context.Context, root *os.Root, batch []Item) (alone, again []Item) {
	if r.t.noPipe.Load() {
		return batch, nil
	}
	c, err := r.t.pool.Get(ctx)
	if err != nil {
		return nil, batch
	}
	defer func() { r.t.pool.Put(c) }()
	defer func() {
		if len(alone) == len(batch) && !c.Usable() {
			alone, again = nil, batch // it was lost before a file moved
		}
	}()
	b := &batching{run: r, ctx: ctx, conn: c, root: root}
	if r.plan.Direction == Upload {
		if name, err := c.ServerName(ctx); err != nil || name != atomicServer {
			r.t.noPipe.Store(err == nil)
			return batch, nil
		}
	}
	if b.sums = r.t.sums(c, smallFile); b.sums.has {
		if c.ChooseHash(ctx, b.sums.method) != nil {
			return batch, nil
		}
	} else if r.t.cfg.Verify == VerifyHash {
		return batch, nil
	}
	err = errors.ErrUnsupported
	if r.plan.Direction == Upload {
		b.pipe, err = c.Ahead(ctx)
		b.ahead = err == nil
	}
	if errors.Is(err, errors.ErrUnsupported) {
		b.pipe, err = c.Pipeline(ctx)
	}
	if err != nil {
		r.t.noPipe.Store(errors.Is(err, errors.ErrUnsupported))
		return batch, nil
	}
	defer func() {
		b.pipe.Close()
		if b.final != nil {
			r.stop(told(b.final))
		}
	}()
	if r.plan.Direction == Download {
		b.download(batch)
	} else {
		b.upload(batch)
	}
	return b.alone, b.again
}

// batching is one batch under way.
type batching struct {
	run   *run
	ctx   context.Context
	conn  *ftpclient.Conn
	root  *os.Root
	pipe  *ftpclient.Pipeline
	ahead bool   // each file goes with its STOR
	sums  *sums  // of one file after the other
	data  []byte // of the file that came last
	broke bool   // the data connection, or both
	final error  // ends the run, for uploads once what is in line has been answered
	alone []Item
	again []Item
}

// failed sorts a file out: to be tried again, alone or not, or lost.
func (b *batching) failed(item Item, err error) {
	switch {
	case b.run.cutShort(b.ctx, err):
	case errors.Is(err, errAlone), occupied(err):
		b.alone = append(b.alone, item)
	case ftpclient.Again(err) && b.broke: // by another one
		b.again = append(b.again, item)
	case ftpclient.Again(err):
		b.broke, b.alone = true, append(b.alone, item)
	default:
		if b.run.note(item, err); ends(err) {
			b.final = err
		}
	}
}

// occupied reports a refusal that has nothing to do with the connection: the
// file is in somebody's hands.
func occupied(err error) bool {
	var reply *ftpclient.ReplyError
	return errors.As(err, &reply) && reply.Reply.Code == 450
}

// errAlone: a file that a batch does not handle.
var errAlone = errors.New("mirror: not in a batch")

// download brings the files of a batch. Each RETR has the HASH behind it.
func (b *batching) download(batch []Item) {
	var sent []Item
	for b.final == nil && (len(batch) > 0 || len(sent) > 0) {
		for len(batch) > 0 && b.pipe.Room() {
			item := batch[0]
			batch = batch[1:]
			if b.run.o.Resume && present(b.root, item) {
				b.run.done(Done{Item: item, Bytes: item.Size, Resumed: true, Verified: Present})
				continue
			}
			if err := b.pipe.Send("RETR", item.Remote); err != nil {
				b.failed(item, err)
				continue
			}
			if b.sums.has {
				b.pipe.Send(b.sums.method.Verb, item.Remote)
			}
			sent = append(sent, item)
		}
		if len(sent) == 0 {
			continue
		}
		item := sent[0]
		sent = sent[1:]
		done, err := b.retrieve(item)
		if err != nil {
			b.failed(item, err)
		} else {
			b.run.done(done)
		}
		if !b.conn.Usable() || b.ctx.Err() != nil {
			b.again = append(append(b.again, sent...), batch...)
			return
		}
	}
}

func (b *batching) retrieve(item Item) (Done, error) {
	start := time.Now()
	data, err := b.fetch(item)
	verified := BySize
	if b.sums.has && b.conn.Usable() {
		reply, hashErr := b.pipe.Reply()
		if err != nil {
			return Done{}, err
		}
		var sum []byte
		if hashErr == nil {
			sum, hashErr = b.sums.method.Sum(reply)
		}
		if hashErr != nil {
			if err := b.run.t.untold(b.conn, hashErr); err != nil {
				return Done{}, err
			}
		} else if proven, err := b.run.t.compare(sum, b.sums); err != nil {
			return Done{}, err
		} else if proven {
			verified = ByHash
		}
	}
	if err != nil {
		return Done{}, err
	}
	if err := b.run.keep(b.root, item, data); err != nil {
		return Done{}, err
	}
	return Done{
		Item: item, Bytes: item.Size, Moved: item.Size, SHA256: b.sums.sum(),
		Seconds: time.Since(start).Seconds(), Verified: verified,
	}, nil
}

// fetch reads one file into memory, up to the length that was listed and not
// a byte more. What it returns is there until the next.
func (b *batching) fetch(item Item) ([]byte, error) {
	d, err := b.pipe.Download()
	if err != nil {
		return nil, err
	}
	b.run.t.tell(Started{Item: item})
	if int64(len(b.data)) <= item.Size {
		b.data = make([]byte, item.Size+1)
	}
	data := b.data[:item.Size+1]
	n, err := io.ReadFull(d, data)
	switch {
	case err == nil:
		d.Close()
		return nil, ErrSize
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		d.Close()
		return nil, err
	}
	// io.ReadFull hides a verdict behind what it read.
	if err := d.Close(); err != nil {
		return nil, err
	}
	if int64(n) != item.Size {
		return nil, ErrSize
	}
	b.run.t.tell(Moved{Item: item, N: item.Size})
	b.sums.reset()
	b.sums.Write(data[:n])
	return data[:n], nil
}

// uploading is one file of a batch on its way.
type uploading struct {
	item  Item
	start time.Time
	data  []byte   // that went with the STOR
	verbs []string // of what is still to be answered
	sums  *sums
	done  Done
}

// upload sends the files of a batch. What follows a file (its time, its hash)
// is sent only when it is stored: behind one that was refused it would be
// about another.
func (b *batching) upload(batch []Item) {
	var line []*uploading // in the order of the commands sent
	for len(batch) > 0 && b.final == nil || len(line) > 0 {
		for len(batch) > 0 && b.final == nil && b.pipe.Room() && len(line) < batchSize/2 {
			item := batch[0]
			batch = batch[1:]
			u := &uploading{item: item}
			if err := b.begin(u); err != nil {
				b.failed(item, err)
				continue
			}
			line = append(line, u)
		}
		if len(line) == 0 {
			continue
		}
		u := line[0]
		line = line[1:]
		var err error
		if len(u.verbs) == 0 {
			err = b.store(u)
			for range u.verbs {
				line = append(line, u)
			}
			if err == nil && len(u.verbs) == 0 {
				b.run.done(u.done)
			}
		} else {
			err = b.heard(u)
		}
		if err != nil {
			b.failed(u.item, err)
			// Nothing about this file any more.
			for _, other := range line {
				if other == u {
					other.done.Item.ID = -1
				}
			}
		}
		if !b.conn.Usable() || b.ctx.Err() != nil {
			b.left(line, batch)
			return
		}
	}
}

// left gives back what was not finished.
func (b *batching) left(line []*uploading, batch []Item) {
	seen := make(map[*uploading]bool)
	for _, u := range line {
		if !seen[u] && u.done.Item.ID >= 0 {
			b.again = append(b.again, u.item)
		}
		seen[u] = true
	}
	b.again = append(b.again, batch...)
}

// begin puts a STOR in line, with its file where that may go ahead.
func (b *batching) begin(u *uploading) error {
	if !b.ahead {
		return b.pipe.SendStore(u.item.Remote, u.item.ModTime)
	}
	if err := b.read(u); err != nil {
		return err
	}
	return b.pipe.Store(u.item.Remote, u.item.ModTime, u.data)
}

// read reads a file of ours.
func (b *batching) read(u *uploading) error {
	data, info, err := b.source(u.item)
	if err != nil {
		return err
	}
	u.start, u.data = time.Now(), data
	u.item.Size, u.item.ModTime = info.Size(), info.ModTime()
	b.run.t.tell(Started{Item: u.item})
	return nil
}

// move has one file stored, and reports whether its time is set.
func (b *batching) move(u *uploading) (dated bool, err error) {
	if b.ahead {
		return b.pipe.Stored()
	}
	planned := u.item.ModTime
	up, err := b.pipe.Upload()
	if err != nil {
		return false, err
	}
	if err := b.read(u); err != nil {
		up.Abort() // the server must not keep this
		return false, err
	}
	up.Write(u.data)
	// A time that was told before the data was the one that was planned with.
	return up.Dated() && u.item.ModTime.Equal(planned), up.Close()
}

// store has one file stored and puts in line what is to follow it.
func (b *batching) store(u *uploading) error {
	dated, err := b.move(u)
	if err != nil {
		return err
	}
	data := u.data
	u.data = nil
	b.run.t.tell(Moved{Item: u.item, N: int64(len(data))})
	u.sums = b.run.t.sums(b.conn, smallFile)
	u.sums.Write(data)
	u.done = Done{
		Item: u.item, Bytes: u.item.Size, Moved: u.item.Size, SHA256: u.sums.sum(),
		Seconds: time.Since(u.start).Seconds(), Verified: Confirmed,
	}
	if !dated && b.conn.Features().Has("MFMT") {
		b.follow(u, "MFMT", ftp.FormatTime(u.item.ModTime.UTC().Truncate(time.Second))+" "+u.item.Remote)
	}
	switch {
	case u.sums.has:
		b.follow(u, u.sums.method.Verb, u.item.Remote)
	case b.run.t.cfg.Verify != VerifyNone:
		b.follow(u, "SIZE", u.item.Remote)
	}
	return nil
}

func (b *batching) follow(u *uploading, verb, arg string) {
	if b.pipe.Send(verb, arg) == nil {
		u.verbs = append(u.verbs, verb)
	}
}

// source reads a file of ours whole. One that changes meanwhile is not sent.
func (b *batching) source(item Item) ([]byte, fs.FileInfo, error) {
	file, err := b.root.OpenFile(item.Local, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	before, err := file.Stat()
	switch {
	case err != nil:
		return nil, nil, err
	case !before.Mode().IsRegular():
		return nil, nil, ErrNotRegular
	case before.Size() >= 2*smallFile:
		return nil, nil, errAlone // it has grown since it was planned
	}
	var buf bytes.Buffer
	buf.Grow(int(before.Size()) + bytes.MinRead)
	if _, err := buf.ReadFrom(io.LimitReader(file, before.Size()+1)); err != nil {
		return nil, nil, err
	}
	after, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if int64(buf.Len()) != before.Size() || !after.ModTime().Equal(before.ModTime()) || after.Size() != before.Size() {
		return nil, nil, ErrChanged
	}
	return buf.Bytes(), after, nil
}

// heard takes the answer to something that followed a file.
func (b *batching) heard(u *uploading) error {
	verb := u.verbs[0]
	u.verbs = u.verbs[1:]
	reply, err := b.pipe.Reply()
	if u.done.Item.ID < 0 {
		return nil // it has failed already
	}
	if err != nil {
		return err
	}
	switch {
	case verb == "MFMT":
	case verb == "SIZE":
		if n, err := ftp.ParseNumber(reply.Lines[0]); reply.Code/100 == 2 && err == nil {
			if n != u.item.Size {
				return fmt.Errorf("%w: %d, not %d", ErrSize, n, u.item.Size)
			}
			u.done.Verified = BySize
		}
	default:
		sum, err := u.sums.method.Sum(reply)
		if err != nil {
			if err := b.run.t.untold(b.conn, err); err != nil {
				return err
			}
			break
		}
		if _, err := b.run.t.compare(sum, u.sums); err != nil {
			return err
		}
		u.done.Verified = ByHash
	}
	if len(u.verbs) == 0 {
		b.run.done(u.done)
	}
	return nil
}
