//go:build unix

package dataport

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ftps/pkg/event"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// twoServers are an old server and its successor on one real port.
type twoServers struct {
	old, heir *rig
	leave     func() // makes the old one the old one
}

func twoOnOnePort(t *testing.T, tune func(*Config)) *twoServers {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	same, err := net.FileListener(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	key := [][32]byte{{1, 2, 3}}
	with := func(l net.Listener) func(*Config) {
		return func(c *Config) {
			c.Listeners = []net.Listener{l}
			c.TLS.SetSessionTicketKeys(key)
			if tune != nil {
				tune(c)
			}
		}
	}
	two := &twoServers{old: onLoopback(t, 0, with(l))}
	two.leave = func() {
		// The heir begins to accept only when it knows what there is.
		heir := New(configOf(same, key, tune))
		two.heir = &rig{t: t, ports: heir}
		toHeir, toOld := make(chan Note, 1000), make(chan func(), 1000)
		var talk sync.WaitGroup
		heir.Inherit(two.old.ports.Leave(func(n Note) { toHeir <- n }), func(n Note, conn net.Conn) {
			toOld <- func() {
				if conn != nil {
					two.old.ports.Adopt(conn, n)
				} else {
					two.old.ports.Answered(n)
				}
			}
		})
		over := make(chan struct{})
		talk.Go(func() {
			for {
				select {
				case n := <-toHeir:
					heir.Told(n)
				case <-over:
					return
				}
			}
		})
		talk.Go(func() {
			for {
				select {
				case do := <-toOld:
					do()
				case <-over:
					return
				}
			}
		})
		served := make(chan struct{})
		go func() { defer close(served); heir.Serve(t.Context()) }()
		t.Cleanup(func() {
			heir.Close()
			<-served
			two.old.stop()
			close(over)
			talk.Wait()
		})
	}
	return two
}

func configOf(l net.Listener, key [][32]byte, tune func(*Config)) Config {
	c := Config{
		TLS:       &tls.Config{Certificates: []tls.Certificate{serverCert()}, MinVersion: tls.VersionTLS12},
		Listeners: []net.Listener{l},
	}
	c.TLS.SetSessionTicketKeys(key)
	if tune != nil {
		tune(&c)
	}
	return c
}

func TestAConnectionGoesToTheServerThatPromisedIt(t *testing.T) {
	two := twoOnOnePort(t, nil)
	stayed := two.old.client(loopback, "ana", Require, nil)
	early := stayed.pasv() // its connection comes after the ports are shared
	two.leave()
	tc := stayed.mustDial(early.Port())
	if err := stayed.store(early, tc, "promised before"); err != nil {
		t.Errorf("a promise from before: %v", err)
	}
	clients := []*client{
		stayed,
		two.old.client(loopback, "ana", Require, nil), // came in the last moment
		two.old.client(loopback, "eva", Require, nil),
		two.heir.client(loopback, "ana", Require, nil),
		two.heir.client(loopback, "eva", Require, nil),
		two.heir.client(loopback, "ivo", Require, nil),
	}
	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() {
			for n := range 6 {
				if err := c.download(fmt.Sprintf("down %d of %d", n, i)); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
				if err := c.upload(fmt.Sprintf("up %d of %d", n, i)); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			}
		})
	}
	all.Wait()
	two.heir.ports.Alone()
	if err := clients[3].upload("afterwards"); err != nil {
		t.Errorf("when the old server is gone: %v", err)
	}
}

func TestNobodyTakesATransferOfTheOtherServer(t *testing.T) {
	for _, thiefOf := range []string{"the successor", "the old server"} {
		attack := func(blind bool) (stolen bool) {
			two := twoOnOnePort(t, func(c *Config) { c.Grace = time.Minute })
			two.leave()
			home, prey := two.heir, two.old
			if thiefOf == "the old server" {
				home, prey = two.old, two.heir
			}
			prey.ports.mu.Lock()
			prey.ports.policy.anyAccount = blind
			prey.ports.mu.Unlock()
			victim := prey.client(loopback, "ana", Require, nil)
			thief := home.client(loopback, "eve", Require, nil)
			pr := victim.pasv()
			got := take(pr, event.Download)
			bad := thief.mustDial(pr.Port())
			defer bad.Close()
			if !blind {
				good := victim.mustDial(pr.Port())
				defer good.Close()
			}
			res := <-got
			if res.err != nil {
				t.Errorf("a thief of %s, blind %v: %v", thiefOf, blind, res.err)
				return false
			}
			defer res.conn.Abort()
			return res.conn.RemoteAddr().String() == bad.LocalAddr().String()
		}
		if attack(false) {
			t.Errorf("a thief of %s took the transfer", thiefOf)
		}
		if !attack(true) {
			t.Errorf("with the defence off a thief of %s got nothing: this test shows nothing", thiefOf)
		}
	}
}

// Who shows no ticket is known by address and port alone: nobody else may
// have a promise there, in neither server.
func TestAnExclusivePromiseHoldsAcrossBothServers(t *testing.T) {
	two := twoOnOnePort(t, func(c *Config) { c.Turn, c.Quarantine = time.Second, 100*time.Millisecond })
	two.leave()
	plain := two.old.client(loopback, "old", Prefer, nil)
	plain.tls.ClientSessionCache = nil // it cannot resume
	pr := plain.pasv()
	other := two.heir.client(loopback, "new", Prefer, nil)
	if _, err := other.s.Promise(t.Context()); err == nil || !strings.Contains(err.Error(), "data.busy") {
		t.Errorf("the same place was promised twice: %v", err)
	}
	if err := plain.store(pr, plain.mustDial(pr.Port()), "without a ticket"); err != nil {
		t.Error(err)
	}
	if err := other.upload("afterwards"); err != nil {
		t.Error(err)
	}
}

func TestAHelloInAnyNumberOfPiecesShowsItsTickets(t *testing.T) {
	r := newRig(t, 0, nil)
	defer r.stop()
	c := r.client(loopback, "ana", Require, nil)
	near, far := net.Pipe()
	go tls.Client(near, c.tls).Handshake()
	defer near.Close()
	hello := make([]byte, 16<<10)
	far.SetDeadline(time.Now().Add(time.Minute))
	n, err := far.Read(hello)
	far.Close()
	if err != nil {
		t.Fatal(err)
	}
	hello = hello[:n]
	for i := range n {
		if _, enough, _ := parseHello(hello[:i]); enough {
			t.Fatalf("%d of %d bytes are enough", i, n)
		}
	}
	tickets, enough, ok := parseHello(hello)
	if !enough || !ok || len(tickets) == 0 || r.ports.ownerOf(tickets) != c.s {
		t.Errorf("enough %v, ok %v, %d tickets", enough, ok, len(tickets))
	}
	// RFC 8446 §5.1: the same message in two records.
	body := hello[5:]
	head := func(n int) []byte { return []byte{22, 3, 1, byte(n >> 8), byte(n)} }
	split := slices.Concat(head(7), body[:7], head(len(body)-7), body[7:])
	if again, enough, ok := parseHello(split); !enough || !ok || len(again) != len(tickets) {
		t.Errorf("in two records: enough %v, ok %v, %d tickets", enough, ok, len(again))
	}
	for _, wrong := range []string{"GET / HTTP/1.1\r\n", "\x16\x03\x01\x00\x00", "\x16\x03\x01\x00\x04\x02\x00\x00\x00", "\x15"} {
		if _, enough, ok := parseHello([]byte(wrong)); !enough || ok {
			t.Errorf("%q: enough %v, ok %v", wrong, enough, ok)
		}
	}
}

func FuzzHello(f *testing.F) {
	f.Add([]byte("\x16\x03\x01\x00\x04\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, seen []byte) {
		tickets, enough, ok := parseHello(seen)
		if (ok || len(tickets) > 0) && !enough {
			t.Errorf("ok %v with %d tickets, and not enough", ok, len(tickets))
		}
	})
}

// The old server's promise had its connection, given to it by the successor,
// and made room there all the same.
func TestAConnectionThatWasGivenToTheOldServerKeepsItsPromise(t *testing.T) {
	two := twoOnOnePort(t, nil)
	c := two.old.client(loopback, "ana", Require, nil)
	two.leave()
	promise := c.pasv()
	conn := &held{Conn: two.heir.open(loopback, promise.Port()), goOn: make(chan struct{})}
	shaken := make(chan error, 1)
	tc := tls.Client(conn, c.tls)
	go func() { shaken <- tc.Handshake() }()
	p := two.heir.ports
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		pr := p.other.promise[promise.seq]
		if pr.given {
			p.want.sum += 20 * time.Second
			soon := p.stale(pr, &waiter{})
			p.want.sum += 20 * time.Second
			late := p.stale(pr, &waiter{})
			p.mu.Unlock()
			if soon || !late {
				t.Errorf("makes room after 20 s: %v, after 40 s: %v", soon, late)
			}
			break
		}
		p.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatal("the connection was not given to the old server")
		}
	}
	close(conn.goOn)
	if err := <-shaken; err != nil {
		t.Error(err)
	}
	promise.Cancel()
	tc.Close()
}

// held is a connection of which the first write goes out, and the rest later.
type held struct {
	net.Conn
	begun bool
	goOn  chan struct{}
}

func (h *held) Write(b []byte) (int, error) {
	if h.begun {
		<-h.goOn
	}
	h.begun = true
	return h.Conn.Write(b)
}
