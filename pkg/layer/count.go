package layer

import (
	"net"
	"sync/atomic"
)

// Counter has the bytes that went through a connection so far. Anyone may
// read it at any time.
type Counter struct{ In, Out atomic.Int64 }

// Count returns c with its bytes added to n.
func Count(c net.Conn, n *Counter) net.Conn { return &count{c, n} }

type count struct {
	net.Conn
	n *Counter
}

func (c *count) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n.In.Add(int64(n))
	return n, err
}

func (c *count) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.n.Out.Add(int64(n))
	return n, err
}

func (c *count) CloseWrite() error { return closeWrite(c.Conn) }

// NetConn returns the connection beneath.
func (c *count) NetConn() net.Conn { return c.Conn }
