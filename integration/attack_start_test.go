package integration

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// refuses demands that the server does not start, says why, and leaves its
// control port alone. It returns what it said.
func refuses(t *testing.T, dir string, args []string, says ...string) string {
	t.Helper()
	port, first := freePorts(t, 1)[0], freeRange(t, 2)
	base := []string{"server", "-H", "127.0.0.1", "-C", fmt.Sprint(port), "-D", fmt.Sprintf("%d-%d", first, first+1), "--no-console"}
	if os.Getuid() == 0 {
		base = append(base, "--run-as", "root")
	}
	out, said, code := run(t, dir, "", append(base, args...)...)
	if code == 0 {
		t.Fatalf("%v: the server started and ended well", args)
	}
	for _, want := range says {
		if !strings.Contains(said, want) {
			t.Errorf("%v: it said %q, which does not name %q", args, said, want)
		}
	}
	if strings.Contains(out, "Listening") || strings.Contains(said, "panic") {
		t.Errorf("%v: it said %q", args, out+said)
	}
	return said
}

// withAccount is a folder in which a server could start.
func withAccount(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, said, code := run(t, dir, "secreto\n", "useradd", "diego", "--password-stdin", "--cost", "4"); code != 0 {
		t.Fatal(said)
	}
	return dir
}

func TestAttackWrongCertificate(t *testing.T) {
	dir := withAccount(t)
	for _, name := range []string{"a", "b"} {
		if _, said, code := run(t, dir, "", "cert", "make", "--cert", name+".crt", "--key", name+".key"); code != 0 {
			t.Fatal(said)
		}
	}
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	write("garbage.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	write("empty.crt", "")
	write("half.crt", string(read("a.crt")[:200]))
	for _, pair := range [][2]string{
		{"a.crt", "b.key"}, {"garbage.crt", "a.key"}, {"empty.crt", "a.key"}, {"half.crt", "a.key"}, {"a.crt", "a.crt"}, {"missing.crt", "a.key"}, {"a.crt", "missing.key"},
	} {
		said := refuses(t, dir, []string{"--cert", pair[0], "--key", pair[1]})
		if !strings.Contains(said, pair[0]) && !strings.Contains(said, pair[1]) {
			t.Errorf("%v: %q names neither file", pair, said)
		}
		if strings.Contains(said, string(read("a.key")[30:80])) {
			t.Errorf("%v: the key is in the message: %q", pair, said)
		}
	}

	// While it serves, a pair that is wrong leaves the old one in use.
	s := serveIn(t, dir, "--cert", "a.crt", "--key", "a.key")
	if err := os.Rename(filepath.Join(dir, "b.crt"), filepath.Join(dir, "a.crt")); err != nil {
		t.Fatal(err)
	}
	s.out.wait(t, `"level":"ERROR","msg":"certificate"`)
	s.serves(t, "diego", "secreto")
	if _, said, code := s.client(t, "diego", "secreto", "ls"); code != 0 {
		t.Errorf("with the pin of the old certificate: exit %d: %s", code, said)
	}
}

// A port that somebody holds already might be a trap: all clients that are
// sent there are his.
func TestAttackBusyControlPort(t *testing.T) {
	dir := withAccount(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	refuses(t, dir, []string{"-C", port}, port, "in use", "--control-port")
}

func TestAttackBusyDataPort(t *testing.T) {
	dir := withAccount(t)
	first := freeRange(t, 4)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+2))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	refuses(t, dir, []string{"-D", fmt.Sprintf("%d-%d", first, first+3)}, fmt.Sprint(first+2), "in use", "--data-port")
	// None of the others stays open.
	for _, p := range []int{first, first + 1, first + 3} {
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p)); err == nil {
			conn.Close()
			t.Errorf("port %d is open", p)
		}
	}
}

func TestAttackMissingRootFolder(t *testing.T) {
	dir := withAccount(t)
	refuses(t, dir, []string{"-R", "mistyped"}, "mistyped", "does not exist", "--root-dir")
	if _, err := os.Stat(filepath.Join(dir, "mistyped")); err == nil {
		t.Error("the folder that was mistyped was made")
	}
	refuses(t, dir, []string{"-R", "users.yaml"}, "users.yaml", "not a folder")
}

// The control of the two tests above: what a client meets that is sent to a
// port which somebody else holds.
func TestAPortOfSomebodyElseGetsTheClient(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if second, err := net.Listen("tcp", l.Addr().String()); err == nil {
		second.Close()
		t.Fatal("two hold one port: a busy port is no error here")
	}
	go func() {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			io.WriteString(conn, "meant for the server")
			conn.Close()
		}
	}()
	l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, _ := io.ReadAll(conn); string(got) != "meant for the server" {
		t.Errorf("got %q", got)
	}
}

// naiveLog is how a server without a log format writes an event.
func naiveLog(name string) string { return "login refused for " + name + "\n" }

var hostileNames = []string{
	"eve\x1b[2J\x1b[1;1Hroot",
	`eve" user="root`,
	`eve","msg":"login","user":"root`,
	"eve\u2028msg=login",
	"eve\u0085msg=login",
	"eve\x9b31m",
	"eve\tmsg=login\v\f",
	"eve\rtime=2026-01-01 msg=login user=root",
	"%s%n%d",
	"\xf0\xfe",
	"\u202eeve",
	"\U000e0041eve",
}

func TestAttackLogInjection(t *testing.T) {
	// The control: one name, two lines, the second as the attacker wrote it.
	if got := naiveLog("x\nlogin accepted for root"); len(strings.Split(strings.TrimSpace(got), "\n")) != 2 {
		t.Fatalf("the attack does not even work on a naive log: %q", got)
	}
	for _, format := range []string{"json", "text"} {
		s := startServer(t, []string{"diego", "secreto"}, "--log-format", format)
		s.plant(t, "diego", "dummy", "x")
		for i, name := range hostileNames {
			c := s.secured(t, fmt.Sprintf("127.0.1.%d", i+1))
			if strings.Contains(name, "\r") {
				c.Cmd(501, "USER %s", name)
				c.Raw().Close()
				continue
			}
			c.Cmd(331, "USER %s", name)
			c.Cmd(530, "PASS %s", name)
			c.Raw().Close()
		}
		c := s.enter(t, "", "diego", "secreto")
		for _, name := range hostileNames {
			if strings.ContainsAny(name, "\r") {
				c.Cmd(501, "MKD %s", name)
				continue
			}
			c.Cmd(257, "MKD %s", name)
			c.Cmd(250, "CWD %s", name)
			c.Cmd(250, "CWD /")
			c.Cmd(350, "RNFR %s", name)
			c.Cmd(250, "RNTO %s-renamed", name)
			if code := c.Upload([]byte("x"), "STOR %s", name); code != 226 {
				t.Errorf("STOR %q: %d", name, code)
			}
		}
		c.Send("%s", "XX\x1b[2J\x07")
		c.Expect(500)
		// A line break on the disk, told in the cause of an error.
		c.Cmd(550, "RMD dummy")
		c.Cmd(221, "QUIT")
		c.ExpectClosed()
		c.Raw().Close()
		s.out.wait(t, `disconnected.*user"?[:=]"?diego`)
		s.stop(t)
		checkLog(t, format, s.out.String())
	}
}

var textLine = regexp.MustCompile(`^time=\S+ level=[A-Z]+ msg=[a-z-]+( [a-z-]+=("([^"\\]|\\.)*"|[^" ]*))*$`)

// checkLog demands that each line is one event of the server's own making.
func checkLog(t *testing.T, format, said string) {
	t.Helper()
	logged, exact := 0, make(map[string]bool)
	for line := range strings.Lines(said) {
		// Whatever letters the pin has by chance, the attacker has not put there.
		line = pinForm.ReplaceAllString(strings.TrimSuffix(line, "\n"), "PIN")
		for _, r := range line {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u202e' {
				t.Errorf("a control character %U in the log: %q", r, line)
				break
			}
		}
		switch {
		case format == "json" && strings.HasPrefix(line, "{"):
			var event map[string]any
			if err := json.Unmarshal([]byte(line), &event); err != nil {
				t.Errorf("not one event: %q: %v", line, err)
			}
			if event["msg"] == "login" && event["user"] != "diego" {
				t.Errorf("a forged login: %q", line)
			}
			if name, ok := event["name"].(string); ok {
				exact[strings.TrimPrefix(name, "/")] = true
			}
			logged++
		case format == "text" && strings.HasPrefix(line, "time="):
			if !textLine.MatchString(line) {
				t.Errorf("not one event: %q", line)
			}
			logged++
		case strings.Contains(line, "eve") || strings.Contains(line, "msg=") || strings.Contains(line, `"msg"`):
			t.Errorf("a line of the attacker's: %q", line)
		}
	}
	for _, name := range hostileNames {
		if format == "json" && utf8.ValidString(name) && !strings.Contains(name, "\r") && !exact[name] {
			t.Errorf("the name %q is not in the log as it came", name)
		}
	}
	if logged < 3*len(hostileNames) {
		t.Errorf("only %d events: %q", logged, said)
	}
}

// A certificate with somebody else's key, as a server would show it that does
// not look: no client gets through its handshake.
func TestAMismatchedKeyServesNobody(t *testing.T) {
	pairs := []tls.Certificate{ephemeral(t), ephemeral(t)}
	pairs[0].PrivateKey = pairs[1].PrivateKey
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	go tls.Server(there, &tls.Config{Certificates: pairs[:1]}).Handshake()
	here.SetDeadline(time.Now().Add(patience))
	if err := tls.Client(here, &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil {
		t.Error("the handshake succeeded")
	}
}
