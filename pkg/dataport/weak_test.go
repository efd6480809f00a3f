package dataport

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"

	"ftps/pkg/event"
)

// The tests in this file are negative controls: in each a defence is switched
// off, and the attack that it stops succeeds. Else the test of the defence
// would show nothing.

// sameAddress is a listener that sees everybody at one address, as a server
// does that does not look where a data connection comes from.
type sameAddress struct {
	net.Listener
	addr netip.AddrPort
}

func (l sameAddress) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return seenAt{conn, l.addr}, nil
}

type seenAt struct {
	net.Conn
	addr netip.AddrPort
}

func (c seenAt) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.addr) }

func TestWithoutALookAtTheAddressAStrangerTakesTheTransfer(t *testing.T) {
	steal := func(t *testing.T, blind bool) (stolen bool) {
		one := func(c *Config) {
			if blind {
				c.Listeners[0] = sameAddress{c.Listeners[0], netip.AddrPortFrom(alice, 40000)}
			}
		}
		inBubble(t, 1, one, func(t *testing.T, r *rig) {
			c := r.client(alice, "ana", Prefer, nil)
			pr := c.pasv()
			got := take(pr, event.Download)
			stranger := tls.Client(r.open(mall, pr.Port()), &tls.Config{InsecureSkipVerify: true})
			err := stranger.Handshake()
			if stolen = err == nil; !stolen {
				pr.Cancel()
			}
			if res := <-got; res.err == nil {
				res.conn.Abort()
			}
			stranger.Close()
		})
		return stolen
	}
	if steal(t, false) {
		t.Error("a stranger took the transfer")
	}
	if !steal(t, true) {
		t.Error("with the defence off the stranger got nothing: this shows nothing")
	}
}

// Routed by address and port alone, whoever connects first has the file.
func TestWithoutTicketsAThiefBehindTheSameAddressTakesTheTransfer(t *testing.T) {
	for _, blind := range []bool{false, true} {
		inBubble(t, 1, nil, func(t *testing.T, r *rig) {
			r.ports.policy.anyAccount = blind
			c := r.client(alice, "ana", Require, nil)
			pr := c.pasv()
			got := take(pr, event.Download)
			thief := tls.Client(r.open(alice, pr.Port()), &tls.Config{InsecureSkipVerify: true})
			if err := thief.Handshake(); err != nil {
				t.Fatal(err)
			}
			loot := make(chan string, 1)
			go func() {
				b, _ := io.ReadAll(thief)
				loot <- string(b)
				thief.Close()
			}()
			res := <-got
			if res.err == nil {
				res.conn.Write([]byte("secret"))
				res.conn.Finish()
			}
			if stolen := <-loot == "secret"; stolen != blind {
				t.Errorf("without tickets %v: stolen %v, %v", blind, stolen, res.err)
			}
		})
	}
}

// A server that gives the promise to a ticket when it sees it, before the
// handshake has shown that its secret is there too.
func TestBoundAtTheHelloAReplayTakesTheTransfer(t *testing.T) {
	for _, hasty := range []bool{false, true} {
		inBubble(t, 1, nil, func(t *testing.T, r *rig) {
			if hasty {
				r.ports.hello.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
					cfg, err := configFor(hello)
					if err != nil {
						return nil, err
					}
					unwrap := cfg.UnwrapSession
					cfg.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
						state, err := unwrap(ticket, cs)
						p, c := r.ports, hello.Conn.(*wire).c
						p.mu.Lock()
						defer p.unlock()
						if c.nominee != nil {
							if pr := p.meant(c, c.nominee); pr != nil {
								p.leave(pr) // it is this connection's now
							}
						}
						return state, err
					}
					return cfg, nil
				}
			}
			c := r.client(alice, "ana", Require, nil)
			// The hello, as it is read off the wire; its own connection is lost.
			pr := c.pasv()
			tap := &recorder{Conn: r.open(alice, pr.Port())}
			lost, err := handshake(tap, c.tls)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			lost.Close()
			pr.Cancel()
			synctest.Wait()

			pr = c.pasv()
			replay := r.open(alice, pr.Port())
			replay.Write(tap.sent)
			synctest.Wait()
			got := take(pr, event.Download)
			good, err := c.dial(pr.Port())
			res := <-got
			switch {
			case !hasty && (err != nil || res.err != nil):
				t.Errorf("the real connection: %v, %v", err, res.err)
			case hasty && !errors.Is(res.err, ErrNoConnection):
				t.Errorf("with the defence off the real connection came through, %v: this shows nothing", res.err)
			}
			if res.err == nil {
				res.conn.Abort()
			}
			good.Close()
			replay.Close()
		})
	}
}

// Without names of its own protocol the server takes the hello of a browser,
// which offers HTTP alone.
func TestWithoutALPNABrowserGetsItsHandshake(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		inBubble(t, 1, nil, func(t *testing.T, r *rig) {
			if deaf {
				r.ports.hello.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
					cfg, err := configFor(hello)
					if err == nil {
						cfg.NextProtos = nil
					}
					return cfg, err
				}
			}
			c := r.client(alice, "ana", Require, nil)
			pr := c.pasv()
			browser := tls.Client(r.open(alice, pr.Port()), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
			if err := browser.Handshake(); (err == nil) != deaf {
				t.Errorf("without ALPN %v: the browser's handshake: %v", deaf, err)
			}
			pr.Cancel()
			browser.Close()
		})
	}
}
