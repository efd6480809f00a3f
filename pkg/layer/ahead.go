package layer

import (
	"net"
	"sync"
)

// aheadSize is how much [Ahead] reads at a time: seven of eight system calls
// are spared, and what was read still lies in the processor's cache when it is
// decrypted.
const aheadSize = 128 << 10

// Ahead returns c read in large pieces. crypto/tls asks for a record at a
// time, which is a system call for each 16 KiB; here it finds several at once.
//
// It belongs beneath tls.Conn, on a connection that nobody else reads. A
// buffer is held only while it has something in it, and while a Read waits.
func Ahead(c net.Conn) net.Conn { return &ahead{Conn: c} }

type ahead struct {
	net.Conn
	buf  *[aheadSize]byte // nil where nothing is left
	rest []byte           // of buf
	err  error            // that came with it
}

var aheadBuffers = sync.Pool{New: func() any { return new([aheadSize]byte) }}

// Read gives what is there, and reads where that is nothing.
func (a *ahead) Read(p []byte) (int, error) {
	if a.buf == nil {
		if a.err != nil {
			err := a.err
			a.err = nil
			return 0, err
		}
		if len(p) >= aheadSize {
			return a.Conn.Read(p)
		}
		buf := aheadBuffers.Get().(*[aheadSize]byte)
		n, err := a.Conn.Read(buf[:])
		if n == 0 {
			aheadBuffers.Put(buf)
			return 0, err
		}
		a.buf, a.rest, a.err = buf, buf[:n], err
	}
	n := copy(p, a.rest)
	if a.rest = a.rest[n:]; len(a.rest) == 0 {
		aheadBuffers.Put(a.buf)
		a.buf, a.rest = nil, nil
	}
	return n, nil
}

func (a *ahead) CloseWrite() error { return closeWrite(a.Conn) }

// NetConn returns the connection beneath.
func (a *ahead) NetConn() net.Conn { return a.Conn }
