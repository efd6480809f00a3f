package daemon

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/ftptest"
)

// What follows are ways to have somebody else banned or thrown out.

// Whoever is behind the same address can connect to a data port in another's
// place, and needs no account for it.
func TestAStrangerBehindTheSameAddressThrowsNobodyOutWhoHasLoggedIn(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.BanScore = 2
	d, _ := behind(h)
	const office = "203.0.113.9"
	for _, attack := range []func(c *ftptest.Conn, port int){
		func(c *ftptest.Conn, port int) { // a whole handshake without a ticket
			stranger := *c
			stranger.TLS = c.TLS.Clone()
			stranger.TLS.ClientSessionCache = nil
			conn := stranger.OpenData(port)
			_ = stranger.Secure(conn).Handshake()
		},
		func(c *ftptest.Conn, port int) { // no handshake at all, twice
			for range 2 {
				conn := c.OpenData(port)
				conn.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
				eventually(t, "the end", func() bool {
					conn.SetReadDeadline(time.Now().Add(time.Millisecond))
					_, err := conn.Read(make([]byte, 64))
					timeout, ok := err.(interface{ Timeout() bool })
					return err != nil && !(ok && timeout.Timeout())
				})
			}
		},
	} {
		c := h.loginThrough(d, header(office+":40000", front))
		port := c.Passive()
		c.Preface = says(header(office+":40001", front))
		attack(c, port)
		eventually(t, "the ban", func() bool { return len(d.Bans()) == 1 })
		c.Cmd(257, "PWD")
		d.Unban(netip.MustParseAddr(office))
	}
}

// The negative control: where the session pays for its data connections,
// whoever connects first has it thrown out.
func TestASessionThatPaysForItsDataConnectionsIsThrownOutByAStranger(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.BanScore = 2
	d, _ := behindWith(h, func(d *Daemon) {
		d.scorer.blame = func(e event.Event) (event.Session, netip.AddrPort) {
			switch e := e.(type) {
			case event.DataRefused:
				return e.Session, e.Peer
			case event.HandshakeFailed:
				return e.Session, e.Remote
			}
			return offender(e)
		}
	})
	c := h.loginThrough(d, header("203.0.113.9:40000", front))
	port := c.Passive()
	stranger := *c
	stranger.Preface = says(header("203.0.113.9:40001", front))
	stranger.TLS = c.TLS.Clone()
	stranger.TLS.ClientSessionCache = nil
	_ = stranger.Secure(stranger.OpenData(port)).Handshake()
	c.Expect(421)
}

// A /64 is banned as one, but an address that is spared stays so.
func TestASparedAddressIsLetInWhoeverMisbehavesInItsSlash64(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.BanScore = 25
	h.cfg.NeverBan = []netip.Prefix{netip.MustParsePrefix("2001:db8:0:1::7/128")}
	d, _ := behind(h)
	waits := h.stranger(d, "2001:db8:0:1::7") // has not logged in yet
	waits.Expect(220)
	misbehaviour["HTTP"].do(h, d, "2001:db8:0:1::bad")
	eventually(t, "the ban", func() bool { return len(d.Bans()) == 1 })
	h.stranger(d, "2001:db8:0:1::bad").Expect(421)
	h.stranger(d, "2001:db8:0:1::7").Expect(220)
	waits.Cmd(214, "HELP NOOP")
	d.Ban(netip.MustParseAddr("2001:db8:0:1::bad"), 0)
	h.stranger(d, "2001:db8:0:1::7").Expect(421) // that was said by the administrator
}

// The negative control.
func TestWhereNobodyIsSparedANeighbourShutsEverybodyOutOfHisSlash64(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.BanScore = 25
	h.cfg.NeverBan = []netip.Prefix{netip.MustParsePrefix("2001:db8:0:1::7/128")}
	d, _ := behindWith(h, func(d *Daemon) { d.scorer.spares = func(netip.Addr) bool { return false } })
	waits := h.stranger(d, "2001:db8:0:1::7")
	waits.Expect(220)
	misbehaviour["HTTP"].do(h, d, "2001:db8:0:1::bad")
	waits.Expect(421)
	h.stranger(d, "2001:db8:0:1::7").Expect(421)
}

// A flood that pushes others out, at their handshake or before, must not have
// them banned as well.
func TestWhoHasToMakeRoomForAFloodIsNotScoredForIt(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.BanScore = 1000
	h.cfg.MaxBeforeLogin = 1
	d, _ := behind(h)
	const honest = "203.0.113.9"
	for _, handshake := range []bool{false, true} {
		c := h.stranger(d, honest)
		c.Expect(220)
		if handshake {
			c.Cmd(234, "AUTH TLS")
			c.Write("\x16\x03\x01") // the rest is on its way
		}
		h.stranger(d, "203.0.113.66").Expect(220)
		c.ExpectClosed()
		c.Raw().Close()
		h.log.wait(t, "disconnected")
		if n := d.scores.Points(netip.MustParseAddr(honest)); n != 0 {
			t.Errorf("at its handshake: %v; it has %d points", handshake, n)
		}
	}
}

// The negative control.
func TestWhoHasToMakeRoomAndIsScoredForItIsBannedForAFlood(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.BanScore = 1000
	h.cfg.MaxBeforeLogin = 1
	d, _ := behindWith(h, func(d *Daemon) {
		d.scorer.misdeeds = slices.Clone(misdeeds)
		for i, m := range misdeeds {
			if m.name == "handshake" {
				d.scorer.misdeeds[i].is = func(e event.Event) bool { _, ok := e.(event.HandshakeFailed); return ok }
			}
		}
	})
	const honest = "203.0.113.9"
	c := h.stranger(d, honest)
	c.Expect(220)
	c.Cmd(234, "AUTH TLS")
	c.Write("\x16\x03\x01") // the rest is on its way
	h.stranger(d, "203.0.113.66").Expect(220)
	c.ExpectClosed()
	c.Raw().Close()
	eventually(t, "points", func() bool { return d.scores.Points(netip.MustParseAddr(honest)) > 0 })
}
