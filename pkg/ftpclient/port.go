package ftpclient

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"time"

	"ftps/pkg/ftp"
)

// opener returns the TCP connection of one transfer: at once where it was
// dialled, after a wait where the server makes it. cancel gives it up.
type opener struct {
	open   func(ctx context.Context) (net.Conn, error)
	cancel func()
}

// prepare does what comes before the transfer's command.
func (c *Conn) prepare(ctx context.Context) (opener, error) {
	if c.cfg.Active {
		return c.listen(ctx)
	}
	tcp, err := c.passive(ctx)
	if err != nil {
		return opener{}, err
	}
	return opener{
		open:   func(context.Context) (net.Conn, error) { return tcp, nil },
		cancel: func() { tcp.Close() },
	}, nil
}

// passive asks the server for a port and connects to it. EPSV is asked
// first: its reply has no address that could lie or be rewritten.
func (c *Conn) passive(ctx context.Context) (net.Conn, error) {
	if c.noEPSV {
		return c.byPASV(ctx, nil)
	}
	r, err := c.command(ctx, "EPSV", "")
	if err != nil {
		return nil, err
	}
	return c.byEPSV(ctx, r)
}

// byEPSV goes where the reply to EPSV leads.
func (c *Conn) byEPSV(ctx context.Context, r ftp.Reply) (net.Conn, error) {
	switch {
	case r.Code == 229:
		port, err := ftp.ParseEPSVReply(r.Text())
		if err != nil {
			return nil, &ProtocolError{Command: "EPSV", Err: err}
		}
		tcp, err := c.dialData(ctx, port)
		if err == nil || ctx.Err() != nil || !c.remote.Is4() {
			return tcp, err
		}
		// A filter on the way that opens ports by reading PASV replies does
		// not know EPSV's.
		return c.byPASV(ctx, err)
	case r.Code/100 == 5 && r.Code != 530 && c.remote.Is4():
		c.noEPSV = true
		return c.byPASV(ctx, nil)
	}
	return nil, &ReplyError{Command: "EPSV", Reply: r}
}

// byPASV asks the old way; epsvErr is why EPSV's port could not be reached.
func (c *Conn) byPASV(ctx context.Context, epsvErr error) (net.Conn, error) {
	r, err := c.command(ctx, "PASV", "")
	if err != nil {
		return nil, err
	}
	if r.Code != 227 {
		if epsvErr != nil {
			return nil, epsvErr
		}
		return nil, &ReplyError{Command: "PASV", Reply: r}
	}
	claimed, err := ftp.ParsePASVReply(r.Text())
	if err != nil {
		return nil, &ProtocolError{Command: "PASV", Err: err}
	}
	tcp, err := c.dialData(ctx, claimed.Port())
	if err == nil {
		c.noEPSV = true
	}
	return tcp, err
}

// dialData connects to a port of the server that the control connection
// leads to, never to an address that a reply names: that could be anyone's.
func (c *Conn) dialData(ctx context.Context, port uint16) (net.Conn, error) {
	host, _, err := net.SplitHostPort(c.raw.RemoteAddr().String())
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort(host, strconv.Itoa(int(port)))
	dialCtx, cancel := context.WithTimeout(ctx, min(dialDataTimeout, c.cfg.Timeout))
	defer cancel()
	tcp, err := c.cfg.DialContext(dialCtx, "tcp", address)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &ConnectError{Address: address, Data: true, Err: err}
	}
	return tcp, nil
}

// listen opens a port of ours and tells the server (RFC 2428 §2, RFC 959
// PORT).
func (c *Conn) listen(ctx context.Context) (opener, error) {
	local, _, err := net.SplitHostPort(c.raw.LocalAddr().String())
	if err != nil {
		return opener{}, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(local, "0"))
	if err != nil {
		return opener{}, &ConnectError{Address: local, Data: true, Err: err}
	}
	if err := c.announce(ctx, l.Addr()); err != nil {
		l.Close()
		return opener{}, err
	}
	return opener{
		open:   func(ctx context.Context) (net.Conn, error) { return c.accept(ctx, l) },
		cancel: func() { l.Close() },
	}, nil
}

func (c *Conn) announce(ctx context.Context, addr net.Addr) error {
	here, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return err
	}
	here = netip.AddrPortFrom(here.Addr().Unmap().WithZone(""), here.Port())
	if !c.noEPRT {
		r, err := c.command(ctx, "EPRT", ftp.FormatEPRT(here))
		if err != nil || r.Code/100 == 2 {
			return err
		}
		if r.Code/100 != 5 || !here.Addr().Is4() {
			return &ReplyError{Command: "EPRT", Reply: r}
		}
	}
	if _, err := c.expect(ctx, "PORT", ftp.FormatPORT(here), 2); err != nil {
		return err
	}
	c.noEPRT = true
	return nil
}

// accept waits for the server. Whoever else comes first is sent away and the
// wait goes on.
func (c *Conn) accept(ctx context.Context, l net.Listener) (net.Conn, error) {
	defer l.Close()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	if d, ok := l.(*net.TCPListener); ok {
		d.SetDeadline(time.Now().Add(c.cfg.Timeout))
	}
	for {
		tcp, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, &ConnectError{Address: l.Addr().String(), Data: true, Err: err}
		}
		peer, err := netip.ParseAddrPort(tcp.RemoteAddr().String())
		if err == nil && peer.Addr().Unmap() == c.remote {
			return tcp, nil
		}
		tcp.Close()
	}
}
