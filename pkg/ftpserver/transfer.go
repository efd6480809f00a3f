package ftpserver

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"ftps/pkg/dataport"
	"ftps/pkg/event"
	"ftps/pkg/fault"
	"ftps/pkg/layer"
	"ftps/pkg/vfs"
)

// What can go wrong on the way between the tree and the client.
var (
	errData   = errors.New("ftpserver: data connection broken")
	errSource = errors.New("ftpserver: the file could not be read to its end")
)

// transfer is one file or listing on its way.
type transfer struct {
	verb      string
	direction event.Direction
	name      vfs.Name
	offset    int64

	opening reply // the preliminary reply, if it is not the usual one

	// carry moves the data through the frame, which it neither ends nor
	// closes. Its errors wrap errData for the connection and whatever else for
	// the tree.
	carry func(ctx context.Context, f frame) error

	// settle makes the transfer final: it commits an upload that came whole
	// (err is nil) and lets go of what was opened. It is called exactly once
	// for each transfer that began, whatever became of it.
	settle func(ctx context.Context, err error) error

	// Of a file that comes ahead of the 1yz.
	marked   bool
	mark     string // what it must begin with
	refused  bool   // the command was: its file is only thrown away
	last     bool   // the data connection ends with it; the session's
	trusting trusting

	ascii   bool
	mode    *transferMode
	up      layer.Waiter
	down    layer.Waiter
	promise *dataport.Promise // where the connection comes from
	conn    *dataport.Conn    // the one that the transfer before left, or leaves; else nil
	started time.Time
	cancel  context.CancelCauseFunc
	done    chan error // the verdict; sent once

	bytes atomic.Int64
	bound atomic.Pointer[string]
}

// direction is which way a transfer command moves data; its right tells.
func (r *row) direction() event.Direction {
	switch r.perm {
	case vfs.Read:
		return event.Download
	case vfs.List:
		return event.Listing
	}
	return event.Upload
}

// prepare has the row make its transfer, and takes the promise for it.
func (s *session) prepare(ctx context.Context, r *row, a arg) (*transfer, error) {
	if s.port.promise == nil && s.port.open == nil {
		return nil, refuse("reply.needport")
	}
	if s.port.promise != nil {
		// Before the file is opened: the client's TLS may begin meanwhile.
		s.port.promise.Announce(r.direction())
	}
	t, err := r.begin(s, ctx, a)
	if err != nil {
		return nil, err
	}
	s.equip(t, r, a)
	return t, nil
}

// equip gives a transfer what the session has for it.
func (s *session) equip(t *transfer, r *row, a arg) {
	t.verb, t.mode, t.ascii = r.verb, s.params.mode, s.params.ascii
	t.marked, t.mark, t.trusting = s.aheadOf(r), a.text, s.srv.trusting
	t.up, t.down = s.login.account.Up, s.login.account.Down
	t.promise, s.port.promise = s.port.promise, nil
	t.conn, s.port.open = s.port.open, nil
}

// start sends the preliminary reply and sets the transfer going. Only here is
// a 1yz reply sent. It goes out before the data connection's handshake is
// awaited, since many clients begin TLS only after it; but not before our part
// of one that the client of an upload has begun.
func (s *session) start(ctx context.Context, t *transfer) {
	ctx, t.cancel = context.WithCancelCause(ctx)
	t.started = time.Now()
	t.done = make(chan error, 1)
	s.transfer = t
	if !t.refused {
		s.emit(event.TransferStarted{Session: s.info, Direction: t.direction, Verb: t.verb, Name: t.name.String()})
	}
	again := t.conn != nil
	if !again && !t.refused && t.direction == event.Upload {
		t.promise.AwaitFlight(ctx)
	}
	switch {
	case t.refused: // no 1yz
	case again:
		s.queue(say("reply.continuing")) // RFC 959 §5.4: 125 where the connection is already open
	case t.opening.lines != nil:
		s.queue(t.opening)
	default:
		s.queue(say("reply.opening"))
	}
	if !again {
		s.flush()
	}
	cfg := s.cfg
	go func() {
		layer.Deepen()
		t.done <- guard(func() error { return t.perform(ctx, cfg) })
		s.alarm.ring()
	}()
	if !again {
		return
	}
	// A small file over an open connection takes no time: mostly its verdict
	// can go with the 125. Where it cannot, the client must have that before
	// it takes or sends data.
	runtime.Gosched()
	select {
	case err := <-t.done:
		s.settle(err)
	default:
		s.flush()
	}
}

// perform runs on a goroutine of its own and returns the verdict. The
// connection ends before the verdict: close_notify, FIN, and the client's own
// end awaited for a bounded time.
func (t *transfer) perform(ctx context.Context, cfg *Config) error {
	conn := t.conn
	t.conn = nil
	if conn == nil {
		var err error
		if conn, err = t.promise.Take(ctx, t.direction); err != nil {
			return t.settle(ctx, because(ctx, err))
		}
	}
	bound := conn.Bound()
	t.bound.Store(&bound)
	// What ends the transfer early ends the connection too, until the last
	// word: a client that reads its last bytes one by one must not hold up who
	// wants it gone.
	stop := context.AfterFunc(ctx, conn.Abort)
	defer stop()
	clocked := layer.Least(layer.Stall(conn, cfg.StallTimeout), cfg.MinRate, cfg.window)
	f := t.mode.frame(layer.Rate(ctx, clocked, t.up, paced(t.down, conn)))
	err := t.identify(f)
	var refused error // by the tree, and the file is off the connection
	if err == nil {
		err = t.carry(ctx, f)
		if err != nil && t.marked && !errors.Is(err, errData) {
			refused, err = err, t.eat(f, err)
		}
	}
	if err == nil && t.direction != event.Upload {
		err = blameIf(errData, f.close())
	}
	if err == nil && t.mode.stays {
		err = blameIf(errData, conn.Flush())
	}
	if err == nil && t.mode.stays && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Abort()
		switch {
		case errors.Is(err, layer.ErrTooSlow):
			err = fault.Wrap(err, "config.ended.slow", cfg.MinRate)
		case errors.Is(err, os.ErrDeadlineExceeded):
			err = fault.Wrap(err, "config.ended.stall", cfg.StallTimeout)
		}
		return t.settle(ctx, because(ctx, err))
	}
	if t.mode.stays {
		t.conn = conn
		conn.SetDeadline(time.Time{})
		return t.settle(ctx, refused)
	}
	if err := conn.Finish(); err != nil && t.direction != event.Upload {
		// What the client did not take, it does not have. An upload has all
		// it needs: the client's close_notify came before.
		return t.settle(ctx, because(ctx, errors.Join(errData, err)))
	}
	return t.settle(ctx, nil)
}

// because says why a transfer failed: if it was stopped on purpose, that is
// the reason and the broken connection only its consequence.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// settle gives the verdict on the transfer: the final reply, the event and
// the state all come from here, so that none can differ from the other.
func (s *session) settle(err error) {
	t := s.transfer
	s.transfer = nil
	t.cancel(nil)
	if t.last && t.conn != nil {
		t.conn.Abort()
		t.conn = nil
	}
	s.port.open = t.conn
	out := say("reply.done")
	switch {
	case err != nil:
		out = answer(err)
	case t.conn != nil:
		out = say("reply.done.open") // RFC 959 §4.2: 250 leaves the connection open
	}
	bound := ""
	if b := t.bound.Load(); b != nil {
		bound = *b
	}
	if t.refused {
		s.emit(event.CommandRefused{Session: s.info, Verb: t.verb, Code: out.Code(), Cause: err})
	} else {
		s.emit(event.TransferDone{
			Session: s.info, Direction: t.direction, Verb: t.verb, Name: t.name.String(),
			Bytes: t.bytes.Load(), Offset: t.offset, ASCII: t.ascii, Duration: time.Since(t.started),
			Code: out.Code(), Bound: bound, Cause: err,
		})
	}
	s.send(out)
	s.publish(t.verb)
}

// stopTransfer ends a transfer in progress and sends its verdict.
func (s *session) stopTransfer(cause error) {
	if s.transfer == nil {
		return
	}
	s.transfer.cancel(cause)
	s.settle(<-s.transfer.done)
}

// blame marks an error with the side it came from; nil leaves it as it is.
func blame(side, err error) error {
	if side == nil {
		return err
	}
	return errors.Join(side, err)
}
