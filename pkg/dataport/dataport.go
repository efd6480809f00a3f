// Package dataport keeps the passive data ports: a few, always open, shared
// by every session, and still each connection ends in the hands of the one
// account that it belongs to.
//
// Begin with [New] and [Ports.Serve]. A control connection gets a [Session],
// whose [Session.ControlTLS] stamps the TLS tickets that the client will
// show on its data connections; PASV and EPSV get a [Promise], a transfer
// takes its one connection with [Promise.Take], and a [Conn] ends with
// [Conn.Finish] or [Conn.Abort].
//
// The package speaks no FTP: it knows neither commands nor replies, and the
// errors it returns carry keys of the catalogue.
package dataport

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"ftps/pkg/event"
)

// What a [Promise] may come to. They are wrapped in a fault that has a key
// of the catalogue; test with errors.Is.
var (
	// ErrNotProven: a connection came, and its handshake was whole, but it
	// did not show that it belongs to the account. Reply 522.
	ErrNotProven = errors.New("dataport: data connection not bound to the account")
	// ErrNoConnection: nothing came. Reply 425.
	ErrNoConnection = errors.New("dataport: no data connection")
	// ErrHandshake: a connection came and died before its handshake was
	// over. Reply 425.
	ErrHandshake = errors.New("dataport: data handshake failed")
	// ErrBusy: no port had a place for this session in time. Reply 425.
	ErrBusy = errors.New("dataport: every data port is taken")
	// ErrEnded: the promise was cancelled, replaced or its session ended.
	// Reply 425.
	ErrEnded = errors.New("dataport: promise ended")
	// ErrOtherAccount: this TLS session belongs to another account already.
	ErrOtherAccount = errors.New("dataport: TLS session belongs to another account")
)

// Reuse says what an account's data connections must show.
type Reuse uint8

// The ways to bind a data connection.
const (
	// Require: the data connection resumes a TLS session of this account,
	// which proves it the client's own.
	Require Reuse = iota
	// Prefer: a connection without a ticket is taken too, until the client
	// has shown that it can resume by the same ticket as often as it likes;
	// its address and port are all that binds it.
	Prefer
)

// String returns "require" or "prefer".
func (r Reuse) String() string {
	if r == Prefer {
		return "prefer"
	}
	return "require"
}

// Config says how to serve the data ports. Listeners and TLS are required.
// A zero duration or number means the default.
type Config struct {
	// Listeners are the data ports, already open. Close closes them.
	Listeners []net.Listener
	// TLS has certificates, versions, client authentication and ticket
	// keys. It is the ring of ticket keys for control and data connections
	// alike. Its GetConfigForClient is not asked.
	TLS  *tls.Config
	Sink event.Sink

	Turn       time.Duration // how long PASV waits for a port; 15 s
	Unused     time.Duration // age from which an unused promise may have to make room; 5 s
	Want       time.Duration // how long somebody must have waited for that; 10 s
	Connect    time.Duration // how long Take waits for a connection; 30 s
	Handshake  time.Duration // how long a handshake may take; 10 s
	Grace      time.Duration // after a refusal, how long a good connection may still come; 2 s
	Quarantine time.Duration // care after a promise that ended unused; 30 s
	Pending    time.Duration // how long a ticket waits for its session's login; 5 s
	Remember   time.Duration // how long a stamp outlives its session; 1 h
	Drain      time.Duration // how long the end of a connection may make no progress; 10 s
	Rest       time.Duration // how long a client that has everything may leave it open; 2 s

	Spare       int // connections of one address on one port beyond those promised; 8
	Connections int // connections that are not yet transfers, in all; 4096
	Stamps      int // stamps remembered of sessions that have ended; 65,536

	// hold is how long a ClientHello that came before the command is held
	// back while the session has never sent one so early; 10 ms. See tickets.
	hold time.Duration

	// catchUp is how long a command that was read waits for connections that
	// have come and are not accepted yet; 250 ms, which is longer than a
	// machine with more to do than it can leaves a thread alone.
	catchUp time.Duration

	// flight is how long a 150 waits for the server's part of a handshake
	// that the client has begun; 250 ms. After that it waits for rejoinder,
	// the client's; 5 ms.
	flight, rejoinder time.Duration
}

func (c *Config) defaults() {
	c.Turn = cmp.Or(c.Turn, 15*time.Second)
	c.Unused = cmp.Or(c.Unused, 5*time.Second)
	c.Want = cmp.Or(c.Want, 10*time.Second)
	c.Connect = cmp.Or(c.Connect, 30*time.Second)
	c.Handshake = cmp.Or(c.Handshake, 10*time.Second)
	c.Grace = cmp.Or(c.Grace, 2*time.Second)
	c.Quarantine = cmp.Or(c.Quarantine, 30*time.Second)
	c.Pending = cmp.Or(c.Pending, 5*time.Second)
	c.Remember = cmp.Or(c.Remember, time.Hour)
	c.Drain = cmp.Or(c.Drain, 10*time.Second)
	c.Rest = cmp.Or(c.Rest, 2*time.Second)
	c.Spare = cmp.Or(c.Spare, 8)
	c.Connections = cmp.Or(c.Connections, 4096)
	c.Stamps = cmp.Or(c.Stamps, 65536)
	c.hold = cmp.Or(c.hold, 10*time.Millisecond)
	c.catchUp = cmp.Or(c.catchUp, 250*time.Millisecond)
	c.flight = cmp.Or(c.flight, 250*time.Millisecond)
	c.rejoinder = cmp.Or(c.rejoinder, 5*time.Millisecond)
	if c.Sink == nil {
		c.Sink = event.Discard
	}
}
