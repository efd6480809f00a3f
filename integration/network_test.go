package integration

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"

	"ftps/pkg/ftp"
	"ftps/pkg/ftptest"
	"ftps/pkg/pki"
)

// at connects to an address of the server's and logs in.
func (s *server) at(t *testing.T, host, user string) *ftptest.Conn {
	t.Helper()
	c := ftptest.Connect(t, netip.MustParseAddrPort(net.JoinHostPort(host, s.port)), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	c.Enter(user, "secreto")
	return c
}

func needsIPv6(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 loopback: ", err)
	}
	l.Close()
}

// Without --host the sockets are dual stack: one server, both families.
func TestOneServerServesBothFamilies(t *testing.T) {
	needsIPv6(t)
	s := serveAccounts(t, map[string]string{"diego": "", "six": "allow_from: ['::1']", "four": "allow_from: [127.0.0.0/8]"}, "-H", "")
	data := seeded(300<<10, 6)
	for host, family := range map[string]string{"127.0.0.1": "1", "::1": "2"} {
		c := s.at(t, host, "diego")
		if code := c.Upload(data, "STOR %s", "by"+family); code != 226 {
			t.Errorf("%s: upload %d", host, code)
		}
		if got, code := c.Download("RETR %s", "by"+family); code != 226 || !bytes.Equal(got, data) {
			t.Errorf("%s: download %d, %d bytes", host, code, len(got))
		}
		c.Cmd(229, "EPSV %s", family)
		// RFC 2428 §3: another family is 522, with the one that there is.
		if said := c.Cmd(522, "EPSV %s", map[string]string{"1": "2", "2": "1"}[family]); !strings.Contains(said, "("+family+")") {
			t.Errorf("%s: the other family is answered %q", host, said)
		}
		c.Cmd(522, "EPSV 3")
		if family == "1" {
			if to, err := ftp.ParsePASVReply(c.Cmd(227, "PASV")); err != nil || to.Addr().String() != host {
				t.Errorf("PASV: %v, %v", to, err)
			}
		} else if said := c.Cmd(425, "PASV"); !strings.Contains(said, "EPSV") {
			t.Errorf("PASV over IPv6 does not name EPSV: %q", said)
		}
		c.Cmd(200, "EPSV ALL")
		c.Cmd(503, "PASV")
		if code := c.Upload(data, "STOR again"); code != 226 {
			t.Errorf("%s: after EPSV ALL: %d", host, code)
		}
	}
	// IPv4 through a dual-stack socket is IPv4 to allow_from.
	s.at(t, "127.0.0.1", "four")
	s.at(t, "::1", "six")
	for host, user := range map[string]string{"127.0.0.1": "six", "::1": "four"} {
		c := ftptest.Connect(t, netip.MustParseAddrPort(net.JoinHostPort(host, s.port)), &tls.Config{InsecureSkipVerify: true})
		c.Expect(220)
		c.Cmd(234, "AUTH TLS")
		c.StartTLS()
		c.Cmd(331, "USER %s", user)
		c.Cmd(530, "PASS secreto")
	}
}

func TestTheClientComesByIPv6(t *testing.T) {
	needsIPv6(t)
	s := serveAccounts(t, map[string]string{"diego": ""}, "-H", "::1")
	for _, more := range [][]string{nil, {"--active"}} {
		args := append([]string{"client", "::1", "-p", s.port, "--pin", s.pin, "-u", "diego", "--password-stdin"}, more...)
		if out, errs, code := run(t, s.dir, "secreto\n", append(args, "put", "users.yaml", "copy.yaml")...); code != 0 {
			t.Errorf("%v: exit %d: %s%s", more, code, out, errs)
		}
	}
	want, _ := os.ReadFile(filepath.Join(s.dir, "users.yaml"))
	if got, err := os.ReadFile(filepath.Join(s.home("diego"), "copy.yaml")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
}

func TestBehindAProxyTheRealServerSeesTheClient(t *testing.T) {
	s := serveAccounts(t, map[string]string{"diego": "allow_from: [203.0.113.0/24]"}, "--proxy-from", "127.0.0.1", "--public-ip", "192.0.2.80")
	head, err := proxyproto.HeaderProxyFromAddrs(2,
		&net.TCPAddr{IP: net.IPv4(203, 0, 113, 9), Port: 4000}, &net.TCPAddr{IP: net.IPv4(198, 51, 100, 1), Port: 21}).Format()
	if err != nil {
		t.Fatal(err)
	}
	c := ftptest.ConnectThrough(t, "127.0.0.1", func(conn net.Conn) { conn.Write(head) },
		netip.MustParseAddrPort("127.0.0.1:"+s.port), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	c.Enter("diego", "secreto")
	whole(t, c)
	if to, err := ftp.ParsePASVReply(c.Cmd(227, "PASV")); err != nil || to.Addr().String() != "192.0.2.80" {
		t.Errorf("PASV: %v, %v", to, err)
	}
	s.out.wait(t, `"msg":"login"[^\n]*"remote":"203\.0\.113\.9:4000"`)
	// Round the proxy the account is closed.
	if said := s.attempt(t, "127.0.0.3", "diego", "secreto"); !strings.HasPrefix(said[1], "530 ") {
		t.Errorf("round the proxy: %q", said)
	}
}

// oneSession is the cache of a client that names no server: it resumes its
// session on every port.
type oneSession struct{ tls.ClientSessionCache }

func (o oneSession) Get(string) (*tls.ClientSessionState, bool) { return o.ClientSessionCache.Get("") }

func (o oneSession) Put(_ string, cs *tls.ClientSessionState) { o.ClientSessionCache.Put("", cs) }

// Two names on one server: the handshake's SNI chooses the certificate, and
// HOST does for a client that sends none (RFC 7151 §3).
func TestACertificateForEachName(t *testing.T) {
	dir := t.TempDir()
	args := []string{}
	pins := map[string]string{}
	for _, name := range []string{"one.example", "two.example"} {
		files := pki.Files{Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
		if _, err := pki.Make(pki.MakeOptions{Files: files, Names: []string{name}}); err != nil {
			t.Fatal(err)
		}
		pair, err := pki.LoadPair(files)
		if err != nil {
			t.Fatal(err)
		}
		pins[name] = pair.Pin.String()
		args = append(args, "--cert", files.Cert, "--key", files.Key)
	}
	s := serveAccounts(t, map[string]string{"diego": ""}, args...)
	// pki.Make adds the machine's own names to both; the first has those.
	shown := func(sni string, before ...string) (string, *ftptest.Conn) {
		var leaf *x509.Certificate
		c := ftptest.Connect(t, netip.MustParseAddrPort("127.0.0.1:"+s.port), &tls.Config{
			InsecureSkipVerify: true, ServerName: sni,
			VerifyConnection: func(state tls.ConnectionState) error { leaf = state.PeerCertificates[0]; return nil },
		})
		c.TLS.ClientSessionCache = oneSession{c.TLS.ClientSessionCache}
		c.Expect(220)
		for _, line := range before {
			c.Cmd(220, "%s", line)
		}
		c.Cmd(234, "AUTH TLS")
		c.StartTLS()
		return pki.PinOf(leaf).String(), c
	}
	for _, try := range []struct {
		sni    string
		before []string
		want   string
	}{
		{"one.example", nil, "one.example"},
		{"two.example", nil, "two.example"},
		{"TWO.example", nil, "two.example"},
		{"", nil, "one.example"},
		{"unknown.example", nil, "one.example"},
		{"", []string{"HOST two.example"}, "two.example"},
		{"", []string{"HOST two.example", "HOST one.example"}, "one.example"},
	} {
		got, c := shown(try.sni, try.before...)
		if got != pins[try.want] {
			t.Errorf("SNI %q, %v: not the certificate of %s", try.sni, try.before, try.want)
		}
		if try.sni == "two.example" {
			c.Cmd(220, "HOST two.example")
			c.Cmd(504, "HOST one.example") // not the name that the handshake was for
			c.Login("diego", "secreto")
			whole(t, c) // data connections resume, whichever certificate it was
			c.Cmd(503, "HOST two.example")
		}
		if len(try.before) == 1 {
			c.Login("diego", "secreto")
			whole(t, c)
		}
	}
	c := s.greeted(t, "")
	c.Cmd(504, "HOST other.example")
	for _, name := range []string{"one.example", "two.example"} {
		// Our client names what it was given to connect to.
		out, errs, code := run(t, s.dir, "secreto\n", "client", "127.0.0.1", "-p", s.port, "--pin", pins[name], "-u", "diego", "--password-stdin", "ls")
		if (code == 0) != (name == "one.example") {
			t.Errorf("with the pin of %s: exit %d: %s%s", name, code, out, fmt.Sprint(errs))
		}
	}
}
