package dataport

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"ftps/pkg/event"
)

var (
	home      = netip.MustParseAddr("127.0.0.1")
	elsewhere = netip.MustParseAddr("127.0.0.2")
)

func TestOverRealSocketsAnotherLoopbackAddressComesToNothing(t *testing.T) {
	r := onLoopback(t, 1, nil)
	c := r.client(home, "ana", Require, nil)
	defer c.s.Close()
	pr := c.pasv()
	got := take(pr, event.Download)
	stranger := r.open(elsewhere, pr.Port())
	defer stranger.Close()
	stranger.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := stranger.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the stranger: %v, want it closed", err)
	}
	tc := c.mustDial(pr.Port())
	defer tc.Close()
	res := <-got
	if res.err != nil {
		t.Fatal(res.err)
	}
	go func() { res.conn.Write([]byte("file")); res.conn.Finish() }()
	if b, err := io.ReadAll(tc); err != nil || string(b) != "file" {
		t.Errorf("%q, %v", b, err)
	}
}

// answer accepts the server's connection in active mode and is TLS's client
// on it.
func answer(l net.Listener, cfg *tls.Config) <-chan *tls.Conn {
	ch := make(chan *tls.Conn, 1)
	go func() {
		defer close(ch)
		raw, err := l.Accept()
		if err != nil {
			return
		}
		tc, err := handshake(raw, cfg)
		if err != nil {
			raw.Close()
			return
		}
		ch <- tc
	}()
	return ch
}

func TestInActiveModeTheSameRulesHold(t *testing.T) {
	for name, test := range map[string]struct {
		reuse Reuse
		tune  func(r *rig, c *client)
		want  error
		bound string
	}{
		"own ticket":             {Require, func(*rig, *client) {}, nil, Own},
		"no ticket":              {Require, func(_ *rig, c *client) { c.tls.ClientSessionCache = nil }, ErrNotProven, ""},
		"no ticket, but prefer":  {Prefer, func(_ *rig, c *client) { c.tls.ClientSessionCache = nil }, nil, None},
		"another account's":      {Require, func(r *rig, c *client) { c.tls = r.client(home, "eve", Require, nil).tls }, ErrNotProven, ""},
		"another one, by prefer": {Prefer, func(r *rig, c *client) { c.tls = r.client(home, "eve", Require, nil).tls }, ErrNotProven, ""},
		"not even TLS 1.2":       {Require, func(_ *rig, c *client) { c.tls.MaxVersion = tls.VersionTLS11 }, ErrHandshake, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := onLoopback(t, 1, nil)
			c := r.client(home, "ana", test.reuse, nil)
			defer c.s.Close()
			test.tune(r, c)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			there := answer(l, c.tls)
			pr, err := c.s.Dial(t.Context(), l.Addr().(*net.TCPAddr).AddrPort())
			if err != nil {
				t.Fatal(err)
			}
			conn, err := pr.Take(t.Context(), event.Download)
			if !errors.Is(err, test.want) {
				t.Fatalf("Take: %v, want %v", err, test.want)
			}
			tc := <-there
			if err != nil {
				if tc != nil {
					tc.Close()
				}
				return
			}
			if conn.Bound() != test.bound {
				t.Errorf("bound by %q, want %q", conn.Bound(), test.bound)
			}
			go func() { conn.Write([]byte("file")); conn.Finish() }()
			if b, err := io.ReadAll(tc); err != nil || string(b) != "file" {
				t.Errorf("%q, %v", b, err)
			}
			tc.Close()
		})
	}
}

func TestInActiveModeNobodyAnswers(t *testing.T) {
	r := onLoopback(t, 1, nil)
	c := r.client(home, "ana", Require, nil)
	defer c.s.Close()
	taken, _ := tcpPair(t) // at its port nobody listens, and nobody can
	pr, err := c.s.Dial(t.Context(), taken.LocalAddr().(*net.TCPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pr.Take(t.Context(), event.Download); !errors.Is(err, ErrNoConnection) {
		t.Errorf("Take: %v, want ErrNoConnection", err)
	}
	if pr.Port() != 0 || !slices.Equal(r.ports.Numbers(), r.ports.numbers) {
		t.Error("an active promise has no port of ours")
	}
}

func TestAnActivePromiseThatIsCancelledLetsGo(t *testing.T) {
	r := onLoopback(t, 1, nil)
	c := r.client(home, "ana", Require, nil)
	defer c.s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pr, err := c.s.Dial(t.Context(), l.Addr().(*net.TCPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	got := take(pr, event.Download)
	raw, err := l.Accept() // and never a handshake
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	pr.Cancel()
	if res := <-got; !errors.Is(res.err, ErrEnded) {
		t.Errorf("Take: %v, want ErrEnded", res.err)
	}
	raw.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := raw.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the connection: %v, want it closed", err)
	}
}
