package ftpclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/layer"
)

// Ahead is [Conn.Pipeline] for uploads whose files go with their commands: a
// small file then costs no round trip of its own this way either. Files are
// put in line by [Pipeline.Store], and what became of them is taken by
// [Pipeline.Stored]; there is no Upload. It is errors.ErrUnsupported where the
// server does not announce the option ahead of STOR.
//
// The server takes the file of a STOR that it refuses off the data connection
// before it replies, and each file begins with a mark that says what its STOR
// said, so that none is ever stored under the name of another.
func (c *Conn) Ahead(ctx context.Context) (*Pipeline, error) {
	if !c.features.Option("STOR", "ahead") {
		return nil, errors.ErrUnsupported
	}
	return c.pipeline(ctx, true)
}

// askAhead is how files come from now on, if that is to change.
func (c *Conn) askAhead(on bool) []ask {
	if c.ahead == on {
		return nil
	}
	word := "off"
	if on {
		word = "on"
	}
	return []ask{{"OPTS", "STOR ahead=" + word + ";", func(r ftp.Reply) error {
		if r.Code/100 != 2 {
			return errors.ErrUnsupported
		}
		c.ahead = on
		return nil
	}}}
}

// maxAheadData bounds the files that were put in line and not answered, in
// bytes: they are held in memory.
const maxAheadData = 1 << 20

// Store puts a file in line, and before it its time where the server takes
// that. What becomes of it tells Stored.
func (p *Pipeline) Store(path string, modTime time.Time, content []byte) error {
	if !p.ahead {
		return errors.ErrUnsupported
	}
	var blocks bytes.Buffer
	blocks.Grow(len(path) + len(content) + 16)
	w := ftp.NewBlockWriter(&blocks, 0)
	w.Mark(path)
	w.Write(content)
	if err := w.Close(); err != nil {
		return err
	}
	if err := p.dated(path, modTime); err != nil {
		return err
	}
	p.waiting[len(p.waiting)-1].file = blocks.Bytes()
	p.held += blocks.Len()
	return nil
}

// Stored takes the answer to a Store. The file is stored when the error is
// nil; dated says whether the server has set its time as well.
func (p *Pipeline) Stored() (dated bool, err error) {
	if !p.ahead {
		return false, errors.ErrUnsupported
	}
	if dated, err = p.tookTime(); err != nil {
		return false, err
	}
	if err = p.begun("STOR"); err != nil {
		return false, err
	}
	_, err = p.final("STOR")
	var reply *ReplyError
	if err != nil && p.ctx.Err() == nil && (!errors.As(err, &reply) || reply.Reply.Code == 426) {
		err = fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	}
	return dated && err == nil, err
}

// stays reports whether the data connection outlives a final reply
// (RFC 959 §4.2): after 250, and where a file was thrown away for it.
func (p *Pipeline) stays(code int) bool {
	return code == 250 || p.ahead && code >= 400 && code != 421 && code != 425 && code != 426
}

// feed hands the files to the data connection whose commands have been sent.
func (p *Pipeline) feed() {
	if !p.ahead || p.data == nil {
		return
	}
	for i := range len(p.waiting) - p.pending {
		s := &p.waiting[i]
		if s.file == nil || s.fed {
			continue
		}
		if p.files == nil {
			data, patience := p.data, max(p.c.cfg.Timeout, p.c.cfg.FinalTimeout)
			p.files = newOutbox(p.ctx, layer.Stall(data.tc, patience))
			p.files.rate = p.c.cfg.Rate
			p.files.rest = func() error { return layer.Push(data.gather, patience) }
			p.files.moved = func() { p.deadline(patience) } // no reply can come before the file
			p.files.failed = func() { cut(data.tcp, true) }
			go p.files.run()
		}
		s.fed = true
		p.files.put(s.file)
	}
}

// outbox writes on a goroutine of its own, so that whoever has put something
// in can go on to read: a server that cannot get rid of its replies takes no
// more commands and no more files either.
type outbox struct {
	w      io.Writer
	rate   layer.Waiter // or nil
	rest   func() error // called when there is nothing more to write, or nil
	moved  func()       // called when something was written, or nil
	failed func()       // called once something could not be written

	ctx    context.Context
	cancel context.CancelFunc
	over   chan struct{} // closed when the goroutine has ended

	mu    sync.Mutex
	queue [][]byte
	ended bool
	broke bool          // something was not written; read once over is closed
	more  chan struct{} // holds one
}

func newOutbox(ctx context.Context, w io.Writer) *outbox {
	o := &outbox{w: w, over: make(chan struct{}), more: make(chan struct{}, 1)}
	o.ctx, o.cancel = context.WithCancel(ctx)
	return o
}

func (o *outbox) put(b []byte) {
	o.mu.Lock()
	o.queue = append(o.queue, b)
	o.mu.Unlock()
	o.wake()
}

func (o *outbox) wake() {
	select {
	case o.more <- struct{}{}:
	default:
	}
}

func (o *outbox) run() {
	defer close(o.over)
	for {
		o.mu.Lock()
		queue, ended := o.queue, o.ended
		o.queue = nil
		o.mu.Unlock()
		if len(queue) == 0 && ended {
			return
		}
		if err := o.write(queue); err != nil {
			o.broke = true
			o.failed()
			return
		}
		if len(queue) == 0 {
			<-o.more
		}
	}
}

func (o *outbox) write(queue [][]byte) error {
	for _, b := range queue {
		for len(b) > 0 {
			piece := b[:min(len(b), ratePiece)]
			if o.rate != nil {
				if err := o.rate.Wait(o.ctx, len(piece)); err != nil {
					return err
				}
			}
			n, err := o.w.Write(piece)
			if err != nil {
				return err
			}
			b = b[n:]
			if o.moved != nil {
				o.moved()
			}
		}
	}
	if o.rest != nil && len(queue) > 0 {
		return o.rest()
	}
	return nil
}

// end waits until all is written that was put in, but for no longer than a
// moment: then it cuts.
func (o *outbox) end(moment time.Duration) {
	o.mu.Lock()
	o.ended = true
	o.mu.Unlock()
	o.wake()
	timer := time.NewTimer(moment)
	defer timer.Stop()
	defer o.cancel()
	select {
	case <-o.over:
	case <-timer.C:
		o.cancel()
		o.failed()
		<-o.over
	}
}
