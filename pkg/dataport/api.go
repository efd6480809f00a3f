package dataport

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"

	"ftps/pkg/event"
)

// Ports are the shared data ports.
type Ports struct{ cfg Config }

// New returns the ports of a configuration; nothing is accepted before Serve.
func New(cfg Config) *Ports { cfg.defaults(); return &Ports{cfg: cfg} }

// Serve accepts data connections until ctx ends or Close is called, and
// returns nil then. It returns when its goroutines have ended.
func (p *Ports) Serve(ctx context.Context) error { <-ctx.Done(); return nil }

// Close closes the listeners and every connection that is not yet a transfer.
func (p *Ports) Close() {}

// Session registers a control connection and gives it a new stamp.
func (p *Ports) Session(info event.Session) *Session { return &Session{} }

// Session is one control connection's share of the data ports.
type Session struct{}

// ControlTLS returns the configuration for the control connection's
// tls.Server: its tickets carry the session's stamp.
func (s *Session) ControlTLS() *tls.Config { return nil }

// LoggedIn says that the session's stamp stands for an account from now on.
// It fails with ErrOtherAccount when it has stood for another one: tickets of
// that one are abroad, and another account needs a new TLS session.
func (s *Session) LoggedIn(account string, reuse Reuse) error { return nil }

// Forget ends what LoggedIn began, and the session's promise: REIN, a kick,
// a change of the account. Running transfers are the caller's.
func (s *Session) Forget() {}

// Close ends the session and its promise. Its stamp is remembered for a
// while, because another session of the same client may show it.
func (s *Session) Close() {}

// Promise reserves one connection on one of the ports, for PASV and EPSV. It
// ends the session's earlier promise, and waits its turn where every port is
// taken.
func (s *Session) Promise(ctx context.Context) (*Promise, error) { return nil, ErrBusy }

// Dial is Promise for active mode: Take will connect to the address. The
// same rules decide whether what answers belongs to the account. Which
// addresses may be dialled is the caller's to check.
func (s *Session) Dial(ctx context.Context, to netip.AddrPort) (*Promise, error) {
	return nil, ErrBusy
}

// Promise is one data connection to come.
type Promise struct{}

// Port returns the port to tell the client; 0 in active mode.
func (p *Promise) Port() int { return 0 }

// Take waits for the promise's connection. It is called once, after the 150
// was sent: clients may start TLS only after it.
func (p *Promise) Take(ctx context.Context, d event.Direction) (*Conn, error) {
	return nil, ErrNoConnection
}

// Cancel ends a promise that was not taken, or whose Take is under way, and
// closes what waits for it. After the connection is taken it does nothing.
func (p *Promise) Cancel() {}

// Conn is the data connection of one transfer. Its Read returns io.EOF only
// after the peer's close_notify; a connection that just ends is
// layer.ErrTruncated.
type Conn struct{ net.Conn }

// Bound says how the connection was bound: "session" by a ticket of this
// very session, "account" by one of another session of the account, "none"
// by address and port alone.
func (c *Conn) Bound() string { return "" }

// Flush sends what Write has gathered.
func (c *Conn) Flush() error { return nil }

// Finish ends the transfer in order: what was written is sent, close_notify
// and FIN follow, the peer's end is awaited for a bounded time. An error
// means that what was written may not have arrived.
func (c *Conn) Finish() error { return nil }

// Abort closes at once, with close_notify where it can be had without
// waiting. It may be called while Read or Write is under way, from any
// goroutine, and makes them fail.
func (c *Conn) Abort() {}
