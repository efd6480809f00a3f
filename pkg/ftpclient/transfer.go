package ftpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/layer"
)

// transfer is one command with a data connection, from the command to its
// final reply. It holds the Conn from begin to release.
//
// While it runs, a goroutine reads the control connection, so that a refusal
// is seen while the data connection is still being made. Hooks are called
// where the replies are taken, not there.
type transfer struct {
	c    *Conn
	ctx  context.Context
	verb string

	replies <-chan answer // closed after the final reply or an error
	final   *ftp.Reply    // once taken
	lost    error         // the control connection's end, once seen

	tcp    net.Conn // the bare connection
	raw    net.Conn // tcp in its layers, beneath TLS
	tc     *tls.Conn
	stream net.Conn // tc with a stall deadline

	after      func()      // runs once the dialogue is in step again
	stopCancel func() bool // of the ctx watcher that cuts the data connection
}

type answer struct {
	reply ftp.Reply
	err   error
}

// transferKind is what differs between the commands.
type transferKind struct {
	verb, arg string
	offset    int64
	end       int64 // the byte behind the last one wanted; 0 for the file's end
	upload    bool
}

// start runs the dialogue up to the point where data flows. The caller has
// entered the Conn; start leaves it on an error.
func (c *Conn) start(ctx context.Context, k transferKind) (*transfer, error) {
	t, err := c.open(ctx, k)
	if err != nil {
		c.leave()
		return nil, err
	}
	return t, nil
}

func (c *Conn) open(ctx context.Context, k transferKind) (*transfer, error) {
	if err := checkLine(k.arg); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := c.setBinary(ctx); err != nil {
		return nil, err
	}
	if err := c.setMode(ctx, 'S'); err != nil {
		return nil, err
	}
	data, err := c.prepare(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case k.end > 0:
		// draft-bryan-ftp-range §3: both octets are included.
		want := ftp.Range{First: k.offset, Last: k.end - 1}
		if _, err := c.expect(ctx, "RANG", want.String(), 2, 3); err != nil {
			data.cancel()
			return nil, err
		}
	case k.offset > 0:
		// RFC 3659 §5: REST comes directly before the transfer's command.
		if _, err := c.expect(ctx, "REST", fmt.Sprint(k.offset), 3); err != nil {
			data.cancel()
			return nil, err
		}
	}
	t := &transfer{c: c, ctx: ctx, verb: k.verb}
	c.wire.SetDeadline(time.Now().Add(c.cfg.Timeout))
	if err := c.send(k.verb, k.arg); err != nil {
		data.cancel()
		c.Close()
		return nil, err
	}
	t.replies = c.listenForReplies(k.verb)
	if err := t.establish(data, k.upload); err != nil {
		return nil, err
	}
	return t, nil
}

// setBinary sends TYPE I once. Listings are read under it as well: servers
// send their lines with CRLF either way.
func (c *Conn) setBinary(ctx context.Context) error {
	if c.binary {
		return nil
	}
	r, err := c.command(ctx, "TYPE", "I")
	if err != nil {
		return err
	}
	return c.isBinary(r)
}

func (c *Conn) isBinary(r ftp.Reply) error {
	if r.Code/100 != 2 {
		return &ReplyError{Command: "TYPE", Reply: r}
	}
	c.binary = true
	return nil
}

// listenForReplies reads replies up to the final one. The channel holds them
// all, so the goroutine ends without a reader.
func (c *Conn) listenForReplies(verb string) <-chan answer {
	replies := make(chan answer, maxPreliminary+1)
	go func() {
		defer close(replies)
		for n := range maxPreliminary + 1 {
			r, err := c.readReply(verb)
			if err == nil && r.Code < 200 {
				if n == maxPreliminary {
					err = &ProtocolError{Command: verb, Err: errPreliminary}
				} else if n == 0 {
					// No reply is due while data flows. Whoever waits for the
					// final one sets a deadline of its own, later than this.
					c.wire.SetDeadline(time.Time{})
				}
			}
			replies <- answer{r, err}
			if err != nil || r.Code >= 200 {
				return
			}
		}
	}()
	return replies
}

// took notes an answer and shows it. It reports false after the last one.
func (t *transfer) took(a answer, open bool) bool {
	switch {
	case !open:
		return false
	case a.err != nil:
		t.lost = a.err
		t.c.Close()
		return false
	}
	t.c.show(a.reply)
	if a.reply.Code >= 200 {
		t.final = &a.reply
		if a.reply.Code == 421 {
			t.c.Close()
		}
		return false
	}
	return true
}

// establish makes the data connection and its TLS beside waiting for the
// 1yz. Some servers begin TLS only after it, some want it done before; a
// handshake awaited on its own hangs with one half of them.
func (t *transfer) establish(data opener, upload bool) error {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	shaken := make(chan error, 1)
	go func() { shaken <- t.handshake(ctx, data, upload) }()

	var (
		replies  = t.replies
		deadline <-chan time.Time
		marked   bool // the 1yz has come
		err      error
		done     bool // the handshake is over
	)
	for !marked || !done {
		select {
		case a, open := <-replies:
			if t.took(a, open) {
				if !marked {
					marked = true
					timer := time.NewTimer(t.c.cfg.Timeout)
					defer timer.Stop()
					deadline = timer.C
				}
				continue
			}
			if open && t.final != nil && marked && t.final.Code/100 == 2 {
				// The server has sent everything already: a short file or
				// listing. The rest of the handshake is on its way.
				replies = nil
				continue
			}
			cancel()
			data.cancel()
			if !done {
				err = <-shaken
			}
			refused := t.refused()
			if errors.Is(err, ErrOtherKey) {
				// The server only repeats that the handshake failed.
				return errors.Join(err, refused)
			}
			return refused
		case err = <-shaken:
			done = true
			if err != nil && t.ctx.Err() == nil && !marked {
				continue // the reply tells why
			}
			if err != nil {
				data.cancel()
				return t.unopened(err)
			}
		case <-t.ctx.Done():
			data.cancel()
			if !done {
				<-shaken
			}
			return t.unopened(t.ctx.Err())
		case <-deadline:
			cancel() // the handshake ends with it
			deadline = nil
		}
	}
	if err != nil {
		data.cancel()
		return t.unopened(err)
	}
	if t.c.cfg.OnData != nil {
		t.c.cfg.OnData(t.verb, t.tc.ConnectionState())
	}
	tcp, upl := t.tcp, upload
	t.stopCancel = context.AfterFunc(t.ctx, func() { cut(tcp, upl) })
	return nil
}

// refused ends a transfer that the server answered with something other
// than 1yz, or not at all.
func (t *transfer) refused() error {
	t.close(true)
	switch {
	case t.lost != nil:
		return t.lost
	case t.final.Code >= 400:
		return &ReplyError{Command: t.verb, Reply: *t.final}
	}
	return &ProtocolError{Command: t.verb, Err: errNoMark}
}

// unopened ends a transfer whose data connection could not be made, though
// the server was ready for it. What the server says about it tells more than
// our half of a failed handshake.
func (t *transfer) unopened(err error) error {
	t.close(true)
	if t.ctx.Err() != nil {
		t.abort()
		return t.ctx.Err()
	}
	t.await(t.c.cfg.Timeout)
	if t.final != nil && t.final.Code >= 400 {
		return errors.Join(&ReplyError{Command: t.verb, Reply: *t.final}, err)
	}
	return err
}

func (t *transfer) handshake(ctx context.Context, data opener, upload bool) error {
	tcp, err := data.open(ctx)
	if err != nil {
		return err
	}
	t.tcp = tcp
	t.raw = t.c.guards.strict(layer.Direct(tcp))
	if upload {
		t.raw = layer.Gather(t.raw, layer.DefaultGather)
	} else {
		t.raw = layer.Ahead(t.raw)
	}
	t.tc = tls.Client(t.raw, t.c.dataTLS)
	if err := t.tc.HandshakeContext(ctx); err != nil {
		tcp.Close()
		if t.c.otherKey.Swap(false) {
			err = ErrOtherKey
		} else if ctx.Err() != nil {
			// Given up from outside; context.Canceled would read as if the
			// caller had done it.
			err = ErrTimeout
		}
		return &TLSError{Data: true, Err: err}
	}
	if g, ok := t.raw.(*layer.Gathering); ok {
		if err := g.Flush(); err != nil {
			tcp.Close()
			return &TLSError{Data: true, Err: err}
		}
	}
	t.stream = layer.Stall(t.tc, t.c.cfg.Timeout)
	return nil
}

// await takes replies up to the final one, for at most d. Without it the
// connection is out of step and is closed. A context that ends meanwhile
// aborts.
func (t *transfer) await(d time.Duration) {
	if t.final != nil || t.lost != nil {
		return
	}
	t.c.wire.SetReadDeadline(time.Now().Add(d))
	for {
		select {
		case a, open := <-t.replies:
			if !t.took(a, open) {
				t.settle()
				return
			}
		case <-t.ctx.Done():
			t.abort()
			return
		}
	}
}

func (t *transfer) settle() {
	if t.c.Usable() {
		t.c.wire.SetDeadline(time.Time{})
	}
}

// release gives the Conn back.
func (t *transfer) release() {
	if t.stopCancel != nil {
		t.stopCancel()
	}
	if t.after != nil && t.c.Usable() {
		t.after()
	}
	t.c.leave()
}

// isTimeout reports whether a data connection stood still.
func isTimeout(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}
