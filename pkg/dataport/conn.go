package dataport

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"ftps/pkg/layer"
)

// How a connection was bound, as [Conn.Bound] says it.
const (
	Own     = "session" // by a ticket of its own session
	Account = "account" // by a ticket of another session of its account
	None    = "none"    // by address and port alone
)

// moment is how long the last words of a connection may take that is closed
// at once: as long as it takes to hand them to the kernel.
const moment = 20 * time.Millisecond

// Conn is the data connection of one transfer. Its Read returns io.EOF only
// after the peer's close_notify; a connection that just ends is
// layer.ErrTruncated. Writes are gathered: call Flush before waiting for the
// client to act on what was written.
type Conn struct {
	*tls.Conn
	raw   net.Conn
	wire  *layer.Gathering
	bound string
	drain time.Duration
	rest  time.Duration

	writing sync.Mutex // held by Write, Flush and Finish
}

func newConn(c *candidate, how string) *Conn {
	cfg := &c.ports.cfg
	c.raw.SetDeadline(time.Time{})
	return &Conn{Conn: c.tc, raw: c.raw, wire: c.wire.Gathering, bound: how, drain: cfg.Drain, rest: cfg.Rest}
}

// Bound says how the connection was bound: "session" by a ticket of this
// very session, "account" by one of another session of the account, "none"
// by address and port alone.
func (c *Conn) Bound() string { return c.bound }

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.Conn.Write(b)
}

// Flush sends what Write has gathered.
func (c *Conn) Flush() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	err := layer.Push(c.wire, c.drain)
	c.raw.SetWriteDeadline(time.Time{})
	return err
}

// Finish ends the transfer in order: what was written is sent, close_notify
// and FIN follow, the peer's end is awaited for a bounded time. An error
// means that what was written may not have arrived. A client that has it all
// and only does not close its side, because it waits for the reply first, is
// no error.
func (c *Conn) Finish() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	err := layer.EndWithin(c.Conn, c.wire, c.drain, c.rest)
	if errors.Is(err, layer.ErrNoEnd) {
		return nil
	}
	return err
}

// Abort closes at once, with close_notify where it can be had without
// waiting. It may be called while Read or Write is under way, from any
// goroutine, and makes them fail.
func (c *Conn) Abort() {
	// A Write under way may have half a record on the wire: nothing can
	// follow that.
	if c.writing.TryLock() {
		defer c.writing.Unlock()
		c.raw.SetWriteDeadline(time.Now().Add(moment))
		if c.wire.Flush() == nil && c.Conn.CloseWrite() == nil {
			c.raw.SetWriteDeadline(time.Now().Add(moment))
			c.wire.Flush()
		}
	}
	c.raw.Close()
}

// Close is Abort.
func (c *Conn) Close() error {
	c.Abort()
	return nil
}
