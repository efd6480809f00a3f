package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"ftps/pkg/fault"
	"ftps/pkg/ftp"
	"ftps/pkg/layer"
)

// Errors that callers ask for with errors.Is. Each carries the key of its
// sentence in the catalogue.
var (
	// ErrConnect: no control or data connection could be made. The details
	// are in a [ConnectError].
	ErrConnect error = fault.New("client.connect")

	// ErrTruncated: a data connection ended before its close_notify, and the
	// server did not say that the transfer is whole. What was received is
	// not the file.
	ErrTruncated error = fault.New("client.truncated")

	// ErrUnclean: the server said that the transfer is whole (2yz), but its
	// side of the data connection ended without close_notify. An attacker
	// can cause this, and some servers always do it: whoever needs the file
	// compares its size or hash.
	ErrUnclean error = fault.New("client.unclean")

	// ErrUnconfirmed: every byte of an upload was sent and its end announced,
	// and then the server reported a broken connection (426, 451) or nothing
	// at all. The file may be stored; a look at its size tells. The server's
	// reply, where there was one, is in a [ReplyError].
	ErrUnconfirmed error = fault.New("client.unconfirmed")

	// ErrDataLost: the data connection of an upload broke. Mostly the server
	// has given up, and [Upload.Close] returns its reply.
	ErrDataLost error = fault.New("client.data-lost")

	// ErrAborted: the transfer was ended by its caller before its end.
	ErrAborted error = fault.New("client.aborted")

	// ErrInUse: a second goroutine called the connection, or a transfer of
	// it is still open.
	ErrInUse error = fault.New("client.in-use")

	// ErrClosed: the connection was closed, or broke in an earlier call.
	ErrClosed error = fault.New("client.closed")

	// ErrInjected: bytes came in clear behind the reply to AUTH TLS.
	ErrInjected error = fault.New("client.injected")

	// ErrOtherKey: a data connection showed another key than the control
	// connection's.
	ErrOtherKey error = fault.New("client.other-key")

	// ErrStalled: a data connection moved no byte for [Config.Timeout].
	ErrStalled error = fault.New("client.stalled")

	// ErrTimeout: no reply came on the control connection in time.
	ErrTimeout error = fault.New("client.timeout")

	// ErrLost: the control connection ended in the middle of the dialogue.
	ErrLost error = fault.New("client.lost")

	// ErrLineRefused: [Conn.Quote] does not send this command.
	ErrLineRefused error = fault.New("client.quote")

	// ErrListingTooLong: a listing went on past [Config.MaxListing] bytes or
	// [Config.MaxLines] lines.
	ErrListingTooLong error = fault.New("client.listing-too-long")
)

// Causes inside a [ProtocolError].
var (
	errPreliminary = errors.New("too many preliminary replies")
	errNoMark      = errors.New("a final reply before the data connection was announced")
	errSyntax      = errors.New("reply not understood")
)

// ReplyError is a command that the server refused.
type ReplyError struct {
	Command string // the verb: "RETR"; empty for the greeting
	Reply   ftp.Reply
}

// Error is for logs: verb, code and text.
func (e *ReplyError) Error() string {
	return fmt.Sprintf("%s: %d %s", e.Command, e.Reply.Code, e.Reply.Text())
}

// Message implements the catalogue's interface.
func (e *ReplyError) Message() (string, []any) {
	verb := e.Command
	if verb == "" {
		return "client.greeting", []any{e.Reply.Code, Printable(e.Reply.Text())}
	}
	return "client.reply", []any{verb, e.Reply.Code, Printable(e.Reply.Text())}
}

// ConnectError says which connection could not be made, and why.
type ConnectError struct {
	Address string
	Data    bool // a data connection
	Err     error
}

func (e *ConnectError) Error() string { return "connect " + e.Address + ": " + e.Err.Error() }

// Unwrap makes errors.Is see both [ErrConnect] and the cause.
func (e *ConnectError) Unwrap() []error { return []error{ErrConnect, e.Err} }

// Message implements the catalogue's interface.
func (e *ConnectError) Message() (string, []any) {
	if e.Data {
		return "client.connect.data", []any{e.Address, reason(e.Err)}
	}
	return "client.connect.control", []any{e.Address, reason(e.Err)}
}

// TLSError is a failure of TLS: the server has none, the handshake failed,
// the certificate or its key was not accepted.
type TLSError struct {
	Data bool // on a data connection
	Err  error
}

func (e *TLSError) Error() string { return "tls: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *TLSError) Unwrap() error { return e.Err }

// Message implements the catalogue's interface.
func (e *TLSError) Message() (string, []any) {
	if e.Data {
		return "client.tls.data", []any{reason(e.Err)}
	}
	return "client.tls", []any{reason(e.Err)}
}

// ProtocolError is an answer that no FTP server gives.
type ProtocolError struct {
	Command string
	Err     error
}

func (e *ProtocolError) Error() string { return e.Command + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ProtocolError) Unwrap() error { return e.Err }

// Message implements the catalogue's interface.
func (e *ProtocolError) Message() (string, []any) {
	return "client.protocol", []any{e.Command, e.Err}
}

// NameError is a name that was refused: one that the caller wanted to send
// (CR, LF, NUL, or none at all), or one that the server sent in a listing.
type NameError struct {
	Name       string
	FromServer bool
}

func (e *NameError) Error() string { return fmt.Sprintf("name refused: %q", e.Name) }

// Message implements the catalogue's interface.
func (e *NameError) Message() (string, []any) {
	if e.FromServer {
		return "client.name.received", []any{Printable(e.Name)}
	}
	return "client.name.sent", []any{Printable(e.Name)}
}

// UnknownLineError is a line of a listing that was not understood. The
// listing goes on behind it, but it is not complete: a name missing from it
// proves nothing.
type UnknownLineError struct {
	Line string
	Err  error
}

func (e *UnknownLineError) Error() string { return fmt.Sprintf("listing line %q: %v", e.Line, e.Err) }

// Unwrap returns the cause.
func (e *UnknownLineError) Unwrap() error { return e.Err }

// Message implements the catalogue's interface.
func (e *UnknownLineError) Message() (string, []any) {
	return "client.listing.line", []any{Printable(e.Line)}
}

// NotFoundError is a name that does not exist on the server, found out by
// other means than a refusal.
type NotFoundError struct{ Name string }

func (e *NotFoundError) Error() string { return fmt.Sprintf("not found: %q", e.Name) }

// Message implements the catalogue's interface.
func (e *NotFoundError) Message() (string, []any) {
	return "client.not-found", []any{Printable(e.Name)}
}

// reason gives the usual causes of a connection that fails a sentence of
// their own; the rest is shown as the system says it.
func reason(err error) error {
	var dns *net.DNSError
	var netErr net.Error
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return fault.New("client.reason.no-host", Printable(dns.Name))
	case errors.Is(err, syscall.ECONNREFUSED):
		return fault.New("client.reason.refused")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fault.New("client.reason.unreachable")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return ErrTimeout
	case errors.Is(err, layer.ErrTruncated), errors.Is(err, syscall.ECONNRESET):
		return fault.New("client.reason.closed")
	}
	return err
}
