package ftptest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Conn is a control connection that says what a test tells it to.
type Conn struct {
	TLS *tls.Config // for control and data: one session cache

	// Preface, where a test sets it, writes what each data connection begins
	// with, before TLS, as a proxy on the way would.
	Preface func(net.Conn)

	t      testing.TB
	server netip.AddrPort
	conn   net.Conn
	lines  *bufio.Reader
}

// Dial connects. Nothing is read yet: the greeting is the test's to expect.
func (s *Server) Dial(t testing.TB) *Conn { return s.DialFrom(t, "") }

// DialFrom connects from a local address, such as 127.0.0.2.
func (s *Server) DialFrom(t testing.TB, local string) *Conn {
	t.Helper()
	c := connect(t, s.Addr, local, &tls.Config{RootCAs: s.Pool, ServerName: ServerName})
	if s.options.Implicit {
		c.conn = tls.Client(c.conn, c.TLS)
		c.lines = bufio.NewReader(c.conn)
	}
	return c
}

// Connect is Dial to a server that the test started by other means, such as
// another process. The configuration gets a session cache.
func Connect(t testing.TB, server netip.AddrPort, config *tls.Config) *Conn {
	t.Helper()
	return connect(t, server, "", config)
}

// ConnectFrom is Connect from a local address, such as 127.0.0.2.
func ConnectFrom(t testing.TB, local string, server netip.AddrPort, config *tls.Config) *Conn {
	t.Helper()
	return connect(t, server, local, config)
}

// ConnectThrough is ConnectFrom with something on the way that begins each
// connection, control and data, with bytes of its own.
func ConnectThrough(t testing.TB, local string, preface func(net.Conn), server netip.AddrPort, config *tls.Config) *Conn {
	t.Helper()
	c := connect(t, server, local, config)
	c.Preface = preface
	preface(c.conn)
	return c
}

func connect(t testing.TB, server netip.AddrPort, local string, config *tls.Config) *Conn {
	t.Helper()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	c := &Conn{t: t, server: server, TLS: config}
	c.conn = c.dial(local, int(server.Port()))
	c.lines = bufio.NewReader(c.conn)
	t.Cleanup(func() { c.conn.Close() })
	return c
}

func (c *Conn) dial(local string, port int) net.Conn {
	c.t.Helper()
	d := net.Dialer{Timeout: Patience}
	if local != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(local)}
	}
	conn, err := d.Dial("tcp", netip.AddrPortFrom(c.server.Addr(), uint16(port)).String())
	if err != nil {
		c.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(Patience))
	return conn
}

// Login goes the usual way: greeting, AUTH TLS, USER, PASS, PBSZ 0, PROT P,
// TYPE I.
func (s *Server) Login(t testing.TB, user, password string) *Conn {
	t.Helper()
	c := s.Dial(t)
	if !s.options.Implicit {
		c.Enter(user, password)
		return c
	}
	c.Expect(220)
	c.Login(user, password)
	return c
}

// Enter goes from the greeting by way of AUTH TLS to the end of Login, and
// says whether that resumed a TLS session.
func (c *Conn) Enter(user, password string) (resumed bool) {
	c.t.Helper()
	c.Expect(220)
	c.Cmd(234, "AUTH TLS")
	c.StartTLS()
	c.Login(user, password)
	return c.conn.(*tls.Conn).ConnectionState().DidResume
}

// Login logs in on a secured connection and sets PBSZ 0, PROT P and TYPE I.
func (c *Conn) Login(user, password string) {
	c.t.Helper()
	c.Cmd(331, "USER %s", user)
	c.Cmd(230, "PASS %s", password)
	c.Cmd(200, "PBSZ 0")
	c.Cmd(200, "PROT P")
	c.Cmd(200, "TYPE I")
}

// StartTLS handshakes on the control connection.
func (c *Conn) StartTLS() {
	c.t.Helper()
	conn := tls.Client(c.conn, c.TLS)
	if err := conn.Handshake(); err != nil {
		c.t.Fatalf("control handshake: %v", err)
	}
	c.conn = conn
	c.lines = bufio.NewReader(conn)
}

// Raw returns the control connection as it is now.
func (c *Conn) Raw() net.Conn { return c.conn }

// Send sends a line.
func (c *Conn) Send(format string, args ...any) {
	c.t.Helper()
	c.Write(fmt.Sprintf(format, args...) + "\r\n")
}

// Write sends bytes as they are.
func (c *Conn) Write(text string) {
	c.t.Helper()
	c.t.Logf("C: %.200q", text)
	c.conn.SetDeadline(time.Now().Add(Patience))
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatalf("sending %.40q: %v", text, err)
	}
}

// Read reads one reply and returns its code and its lines, without codes.
func (c *Conn) Read() (code int, lines []string, err error) {
	c.conn.SetDeadline(time.Now().Add(Patience))
	return ReadReply(c.lines, func(text string) { c.t.Logf("S: %s", text) })
}

// ReadReply reads one reply and returns its code and its lines, without codes.
// It tells heard of each line as it comes.
func ReadReply(from *bufio.Reader, heard func(text string)) (code int, lines []string, err error) {
	for {
		text, err := from.ReadString('\n')
		if err != nil {
			return 0, nil, err
		}
		text = strings.TrimRight(text, "\r\n")
		heard(text)
		if code == 0 {
			if len(text) < 4 {
				return 0, nil, fmt.Errorf("not a reply: %q", text)
			}
			if code, err = strconv.Atoi(text[:3]); err != nil {
				return 0, nil, fmt.Errorf("not a reply: %q", text)
			}
			lines = append(lines, text[4:])
			if text[3] == ' ' {
				return code, lines, nil
			}
			continue
		}
		if last, ok := strings.CutPrefix(text, fmt.Sprintf("%d ", code)); ok {
			return code, append(lines, last), nil
		}
		lines = append(lines, text)
	}
}

// Expect reads a reply, which must have the code, and returns its lines
// joined.
func (c *Conn) Expect(code int) string {
	c.t.Helper()
	got, lines, err := c.Read()
	if err != nil {
		c.t.Fatalf("waiting for %d: %v", code, err)
	}
	if got != code {
		c.t.Fatalf("got %d %q, want %d", got, lines, code)
	}
	return strings.Join(lines, "\n")
}

// ExpectClosed waits until the server has closed the connection; what it
// sends before is returned as the replies' codes.
func (c *Conn) ExpectClosed() (codes []int) {
	c.t.Helper()
	for {
		code, _, err := c.Read()
		if err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				c.t.Fatal("the connection is still open")
			}
			return codes
		}
		codes = append(codes, code)
	}
}

// Cmd sends a line and expects a reply with the code.
func (c *Conn) Cmd(code int, format string, args ...any) string {
	c.t.Helper()
	c.Send(format, args...)
	return c.Expect(code)
}

var epsvPort = regexp.MustCompile(`\(\|\|\|(\d+)\|\)`)

// Passive asks for a data port by EPSV and returns it.
func (c *Conn) Passive() int {
	c.t.Helper()
	m := epsvPort.FindStringSubmatch(c.Cmd(229, "EPSV"))
	if m == nil {
		c.t.Fatal("no port in the reply to EPSV")
	}
	port, _ := strconv.Atoi(m[1])
	return port
}

// OpenData connects to a data port; TLS has not begun.
func (c *Conn) OpenData(port int) net.Conn {
	c.t.Helper()
	return c.OpenDataFrom("", port)
}

// OpenDataFrom connects to a data port from a local address.
func (c *Conn) OpenDataFrom(local string, port int) net.Conn {
	c.t.Helper()
	conn := c.dial(local, port)
	c.t.Cleanup(func() { conn.Close() })
	if c.Preface != nil {
		c.Preface(conn)
	}
	return conn
}

// Secure makes a data connection TLS with this control connection's tickets.
// The handshake is made by the first Read or Write.
func (c *Conn) Secure(conn net.Conn) *tls.Conn { return tls.Client(conn, c.TLS) }

// Download runs a command that sends data, such as RETR or LIST, and returns
// the data and the final reply's code.
func (c *Conn) Download(format string, args ...any) ([]byte, int) {
	c.t.Helper()
	raw := c.OpenData(c.Passive())
	c.Send(format, args...)
	code, _, err := c.Read()
	if err != nil {
		c.t.Fatal(err)
	}
	if code != 150 && code != 125 {
		return nil, code
	}
	conn := c.Secure(raw)
	data, err := io.ReadAll(conn)
	if err != nil {
		c.t.Logf("reading data: %v", err)
	}
	conn.Close()
	code, _, err = c.Read()
	if err != nil {
		c.t.Fatal(err)
	}
	return data, code
}

// Upload runs a command that takes data, such as STOR or APPE, and returns
// the final reply's code.
func (c *Conn) Upload(data []byte, format string, args ...any) int {
	c.t.Helper()
	raw := c.OpenData(c.Passive())
	c.Send(format, args...)
	code, _, err := c.Read()
	if err != nil {
		c.t.Fatal(err)
	}
	if code != 150 && code != 125 {
		return code
	}
	conn := c.Secure(raw)
	if _, err := conn.Write(data); err != nil {
		c.t.Logf("writing data: %v", err)
	}
	if err := conn.CloseWrite(); err != nil {
		c.t.Logf("ending data: %v", err)
	}
	io.Copy(io.Discard, conn) // to the server's close_notify, so that no unread ticket makes the close a reset
	conn.Close()
	code, _, err = c.Read()
	if err != nil {
		c.t.Fatal(err)
	}
	return code
}
