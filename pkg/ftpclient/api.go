// Package ftpclient is a client library for FTP over TLS (RFC 959, 4217,
// 3659). Control and data connections are always encrypted; a transfer that
// ends without an error is whole.
//
// It never prints, prompts or logs: replies and the dialogue are offered to
// hooks of [Config], and everything else is returned. For many files and
// resume see package mirror.
//
// Begin at [Dial], then [Conn.Login], then [Conn.List], [Conn.Retrieve] and
// [Conn.Store].
package ftpclient

import (
	"context"
	"crypto/tls"
	"io/fs"
	"iter"
	"net"
	"time"

	"ftps/pkg/ftp"
)

// Config says how to connect. Only Address is required.
type Config struct {
	// Address of the server, "host:port".
	Address string
	// ServerName is the name that the certificate must show, for the control
	// connection and the data connections alike; empty means Address's host.
	ServerName string
	// Implicit begins with TLS at once instead of AUTH TLS (port 990).
	Implicit bool
	// TLS is cloned; ServerName, ClientSessionCache and, where empty,
	// MinVersion and NextProtos are set by this package. Pins belong in its
	// VerifyConnection, which runs for resumed connections too, and on data
	// connections too.
	TLS *tls.Config
	// Active has the server open the data connections (EPRT, PORT).
	Active bool
	// Timeout bounds each step: a dial, a handshake, a reply, and the time
	// in which a data connection moves no byte. 0 means 30 s.
	Timeout time.Duration
	// FinalTimeout bounds the wait for a transfer's last reply, counted from
	// the end of its data: servers hash, scan and sync then. 0 means 90 s.
	FinalTimeout time.Duration
	// Lang is sent with LANG (RFC 2640) before USER, where the server has it.
	Lang string
	// Rate, if not nil, is asked before bytes of file content move in either
	// direction; several connections may share it.
	Rate interface {
		Wait(ctx context.Context, n int) error
	}
	// OnReply is called with each reply, in the goroutine that uses the
	// connection.
	OnReply func(ftp.Reply)
	// Trace is called with each line of the dialogue, passwords masked, in
	// the goroutine that uses the connection.
	Trace func(sent bool, line string)
	// DialContext makes the TCP connections; nil means a net.Dialer with
	// TCP keepalive.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// Conn is a control connection, and through it one transfer at a time. One
// goroutine uses it at a time; a call that finds it in use, or finds a
// transfer or listing of it still open, returns [ErrInUse].
//
// A context that ends during a transfer or a listing aborts it (ABOR) and
// leaves the connection usable if the server lets it; during any other
// command it closes the connection.
type Conn struct{}

// Dial connects, secures the connection and asks for the server's features:
// greeting, AUTH TLS, PBSZ 0, PROT P, FEAT, LANG, OPTS UTF8 ON.
func Dial(ctx context.Context, cfg Config) (*Conn, error) { return nil, ErrClosed }

// Login sends USER and, if the server asks for it, PASS.
func (c *Conn) Login(ctx context.Context, user, password string) error { return ErrClosed }

// User sends USER. The reply's code is 331 (a password is needed), 230 or
// 232 (it is not); any other is a [ReplyError].
func (c *Conn) User(ctx context.Context, name string) (ftp.Reply, error) {
	return ftp.Reply{}, ErrClosed
}

// Pass sends PASS. The password is in no error and no trace.
func (c *Conn) Pass(ctx context.Context, password string) (ftp.Reply, error) {
	return ftp.Reply{}, ErrClosed
}

// Features are what the server announced in its reply to FEAT (RFC 2389).
type Features struct{ lines map[string]string }

// Has reports whether the server announced name, in any case of letters.
func (f Features) Has(name string) bool { return false }

// Param returns what stands behind name in its line: "SHA-256*;MD5".
func (f Features) Param(name string) string { return "" }

// Names lists the announced names, sorted.
func (f Features) Names() []string { return nil }

// Features returns what the server announced.
func (c *Conn) Features() Features { return Features{} }

// Greeting returns the server's first reply.
func (c *Conn) Greeting() ftp.Reply { return ftp.Reply{} }

// TLS describes the control connection's TLS.
func (c *Conn) TLS() tls.ConnectionState { return tls.ConnectionState{} }

// RemoteAddr is the server's address.
func (c *Conn) RemoteAddr() net.Addr { return nil }

// Usable reports whether further commands make sense.
func (c *Conn) Usable() bool { return false }

func (c *Conn) Cwd(ctx context.Context, path string) error        { return ErrClosed }
func (c *Conn) CdUp(ctx context.Context) error                    { return ErrClosed }
func (c *Conn) Pwd(ctx context.Context) (string, error)           { return "", ErrClosed }
func (c *Conn) Mkdir(ctx context.Context, path string) error      { return ErrClosed }
func (c *Conn) Rmdir(ctx context.Context, path string) error      { return ErrClosed }
func (c *Conn) Delete(ctx context.Context, path string) error     { return ErrClosed }
func (c *Conn) Rename(ctx context.Context, from, to string) error { return ErrClosed }

// Size returns a file's length in bytes (RFC 3659 §4).
func (c *Conn) Size(ctx context.Context, path string) (int64, error) { return 0, ErrClosed }

// ModTime returns a file's time in UTC (RFC 3659 §3).
func (c *Conn) ModTime(ctx context.Context, path string) (time.Time, error) {
	return time.Time{}, ErrClosed
}

// SetModTime sets a file's time with MFMT; errors.ErrUnsupported where the
// server does not have it.
func (c *Conn) SetModTime(ctx context.Context, path string, t time.Time) error { return ErrClosed }

// Chmod sets permission bits with SITE CHMOD.
func (c *Conn) Chmod(ctx context.Context, path string, mode fs.FileMode) error { return ErrClosed }

// FileHash is the server's hash of a file or of a range of it.
type FileHash struct {
	Algorithm  string // "SHA-256"
	Start, End int64  // the bytes from Start up to, not including, End
	Sum        []byte
}

// Hash asks for the SHA-256 of a whole file (HASH); errors.ErrUnsupported
// where the server does not have it.
func (c *Conn) Hash(ctx context.Context, path string) (FileHash, error) {
	return FileHash{}, ErrClosed
}

func (c *Conn) Noop(ctx context.Context) error { return ErrClosed }

// Quote sends a line as it is and returns the final reply, whatever its
// code. Lines that would change the protection or need a data connection are
// refused.
func (c *Conn) Quote(ctx context.Context, line string) (ftp.Reply, error) {
	return ftp.Reply{}, ErrClosed
}

// Quit takes leave of the server and closes the connection.
func (c *Conn) Quit(ctx context.Context) error { return ErrClosed }

// Close closes the connection without a word.
func (c *Conn) Close() error { return ErrClosed }

// List yields the entries of a folder, "" being the working folder: by MLSD,
// else by LIST. An [*UnknownLineError] or a [*NameError] is about one line,
// and the listing goes on behind it, incomplete; any other error is the last.
// The connection is in use until the loop ends.
func (c *Conn) List(ctx context.Context, path string) iter.Seq2[ftp.Entry, error] {
	return func(yield func(ftp.Entry, error) bool) {}
}

// Stat describes one name: by MLST, else by a listing of its folder.
func (c *Conn) Stat(ctx context.Context, path string) (ftp.Entry, error) {
	return ftp.Entry{}, ErrClosed
}

// Download is a file on its way here. Read returns io.EOF only when the file
// is whole: the server closed the data connection with close_notify and said
// 2yz. Otherwise it returns the verdict, which Close repeats: [ErrTruncated],
// [ErrUnclean], a [*ReplyError], …
type Download struct{}

// Retrieve begins a download at offset bytes.
func (c *Conn) Retrieve(ctx context.Context, path string, offset int64) (*Download, error) {
	return nil, ErrClosed
}

func (d *Download) Read(p []byte) (int, error) { return 0, ErrClosed }

// Close ends the download and returns the verdict. Before the end it aborts
// the transfer and returns [ErrAborted].
func (d *Download) Close() error { return ErrClosed }

// Resumed reports whether the data connection resumed the control
// connection's TLS session.
func (d *Download) Resumed() bool { return false }

// StoreOptions say how an upload begins.
type StoreOptions struct {
	Offset int64 // REST: go on at this byte
	Append bool  // APPE: write at the end
	Size   int64 // the file's whole length for ALLO, or 0
}

// Upload is a file on its way to the server. It is stored when Close returns
// nil.
type Upload struct{}

// Store begins an upload.
func (c *Conn) Store(ctx context.Context, path string, o StoreOptions) (*Upload, error) {
	return nil, ErrClosed
}

func (u *Upload) Write(p []byte) (int, error) { return 0, ErrClosed }

// Close ends the upload in good order, waits for the server's last reply and
// returns the verdict: nil, [ErrUnclean], [ErrUnconfirmed], a [*ReplyError].
func (u *Upload) Close() error { return ErrClosed }

// Abort ends the upload so that the server cannot take it for whole.
func (u *Upload) Abort() error { return ErrClosed }

// Resumed reports whether the data connection resumed the control
// connection's TLS session.
func (u *Upload) Resumed() bool { return false }

// Printable returns what a server sent with control characters escaped, so
// that a terminal may show it.
func Printable(s string) string { return s }
