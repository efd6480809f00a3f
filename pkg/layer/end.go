package layer

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// ErrNoEnd says that everything was sent and ended in order, and, where the
// kernel tells, acknowledged, but that the peer did not end its side in time.
// Some servers never do.
var ErrNoEnd = errors.New("layer: the peer did not end its side of the connection")

// endBytes is how much a peer may still send while its end is awaited.
const endBytes = 1 << 20

// endLimit bounds the end of a connection that makes progress all the time,
// in multiples of the time-out without progress.
const endLimit = 30

// End ends a connection in order and closes it. It is the same for both
// sides and for either direction of a transfer:
//
//	send what is collected, TLS close_notify, TCP FIN,
//	read to the peer's end, close.
//
// A naive Close loses data: where something that the peer sent, such as a
// session ticket, is still unread, close() answers with a reset, and the
// kernels throw away what is on its way. Reading to the end empties the
// buffer first.
//
// raw is what tc was made from. The time-out is for time without progress;
// a peer that reads slowly is waited for as long as it reads. A peer that
// ends its side with a mere FIN has taken all there was, or its kernel would
// have reset: that is no error. The connection is closed in every case.
func End(tc *tls.Conn, raw net.Conn, timeout time.Duration) error {
	return EndWithin(tc, raw, timeout, timeout)
}

// EndWithin is End with a shorter wait for a peer that has acknowledged
// everything and still does not end its side: there is nothing left that
// could be lost, and it may well wait for us.
func EndWithin(tc *tls.Conn, raw net.Conn, timeout, rest time.Duration) error {
	defer raw.Close()
	limit := time.Now().Add(endLimit * timeout)

	// Where there is room for them, the last words go with what is collected.
	g, gathers := raw.(*Gathering)
	if !gathers || !g.ending(lastWords) {
		if err := push(raw, timeout, limit); err != nil {
			return err
		}
	}
	if !gathers {
		Hold(raw)
	}
	err := tc.CloseWrite()
	if err == nil {
		// CloseWrite leaves an expired write deadline behind, which would
		// stop the very record it wrote: push sets a new one.
		err = push(raw, timeout, limit)
	}
	if err == nil {
		// RFC 8446 §6.1: the write side may end while the other goes on.
		err = closeWrite(raw)
	}
	if err == nil {
		err = drain(tc, raw, timeout, min(rest, timeout), limit)
	}
	if gone(err) {
		// The peer closed without having read our close_notify. Some do so as
		// soon as they have as many bytes as they expect (lftp): their kernel
		// answers with a reset, and may owe the acknowledgement of two
		// segments. What is more than that was not taken.
		if n, known := outstanding(raw); known && n <= owed {
			return nil
		}
	}
	return err
}

// lastWords is more than the record of a close_notify has, in bytes.
const lastWords = 128

// owed is the length of two segments on a loopback interface, where they are
// longest, and of the last words.
const owed = 2*(64<<10) + 64

// gone reports whether an error says that the peer has closed altogether.
func gone(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ENOTCONN)
}

// Push sends what g has collected. The time-out is for time without progress.
// It leaves a write deadline behind.
func Push(g *Gathering, timeout time.Duration) error {
	return push(g, timeout, time.Now().Add(endLimit*timeout))
}

func push(raw net.Conn, timeout time.Duration, limit time.Time) error {
	g, gathers := raw.(*Gathering)
	for {
		if err := raw.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		if !gathers {
			return nil
		}
		before := g.Pending()
		err := g.Flush()
		if !errors.Is(err, os.ErrDeadlineExceeded) || g.Pending() == before || time.Now().After(limit) {
			return err
		}
	}
}

// drain reads to the peer's end. It looks up once in every rest: what is
// still unsent may have become less, and then the time-out begins anew.
func drain(tc *tls.Conn, raw net.Conn, timeout, rest time.Duration, limit time.Time) error {
	unsent, _ := outstanding(raw)
	patience := time.Now().Add(timeout)
	buf := make([]byte, 4<<10)
	left := endBytes
	for left > 0 {
		if err := raw.SetReadDeadline(time.Now().Add(rest)); err != nil {
			return err
		}
		n, err := tc.Read(buf)
		left -= n
		switch {
		case err == nil:
			continue
		case err == io.EOF, errors.Is(err, ErrTruncated):
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
		now, known := outstanding(raw)
		switch {
		case known && now == 0:
			return ErrNoEnd
		case known && now < unsent && time.Now().Before(limit):
			unsent, patience = now, time.Now().Add(timeout)
		case time.Now().Before(patience):
		case known:
			return err // the peer has stopped reading
		default:
			return ErrNoEnd
		}
	}
	return ErrNoEnd
}
