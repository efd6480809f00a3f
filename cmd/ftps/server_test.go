package main

import (
	"crypto/tls"
	"net"
	"net/netip"
	"os"
	"os/user"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"ftps/pkg/config"
	"ftps/pkg/ftptest"
)

// me is who runs the test: root must be named.
func me(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

func TestHelpSpeaksBothLanguagesAndNamesEverySetting(t *testing.T) {
	d := newDesk(t)
	for lang, words := range map[string][]string{
		"en": {"Usage:", "Flags:", "(default 5000)", "address to listen on"},
		"es": {"Uso:", "Opciones:", "(por defecto 5000)", "dirección donde escuchar"},
	} {
		for _, args := range [][]string{{"server", "--help", "--lang", lang}, {"help", "server", "--lang=" + lang}} {
			d.want(0, d.types("", args...))
			says(t, d.out.String(), words...)
			for _, row := range config.Settings() {
				if strings.Contains(d.out.String(), "--"+row.Name) == row.Secret {
					t.Errorf("--%s: a secret has no flag, and all else has one", row.Name)
				}
			}
			if d.err.Len() > 0 {
				t.Errorf("on standard error: %s", &d.err)
			}
		}
	}
	d.env["LANG"] = "es_AR.UTF-8"
	d.want(0, d.types(""))
	says(t, d.out.String(), "Comandos:", "server", "client")
}

// The words of the test's own command line were taken for the program's.
func TestACommandLineWithoutWordsHasNone(t *testing.T) {
	defer func(own []string) { os.Args = own }(os.Args)
	os.Args = []string{"ftps", "frobnicate"}
	d := newDesk(t)
	d.want(0, d.types(""))
	says(t, d.out.String(), "server", "client")
}

func TestMistakesOfTheCommandLineAreExitCode2WithAHint(t *testing.T) {
	d := newDesk(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"sever"}, "ftps: unknown command \"sever\" for ftps\ndid you mean: server\n"},
		{[]string{"config", "sample"}, "ftps: unknown command \"sample\" for ftps config\n"},
		{[]string{"server", "extra"}, "ftps: unexpected argument \"extra\""},
		{[]string{"server", "--no-such"}, "ftps: unknown flag: --no-such\n"},
		{[]string{"server", "-Z"}, "ftps: unknown flag: -Z\n"},
		{[]string{"server", "--host"}, "ftps: flag --host needs a value\n"},
		{[]string{"server", "--control-port", "x"}, "ftps: flag --control-port: \"x\" is not a port"},
		{[]string{"server", "--demo", "--host", "::"}, "ftps: --demo makes a throwaway server"},
		{[]string{"server", "--demo", "--users", "x"}, "does not take --users"},
		{[]string{"completion", "sh"}, "ftps: unknown shell \"sh\""},
		{[]string{"--lang", "fr"}, "ftps: there is no language \"fr\""},
		{[]string{"version", "--lang"}, "ftps: flag --lang needs a value"},
	} {
		d.want(2, d.types("", c.args...))
		if !strings.HasPrefix(c.want, "ftps: ") {
			says(t, d.err.String(), c.want)
		} else if !strings.HasPrefix(d.err.String(), c.want) {
			t.Errorf("%q: %q, want %q", c.args, &d.err, c.want)
		}
		if d.out.Len() > 0 {
			t.Errorf("%q: on standard output: %s", c.args, &d.out)
		}
		spanish := append([]string{}, c.args...)
		d.env["LC_ALL"] = "es_ES.UTF-8"
		english := d.err.String()
		d.want(2, d.types("", spanish...))
		if d.err.String() == english {
			t.Errorf("%q: no Spanish: %s", c.args, &d.err)
		}
		delete(d.env, "LC_ALL")
	}
}

func TestUnderscoresStandForDashesInLongFlags(t *testing.T) {
	d := newDesk(t)
	os.Mkdir("mine", 0o750)
	d.want(0, d.types("", "server", "--check", "--run_as", me(t), "--control_port", "0", "--data_port=0", "--root_dir", "mine"))
	says(t, d.out.String(), "All is well")
}

func TestCheckNamesAllThatIsWrong(t *testing.T) {
	d := newDesk(t)
	os.WriteFile("users.yaml", []byte("users:\n  - nam: x\n"), 0o600)
	d.want(1, d.types("", "server", "--check", "-C", "0", "-D", "0", "-R", "nowhere", "--cert", "absent.crt"))
	says(t, d.err.String(), "nowhere", "absent.crt", "users.yaml", "nam")
	os.WriteFile("ftps.yaml", []byte("control_port: x\numask: 9\n"), 0o600)
	d.want(2, d.types("", "server", "--check"))
	says(t, d.err.String(), "ftps: ftps.yaml: key control_port:", "ftps: ftps.yaml: key umask:")
}

func TestTheExampleIsAValidSettingsFile(t *testing.T) {
	d := newDesk(t)
	d.want(0, d.types("", "config", "example", "--lang", "es"))
	says(t, d.out.String(), "#control_port: 5000", "--control-port", "FTPS_CONTROL_PORT")
	os.WriteFile("ftps.yaml", d.out.Bytes(), 0o600)
	d.want(0, d.types("", "server", "--check", "--run-as", me(t), "-C", "0", "-D", "0"))
}

func TestCompletionScriptsAreWritten(t *testing.T) {
	d := newDesk(t)
	for _, shell := range completionShells {
		d.want(0, d.types("", "completion", shell))
		if d.out.Len() < 1000 {
			t.Errorf("%s: %d bytes", shell, d.out.Len())
		}
	}
}

func TestPathsInPrintedCommandsSurviveAShell(t *testing.T) {
	for word, want := range map[string]string{
		"/tmp/x-1/password": "/tmp/x-1/password",
		"/my files/p":       `'/my files/p'`,
		"it's":              `'it'\''s'`,
		"":                  "''",
		"$(reboot)":         "'$(reboot)'",
	} {
		if got := quoted(word); got != want {
			t.Errorf("%q becomes %s, want %s", word, got, want)
		}
	}
}

// screenOf runs the server on a pseudo-terminal.
type screenOf struct {
	t    *testing.T
	keys *os.File
	code chan int

	mu   sync.Mutex
	seen strings.Builder
	more chan struct{}
}

func startOnTerminal(t *testing.T, args ...string) *screenOf {
	t.Helper()
	d := newDesk(t)
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("FTPS_LANDLOCK", "off") // it would shut in the tests themselves, for good
	master, slave, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	if err := pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 200}); err != nil {
		t.Fatal(err)
	}
	s := &screenOf{t: t, keys: master, code: make(chan int, 1), more: make(chan struct{}, 1)}
	a := &app{in: slave, out: slave, err: slave, now: time.Now, self: "ftps",
		getenv: func(name string) string { return d.env[name] }}
	go func() { s.code <- a.run(args) }()
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.seen.Write(b[:n])
			s.mu.Unlock()
			select {
			case s.more <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() { slave.Close(); master.Close() })
	return s
}

// sees waits for a pattern, forgets what was shown up to its end, and
// returns its groups.
func (s *screenOf) sees(pattern string) []string {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(ftptest.Patience)
	for {
		s.mu.Lock()
		seen := s.seen.String()
		if at := re.FindStringIndex(seen); at != nil {
			groups := re.FindStringSubmatch(seen)
			s.seen.Reset()
			s.seen.WriteString(seen[at[1]:])
			s.mu.Unlock()
			return groups
		}
		s.mu.Unlock()
		select {
		case <-s.more:
		case <-deadline:
			s.t.Fatalf("did not see %q in %q", pattern, seen)
		}
	}
}

func (s *screenOf) types(keys string) {
	s.t.Helper()
	if _, err := s.keys.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

func (s *screenOf) ends(code int) {
	s.t.Helper()
	select {
	case got := <-s.code:
		if got != code {
			s.t.Errorf("exit code %d, want %d", got, code)
		}
	case <-time.After(ftptest.Patience):
		s.t.Fatal("the server did not end")
	}
}

func TestTheConsoleTellsListsKicksAndEnds(t *testing.T) {
	s := startOnTerminal(t, "server", "--demo", "--lang", "es")
	port, _ := strconv.Atoi(s.sees(`Escuchando en 127\.0\.0\.1:(\d+)`)[1])
	password := s.sees(`Cuenta de usar y tirar: demo, clave: (\S+)`)[1]
	folder := s.sees(`están en (\S+)/srv`)[1]
	file := s.sees(`ftps client 127\.0\.0\.1 -p \d+ -u demo --password-file (\S+) --pin sha256//\S+=`)[1]
	s.sees(`ftps> `)
	if text, err := os.ReadFile(file); strings.TrimSpace(string(text)) != password {
		t.Errorf("password file: %q, %v", text, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("password file: %v, %v", info, err)
	}

	addr := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
	c := ftptest.Connect(t, addr, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	c.Expect(220)
	s.sees(`Se conectó el cliente 0 desde 127\.0\.0\.1:\d+`)
	c.Cmd(234, "AUTH TLS")
	c.StartTLS()
	c.Login("demo", password)
	s.sees(`El cliente 0 es demo`)
	c.Cmd(250, "CWD docs")
	s.sees(`El cliente 0 \(demo\) entró en /docs`)
	s.types("list\n")
	s.sees(`USUARIO`)
	s.sees(`0 +demo +127\.0\.0\.1:\d+`)
	s.types("kick 0\n")
	s.sees(`¿Expulsar al cliente 0 \(demo\)\? \[s/N\] `)
	s.types("s\n")
	s.sees(`Expulsado el cliente 0 \(demo\)`)
	c.Expect(421)
	s.sees(`Se desconectó el cliente 0 \(demo\)`)
	s.types("exit\n")
	s.sees(`servidor detenido`)
	s.ends(0)
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
	l, err := net.Listen("tcp", addr.String())
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	l.Close()
}
