package layer

import (
	"errors"
	"net"
	"time"
)

// ErrTooSlow is what a connection made by [Least] answers whose peer moves
// too little.
var ErrTooSlow = errors.New("layer: below the least rate")

// Least returns c with a floor under its rate: over each window of time that
// is spent waiting for the peer, it must move perSecond bytes a second. What
// the owner takes for himself does not count, so that a connection that is
// slowed down on this side is never too slow. Zero or less is no floor.
//
// It ends no wait: a peer that stands still altogether is [Stall]'s to end.
func Least(c net.Conn, perSecond int64, window time.Duration) net.Conn {
	if perSecond <= 0 {
		return c
	}
	return &least{Conn: c, perSecond: float64(perSecond), window: window}
}

type least struct {
	net.Conn
	perSecond float64
	window    time.Duration

	waited time.Duration // in this window, for the peer
	moved  int
}

// note adds what one call moved, and judges where the window is over.
func (l *least) note(n int, began time.Time, err error) error {
	l.moved += n
	l.waited += time.Since(began)
	if err != nil || l.waited < l.window {
		return err
	}
	if float64(l.moved) < l.perSecond*l.waited.Seconds() {
		return ErrTooSlow
	}
	l.waited, l.moved = 0, 0
	return nil
}

func (l *least) Read(b []byte) (int, error) {
	began := time.Now()
	n, err := l.Conn.Read(b)
	return n, l.note(n, began, err)
}

func (l *least) Write(b []byte) (int, error) {
	sent := 0
	for {
		began := time.Now()
		n, err := l.Conn.Write(b[:min(len(b), piece)])
		sent += n
		b = b[n:]
		if err = l.note(n, began, err); err != nil || len(b) == 0 {
			return sent, err
		}
	}
}

func (l *least) CloseWrite() error { return closeWrite(l.Conn) }

// NetConn returns the connection beneath.
func (l *least) NetConn() net.Conn { return l.Conn }
