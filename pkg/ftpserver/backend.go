package ftpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"

	"ftps/pkg/dataport"
	"ftps/pkg/layer"
	"ftps/pkg/vfs"
)

// ErrLogin is what a [Backend] returns, wrapped or bare, for every login that
// is refused: wrong password, unknown name, disabled, expired, wrong address.
// The client is told no more than 530.
var ErrLogin = errors.New("ftpserver: login refused")

// ErrSessions is what a [Backend] returns when the password was right but the
// account has as many sessions as it may.
var ErrSessions = errors.New("ftpserver: too many sessions of this account")

// Backend answers logins.
type Backend interface {
	// Login checks a name and a password. It is called once for each PASS,
	// from the session's goroutine, which waits for it; it must return soon
	// after ctx ends. That refusals look and cost the same is its duty.
	Login(ctx context.Context, a Attempt) (*Account, error)

	// LoginByCertificate answers USER from a client whose certificate was
	// verified against the authorities of the TLS configuration. It returns
	// the account that is bound to this very certificate and may log in
	// without a password (RFC 2228 §4, 4217 §10.1: 232), or nil to have PASS asked for.
	LoginByCertificate(ctx context.Context, a Attempt) (*Account, error)
}

// Attempt is one try at a login.
type Attempt struct {
	Name     string
	Password string
	Session  string // the session's log id
	Remote   netip.Addr
	Host     string // as HOST or SNI named it, or ""
	TLS      *tls.ConnectionState
}

// Account is what a login opens.
type Account struct {
	Name  string
	FS    vfs.FS // closed by Close
	Perm  vfs.Perm
	Reuse dataport.Reuse

	// Up and Down pace the data that comes and goes, all sessions of the
	// account together; nil is no limit. They are asked for every piece, so
	// that a new rate takes hold in the middle of a transfer.
	Up, Down layer.Waiter

	// Close is called once, when the session has ended or logged out and its
	// last transfer is over.
	Close func()
}
