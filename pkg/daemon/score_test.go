package daemon

import (
	"fmt"
	"io"
	"net/netip"
	"testing"
	"time"

	"ftps/pkg/admin"
	"ftps/pkg/event"
	"ftps/pkg/ftptest"
	"ftps/pkg/limit"
)

// eventually waits for what happens beside the client's replies.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(ftptest.Patience)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !ok() {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("%s: not yet", what)
		}
	}
}

// stranger is a client of the proxy with an address of its own.
func (h *host) stranger(d *Daemon, addr string) *ftptest.Conn {
	h.t.Helper()
	to := front
	from := netip.AddrPortFrom(netip.MustParseAddr(addr), 40000)
	if from.Addr().Is6() {
		to = "[2001:db8:ffff::1]:21"
	}
	return h.through(d, header(from.String(), to))
}

// misbehaviour is one of each kind, as the score counts it.
var misbehaviour = map[string]struct {
	points int
	do     func(h *host, d *Daemon, addr string)
}{
	"a wrong password": {10, func(h *host, d *Daemon, addr string) { h.guess(d, addr) }},
	"an unknown name": {10, func(h *host, d *Daemon, addr string) {
		c := h.stranger(d, addr)
		c.Expect(220)
		c.Cmd(234, "AUTH TLS")
		c.StartTLS()
		c.Cmd(331, "USER nobody")
		c.Send("PASS secreto")
		c.Read()
	}},
	"HTTP": {25, func(h *host, d *Daemon, addr string) {
		c := h.stranger(d, addr)
		c.Write("GET / HTTP/1.1\r\nHost: ftps.test\r\n\r\n")
		c.ExpectClosed()
		c.Raw().Close()
	}},
	"SMTP": {25, func(h *host, d *Daemon, addr string) {
		c := h.stranger(d, addr)
		c.Write("EHLO ftps.test\r\n")
		c.ExpectClosed()
		c.Raw().Close()
	}},
	"commands behind AUTH": {25, func(h *host, d *Daemon, addr string) {
		c := h.stranger(d, addr)
		c.Write("AUTH TLS\r\nUSER diego\r\n")
		c.ExpectClosed()
		c.Raw().Close()
	}},
	"an unknown verb": {2, func(h *host, d *Daemon, addr string) {
		c := h.stranger(d, addr)
		c.Expect(220)
		c.Send("WHAT")
		c.Read()
	}},
	"NUL in a name": {5, func(h *host, d *Daemon, addr string) {
		c := h.stranger(d, addr)
		c.Expect(220)
		c.Write("STOR a\x00b\r\n")
		c.Read()
	}},
	"garbage for a handshake": {5, func(h *host, d *Daemon, addr string) {
		c := h.stranger(d, addr)
		c.Expect(220)
		c.Cmd(234, "AUTH TLS")
		c.Write("this is no ClientHello\r\n")
		io.Copy(io.Discard, c.Raw())
	}},
	"half a handshake": {5, func(h *host, d *Daemon, addr string) {
		c := h.stranger(d, addr)
		c.Expect(220)
		c.Cmd(234, "AUTH TLS")
		c.Write("\x16\x03\x01")
		c.Raw().Close()
	}},
	"silence": {2, func(h *host, d *Daemon, addr string) {
		c := h.stranger(d, addr)
		c.ExpectClosed() // after the time for the login
		c.Raw().Close()
	}},
	"a climb": {1, func(h *host, d *Daemon, addr string) {
		c := h.loginThrough(d, header(addr+":40000", front))
		c.Send("RETR ../../etc/passwd")
		c.Read()
		c.Send("CWD ../..")
		c.Read()
		c.Raw().Close()
	}},
	"a data connection that proves nothing": {2, func(h *host, d *Daemon, addr string) {
		c := h.loginThrough(d, header(addr+":40000", front))
		port := c.Passive()
		c.Preface = says(header(addr+":40001", front))
		conn := c.OpenData(port)
		bare := c.TLS.Clone()
		bare.ClientSessionCache = nil
		c.TLS = bare
		c.Send("LIST")
		c.Secure(conn).Handshake()
		for code := 150; code == 150; code, _, _ = c.Read() {
		}
	}},
}

// guess tries one wrong password.
func (h *host) guess(d *Daemon, addr string) {
	h.t.Helper()
	c := h.stranger(d, addr)
	c.Expect(220)
	c.Cmd(234, "AUTH TLS")
	c.StartTLS()
	c.Cmd(331, "USER diego")
	c.Send("PASS wrong")
	c.Read() // 530, or 421 where it was the one too many
}

func TestEveryMisdeedAddsToTheScoreOfItsAddress(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.BanScore = 1000
	d, _ := behind(h)
	quick := newHost(t, account("diego")) // where nobody else is in a hurry
	quick.cfg.BanScore = 1000
	quick.cfg.LoginTimeout = time.Second
	impatient, _ := behind(quick)
	for _, d := range []*Daemon{d, impatient} {
		d.scores.Policy(limit.ScorePolicy{Limit: 1000, Forget: 24 * time.Hour})
	}
	n := 0
	for what, m := range misbehaviour {
		n++
		addr := fmt.Sprintf("203.0.113.%d", n)
		h, d := h, d
		if what == "silence" {
			h, d = quick, impatient
		}
		m.do(h, d, addr)
		eventually(t, what, func() bool { return d.scores.Points(netip.MustParseAddr(addr)) >= m.points })
	}
	// Honest work adds nothing.
	c := h.loginThrough(d, header("203.0.113.200:40000", front))
	c.Upload([]byte("hola"), "STOR a")
	c.Download("RETR a")
	c.Cmd(550, "DELE missing")
	c.Cmd(221, "QUIT")
	c.ExpectClosed()
	if n := d.scores.Points(netip.MustParseAddr("203.0.113.200")); n != 0 {
		t.Errorf("an honest client has %d points", n)
	}
}

func TestAFullScoreBansAndOneMisdeedLessDoesNot(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.BanScore, h.cfg.BanTime = 30, time.Hour
	d, _ := behind(h)
	const attacker = "203.0.113.9"
	sister := h.loginThrough(d, header(attacker+":1", front)) // of the same office
	silent := h.stranger(d, attacker)
	silent.Expect(220)
	h.guess(d, attacker)
	h.guess(d, attacker)
	h.stranger(d, attacker).Expect(220) // 20 of 30
	h.guess(d, attacker)
	h.stranger(d, attacker).Expect(421)
	silent.Expect(421)
	h.stranger(d, "203.0.113.10").Expect(220)
	sister.Cmd(257, "PWD") // has shown whose it is
	line := h.log.wait(t, "banned")
	if line["remote"] != attacker+":40000" || line["seconds"] != 3600.0 || line["last"] != "login" {
		t.Errorf("the log says %v", line)
	}
	if all := d.Bans(); len(all) != 1 || !all[0].Automatic || all[0].String() != attacker {
		t.Errorf("bans: %+v", all)
	}
	if !d.Unban(netip.MustParseAddr(attacker)) {
		t.Error("cannot be lifted")
	}
	h.guess(d, attacker)
	h.guess(d, attacker)
	h.stranger(d, attacker).Expect(220)
}

func TestABanIsNotEvadedWithinASlash64(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.BanScore = 30
	d, _ := behind(h)
	for i := range 3 {
		h.guess(d, fmt.Sprintf("2001:db8:0:1::%x", i+1))
	}
	h.stranger(d, "2001:db8:0:1:aaaa:bbbb:cccc:dddd").Expect(421)
	h.stranger(d, "2001:db8:0:2::1").Expect(220)
}

// The negative control: without a score, whoever guesses is heard for ever.
func TestWithoutAScoreWhoeverMisbehavesIsLetInAgainAndAgain(t *testing.T) {
	h := newHost(t, account("diego"))
	d, _ := behind(h)
	for range 40 {
		misbehaviour["HTTP"].do(h, d, "203.0.113.9")
	}
	h.stranger(d, "203.0.113.9").Expect(220)
}

func TestWhomTheScoreSparesAndWhomTheAdministratorBansAllTheSame(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.BanScore = 25
	h.cfg.NeverBan = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	d, _ := behind(h)
	for range 3 {
		misbehaviour["HTTP"].do(h, d, "203.0.113.9")
	}
	h.stranger(d, "203.0.113.9").Expect(220)
	d.Ban(netip.MustParseAddr("203.0.113.9"), 0)
	h.stranger(d, "203.0.113.9").Expect(421)
	// What the administrator said is not shortened by a score.
	d.bans.addAutomatic(netip.MustParseAddr("203.0.113.9"), time.Nanosecond)
	if all := d.Bans(); len(all) != 1 || all[0].Automatic {
		t.Errorf("bans: %+v", all)
	}
}

func TestBansByTheScoreAreBoundedAndThoseOfTheAdministratorAreKept(t *testing.T) {
	var b bans
	kept := netip.MustParseAddr("192.0.2.1")
	b.add(kept, 0)
	for i := range mostAutomatic + 100 {
		b.addAutomatic(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), time.Hour)
	}
	if len(b.of) != mostAutomatic+1 || b.automatic != mostAutomatic || !b.has(kept) {
		t.Errorf("%d bans, %d of them automatic", len(b.of), b.automatic)
	}
}

func TestABanIsToldOnTheConsole(t *testing.T) {
	if !admin.Tells(event.Banned{}) {
		t.Error("it is not")
	}
}

// The negative control.
func TestWithoutABoundEveryBanIsRemembered(t *testing.T) {
	b := bans{most: 1 << 30}
	for i := range mostAutomatic + 100 {
		b.addAutomatic(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), time.Hour)
	}
	if len(b.of) != mostAutomatic+100 {
		t.Errorf("%d bans: this shows nothing", len(b.of))
	}
}
