package layer

import (
	"net"
	"sync"
)

// DefaultGather is a good size for [Gather]: seven records of 16 KiB with
// their headers and tags. crypto/tls makes one write for each record, and
// most of a sender's time is system calls; larger than this gains nothing.
// Eight are a little more than the two packets of 64 KiB that the kernel makes
// of a write, and each third one, of a few hundred bytes, cost as much as they.
const DefaultGather = 7 * (16<<10 + 64)

// Gather returns c with its writes collected into pieces of size bytes.
//
// It belongs beneath tls.Conn. What is collected is sent when the next write
// would not fit, by Flush, by Close, and before every Read: whoever waits
// for the peer must not sit on what the peer waits for. A goroutine that
// writes while another one reads must call Flush before it rests; so must
// whoever completes a handshake, whose last message is written and not read.
func Gather(c net.Conn, size int) *Gathering { return &Gathering{Conn: c, size: size} }

// Gathering is a connection made by [Gather]. Its methods may be called from
// several goroutines.
type Gathering struct {
	net.Conn
	size int

	mu   sync.Mutex
	buf  *[]byte // from pool while something is collected, else nil
	last bool    // CloseWrite follows what is collected
}

// pool holds empty buffers; their capacity is checked when they are taken,
// for sizes may differ.
var pool sync.Pool

func (g *Gathering) take() *[]byte {
	if b, ok := pool.Get().(*[]byte); ok && cap(*b) >= g.size {
		return b
	}
	b := make([]byte, 0, g.size)
	return &b
}

// Write collects b, or sends it where it does not fit.
func (g *Gathering) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.buf != nil && len(*g.buf)+len(b) > g.size {
		if err := g.flush(); err != nil {
			return 0, err
		}
	}
	if len(b) >= g.size {
		return g.Conn.Write(b)
	}
	if g.buf == nil {
		g.buf = g.take()
	}
	*g.buf = append(*g.buf, b...)
	return len(b), nil
}

// Flush sends what is collected. After an error what was not sent is still
// there, so that a Flush that timed out may be tried again.
func (g *Gathering) Flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.flush()
}

func (g *Gathering) flush() error {
	if g.buf == nil {
		return nil
	}
	write := g.Conn.Write
	if g.last {
		write = func(b []byte) (int, error) { return WriteLast(g.Conn, b) }
	}
	n, err := write(*g.buf)
	if err != nil {
		*g.buf = (*g.buf)[:copy(*g.buf, (*g.buf)[n:])]
		return err
	}
	g.release()
	return nil
}

func (g *Gathering) release() {
	if g.buf != nil {
		*g.buf = (*g.buf)[:0]
		pool.Put(g.buf)
		g.buf = nil
	}
}

// ending says that CloseWrite follows the next Flush, and reports whether n
// bytes more can be collected before.
func (g *Gathering) ending(n int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = g.buf == nil || len(*g.buf)+n <= g.size
	return g.last
}

// Pending returns how many bytes are collected and not sent.
func (g *Gathering) Pending() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.buf == nil {
		return 0
	}
	return len(*g.buf)
}

// Read sends what is collected, then reads. A failure to send is left to the
// writer: what the peer sent before is still to be read.
func (g *Gathering) Read(b []byte) (int, error) {
	// A writer that is at it holds the lock and sends by itself; waiting for
	// it here could deadlock two peers that both write before they read.
	if g.mu.TryLock() {
		g.flush()
		g.mu.Unlock()
	}
	return g.Conn.Read(b)
}

// CloseWrite sends what is collected and ends the sending direction.
func (g *Gathering) CloseWrite() error {
	if err := g.Flush(); err != nil {
		return err
	}
	return closeWrite(g.Conn)
}

// Close sends what is collected as far as the write deadline lets it, and
// closes.
func (g *Gathering) Close() error {
	if g.mu.TryLock() {
		g.flush()
		g.release()
		g.mu.Unlock()
	}
	return g.Conn.Close()
}

// NetConn returns the connection beneath.
func (g *Gathering) NetConn() net.Conn { return g.Conn }
