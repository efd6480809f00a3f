package ftpclient

import (
	"context"
	"crypto/tls"
	"net"

	"ftps/pkg/ftp"
	"ftps/pkg/layer"
)

// kept is a data connection that outlives a file: under MODE B (RFC 959
// §3.4.2) the blocks say where a file ends, so that the connection's own end
// need not.
type kept struct {
	tcp    net.Conn
	gather *layer.Gathering // beneath TLS
	tc     *tls.Conn
}

// secureKept puts TLS on a data connection that is to stay.
func (c *Conn) secureKept(ctx context.Context, tcp net.Conn) (*kept, error) {
	k := &kept{tcp: tcp, gather: layer.Gather(layer.Ahead(c.guards.strict(layer.Direct(tcp))), layer.DefaultGather)}
	k.tc = tls.Client(k.gather, c.dataTLS)
	err := k.tc.HandshakeContext(ctx)
	if err == nil {
		err = k.gather.Flush()
	}
	if err != nil {
		tcp.Close()
		if c.otherKey.Swap(false) {
			err = ErrOtherKey
		} else if ctx.Err() != nil {
			err = ErrTimeout
		}
		return nil, &TLSError{Data: true, Err: err}
	}
	return k, nil
}

// dropKept closes the data connection that was left open, if there is one.
// No file is under way on it.
func (c *Conn) dropKept() {
	if k := c.kept.Swap(nil); k != nil {
		k.tc.Close()
	}
}

// StreamMode goes back to one data connection a file after a [Pipeline], and
// closes the one that was kept. Other calls do so by themselves when they need
// to; this is for doing it at a time of one's own choice.
func (c *Conn) StreamMode(ctx context.Context) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	return c.setMode(ctx, 'S')
}

// setMode sends MODE where another one is in force. The server ends the data
// connection with it, and so does this side.
func (c *Conn) setMode(ctx context.Context, letter byte) error {
	if c.mode == letter || c.mode == 0 && letter == 'S' {
		return nil // RFC 959 §5.1: stream is the default
	}
	c.dropKept()
	r, err := c.command(ctx, "MODE", string(letter))
	if err != nil {
		return err
	}
	return c.isMode(letter, r)
}

func (c *Conn) isMode(letter byte, r ftp.Reply) error {
	if r.Code/100 != 2 {
		return &ReplyError{Command: "MODE", Reply: r}
	}
	c.mode = letter
	return nil
}
