package ftpclient

import (
	"context"
	"net/netip"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/layer"
)

// The calls of this file move no files: they find out how a server behaves.

// Passive asks for a data port, with the verb EPSV or PASV, and returns what
// the reply tells, the address of a PASV reply included, which this package
// otherwise never looks at; after EPSV it is the server's own. The next
// transfer asks for a port of its own.
func (c *Conn) Passive(ctx context.Context, verb string) (netip.AddrPort, error) {
	if verb != "EPSV" && verb != "PASV" {
		return netip.AddrPort{}, ErrLineRefused
	}
	r, err := c.do(ctx, verb, "", 2)
	if err != nil {
		return netip.AddrPort{}, err
	}
	told := netip.AddrPort{}
	if verb == "EPSV" {
		var port uint16
		port, err = ftp.ParseEPSVReply(r.Text())
		told = netip.AddrPortFrom(c.remote, port)
	} else {
		told, err = ftp.ParsePASVReply(r.Text())
	}
	if err != nil {
		return netip.AddrPort{}, &ProtocolError{Command: verb, Err: err}
	}
	return told, nil
}

// Reach connects to a data port of the server as a transfer would, and hangs
// up.
func (c *Conn) Reach(ctx context.Context, port uint16) error {
	tcp, err := c.dialData(ctx, port)
	if err != nil {
		return err
	}
	return tcp.Close()
}

// dropTimeout bounds the wait for what a server makes of a cut: some wait for
// more to come, for as long as their own patience lasts.
const dropTimeout = 10 * time.Second

// Drop ends the upload as a cut connection would: a bare FIN behind the last
// byte that was written, and no close_notify. It returns what the server made
// of that: nil where it took the file for whole, else mostly a [*ReplyError].
func (u *Upload) Drop() error {
	if u.over {
		return u.verdict
	}
	u.over = true
	t := u.t
	defer t.release()
	if g, ok := t.raw.(*layer.Gathering); ok {
		_ = layer.Push(g, t.c.cfg.Timeout)
	}
	if l, ok := t.tcp.(interface{ CloseWrite() error }); ok {
		_ = l.CloseWrite()
	}
	t.await(min(dropTimeout, t.c.cfg.Timeout))
	t.close(false)
	<-u.drained
	u.verdict = t.verdict(nil)
	return u.verdict
}
