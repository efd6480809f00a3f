// Package layer has the small wrappers that a data connection is made of,
// each round a [net.Conn] and each with one concern.
//
// From the wire upwards:
//
//	raw        the TCP connection
//	Direct     small reads and writes past Go's scheduler
//	StrictEOF  an end without close_notify is an error, not an end
//	Ahead      many TLS records come with one read
//	Gather     many TLS records become one write
//	TLS        crypto/tls
//	Stall      a deadline that progress renews
//	Count      bytes, for whoever looks on
//	Rate       bytes a second
//
// [End] is the orderly end of such a stack, the same for both sides. What
// the bytes mean (ASCII, block mode) is no business of this package.
package layer

import "net"

// closeWriter is a connection that can end one direction, as TCP can.
type closeWriter interface{ CloseWrite() error }

// closeWrite ends the sending direction of a connection that has two; for
// one that has not, it does nothing.
func closeWrite(c net.Conn) error {
	if cw, ok := c.(closeWriter); ok {
		return cw.CloseWrite()
	}
	return nil
}

// WriteLast writes b to c where CloseWrite follows at once. A connection that
// has a method of this name may hold back what does not fill a segment, to
// send it together with the end: one packet less, and the peer wakes once.
func WriteLast(c net.Conn, b []byte) (int, error) {
	if last, ok := c.(interface{ WriteLast([]byte) (int, error) }); ok {
		return last.WriteLast(b)
	}
	return c.Write(b)
}

// Hold says that CloseWrite follows whatever is written to c from here on. It
// goes out together then, as with [WriteLast], and at the latest when c is
// closed.
func Hold(c net.Conn) {
	if h, ok := c.(interface{ hold() }); ok {
		h.hold()
	}
}
