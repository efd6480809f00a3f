package dataport

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// stream is one direction of a connection in memory: buffered like a
// socket's, and at home in a synctest bubble, which real sockets are not.
type stream struct {
	mu    sync.Mutex
	cond  *sync.Cond
	data  []byte
	ended bool // by the writer: EOF behind the data
	reset bool // by either: nothing more
	readD deadline
}

type deadline struct {
	at    time.Time
	timer *time.Timer
}

func newStream() *stream {
	s := &stream{}
	s.cond = sync.NewCond(&s.mu)
	return s
}

func (s *stream) setReadDeadline(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readD.at = at
	if s.readD.timer != nil {
		s.readD.timer.Stop()
	}
	if !at.IsZero() {
		s.readD.timer = time.AfterFunc(time.Until(at), s.cond.Broadcast)
	}
	s.cond.Broadcast()
}

func (s *stream) read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.reset:
			return 0, net.ErrClosed
		case !s.readD.at.IsZero() && !time.Now().Before(s.readD.at):
			return 0, os.ErrDeadlineExceeded
		case len(s.data) > 0:
			n := copy(b, s.data)
			s.data = s.data[n:]
			return n, nil
		case s.ended:
			return 0, io.EOF
		}
		s.cond.Wait()
	}
}

func (s *stream) write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reset || s.ended {
		return 0, net.ErrClosed
	}
	s.data = append(s.data, b...)
	s.cond.Broadcast()
	return len(b), nil
}

func (s *stream) end(reset bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.reset = s.reset || reset
	s.cond.Broadcast()
}

// memConn is one end of a connection in memory.
type memConn struct {
	in, out       *stream
	local, remote *net.TCPAddr

	mu     sync.Mutex
	writeD time.Time
}

func (c *memConn) Read(b []byte) (int, error) { return c.in.read(b) }

func (c *memConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	at := c.writeD
	c.mu.Unlock()
	if !at.IsZero() && !time.Now().Before(at) {
		return 0, os.ErrDeadlineExceeded
	}
	return c.out.write(b)
}

func (c *memConn) CloseWrite() error { c.out.end(false); return nil }

// Close lets the peer read what was written; what arrives here is lost.
func (c *memConn) Close() error {
	c.out.end(false)
	c.in.setReadDeadline(time.Time{})
	c.in.end(true)
	return nil
}

func (c *memConn) LocalAddr() net.Addr  { return c.local }
func (c *memConn) RemoteAddr() net.Addr { return c.remote }

func (c *memConn) SetDeadline(at time.Time) error {
	c.SetReadDeadline(at)
	return c.SetWriteDeadline(at)
}
func (c *memConn) SetReadDeadline(at time.Time) error { c.in.setReadDeadline(at); return nil }
func (c *memConn) SetWriteDeadline(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeD = at
	return nil
}

// memPair returns the two ends of a connection from one address to another.
func memPair(from, to netip.AddrPort) (client, server *memConn) {
	up, down := newStream(), newStream()
	a, b := net.TCPAddrFromAddrPort(from), net.TCPAddrFromAddrPort(to)
	return &memConn{in: down, out: up, local: a, remote: b}, &memConn{in: up, out: down, local: b, remote: a}
}

// memListener is a listener in memory.
type memListener struct {
	addr   netip.AddrPort
	conns  chan net.Conn
	errs   chan error // what Accept shall fail with next
	closed chan struct{}
	once   sync.Once
}

func memListen(port uint16) *memListener {
	return &memListener{
		addr:   netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port),
		conns:  make(chan net.Conn, 4096),
		errs:   make(chan error, 16),
		closed: make(chan struct{}),
	}
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case err := <-l.errs:
		return nil, err
	default:
	}
	select {
	case err := <-l.errs:
		return nil, err
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *memListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

func (l *memListener) dial(from netip.Addr) net.Conn {
	client, server := memPair(netip.AddrPortFrom(from, 40000), l.addr)
	l.conns <- server
	return client
}
