package daemon

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"ftps/pkg/ftp"
	"ftps/pkg/ftptest"
	"ftps/pkg/limit"
)

// The proxies of these tests are on 127.0.0.1; whoever comes from another
// loopback address is a stranger.
const (
	client = "203.0.113.9:40000"
	front  = "198.51.100.1:21" // the proxy's own address, where clients connect to
)

// header is what a proxy begins a connection with.
func header(from, to string) []byte {
	h := proxyproto.HeaderProxyFromAddrs(2,
		net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from)), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(to)))
	text, err := h.Format()
	if err != nil {
		panic(err)
	}
	return text
}

func says(text []byte) func(net.Conn) { return func(c net.Conn) { c.Write(text) } }

// behind serves behind proxies on 127.0.0.1.
func behind(h *host) (d *Daemon, end func()) {
	h.cfg.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	return h.start()
}

// behindWith is behind, with a defence switched off.
func behindWith(h *host, off func(*Daemon)) (d *Daemon, end func()) {
	h.cfg.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	return h.startWith(off)
}

// through connects with a header, or with what a test calls one.
func (h *host) through(d *Daemon, text []byte) *ftptest.Conn {
	h.t.Helper()
	return ftptest.ConnectThrough(h.t, "127.0.0.1", says(text), d.Control(),
		&tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
}

func (h *host) loginThrough(d *Daemon, text []byte) *ftptest.Conn {
	h.t.Helper()
	c := h.through(d, text)
	c.Expect(220)
	c.Cmd(234, "AUTH TLS")
	c.TLS.ClientSessionCache = keeping{c.TLS.ClientSessionCache}
	c.StartTLS()
	c.Login("diego", "secreto")
	return c
}

// keeping keeps a ticket that a handshake failed with: it was not the
// ticket's fault.
type keeping struct{ tls.ClientSessionCache }

func (k keeping) Put(key string, cs *tls.ClientSessionState) {
	if cs != nil {
		k.ClientSessionCache.Put(key, cs)
	}
}

func TestAClientBehindAProxyIsKnownByItsOwnAddressOnControlAndData(t *testing.T) {
	u := account("diego")
	u.AllowFrom = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	h := newHost(t, u)
	d, _ := behind(h)
	c := h.loginThrough(d, header(client, front))
	data := []byte(strings.Repeat("hola ", 100_000))
	for range 3 {
		if code := c.Upload(data, "STOR a"); code != 226 {
			t.Fatalf("upload: %d", code)
		}
		if got, code := c.Download("RETR a"); code != 226 || string(got) != string(data) {
			t.Fatalf("download: %d, %d bytes", code, len(got))
		}
	}
	if line := h.log.wait(t, "connected"); line["remote"] != client {
		t.Errorf("the log says %v", line)
	}
	if s := d.Sessions(); len(s) != 1 || s[0].Remote.String() != client {
		t.Errorf("sessions: %+v", s)
	}
	// Where the client connected to is what PASV tells it.
	to, err := ftp.ParsePASVReply(c.Cmd(227, "PASV"))
	if err != nil || to.Addr().String() != "198.51.100.1" {
		t.Errorf("PASV tells %v, %v", to, err)
	}
	// allow_from looks at the client, not at the proxy.
	other := h.through(d, header("192.0.2.1:4000", front))
	other.Expect(220)
	other.Cmd(234, "AUTH TLS")
	other.StartTLS()
	other.Cmd(331, "USER diego")
	other.Cmd(530, "PASS secreto")
	// And so does a ban.
	if n := d.Ban(netip.MustParseAddr("203.0.113.9"), 0); n != 1 {
		t.Errorf("the ban ended %d sessions", n)
	}
	c.Expect(421)
	h.through(d, header(client, front)).Expect(421)
	h.through(d, header("203.0.113.8:40000", front)).Expect(220)
}

func TestThePublicAddressIsToldBehindAProxyTooAndToNobodyOnLoopback(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.PublicIP = "192.0.2.77"
	d, _ := behind(h)
	for from, want := range map[string]string{client: "192.0.2.77", "127.0.0.9:40000": "198.51.100.1"} {
		to, err := ftp.ParsePASVReply(h.loginThrough(d, header(from, front)).Cmd(227, "PASV"))
		if err != nil || to.Addr().String() != want {
			t.Errorf("%s is told %v, %v, not %s", from, to, err, want)
		}
	}
}

func TestADataConnectionOfAnotherClientOfTheProxyIsNotTaken(t *testing.T) {
	h := newHost(t, account("diego"))
	d, _ := behind(h)
	c := h.loginThrough(d, header(client, front))
	port := c.Passive()
	c.Preface = says(header("203.0.113.10:40001", front))
	stranger := c.Secure(c.OpenData(port)) // with the very tickets of the session
	if err := stranger.Handshake(); err == nil {
		t.Error("a connection from another address got a handshake")
	}
	c.Preface = says(nil)
	if err := c.Secure(c.OpenDataFrom("127.0.0.3", port)).Handshake(); err == nil {
		t.Error("a connection that went round the proxy got a handshake")
	}
	c.Preface = says(header(client, front))
	conn := c.Secure(c.OpenData(port))
	c.Send("STOR a")
	c.Expect(150)
	conn.Write([]byte("mine"))
	conn.CloseWrite()
	io.Copy(io.Discard, conn)
	c.Expect(226)
}

func TestAHeaderFromAnAddressThatIsNotTrustedIsNotBelieved(t *testing.T) {
	u := account("diego")
	u.AllowFrom = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	h := newHost(t, u)
	d, _ := behind(h)
	forged := ftptest.ConnectThrough(t, "127.0.0.3", says(header(client, front)), d.Control(), &tls.Config{InsecureSkipVerify: true})
	forged.Expect(220)
	// Its bytes are lines that make no sense, and the last of them is QUIT.
	for _, code := range forged.ExpectClosed() {
		if code < 500 && code != 221 {
			t.Errorf("answered %d", code)
		}
	}
	if line := h.log.wait(t, "connected"); !strings.HasPrefix(line["remote"].(string), "127.0.0.3:") {
		t.Errorf("believed: %v", line)
	}
	// Without a header such a client is served, by its own address.
	plain := ftptest.ConnectFrom(t, "127.0.0.3", d.Control(), &tls.Config{InsecureSkipVerify: true})
	plain.Expect(220)
	plain.Cmd(234, "AUTH TLS")
	plain.StartTLS()
	plain.Cmd(331, "USER diego")
	plain.Cmd(530, "PASS secreto")
	// The same bytes from the proxy open the account.
	h.loginThrough(d, header(client, front))
}

func TestADataConnectionWithAHeaderOfItsOwnIsNotBelieved(t *testing.T) {
	h := newHost(t, account("diego"))
	d, _ := behind(h)
	c := h.loginThrough(d, header(client, front))
	port := c.Passive()
	forged := c.Secure(c.OpenDataFrom("127.0.0.3", port)) // it begins with the client's header
	if err := forged.Handshake(); err == nil {
		t.Error("believed")
	}
	conn := c.Secure(c.OpenData(port))
	c.Send("LIST")
	c.Expect(150)
	io.Copy(io.Discard, conn)
	conn.Close()
	c.Expect(226)
}

func TestATrustedAddressWithoutAGoodHeaderIsNotServed(t *testing.T) {
	good := header(client, front)
	changed := func(at int, b ...byte) []byte {
		text := append([]byte(nil), good...)
		copy(text[at:], b)
		return text
	}
	long := changed(14, 0xff, 0xff)
	h := newHost(t, account("diego"))
	d, _ := behind(h)
	refusals := func() (causes []string) {
		for _, line := range h.log.lines() {
			if line["msg"] == "proxy-refused" {
				causes = append(causes, line["cause"].(string))
			}
		}
		return causes
	}
	for what, c := range map[string]struct {
		text []byte
		said string
	}{
		"a command":                {[]byte("USER diego\r\n"), "does not begin"},
		"a ClientHello":            {[]byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3}, "does not begin"},
		"two line ends":            {[]byte("\r\n\r\nUSER diego\r\n"), "does not begin"},
		"version 1":                {[]byte("PROXY TCP4 203.0.113.9 198.51.100.1 40000 21\r\n"), "version 1"},
		"version 3":                {changed(12, 0x31), "cannot be read"},
		"an unknown command":       {changed(12, 0x22), "cannot be read"},
		"UDP":                      {changed(13, 0x12), "other than TCP"},
		"an unknown family":        {changed(13, 0x41), "cannot be read"},
		"no family at all":         {changed(13, 0x00), "cannot be read"},
		"IPv6 of IPv4's length":    {changed(13, 0x21), "cannot be read"},
		"a length beyond all need": {long, "65535 bytes"},
		"nowhere as client":        {header("0.0.0.0:40000", front), "0.0.0.0:40000"},
		"multicast as client":      {header("224.0.0.1:40000", front), "224.0.0.1"},
		"port 0":                   {header("203.0.113.9:0", front), "203.0.113.9:0"},
		"nowhere as server":        {header(client, "0.0.0.0:21"), "0.0.0.0:21"},
	} {
		before := len(refusals())
		conn := h.through(d, c.text)
		if codes := conn.ExpectClosed(); len(codes) > 0 {
			t.Errorf("%s: answered %v", what, codes)
		}
		deadline := time.After(ftptest.Patience)
		for len(refusals()) == before {
			select {
			case <-h.log.more:
			case <-deadline:
				t.Fatalf("%s: not in the log", what)
			}
		}
		if cause := refusals()[before]; !strings.Contains(cause, c.said) {
			t.Errorf("%s: the log says %s", what, cause)
		}
	}
	h.loginThrough(d, good)
}

func TestAProxyMayLookWhetherTheServerLives(t *testing.T) {
	h := newHost(t)
	d, _ := behind(h)
	text, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}).Format()
	if err != nil {
		t.Fatal(err)
	}
	h.through(d, text).Expect(220)
	if line := h.log.wait(t, "connected"); !strings.HasPrefix(line["remote"].(string), "127.0.0.1:") {
		t.Errorf("the log says %v", line)
	}
}

func TestNConnectionsOfAClientBehindAProxyAndOfIPv6sWholeNetwork(t *testing.T) {
	h := newHost(t)
	h.cfg.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	d, err := New(h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.conns = limit.NewConnections(0, 3)
	h.run(d)
	for i, c := range []struct {
		from string
		code int
	}{
		{"[2001:db8:0:1::1]:4000", 220}, {"[2001:db8:0:1::2]:4000", 220}, {"[2001:db8:0:1:ffff::3]:4000", 220},
		{"[2001:db8:0:1::4]:4000", 421}, // the fourth of its /64
		{"[2001:db8:0:2::1]:4000", 220}, // its neighbour
		{"203.0.113.1:1", 220}, {"203.0.113.1:2", 220}, {"203.0.113.1:3", 220}, {"203.0.113.1:4", 421},
		{"203.0.113.2:1", 220}, // IPv4 counts one by one
		{"[::ffff:203.0.113.1]:5", 421},
	} {
		to := front
		if strings.HasPrefix(c.from, "[") {
			to = "[2001:db8::1]:21"
		}
		h.through(d, header(c.from, to)).Expect(c.code)
		if t.Failed() {
			t.Fatalf("connection %d, from %s", i, c.from)
		}
	}
}

func TestAClientThatReachedTheProxyByIPv6IsToldToUseEPSV(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.PublicIP = "192.0.2.77"
	d, _ := behind(h)
	c := h.loginThrough(d, header("[2001:db8::9]:40000", "[2001:db8::1]:21"))
	if said := c.Cmd(425, "PASV"); !strings.Contains(said, "EPSV") {
		t.Errorf("PASV: %q", said)
	}
	c.Cmd(522, "EPSV 1")
	if code := c.Upload([]byte("seis"), "STOR a"); code != 226 {
		t.Errorf("by EPSV: %d", code)
	}
}

// The two tests that follow are negative controls: what happens without the
// defence.
func TestAServerThatTrustsEveryNeighbourBelievesAForgedHeader(t *testing.T) {
	u := account("diego")
	u.AllowFrom = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	h := newHost(t, u)
	h.cfg.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	d, _ := h.start()
	c := ftptest.ConnectThrough(t, "127.0.0.3", says(header(client, front)), d.Control(),
		&tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	c.Expect(220)
	c.Cmd(234, "AUTH TLS")
	c.StartTLS()
	c.Login("diego", "secreto") // from an address of its own choice
}

func TestAHeaderThatMayTakeForEverIsWaitedFor(t *testing.T) {
	_, addr, refused := proxyPort(t, time.Hour)
	slow := open(t, addr, header(client, front)[:3])
	slow.SetReadDeadline(time.Now().Add(400 * time.Millisecond))
	var late net.Error
	if _, err := slow.Read(make([]byte, 1)); !errors.As(err, &late) || !late.Timeout() || len(refused) > 0 {
		t.Errorf("closed by itself: %v: this shows nothing", err)
	}
}

// proxyPort is a port behind a proxy, without a server.
func proxyPort(t *testing.T, patience time.Duration) (b *behindProxy, addr string, refused chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused = make(chan error, 2*maxHeaders)
	b = takeProxies(l, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		func(_ netip.AddrPort, cause error) { refused <- cause })
	b.limit = patience
	t.Cleanup(func() { b.Close(); b.Accept() })
	return b, l.Addr().String(), refused
}

func open(t *testing.T, addr string, text []byte) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(ftptest.Patience))
	conn.Write(text)
	return conn
}

func TestASlowHeaderHoldsNobodyUpAndIsNotWaitedForLong(t *testing.T) {
	b, addr, refused := proxyPort(t, 2*time.Second)
	good := header(client, front)
	slow := []net.Conn{open(t, addr, nil), open(t, addr, good[:1]), open(t, addr, good[:16]), open(t, addr, good[:len(good)-1])}
	open(t, addr, good)
	conn, err := b.Accept() // behind all of them
	if err != nil || conn.RemoteAddr().String() != client {
		t.Fatal(conn, err)
	}
	conn.Close()
	for range slow {
		select {
		case <-refused:
		case <-time.After(ftptest.Patience):
			t.Fatal("a slow header is still waited for")
		}
	}
	for i, c := range slow {
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, net.ErrClosed) {
			t.Errorf("slow connection %d: %v", i, err)
		}
	}
}

func TestTooManyWithoutAHeaderAreSentAwayAtOnce(t *testing.T) {
	b, addr, refused := proxyPort(t, time.Minute)
	go func() {
		for {
			if conn, err := b.Accept(); err != nil {
				return
			} else {
				conn.Close()
			}
		}
	}()
	for range maxHeaders + 1 {
		open(t, addr, nil)
	}
	select {
	case <-refused:
	case <-time.After(ftptest.Patience):
		t.Fatal("nobody was sent away")
	}
	if len(refused) > 0 {
		t.Error("one that had a place was sent away")
	}
}

func TestClosingThePortEndsWhatWaitsForAHeader(t *testing.T) {
	b, addr, _ := proxyPort(t, time.Minute)
	waiting, whole := open(t, addr, nil), open(t, addr, header(client, front))
	if _, err := b.Accept(); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if _, err := b.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if _, err := waiting.Read(make([]byte, 1)); err == nil {
		t.Error("still open")
	}
	whole.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := whole.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a connection that was accepted was closed: %v", err)
	}
}

func TestBehindAHeaderIsTheSocketItself(t *testing.T) {
	b, addr, _ := proxyPort(t, time.Minute)
	// Header, what a proxy adds, and the first line, all in one segment.
	text := header(client, front)
	binary.BigEndian.PutUint16(text[14:], uint16(len(text)-16+7))
	text = append(text, 0x04, 0, 4, 1, 2, 3, 4)
	far := open(t, addr, append(text, "AUTH TLS\r\n"...))
	conn, err := b.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	line := make([]byte, 10)
	if _, err := io.ReadFull(conn, line); err != nil || string(line) != "AUTH TLS\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		t.Fatal("no half-close")
	}
	if _, err := far.Read(line); err != io.EOF {
		t.Errorf("the far end sees %v", err)
	}
	far.Write([]byte("more"))
	if n, err := conn.Read(line); err != nil || string(line[:n]) != "more" {
		t.Errorf("after the half-close: %q, %v", line[:n], err)
	}
}
