package daemon

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"

	"ftps/pkg/fault"
)

const (
	// headerLimit is how long the header of a proxy may take. A proxy sends
	// it before anything else, and before its client says a word.
	headerLimit = 5 * time.Second

	// maxHeaders bounds how many connections of one port may be without
	// their header. No other limit counts them yet.
	maxHeaders = 512

	// maxHeader bounds a header: addresses, and what proxies add to them.
	maxHeader = 4096
)

// behindProxy is a listener that takes the PROXY protocol, version 2, from
// trusted addresses. What comes from there must begin with a header, and has
// from then on the addresses that the header tells; what comes from anywhere
// else is what it is, and is never searched for one. Whose bytes are a header
// depends on the address alone: a receiver that guesses from the bytes can be
// told anything by anybody.
//
// Headers are read beside each other, so that a slow one holds up nobody.
type behindProxy struct {
	net.Listener
	trusted []netip.Prefix
	limit   time.Duration
	refused func(peer netip.AddrPort, cause error)

	retired atomic.Bool

	start sync.Once
	over  chan struct{} // closed by Close
	close sync.Once
	ready chan accepted
	live  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	pending map[net.Conn]struct{}
}

type accepted struct {
	conn net.Conn
	err  error
}

func takeProxies(l net.Listener, trusted []netip.Prefix, refused func(netip.AddrPort, error)) *behindProxy {
	return &behindProxy{
		Listener: l, trusted: trusted, limit: headerLimit, refused: refused,
		over: make(chan struct{}), ready: make(chan accepted), pending: make(map[net.Conn]struct{}),
	}
}

// Accept returns the next connection whose addresses are known.
func (b *behindProxy) Accept() (net.Conn, error) {
	b.start.Do(func() { b.live.Go(b.run) })
	select {
	case a := <-b.ready:
		return a.conn, a.err
	case <-b.over:
		// Whoever serves this port ends after everything that is behind it.
		b.live.Wait()
		return nil, net.ErrClosed
	}
}

// Close closes the port and whatever has not shown its header.
func (b *behindProxy) Close() error {
	err := b.Listener.Close()
	b.close.Do(func() { close(b.over) })
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for conn := range b.pending {
		conn.Close()
	}
	return err
}

// Retire closes the port, and Accept goes on with what had come to it.
func (b *behindProxy) Retire() {
	b.retired.Store(true)
	b.Listener.Close()
	go func() {
		b.live.Wait()
		b.Close()
	}()
	b.start.Do(func() {}) // nobody has begun to accept
}

func (b *behindProxy) run() {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			if b.retired.Load() {
				return
			}
			// A failure is the caller's to judge, who also rests after it.
			if !b.hand(nil, err) {
				return
			}
			continue
		}
		tcp, ok := conn.(*net.TCPConn)
		peer := tcpAddrPort(conn.RemoteAddr())
		if !ok || !b.trusts(peer.Addr()) {
			b.hand(conn, nil)
			continue
		}
		if !b.wait(tcp) {
			tcp.Close()
			b.refused(peer, fault.New("data.proxy.full", maxHeaders))
			continue
		}
		b.live.Go(func() {
			named, err := b.greet(tcp)
			b.done(tcp)
			if err != nil {
				tcp.Close()
				b.mu.Lock()
				closed := b.closed
				b.mu.Unlock()
				if !closed {
					b.refused(peer, err)
				}
				return
			}
			b.hand(named, nil)
		})
	}
}

// hand gives Accept a connection or an error; false says that nobody is
// there any more.
func (b *behindProxy) hand(conn net.Conn, err error) bool {
	select {
	case b.ready <- accepted{conn, err}:
		return true
	case <-b.over:
		if conn != nil {
			conn.Close()
		}
		return false
	}
}

func (b *behindProxy) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(b.trusted, func(p netip.Prefix) bool { return p.Contains(addr.WithZone("")) })
}

// wait counts a connection without a header, if there is room for it.
func (b *behindProxy) wait(conn net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.pending) >= maxHeaders {
		return false
	}
	b.pending[conn] = struct{}{}
	return true
}

func (b *behindProxy) done(conn net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.pending, conn)
}

// greet reads the header, and not a byte more: what follows is read from the
// socket by whoever owns the connection.
func (b *behindProxy) greet(tcp *net.TCPConn) (net.Conn, error) {
	tcp.SetDeadline(time.Now().Add(b.limit))
	text, err := readHeader(tcp)
	if err != nil {
		return nil, err
	}
	header, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(text)))
	if err != nil {
		return nil, fault.Wrap(err, "data.proxy.bad", err)
	}
	tcp.SetDeadline(time.Time{})
	if header.Command.IsLocal() {
		return tcp, nil // the proxy itself, to see whether we live
	}
	from, to, ok := header.TCPAddrs()
	if !ok {
		return nil, fault.New("data.proxy.family")
	}
	for _, end := range []*net.TCPAddr{from, to} {
		if addr := tcpAddrPort(end).Addr(); addr.IsUnspecified() || addr.IsMulticast() || end.Port == 0 {
			return nil, fault.New("data.proxy.address", end.String())
		}
	}
	return &proxied{TCPConn: tcp, remote: from, local: to}, nil
}

// readHeader reads as much as a header of version 2 says it has. Version 1
// is text of unknown length, whose end one would have to look for.
func readHeader(r io.Reader) ([]byte, error) {
	const fixed = 16 // signature, version and command, family, length
	head := make([]byte, fixed)
	// Each byte is judged when it comes: a peer that says something else may
	// say less than a header, and wait for an answer.
	for n := 0; n < fixed; {
		m, err := r.Read(head[n:])
		n += m
		seen := min(n, len(proxyproto.SIGV2))
		if !bytes.Equal(head[:seen], proxyproto.SIGV2[:seen]) {
			if bytes.HasPrefix(head[:n], proxyproto.SIGV1[:min(n, len(proxyproto.SIGV1))]) {
				return nil, fault.New("data.proxy.v1")
			}
			return nil, fault.New("data.proxy.missing")
		}
		if err != nil && n < fixed {
			return nil, fault.Wrap(err, "data.proxy.slow", err)
		}
	}
	rest := int(binary.BigEndian.Uint16(head[fixed-2:]))
	if rest > maxHeader {
		return nil, fault.New("data.proxy.long", rest)
	}
	text := append(head, make([]byte, rest)...)
	if _, err := io.ReadFull(r, text[fixed:]); err != nil {
		return nil, fault.Wrap(err, "data.proxy.slow", err)
	}
	return text, nil
}

// proxied is the socket in everything but its addresses. Nothing was read
// ahead, so that half-close, deadlines and the kernel's queues are its own.
type proxied struct {
	*net.TCPConn
	remote, local *net.TCPAddr
}

func (p *proxied) RemoteAddr() net.Addr { return p.remote }

// LocalAddr is where the client connected to: what PASV tells it, and whose
// family decides between PASV and EPSV.
func (p *proxied) LocalAddr() net.Addr { return p.local }

func tcpAddrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
