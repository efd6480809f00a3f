package dataport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/event"
)

// curl completes the handshake before it sends STOR, reads what is there
// before it closes, and shows each ticket of TLS 1.3 once.
func TestAClientThatUsesATicketOnceUploadsAsOftenAsItLikes(t *testing.T) {
	play := func(t *testing.T, off bool) (failed int) {
		inBubble(t, 4, nil, func(t *testing.T, r *rig) {
			r.ports.policy.noLatch = off
			results := make(chan error)
			for i := range 4 {
				c := r.client(alice, fmt.Sprintf("account %d", i%2), Require, onceCache{tls.NewLRUClientSessionCache(1)})
				go func() {
					for k := range 40 {
						results <- c.upload(fmt.Sprintf("file %d of %d", k, i))
					}
				}()
			}
			for range 160 {
				if err := <-results; err != nil {
					failed++
				}
			}
		})
		return failed
	}
	if n := play(t, false); n > 0 {
		t.Errorf("%d of 160 uploads failed", n)
	}
	if n := play(t, true); n == 0 {
		t.Error("without tickets none failed: this test shows nothing")
	}
}

// frugal reads one record of TLS at a time, as OpenSSL and GnuTLS do: what
// is not asked for stays in the kernel.
type frugal struct {
	net.Conn
	left int // of the record's body
}

func (f *frugal) Read(b []byte) (int, error) {
	if f.left == 0 {
		var head [5]byte
		if _, err := io.ReadFull(f.Conn, head[:]); err != nil {
			return 0, err
		}
		f.left = int(head[3])<<8 | int(head[4])
		return copy(b, head[:]), nil
	}
	n, err := f.Conn.Read(b[:min(len(b), f.left)])
	f.left -= n
	return n, err
}

// tail sends a file the way of clients that never read: the handshake begins
// after the 150, and close follows the last byte. The server is slow. It
// returns how much arrived.
func tail(t *testing.T, r *rig, size int, version uint16) int64 {
	t.Helper()
	loopback := netip.MustParseAddr("127.0.0.1")
	c := r.connectAs(loopback, nil, &tls.Config{MaxVersion: version})
	c.login("ana", Require)
	defer c.s.Close()
	pr := c.pasv()
	pr.Announce(event.Upload)
	got := take(pr, event.Upload)
	raw := r.open(loopback, pr.Port())
	raw.(*net.TCPConn).SetWriteBuffer(4 << 20)
	tc, err := handshake(&frugal{Conn: raw}, c.tls)
	if err != nil {
		t.Fatal(err)
	}
	res := <-got
	if res.err != nil {
		t.Fatal(res.err)
	}
	wrote := make(chan error, 1)
	go func() {
		_, err := tc.Write(make([]byte, size))
		wrote <- errors.Join(err, tc.Close())
	}()
	var n int64
	buf := make([]byte, 16<<10)
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	res.conn.SetReadDeadline(time.Now().Add(time.Minute))
	for err == nil {
		var k int
		k, err = res.conn.Read(buf)
		n += int64(k)
		<-pause.C
	}
	if err != io.EOF {
		n = min(n, int64(size)-1) // not whole without close_notify
	}
	res.conn.Finish()
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAClientThatNeverReadsLosesNothing(t *testing.T) {
	const size = 512 << 10
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		r := onLoopback(t, 2, nil)
		for i := range 10 {
			if n := tail(t, r, size, version); n != size {
				t.Errorf("%s, upload %d: %d of %d bytes arrived", tls.VersionName(version), i, n, size)
			}
		}
	}
	r := onLoopback(t, 2, nil)
	r.ports.policy.ticketsUp = true
	lost := 0
	for range 10 {
		if tail(t, r, size, tls.VersionTLS13) != size {
			lost++
		}
	}
	if lost == 0 {
		t.Error("with a ticket on every upload nothing was lost: this test shows nothing")
	}
}

// gotTicket tells whether a connection brought a ticket.
func gotTicket(t *testing.T, version uint16, d event.Direction, announced bool) (got bool) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.connectAs(alice, onceCache{tls.NewLRUClientSessionCache(1)}, &tls.Config{MaxVersion: version})
		c.login("ana", Require)
		pr := c.pasv()
		if announced {
			pr.Announce(d)
		}
		tc := c.mustDial(pr.Port())
		res := <-take(pr, d)
		if res.err != nil {
			t.Fatal(res.err)
		}
		ended := make(chan error, 1)
		go func() { ended <- res.conn.Finish() }()
		closedInOrder(t, tc)
		tc.Close()
		<-ended
		_, got = c.tls.ClientSessionCache.Get("ftp.test")
	})
	return got
}

func TestWhoGetsATicketOnADataConnection(t *testing.T) {
	for _, test := range []struct {
		version   uint16
		direction event.Direction
		announced bool
		want      bool
	}{
		{tls.VersionTLS13, event.Download, true, true},
		{tls.VersionTLS13, event.Listing, true, true},
		{tls.VersionTLS13, event.Upload, true, false},
		{tls.VersionTLS13, event.Download, false, true},
		{tls.VersionTLS13, event.Upload, false, true}, // hello before the command: it reads
		{tls.VersionTLS12, event.Upload, true, true},  // part of the handshake there
	} {
		if got := gotTicket(t, test.version, test.direction, test.announced); got != test.want {
			t.Errorf("%s, %v, command first %v: ticket %v, want %v",
				tls.VersionName(test.version), test.direction, test.announced, got, test.want)
		}
	}
}

func TestAHelloThatOvertakesItsCommandIsNoSignOfReading(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, onceCache{tls.NewLRUClientSessionCache(1)})
		pr := c.pasv()
		raw := r.open(alice, pr.Port())
		shaken := c.shakes(raw)
		synctest.Wait()
		time.Sleep(2 * time.Millisecond)
		got := take(pr, event.Upload)
		tc := <-shaken
		res := <-got
		go res.conn.Finish()
		closedInOrder(t, tc)
		if _, ok := c.tls.ClientSessionCache.Get("ftp.test"); ok {
			t.Error("it got a ticket")
		}
		tc.Close()
	})
}

func TestACommandBetweenAHelloAndItsTransferIsASignOfReading(t *testing.T) {
	inBubble(t, 1, func(c *Config) { c.hold = time.Hour }, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, onceCache{tls.NewLRUClientSessionCache(1)})
		stranger := r.client(alice, "eve", Require, nil)
		for i := range 3 {
			pr := c.pasv()
			raw := r.open(alice, pr.Port())
			shaken := c.shakes(raw)
			synctest.Wait()
			stranger.s.Heard() // another's command says nothing
			synctest.Wait()
			if i == 0 {
				c.s.Heard() // TYPE I
			}
			got := take(pr, event.Upload)
			if err := c.storing(got, <-shaken, "file"); err != nil {
				t.Errorf("upload %d: %v", i, err)
			}
		}
	})
}

func TestGroupsOfADataHandshake(t *testing.T) {
	for name, test := range map[string]struct {
		resume bool
		offer  []tls.CurveID
		want   tls.CurveID
	}{
		"resuming, defaults":     {true, nil, tls.X25519},
		"resuming, NIST alone":   {true, []tls.CurveID{tls.CurveP384}, tls.CurveP384},
		"resuming, hybrid alone": {true, []tls.CurveID{tls.X25519MLKEM768}, tls.X25519MLKEM768},
		"full, defaults":         {false, nil, tls.X25519MLKEM768},
		"full, NIST alone":       {false, []tls.CurveID{tls.CurveP256}, tls.CurveP256},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, nil, func(t *testing.T, r *rig) {
				c := r.client(alice, "ana", Prefer, nil)
				c.tls.CurvePreferences = test.offer
				if !test.resume {
					c.tls.ClientSessionCache = nil
				}
				pr := c.pasv()
				tc := c.mustDial(pr.Port())
				state := tc.ConnectionState()
				if state.CurveID != test.want || state.DidResume != test.resume {
					t.Errorf("group %v, resumed %v", state.CurveID, state.DidResume)
				}
				res := <-take(pr, event.Download)
				if res.err != nil {
					t.Fatal(res.err)
				}
				res.conn.Abort()
				tc.Close()
			})
		})
	}
}

func TestALPNIsOfferedAndNeverDemanded(t *testing.T) {
	for _, test := range []struct {
		offer []string
		want  string
		fails bool
	}{
		{nil, "", false},
		{[]string{"ftp-data"}, "ftp-data", false},
		{[]string{"ftp"}, "ftp", false},
		{[]string{"x-ours", "ftp-data"}, "ftp-data", false},
		{[]string{"h2"}, "", true},
	} {
		inBubble(t, 1, nil, func(t *testing.T, r *rig) {
			c := r.client(alice, "ana", Require, nil)
			c.tls.NextProtos = test.offer
			pr := c.pasv()
			tc, err := c.dial(pr.Port())
			if got := tc.ConnectionState().NegotiatedProtocol; got != test.want || (err != nil) != test.fails {
				t.Errorf("offered %q: %q, %v", test.offer, got, err)
			}
			if test.fails && !strings.Contains(err.Error(), "no application protocol") {
				t.Errorf("the client is told %v, want the alert", err)
			}
			pr.Cancel()
			tc.Close()
		})
	}
}

func TestConnectionsWithoutATicketInEitherVersion(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for reuse, want := range map[Reuse]error{Require: ErrNotProven, Prefer: nil} {
			inBubble(t, 1, nil, func(t *testing.T, r *rig) {
				c := r.connectAs(alice, nil, &tls.Config{MaxVersion: version})
				c.login("ana", reuse)
				fresh := tls.NewLRUClientSessionCache(1)
				c.tls.ClientSessionCache = fresh
				pr := c.pasv()
				tc := c.mustDial(pr.Port())
				res := <-take(pr, event.Listing)
				if !errors.Is(res.err, want) {
					t.Errorf("%s, %v: %v, want %v", tls.VersionName(version), reuse, res.err, want)
				}
				if res.err == nil {
					go res.conn.Finish()
				}
				closedInOrder(t, tc)
				tc.Close()
				if _, ok := fresh.Get("ftp.test"); ok {
					t.Errorf("%s, %v: an unproven connection got a ticket", tls.VersionName(version), reuse)
				}
			})
		}
	}
}

func TestAServerThatOffersOneVersionOnly(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		tune := func(c *Config) { c.TLS.MinVersion, c.TLS.MaxVersion = version, version }
		inBubble(t, 1, tune, func(t *testing.T, r *rig) {
			c := r.client(alice, "ana", Require, nil)
			for range 3 {
				if err := errors.Join(c.download("down"), c.upload("up")); err != nil {
					t.Errorf("%s: %v", tls.VersionName(version), err)
				}
			}
		})
	}
}

func TestClientCertificatesAreCarriedOver(t *testing.T) {
	tune := func(c *Config) { c.TLS.ClientAuth = tls.RequestClientCert }
	inBubble(t, 1, tune, func(t *testing.T, r *rig) {
		c := r.connectAs(alice, nil, &tls.Config{Certificates: []tls.Certificate{serverCert()}})
		c.login("ana", Require)
		for range 3 {
			if err := c.download("down"); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestEventsNameWhatWasRefused(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		pr := c.pasv()
		r.open(mall, pr.Port()).Close()
		raw := r.open(alice, pr.Port())
		raw.Write([]byte("junk that is no TLS"))
		<-take(pr, event.Download)
		raw.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
		var kinds []string
		for _, e := range r.events {
			kinds = append(kinds, fmt.Sprintf("%T", e))
			if h, ok := e.(event.HandshakeFailed); ok && (!h.Data || h.User != "ana") {
				t.Errorf("%+v", h)
			}
		}
		if !slices.Equal(kinds, []string{"event.DataRefused", "event.HandshakeFailed"}) {
			t.Errorf("events %v", kinds)
		}
	})
}
