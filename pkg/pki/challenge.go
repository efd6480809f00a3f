package pki

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
)

// Bounds of the port of challenges, which answers anybody.
const (
	challengeTime = 10 * time.Second // for one connection
	challengeMost = 32               // at once
)

// recordHandshake is the first byte of a TLS connection (RFC 8446 §5.1).
const recordHandshake = 22

// Serve answers the authority's challenges on a port, until ctx ends:
// TLS-ALPN-01 (RFC 8737) where the connection begins with TLS, else HTTP-01
// (RFC 8555 §8.3). An authority asks for them on ports 443 and 80.
func (i *Issuer) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	plain := &handed{conns: make(chan net.Conn), done: make(chan struct{}), addr: l.Addr()}
	server := &http.Server{
		Handler:           withoutPort(i.manager.HTTPHandler(http.NotFoundHandler())),
		ReadHeaderTimeout: challengeTime,
		ReadTimeout:       challengeTime, // bodies too: nobody wants one
		WriteTimeout:      challengeTime,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	server.SetKeepAlivesEnabled(false)
	var all sync.WaitGroup
	all.Go(func() { server.Serve(plain) })
	defer all.Wait()
	defer server.Close()
	room := make(chan struct{}, i.most)
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		default: // out of descriptors is no reason to stop listening
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		select {
		case room <- struct{}{}:
			all.Go(func() {
				defer func() { <-room }()
				i.answer(ctx, conn, plain)
			})
		default:
			conn.Close()
		}
	}
}

// withoutPort has the manager see the name alone: an authority that asks at a
// port of its own names that too, and the manager knows names.
func withoutPort(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host, _, err := net.SplitHostPort(r.Host); err == nil {
			r.Host = host
		}
		h.ServeHTTP(w, r)
	})
}

// answer tells TLS from HTTP by the first byte.
func (i *Issuer) answer(ctx context.Context, conn net.Conn, plain *handed) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	conn.SetDeadline(time.Now().Add(challengeTime))
	peeked := &peekedConn{Conn: conn, r: bufio.NewReader(conn), closed: make(chan struct{})}
	first, err := peeked.r.Peek(1)
	if err != nil {
		conn.Close()
		return
	}
	if first[0] != recordHandshake {
		// It has its place until the server of HTTP has closed it, which it
		// does in the end whatever comes.
		plain.hand(peeked)
		<-peeked.closed
		return
	}
	defer conn.Close()
	// RFC 8737 §3: the handshake is the whole answer.
	secure := tls.Server(peeked, &tls.Config{
		NextProtos: []string{acme.ALPNProto},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != acme.ALPNProto {
				return nil, errNoChallenge // the manager would have a certificate issued for it
			}
			return i.manager.GetCertificate(hello)
		},
	})
	if secure.HandshakeContext(ctx) == nil {
		secure.Close()
	}
}

var errNoChallenge = errors.New("no challenge of acme-tls/1")

// peekedConn is a connection whose first bytes were looked at.
type peekedConn struct {
	net.Conn
	r      *bufio.Reader
	once   sync.Once
	closed chan struct{}
}

func (c *peekedConn) Read(p []byte) (int, error) { return c.r.Read(p) }

func (c *peekedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// handed is a listener whose connections somebody hands to it.
type handed struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	addr  net.Addr
}

func (h *handed) hand(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.done:
		c.Close()
	}
}

// Accept implements [net.Listener].
func (h *handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (h *handed) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements [net.Listener].
func (h *handed) Addr() net.Addr { return h.addr }
