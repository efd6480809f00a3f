package dataport

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/fault"
	"ftps/pkg/layer"
)

// candidate is a connection that is not yet anybody's.
type candidate struct {
	ports *Ports
	raw   net.Conn
	peer  netip.AddrPort
	place place
	only  *Promise // in active mode, the promise it was dialled for

	wire *wire
	tc   *tls.Conn
	gone chan struct{} // closed by drop
	flew chan struct{} // closed when our first flight has gone
	over chan struct{} // closed when the handshake is, however it ended
	hint chan struct{} // holds a token when early has grown

	// Of the handshake's goroutine.
	config *tls.Config // of this connection alone

	// Guarded by ports.mu.
	number  uint64     // older than every promise with a greater one
	inside  bool       // counted at its place
	spoke   bool       // its first byte has come
	dropped bool       // to be closed
	kept    bool       // not for the old server
	noted   bool       // known for what came of it, see stray
	refused bool       // to be closed once its command is known
	nominee *Session   // whose ticket it shows; proven when the handshake is over
	shown   seal       // the end of that ticket
	early   []*Session // that had another command read after its first byte came
}

func newCandidate(p *Ports, raw net.Conn, peer netip.AddrPort, where place) *candidate {
	c := &candidate{ports: p, raw: raw, peer: peer, place: where,
		gone: make(chan struct{}), flew: make(chan struct{}), over: make(chan struct{}), hint: make(chan struct{}, 1)}
	heard := &ear{Conn: layer.Direct(raw), raw: raw, heard: c.hear, sent: func() { close(c.flew) }}
	c.wire = &wire{layer.Gather(layer.StrictEOF(heard), layer.DefaultGather), c}
	c.tc = tls.Server(c.wire, p.hello)
	return c
}

// wire is what crypto/tls reads from and writes to. It leads from a
// ClientHello back to its candidate.
type wire struct {
	*layer.Gathering
	c *candidate
}

// ear tells when the first byte comes and when the first one goes, and answers
// the beginning promptly.
type ear struct {
	net.Conn
	raw    net.Conn // the same without layers
	heard  func()
	done   bool
	sent   func()
	spoken bool
	prompt int // reads that were prompt so far
}

// promptReads is how many reads a handshake and a small file may take.
const promptReads = 16

func (e *ear) Read(b []byte) (int, error) {
	if e.done && e.prompt < promptReads {
		// Many clients leave Nagle's algorithm on and write the end of their
		// handshake in pieces, and a small file after it: each piece waits
		// for the acknowledgement of the one before, which the kernel holds
		// back for 40 ms.
		e.prompt++
		layer.AckAtOnce(e.Conn)
	}
	if !e.done {
		// Told before it is taken: else there were a moment at which the byte
		// is neither in the kernel nor known to have come, see Heard.
		peek(e.raw, 1, func([]byte) bool { e.first(); return true })
	}
	n, err := e.Conn.Read(b)
	if n > 0 {
		e.first()
	}
	return n, err
}

// first tells of the first byte, once.
func (e *ear) first() {
	if !e.done {
		e.done = true
		e.heard()
	}
}

func (e *ear) Write(b []byte) (int, error) {
	n, err := e.Conn.Write(b)
	if !e.spoken {
		e.spoken = true
		e.sent()
	}
	return n, err
}

// WriteLast implements [layer.WriteLast].
func (e *ear) WriteLast(b []byte) (int, error) { return layer.WriteLast(e.Conn, b) }

func (e *ear) CloseWrite() error {
	if cw, ok := e.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return nil
}

// NetConn returns the connection beneath.
func (e *ear) NetConn() net.Conn { return e.Conn }

// patience is how long a connection may be silent whose command has not
// come: its client starts TLS after the 150.
const patience = 60 * time.Second

func (c *candidate) hear() {
	p := c.ports
	p.mu.Lock()
	defer p.mu.Unlock()
	c.spoke = true
	c.deadline(time.Now().Add(p.cfg.Handshake))
}

// deadline bounds the handshake, unless that is over already.
func (c *candidate) deadline(at time.Time) {
	if !c.dropped {
		c.raw.SetDeadline(at)
	}
}

// drop has the connection closed by its goroutine.
func (c *candidate) drop() {
	if !c.dropped {
		c.dropped = true
		close(c.gone)
		c.raw.SetDeadline(time.Unix(1, 0))
	}
}

// examine is the life of a connection from its arrival until it is a
// transfer's, or closed.
func (p *Ports) examine(c *candidate) {
	p.mu.Lock()
	p.await(c)
	p.mu.Unlock()

	err := c.tc.Handshake()
	close(c.over)
	if err == nil {
		// In TLS 1.2 the last message of a full handshake is the server's.
		err = c.wire.Flush()
	}
	if err != nil {
		p.died(c, err)
		return
	}
	p.settle(c)
}

// await gives a connection its time until the first byte.
func (p *Ports) await(c *candidate) {
	quiet := patience
	if slices.ContainsFunc(p.suitors(c), func(pr *Promise) bool { return pr.announced }) {
		quiet = p.cfg.Handshake
	}
	c.deadline(time.Now().Add(quiet))
}

// died ends a connection whose handshake failed.
func (p *Ports) died(c *candidate, err error) {
	p.mu.Lock()
	// A client whose command was refused closes what it has opened for it.
	quiet := c.dropped || !c.spoke && errors.Is(err, layer.ErrTruncated)
	dropped := c.dropped
	var info event.Session
	if !dropped {
		suitors := p.suitors(c)
		info = about(c, suitors)
		for _, pr := range suitors {
			pr.died = err
			pr.poke()
		}
	}
	p.exit(c)
	p.unlock()
	// An alert may still be collected.
	c.raw.SetWriteDeadline(time.Now().Add(moment))
	c.wire.Close()
	if !quiet {
		p.cfg.Sink.Handle(event.HandshakeFailed{Session: info, Data: true, Err: err})
	}
}

// settle finds the promise that a connection with a whole handshake belongs
// to, or refuses it.
func (p *Ports) settle(c *candidate) {
	login := time.NewTimer(p.cfg.Pending)
	defer login.Stop()
	late := false
	for {
		p.mu.Lock()
		if !c.tc.ConnectionState().DidResume {
			c.nominee = nil
		}
		pr, how, pending, refusal := p.judge(c, time.Now())
		if c.dropped {
			p.exit(c)
			p.unlock()
			c.close()
			return
		}
		if pending != nil && late {
			pending, refusal = nil, fault.New("data.refused.nologin")
		}
		if pr != nil {
			conn := newConn(c, how)
			p.bind(c, pr, how, conn)
			p.unlock()
			return
		}
		if refusal != nil {
			suitors := p.refuse(c, refusal)
			info := about(c, suitors)
			p.unlock()
			p.cfg.Sink.Handle(event.DataRefused{Session: info, Peer: c.peer, Cause: refusal})
			p.dismiss(c, suitors)
			return
		}
		changed := pending.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-login.C:
			late = true
		case <-c.gone:
		}
	}
}

// about names the session that a refusal is about, where that is clear.
func about(c *candidate, suitors []*Promise) event.Session {
	switch {
	case len(suitors) == 1:
		return suitors[0].session.info
	case c.nominee != nil:
		return c.nominee.info
	}
	return event.Session{}
}

// dismiss ends a refused connection in order, but not before the commands
// have come that it may have been meant for: a client that sees its data
// connection close before it has sent STOR does not ask for the reason, and
// one that has sent it reads the 522.
func (p *Ports) dismiss(c *candidate, suitors []*Promise) {
	limit := time.NewTimer(patience)
	defer limit.Stop()
hold:
	for _, pr := range suitors {
		select {
		case <-pr.known:
		case <-c.gone:
			break hold
		case <-limit.C:
			break hold
		}
	}
	c.tc.SetWriteDeadline(time.Now().Add(moment))
	if c.tc.CloseWrite() == nil {
		c.raw.SetWriteDeadline(time.Now().Add(moment))
		if c.wire.CloseWrite() == nil {
			// An upload is on its way already: a client that cannot send it
			// does not come to read the 522.
			p.mu.Lock()
			c.deadline(time.Now().Add(p.cfg.Grace + time.Second))
			p.mu.Unlock()
			io.CopyN(io.Discard, c.tc, swallow)
		}
	}
	p.mu.Lock()
	p.exit(c)
	p.unlock()
	c.close()
}

// swallow is how much of a refused upload is taken and thrown away.
const swallow = 64 << 20

// close ends a connection with close_notify where that can be had without
// waiting.
func (c *candidate) close() {
	c.raw.SetWriteDeadline(time.Now().Add(moment))
	c.tc.CloseWrite()
	c.raw.SetWriteDeadline(time.Now().Add(moment))
	c.wire.Close()
}
