package layer

import (
	"net"
	"time"
)

// Stall returns c with a deadline of d that every read and every written
// piece renews: a transfer may take as long as it likes, but not stand still.
// Zero or less means no deadline. The deadlines are c's own: its owner must
// not set others meanwhile.
func Stall(c net.Conn, d time.Duration) net.Conn {
	if d <= 0 {
		return c
	}
	return &stall{Conn: c, d: d}
}

type stall struct {
	net.Conn
	d time.Duration

	read, written time.Time // when the deadline was last set, by its one user
}

// piece is how much may be written under one deadline.
const piece = 64 << 10

// late reports whether a deadline set at t wants to be set anew: not at each
// call, for timers cost time as well.
func (s *stall) late(t *time.Time) (time.Time, bool) {
	now := time.Now()
	if now.Sub(*t) < s.d/16 {
		return time.Time{}, false
	}
	*t = now
	return now.Add(s.d), true
}

func (s *stall) Read(b []byte) (int, error) {
	// Both deadlines: a read of TLS may have to write (RFC 8446 §4.6.3), and
	// that must neither stand still nor run into what an old write left.
	if at, yes := s.late(&s.read); yes {
		if err := s.SetDeadline(at); err != nil {
			return 0, err
		}
	}
	return s.Conn.Read(b)
}

func (s *stall) Write(b []byte) (int, error) {
	sent := 0
	for {
		if at, yes := s.late(&s.written); yes {
			if err := s.SetWriteDeadline(at); err != nil {
				return sent, err
			}
		}
		n, err := s.Conn.Write(b[:min(len(b), piece)])
		sent += n
		b = b[n:]
		if err != nil || len(b) == 0 {
			return sent, err
		}
	}
}

func (s *stall) CloseWrite() error { return closeWrite(s.Conn) }

// NetConn returns the connection beneath.
func (s *stall) NetConn() net.Conn { return s.Conn }
