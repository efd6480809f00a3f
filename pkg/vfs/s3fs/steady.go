package s3fs

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// steady is a connection to a store that may be slow but not stand still:
// whatever moves on it in either direction renews one deadline for both, for
// an answer is read while the request is still being written.
type steady struct {
	net.Conn
	patience time.Duration
	renewed  atomic.Int64
}

// dialer returns what connects to a store.
func dialer(patience time.Duration) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{Timeout: patience, KeepAlive: 15 * time.Second}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &steady{Conn: c, patience: patience}, nil
	}
}

// renew sets the deadline anew, but not at each call: timers cost time.
func (s *steady) renew() {
	now := time.Now()
	if last := s.renewed.Load(); now.UnixNano()-last > int64(s.patience/16) {
		s.renewed.Store(now.UnixNano())
		_ = s.SetDeadline(now.Add(s.patience))
	}
}

func (s *steady) Read(b []byte) (int, error) {
	s.renew()
	return s.Conn.Read(b)
}

// steadyPiece is how much is written under one deadline.
const steadyPiece = 256 << 10

func (s *steady) Write(b []byte) (sent int, err error) {
	for {
		s.renew()
		n, err := s.Conn.Write(b[:min(len(b), steadyPiece)])
		sent += n
		if b = b[n:]; err != nil || len(b) == 0 {
			return sent, err
		}
	}
}
