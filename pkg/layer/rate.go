package layer

import (
	"context"
	"net"
)

// Waiter lets n bytes pass when their time has come, or returns why not.
type Waiter interface {
	Wait(ctx context.Context, n int) error
}

// Rate returns c slowed down by in and out, each nil for no limit. The
// waiting ends with ctx. A rate may change while bytes flow: the waiters are
// asked for each piece.
func Rate(ctx context.Context, c net.Conn, in, out Waiter) net.Conn {
	if in == nil && out == nil {
		return c
	}
	return &rate{Conn: c, ctx: ctx, in: in, out: out}
}

type rate struct {
	net.Conn
	ctx     context.Context
	in, out Waiter
}

// ratePiece keeps the steps small enough for a slow limit to look even.
const ratePiece = 16 << 10

func (r *rate) Read(b []byte) (int, error) {
	if r.in == nil {
		return r.Conn.Read(b)
	}
	n, err := r.Conn.Read(b[:min(len(b), ratePiece)])
	if n > 0 {
		if e := r.in.Wait(r.ctx, n); e != nil && err == nil {
			err = e
		}
	}
	return n, err
}

func (r *rate) Write(b []byte) (int, error) {
	if r.out == nil {
		return r.Conn.Write(b)
	}
	sent := 0
	for {
		p := b[:min(len(b), ratePiece)]
		if err := r.out.Wait(r.ctx, len(p)); err != nil {
			return sent, err
		}
		n, err := r.Conn.Write(p)
		sent += n
		b = b[n:]
		if err != nil || len(b) == 0 {
			return sent, err
		}
	}
}

func (r *rate) CloseWrite() error { return closeWrite(r.Conn) }

// NetConn returns the connection beneath.
func (r *rate) NetConn() net.Conn { return r.Conn }
