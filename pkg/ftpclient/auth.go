package ftpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"ftps/pkg/layer"
)

// auth is RFC 4217 §4. A server that has no TLS is not talked to.
func (c *Conn) auth(ctx context.Context) error {
	r, err := c.command(ctx, "AUTH", "TLS")
	if err != nil {
		return err
	}
	if r.Code != 234 {
		return &TLSError{Err: &ReplyError{Command: "AUTH", Reply: r}}
	}
	if c.lines.Buffered() > 0 {
		// Whoever put bytes behind the 234 wants them taken for what the
		// server says under TLS.
		return ErrInjected
	}
	return c.secure(ctx)
}

// protect asks for encrypted data connections (RFC 2228 §3, RFC 4217 §8,
// §9). Some old servers want the login first; they are asked again after it.
func (c *Conn) protect(ctx context.Context, loggedIn bool) error {
	if c.protected {
		return nil
	}
	for _, step := range [][2]string{{"PBSZ", "0"}, {"PROT", "P"}} {
		r, err := c.command(ctx, step[0], step[1])
		if err != nil {
			return err
		}
		if (r.Code == 530 || r.Code == 503) && !loggedIn {
			return nil
		}
		if r.Code/100 != 2 {
			return &TLSError{Err: &ReplyError{Command: step[0], Reply: r}}
		}
	}
	c.protected = true
	return nil
}

// secure puts TLS on the control connection.
func (c *Conn) secure(ctx context.Context) error {
	serverName := c.cfg.ServerName
	if serverName == "" {
		serverName, _, _ = net.SplitHostPort(c.cfg.Address)
	}
	control, data := tlsConfigs(c.cfg.TLS, serverName)
	after := expiredToo(control, data)
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	tc := tls.Client(layer.StrictEOF(c.raw), control)
	if err := tc.HandshakeContext(ctx); err != nil {
		return handshakeError(ctx, false, err)
	}
	after(tc.ConnectionState())
	settled(data, tc.ConnectionState())
	data.VerifyConnection = sameKey(tc.ConnectionState(), &c.otherKey)
	data.VerifyPeerCertificate = nil
	if c.cfg.Fresh {
		data.ClientSessionCache = nil
	}
	c.control, c.wire, c.dataTLS = tc, tc, data
	c.newLines()
	return nil
}

func handshakeError(ctx context.Context, data bool, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return &TLSError{Data: data, Err: err}
}
