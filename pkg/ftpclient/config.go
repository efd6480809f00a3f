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
	// VerifyConnection. That decides about the control connection; a data
	// connection must then show the control connection's key, and the
	// function is not asked again.
	TLS *tls.Config
	// Active has the server open the data connections (EPRT, PORT).
	Active bool
	// Fresh has data connections resume nothing. Servers that want them to
	// resume the control connection's session refuse each transfer then,
	// which is what it is for: it shows whether a server does.
	Fresh bool
	// Timeout bounds each step: a dial, a handshake, a reply, and the time
	// in which a data connection moves no byte. 0 means 30 s.
	Timeout time.Duration
	// FinalTimeout bounds the wait for a transfer's last reply, counted from
	// the end of its data: servers hash, scan and sync then. 0 means 90 s.
	FinalTimeout time.Duration
	// MaxListing bounds the bytes of one listing. 0 means 1 GiB.
	MaxListing int64

	// MaxLines bounds its lines, which take far more memory than bytes where
	// they are short. 0 means 4,000,000.
	MaxLines int
	// Lang is sent with LANG (RFC 2640) before USER, where the server has it.
	Lang string
	// Rate, if not nil, is asked as bytes of file content move in either
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
	// OnData is called for each data connection once its TLS stands, in the
	// goroutine that uses the connection: with the verb of the transfer, and
	// with what its TLS is, whether it resumed the control connection's
	// session above all. [Pipeline]s make theirs without it.
	OnData func(verb string, state tls.ConnectionState)
	// DialContext makes the TCP connections; nil means a net.Dialer with
	// TCP keepalive.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	defaultTimeout      = 30 * time.Second
	defaultFinalTimeout = 90 * time.Second
	// abortTimeout bounds the wait for the replies to ABOR. A server that
	// takes longer loses the connection.
	abortTimeout = 5 * time.Second
	// endTimeout bounds the wait for the server's end of a data connection.
	endTimeout = 5 * time.Second
	// dialDataTimeout is shorter than Timeout because behind a filter the
	// way out is PASV, not patience.
	dialDataTimeout = 10 * time.Second
)

// keepAlive keeps the control connection in the tables of NATs on the way
// while a long transfer leaves it idle.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 45 * time.Second, Interval: 15 * time.Second, Count: 4}

func (cfg Config) withDefaults() Config {
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.FinalTimeout <= 0 {
		cfg.FinalTimeout = defaultFinalTimeout
	}
	if cfg.MaxLines <= 0 {
		cfg.MaxLines = maxLines
	}
	if cfg.MaxListing <= 0 {
		cfg.MaxListing = maxListing
	}
	if cfg.DialContext == nil {
		dialer := &net.Dialer{KeepAliveConfig: keepAlive}
		cfg.DialContext = dialer.DialContext
	}
	return cfg
}
