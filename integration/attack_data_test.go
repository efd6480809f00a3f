package integration

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ftps/pkg/ftptest"
)

// overTLS opens TLS at once, says something and returns all that comes back.
func (s *server) overTLS(t testing.TB, port int, text string) string {
	t.Helper()
	raw, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(patience))
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, text)
	got, _ := io.ReadAll(conn)
	return string(got)
}

// secretFile is what the attackers on data ports are after.
const secretFile = "the content of diego's file"

// victim serves two accounts; diego has a file and a session.
func victim(t *testing.T) (*server, *ftptest.Conn) {
	t.Helper()
	s := startServer(t, []string{"diego", "secreto", "eve", "malicia"})
	s.plant(t, "diego", "f", secretFile)
	return s, s.enter(t, "", "diego", "secreto")
}

// receive completes a RETR on a connection that is open already.
func receive(t testing.TB, c *ftptest.Conn, raw net.Conn) {
	t.Helper()
	conn := c.Secure(raw)
	got, err := io.ReadAll(conn)
	conn.Close()
	c.Expect(226)
	if err != nil || string(got) != secretFile {
		t.Errorf("the real connection got %q, %v", got, err)
	}
}

// spoils reads what an attacker's connection gets, to its end.
func spoils(conn net.Conn) <-chan string {
	got := make(chan string, 1)
	go func() {
		conn.SetDeadline(time.Now().Add(patience))
		b, _ := io.ReadAll(conn)
		got <- string(b)
	}()
	return got
}

// barred demands that an attacker's connection ended without a byte of the
// file.
func barred(t testing.TB, what string, got <-chan string) {
	t.Helper()
	select {
	case b := <-got:
		if bytes.Contains([]byte(b), []byte(secretFile)) {
			t.Errorf("%s got the file", what)
		}
	case <-time.After(patience):
		t.Errorf("%s is still open", what)
	}
}

func TestAttackPlainDataConnection(t *testing.T) {
	s, c := victim(t)
	// A download: not a byte in the clear.
	raw := c.OpenData(c.Passive())
	c.Send("RETR f")
	c.Expect(150)
	io.WriteString(raw, "give it to me in the clear\r\n")
	got := spoils(raw)
	c.Expect(425)
	barred(t, "a plain connection", got)
	// An upload: not a byte is kept.
	raw = c.OpenData(c.Passive())
	c.Send("STOR f")
	c.Expect(150)
	io.WriteString(raw, "in the clear")
	raw.(*net.TCPConn).CloseWrite()
	c.Expect(425)
	if b, _ := os.ReadFile(filepath.Join(s.home("diego"), "f")); string(b) != secretFile {
		t.Errorf("the file is now %q", b)
	}
	// Without PROT P nothing is even promised.
	c.Cmd(220, "REIN")
	c.Cmd(331, "USER diego")
	c.Cmd(230, "PASS secreto")
	for _, line := range []string{"EPSV", "PASV", "PORT 127,0,0,1,200,10", "RETR f", "STOR f", "LIST"} {
		c.Cmd(521, "%s", line)
	}
	c.Cmd(200, "PBSZ 0")
	c.Cmd(200, "PROT P")
	c.Cmd(200, "TYPE I")
	whole(t, c)
}

func TestAttackAnotherAccountsTicket(t *testing.T) {
	s, c := victim(t)
	thief := s.enter(t, "", "eve", "malicia")
	whole(t, thief) // its tickets are good, for its own

	port := c.Passive()
	stolen := thief.Secure(thief.OpenData(port))
	if err := stolen.Handshake(); err != nil {
		t.Fatal(err)
	}
	if !stolen.ConnectionState().DidResume {
		t.Fatal("the thief's ticket did not even resume: this shows nothing")
	}
	got := spoils(stolen)
	raw := c.OpenData(port)
	c.Send("RETR f")
	c.Expect(150)
	receive(t, c, raw)
	barred(t, "another account's ticket", got)

	// It cannot feed an upload either; alone it is 522.
	port = c.Passive()
	fed := thief.Secure(thief.OpenData(port))
	if err := fed.Handshake(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(fed, "poison")
	fed.CloseWrite()
	c.Send("STOR f")
	c.Expect(150)
	c.Expect(522)
	if b, _ := os.ReadFile(filepath.Join(s.home("diego"), "f")); string(b) != secretFile {
		t.Errorf("the file is now %q", b)
	}
	whole(t, c)
	whole(t, thief)
}

func TestAttackAnotherAddressFirst(t *testing.T) {
	_, c := victim(t)
	port := c.Passive()
	stranger := c.OpenDataFrom("127.0.0.2", port)
	stranger.SetReadDeadline(time.Now().Add(patience))
	if n, err := stranger.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("the stranger read %d bytes, %v; want an end at once", n, err)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Error("the stranger's connection stayed open")
	}
	raw := c.OpenData(port)
	c.Send("RETR f")
	c.Expect(150)
	receive(t, c, raw)
	whole(t, c)
}

// A stranger behind the same address that connects first to every port there
// is, with TLS, with half a hello, or with nothing.
func TestAttackPortTheft(t *testing.T) {
	_, c := victim(t)
	for _, how := range []string{"TLS without a ticket", "half a hello", "silence", "garbage"} {
		port := c.Passive()
		thief := c.OpenDataFrom("127.0.0.1", port)
		var got <-chan string
		switch how {
		case "TLS without a ticket":
			conn := tls.Client(thief, &tls.Config{InsecureSkipVerify: true})
			if err := conn.Handshake(); err != nil {
				t.Fatal(err)
			}
			got = spoils(conn)
		case "half a hello":
			thief.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3})
			got = spoils(thief)
		case "garbage":
			io.WriteString(thief, "\x00\xff\r\n\r\n")
			got = spoils(thief)
		default:
			got = spoils(thief)
		}
		raw := c.OpenData(port)
		c.Send("RETR f")
		c.Expect(150)
		receive(t, c, raw)
		barred(t, how, got)
	}
	whole(t, c)
}

// wiretap keeps what a client sends.
type wiretap struct {
	net.Conn
	mu   sync.Mutex
	sent []byte
}

func (w *wiretap) Write(b []byte) (int, error) {
	w.mu.Lock()
	w.sent = append(w.sent, b...)
	w.mu.Unlock()
	return w.Conn.Write(b)
}

func TestAttackReplayedHello(t *testing.T) {
	_, c := victim(t)
	raw := c.OpenData(c.Passive())
	tap := &wiretap{Conn: raw}
	c.Send("RETR f")
	c.Expect(150)
	receive(t, c, tap)

	port := c.Passive()
	replay := c.OpenData(port)
	tap.mu.Lock()
	replay.Write(tap.sent)
	tap.mu.Unlock()
	got := spoils(replay)
	raw = c.OpenData(port)
	c.Send("RETR f")
	c.Expect(150)
	receive(t, c, raw)
	barred(t, "the replay", got)
	whole(t, c)
}

// PORT to somebody else would make the server attack for its client.
func TestAttackBounce(t *testing.T) {
	_, c := victim(t)
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	for _, line := range []string{
		fmt.Sprintf("PORT 127,0,0,2,%d,%d", port>>8, port&255),
		fmt.Sprintf("EPRT |1|127.0.0.2|%d|", port),
		fmt.Sprintf("EPRT |2|::ffff:127.0.0.2|%d|", port),
		"PORT 127,0,0,1,0,22", "EPRT |1|127.0.0.1|1023|", "EPRT |2|::1|50000|",
	} {
		c.Cmd(504, "%s", line)
		c.Cmd(425, "RETR f")
	}
	l.(*net.TCPListener).SetDeadline(time.Now().Add(200 * time.Millisecond))
	if conn, err := l.Accept(); err == nil {
		conn.Close()
		t.Error("the server connected to somebody who had not asked")
	}
	whole(t, c)
}

// Files that come ahead of the 1yz lie on the data connection before the
// server has said yes. Whatever is refused, cut or said wrongly before them,
// the bytes of one must not come under the name of another.
func TestAttackOneFilesBytesUnderAnothersName(t *testing.T) {
	s, c := victim(t)
	c.Cmd(200, "MODE B")
	c.Cmd(200, "OPTS STOR ahead=on;")
	mark := func(name, content string) string {
		block := func(kind byte, text string) string {
			return string([]byte{kind, byte(len(text) >> 8), byte(len(text))}) + text
		}
		return block(16, name) + block(64, content)
	}
	long := "STOR " + strings.Repeat("n", 9000)
	for _, a := range []struct{ what, lines, data string }{
		{"behind a refused one", "STOR ../f", mark("../f", "evil")},
		{"behind a refused one without a mark", "STOR ../f", "\x40\x00\x04evil"},
		{"behind one without its end", "STOR ../f", mark("../f", "evil")[:10]},
		{"behind one that nobody announced", "NOOP", mark("other", "evil")},
		{"behind two for one", "STOR ../f", mark("../f", "evil") + mark("../f", "evil")},
		{"behind a line that is too long", long, mark(strings.Repeat("n", 9000), "evil")},
		{"behind a line with a NUL", "STOR f\x00f", mark("f\x00f", "evil")},
		{"behind an unknown command", "STORE f", mark("f\x00f", "evil")},
		{"behind an offset", "REST 4\r\nSTOR f", mark("f", "evil")},
		{"behind a download", "RETR f\r\nSTOR ../f", mark("../f", "evil")},
		{"behind an empty name", "STOR", mark("", "evil")},
		{"as a mark in a mark", "STOR ../f", mark("../f", mark("f", "evil"))},
		{"in pieces", "STOR ../f", mark("../f", "")[:9] + "\x10\x00\x01f" + mark("f", "evil")},
		{"behind ABOR", "STOR ../f\r\nABOR", mark("../f", "evil")},
		{"behind another way to send", "STOR ../f\r\nMODE S\r\nMODE B", mark("../f", "evil")},
		{"behind its own end", "STOR ../f\r\nOPTS STOR ahead=off\r\nOPTS STOR ahead=on", mark("../f", "evil")},
	} {
		conn := c.Secure(c.OpenData(c.Passive()))
		c.Send("STOR opened")
		c.Expect(150)
		io.WriteString(conn, mark("opened", "opened"))
		c.Expect(250)
		// The server may have closed it when the second piece is sent.
		io.WriteString(conn, a.data)
		c.Send("%s\r\nSTOR f", a.lines)
		io.WriteString(conn, mark("f", secretFile))
		conn.CloseWrite()
		c.Send("PWD")
		for code := 0; code != 257; {
			var err error
			if code, _, err = c.Read(); err != nil {
				t.Fatalf("%s: %v", a.what, err)
			}
		}
		conn.Close()
		entries, err := os.ReadDir(s.home("diego"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			got, _ := os.ReadFile(filepath.Join(s.home("diego"), e.Name()))
			if want := map[string]string{"f": secretFile, "opened": "opened"}[e.Name()]; string(got) != want {
				t.Errorf("%s: %q holds %q", a.what, e.Name(), got)
			}
		}
	}
	c.Cmd(200, "MODE S")
	whole(t, c)
}

// ALPACA's other half: a browser that is sent to a data port must neither be
// given a file as a page nor leave its request behind as a file.
func TestAttackHTTPOnData(t *testing.T) {
	s, c := victim(t)
	s.plant(t, "diego", "page.html", secretFile)
	request := "GET / HTTP/1.1\r\nHost: ftps.test\r\nCookie: session=1\r\n\r\n"

	raw := c.OpenData(c.Passive())
	browser := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err := browser.Handshake(); err == nil {
		t.Error("a client that offers HTTP alone got its handshake")
	}
	raw.Close()

	for _, command := range []string{"RETR page.html", "STOR cookie"} {
		raw := c.OpenData(c.Passive())
		c.Send("%s", command)
		c.Expect(150)
		browser := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
		if err := browser.Handshake(); err != nil {
			t.Fatal(err)
		}
		io.WriteString(browser, request)
		got := spoils(browser)
		c.Expect(522)
		barred(t, "the browser", got)
	}
	if _, err := os.Stat(filepath.Join(s.home("diego"), "cookie")); err == nil {
		t.Error("the browser's request was stored")
	}
	whole(t, c)
}

// Who knew the old password keeps tickets that its sessions were given. The
// account's new sessions take tickets of the account, but not those.
func TestAttackTicketFromBeforeAPasswordChange(t *testing.T) {
	s, first := victim(t)
	second := s.enter(t, "", "diego", "secreto")
	for _, c := range []*ftptest.Conn{first, second} {
		whole(t, c)
		c.Cmd(221, "QUIT")
		c.ExpectClosed()
	}
	steal := func(old *ftptest.Conn, password string, limit time.Duration) string {
		c := s.enter(t, "", "diego", password)
		port := c.Passive()
		thief := old.Secure(c.OpenData(port))
		if err := thief.Handshake(); err != nil {
			t.Fatal(err)
		}
		got := spoils(thief)
		c.Send("RETR f")
		c.Expect(150)
		select {
		case loot := <-got:
			c.Read()
			return loot
		case <-time.After(limit):
		}
		receive(t, c, c.OpenData(port))
		return ""
	}
	// The control: while the password stands, the ticket is the account's.
	if got := steal(first, "secreto", patience); got != secretFile {
		t.Fatalf("the old ticket got %q: this shows nothing", got)
	}
	s.reread(t, 1)
	if _, said, code := run(t, s.dir, "nuevo\n", "passwd", "diego", "--password-stdin", "--cost", "4"); code != 0 {
		t.Fatal(said)
	}
	s.reread(t, 2)
	if got := steal(second, "nuevo", time.Second); got != "" {
		t.Errorf("the ticket from before the change got %q", got)
	}
}

// The control for data in the clear: who listens on the wire has the file.
func TestATapOnAPlainConnectionHasTheFile(t *testing.T) {
	for _, plain := range []bool{false, true} {
		near, far := net.Pipe()
		tap := &wiretap{Conn: near}
		if plain {
			go io.Copy(io.Discard, far)
			io.WriteString(tap, secretFile)
		} else {
			cert := ephemeral(t)
			go func() {
				conn := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{cert}})
				io.Copy(io.Discard, conn)
			}()
			conn := tls.Client(tap, &tls.Config{InsecureSkipVerify: true})
			if _, err := io.WriteString(conn, secretFile); err != nil {
				t.Fatal(err)
			}
		}
		near.Close()
		far.Close()
		if heard := bytes.Contains(tap.sent, []byte(secretFile)); heard != plain {
			t.Errorf("in clear %v: the tap has the file: %v", plain, heard)
		}
	}
}

func ephemeral(t testing.TB) tls.Certificate {
	t.Helper()
	dir := t.TempDir()
	crt, key := filepath.Join(dir, "crt"), filepath.Join(dir, "key")
	if _, said, code := run(t, dir, "", "cert", "make", "--cert", crt, "--key", key); code != 0 {
		t.Fatal(said)
	}
	pair, err := tls.LoadX509KeyPair(crt, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}
