package ftpclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/layer"
)

// Conn is a control connection, and through it one transfer at a time. One
// goroutine uses it at a time; a call that finds it in use, or finds a
// transfer or listing of it still open, returns [ErrInUse].
//
// A context that ends during a transfer or a listing aborts it (ABOR) and
// leaves the connection usable if the server lets it; during any other
// command it closes the connection.
type Conn struct {
	cfg Config

	// Any goroutine.
	busy   atomic.Bool // a call or a transfer is under way
	closed atomic.Bool
	// otherKey: a data connection showed another key, and nobody was told yet.
	otherKey atomic.Bool

	// Fixed once Dial returns.
	raw      net.Conn // TCP
	remote   netip.Addr
	wire     net.Conn // what commands travel on: raw, then TLS
	control  *tls.Conn
	dataTLS  *tls.Config
	greeting ftp.Reply

	guards guards

	// Only the goroutine that holds busy. During a transfer the lines belong
	// to its reply reader.
	lines    *ftp.LineReader
	features Features
	secret   string // masked in replies while PASS is under way

	// What the server has been told, and what was learned about it.
	protected  bool // PBSZ 0 and PROT P are accepted
	binary     bool // TYPE I is set
	factsAsked bool // OPTS MLST was sent
	noEPSV     bool // EPSV is refused, or its ports cannot be reached
	noEPRT     bool
	noMLSD     bool
	old        oldLists // what LIST is like here
	mode       byte     // as MODE was told; 0 for stream
	hashing    string   // the algorithm that HASH uses, once known
	noSetTime  bool     // MDTM only tells times here
	ahead      bool     // files go with their STOR, as OPTS STOR was told
	named      bool     // CSID was asked
	name       string   // what it said

	// Whoever takes it out owns it.
	kept atomic.Pointer[kept] // the data connection that MODE B left open
}

// guards are what keeps data connections honest. Tests replace one at a time
// to see that the attack it is there against then succeeds.
type guards struct {
	strict func(net.Conn) net.Conn
	end    func(tc *tls.Conn, raw net.Conn, timeout time.Duration) error
	drain  bool // uploads read what the server sends
}

// enter takes the connection for one call or one transfer.
func (c *Conn) enter() error {
	if !c.busy.CompareAndSwap(false, true) {
		return ErrInUse
	}
	if c.closed.Load() {
		c.busy.Store(false)
		return ErrClosed
	}
	return nil
}

func (c *Conn) leave() { c.busy.Store(false) }

// Usable reports whether further commands make sense.
func (c *Conn) Usable() bool { return !c.closed.Load() }

// Close closes the connection without a word. Any goroutine may call it.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.dropKept()
	return c.raw.Close()
}

// Greeting returns the server's first reply.
func (c *Conn) Greeting() ftp.Reply { return c.greeting }

// TLS describes the control connection's TLS.
func (c *Conn) TLS() tls.ConnectionState { return c.control.ConnectionState() }

// RemoteAddr is the server's address.
func (c *Conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// past is a deadline that has gone by.
var past = time.Unix(1, 0)

// within bounds work on the control connection by d and by ctx. The function
// it returns must be called with the work's error: it lifts the bound, and
// closes the connection after an error, because a reply may still be on its
// way and would be taken for the next command's.
func (c *Conn) within(ctx context.Context, d time.Duration) func(error) error {
	c.wire.SetDeadline(time.Now().Add(d))
	wire, ran := c.wire, make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		wire.SetDeadline(past)
		close(ran)
	})
	return func(err error) error {
		if !stop() {
			<-ran
		}
		if err == nil {
			c.wire.SetDeadline(time.Time{})
			return nil
		}
		c.Close()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
}

// command sends one command and returns its final reply, whatever its code.
func (c *Conn) command(ctx context.Context, verb, arg string) (ftp.Reply, error) {
	if err := checkLine(arg); err != nil {
		return ftp.Reply{}, err
	}
	return c.commandWithin(ctx, c.cfg.Timeout, verb, arg)
}

// expect sends a command that must be answered with a code of one of the
// hundreds given.
func (c *Conn) expect(ctx context.Context, verb, arg string, hundreds ...int) (ftp.Reply, error) {
	r, err := c.command(ctx, verb, arg)
	if err != nil {
		return r, err
	}
	for _, h := range hundreds {
		if r.Code/100 == h {
			return r, nil
		}
	}
	return r, &ReplyError{Command: verb, Reply: r}
}

// do is expect for a whole call: it takes the connection and gives it back.
func (c *Conn) do(ctx context.Context, verb, arg string, hundreds ...int) (ftp.Reply, error) {
	if err := c.enter(); err != nil {
		return ftp.Reply{}, err
	}
	defer c.leave()
	return c.expect(ctx, verb, arg, hundreds...)
}

// send writes one command line.
func (c *Conn) send(verb, arg string) error {
	line, err := c.line(nil, verb, arg)
	if err != nil {
		return err
	}
	if _, err := c.wire.Write(line); err != nil {
		return controlError(verb, err)
	}
	return nil
}

// line appends a command line to b, and shows it to the hooks.
func (c *Conn) line(b []byte, verb, arg string) ([]byte, error) {
	before := len(b)
	b, err := ftp.Command{Verb: verb, Arg: arg}.AppendTo(b)
	if err != nil {
		return nil, &NameError{Name: verb}
	}
	if verb == "PASS" && arg == "" {
		b = append(b[:before], "PASS \r\n"...)
	}
	if c.cfg.Trace != nil {
		shown := strings.TrimRight(string(b[before:]), "\r\n")
		if verb == "PASS" || verb == "ACCT" {
			shown = verb + " ****"
		}
		c.cfg.Trace(true, shown)
	}
	return b, nil
}

// ask is one of several commands that are sent in one piece.
type ask struct {
	verb, arg string
	heard     func(ftp.Reply) error // takes the reply; nil where any will do
}

// together sends commands in one piece and then takes their replies, which a
// server that announces X-PIPELINE allows. All replies are taken; the error is
// that of the first ask that was not content.
func (c *Conn) together(ctx context.Context, asks []ask) error {
	if len(asks) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var lines []byte
	for _, a := range asks {
		var err error
		if err = checkLine(a.arg); err == nil {
			lines, err = c.line(lines, a.verb, a.arg)
		}
		if err != nil {
			return err
		}
	}
	done := c.within(ctx, c.cfg.Timeout)
	_, err := c.wire.Write(lines)
	if err != nil {
		return done(controlError(asks[0].verb, err))
	}
	var first error
	for _, a := range asks {
		r, err := c.final(a.verb)
		if err == nil && r.Code == 421 {
			err = &ReplyError{Command: a.verb, Reply: r}
		}
		if err != nil {
			return done(err)
		}
		if a.heard != nil && first == nil {
			first = a.heard(r)
		}
	}
	return cmp.Or(done(nil), first)
}

// maxPreliminary bounds the 1yz replies to one command.
const maxPreliminary = 64

// final reads replies up to the one of 200 or more.
func (c *Conn) final(verb string) (ftp.Reply, error) {
	for range maxPreliminary {
		r, err := c.readReply(verb)
		if err != nil {
			return r, err
		}
		c.show(r)
		if r.Code >= 200 {
			return r, nil
		}
	}
	return ftp.Reply{}, &ProtocolError{Command: verb, Err: errPreliminary}
}

// readReply reads one reply without showing it to the hooks.
func (c *Conn) readReply(verb string) (ftp.Reply, error) {
	r, err := ftp.ReadReply(c.lines, replyLimits)
	if err != nil {
		return r, controlError(verb, err)
	}
	return r, nil
}

// show offers a reply to the hooks.
func (c *Conn) show(r ftp.Reply) {
	if c.secret != "" {
		// A server that repeats the password must not get it into a log.
		for i, line := range r.Lines {
			r.Lines[i] = strings.ReplaceAll(line, c.secret, "****")
		}
	}
	if c.cfg.OnReply != nil {
		c.cfg.OnReply(r)
	}
	if c.cfg.Trace != nil {
		for i, line := range r.Lines {
			mark := "-"
			if i == len(r.Lines)-1 {
				mark = " "
			}
			c.cfg.Trace(false, fmt.Sprintf("%03d%s%s", r.Code, mark, line))
		}
	}
}

// controlError sorts what went wrong on the control connection.
func controlError(verb string, err error) error {
	var netErr net.Error
	var op *net.OpError
	var known interface{ Message() (string, []any) }
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"):
		// TLS 1.3 tells a client only after its handshake that its
		// certificate was refused.
		return &TLSError{Err: err}
	case errors.As(err, &netErr) && netErr.Timeout():
		return fmt.Errorf("%w: %s: %w", ErrTimeout, verb, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, layer.ErrTruncated), errors.As(err, &netErr), errors.Is(err, net.ErrClosed):
		// The cause goes into the text only: layer.ErrTruncated is about
		// files elsewhere, and here nothing but the dialogue ended.
		return fmt.Errorf("%w: %s: %v", ErrLost, verb, err)
	}
	return &ProtocolError{Command: verb, Err: err}
}
