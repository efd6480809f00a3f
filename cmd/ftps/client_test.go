package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"ftps/pkg/catalog"
	"ftps/pkg/ftptest"
	"ftps/pkg/ftptest/terminal"
	"ftps/pkg/pki"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/memfs"
)

// visit is a server with a tree, and how to get there.
type visit struct {
	*desk
	server *ftptest.Server
	pin    string
	port   string
}

func newVisit(t *testing.T, o ftptest.Options) *visit {
	d := newDesk(t)
	d.env["TERM"] = "xterm"
	if o.Accounts == nil {
		o.Accounts = []ftptest.Account{{Name: "diego", Password: "secreto", FS: tree(t, map[string]string{
			"docs/": "", "docs/notes.txt": "notes", "hello.txt": "hello",
		})}}
	}
	s := ftptest.Start(t, o)
	d.env["FTPS_PASSWORD"] = "secreto"
	return &visit{desk: d, server: s, pin: pinOf(t, s), port: strconv.Itoa(int(s.Addr.Port()))}
}

// tree fills a file system in memory. Names that end in a slash are folders.
func tree(t *testing.T, content map[string]string) vfs.FS {
	t.Helper()
	fs := memfs.New()
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range content {
			if !yield(name) {
				return
			}
		}
	})
	for _, name := range names {
		at, err := vfs.Resolve(vfs.Name{}, name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := fs.Mkdir(t.Context(), at); err != nil {
				t.Fatal(err)
			}
			continue
		}
		u, err := fs.Create(t.Context(), at, vfs.How{Size: -1})
		if err == nil {
			_, err = io.WriteString(u, content[name])
		}
		if err == nil {
			err = u.Commit(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

func pinOf(t *testing.T, s *ftptest.Server) string {
	t.Helper()
	c := s.Dial(t)
	c.Expect(220)
	c.Cmd(234, "AUTH TLS")
	c.StartTLS()
	pin := pki.PinOf(c.Raw().(*tls.Conn).ConnectionState().PeerCertificates[0]).String()
	c.Cmd(221, "QUIT")
	return pin
}

// runs plays one client call, with the pin and the account.
func (v *visit) runs(args ...string) int {
	v.t.Helper()
	return v.types("", append([]string{"client", "127.0.0.1", "-p", v.port, "-u", "diego", "--pin", v.pin}, args...)...)
}

func TestFlagsStandBeforeAndBehindTheHostAndNoneBehindTheCommand(t *testing.T) {
	for line, want := range map[string]clientOptions{
		"h":                                   {host: "h", jobs: 4},
		"-j 2 h":                              {host: "h", jobs: 2},
		"h -j 2":                              {host: "h", jobs: 2},
		"-v h -j 2 get -c -r docs":            {host: "h", jobs: 2, verbose: true, command: []string{"get", "-c", "-r", "docs"}},
		"h get -j 2 -v":                       {host: "h", jobs: 4, command: []string{"get", "-j", "2", "-v"}},
		"h -c ls -c pwd":                      {host: "h", jobs: 4, commands: []string{"ls", "pwd"}},
		"-c ls h -c pwd":                      {host: "h", jobs: 4, commands: []string{"ls", "pwd"}},
		"h --pin a --pin b ls":                {host: "h", jobs: 4, pins: []string{"a", "b"}, command: []string{"ls"}},
		"--limit_rate 2M h --password_file f": {host: "h", jobs: 4, limitRate: "2M", passwordFile: "f"},
		"h put -- -x":                         {host: "h", jobs: 4, command: []string{"put", "--", "-x"}},
		"h -- -ls":                            {host: "h", jobs: 4, command: []string{"-ls"}},
		"h ls --help":                         {host: "h", jobs: 4, command: []string{"ls", "--help"}},
		"h --json ls --json":                  {host: "h", jobs: 4, json: true, command: []string{"ls", "--json"}},
	} {
		got, err := parseClient(strings.Fields(line), nil)
		want.timeout, want.retries = 30*time.Second, 3
		if err != nil || !same(got, want) {
			t.Errorf("%s: got %+v, %v", line, got, err)
		}
	}
	for _, line := range []string{"", "-j", "h -j x", "h --frobnicate", "--frobnicate h", "h -c", "h --no-tls ls"} {
		if _, err := parseClient(strings.Fields(line), nil); codeOf(err) != exitUsage {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestFlagsComeFromTheEnvironmentTooAndLoseToTheCommandLine(t *testing.T) {
	env := map[string]string{"FTPS_JOBS": "7", "FTPS_USER": "ana", "FTPS_LIMIT_RATE": "1M", "FTPS_PIN": "a b", "FTPS_ACTIVE": "true"}
	got, err := parseClient(strings.Fields("-u diego h"), env)
	if err != nil || got.jobs != 7 || got.user != "diego" || got.limitRate != "1M" || !got.active || !slices.Equal(got.pins, []string{"a", "b"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := parseClient([]string{"h"}, map[string]string{"FTPS_JOBS": "many"}); codeOf(err) != exitUsage {
		t.Errorf("got %v", err)
	}
}

// parseClient runs the command's own reading of a line, and nothing else.
func parseClient(args []string, env map[string]string) (clientOptions, error) {
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, getenv: func(k string) string { return env[k] }}
	var got clientOptions
	cmd := a.clientCommand(func(_ context.Context, o clientOptions) error {
		got = o
		return nil
	})
	cmd.SetGlobalNormalizationFunc(underscores)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(flagFault(err)) })
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	return got, cmd.Execute()
}

func same(a, b clientOptions) bool {
	lists := slices.Equal(a.pins, b.pins) && slices.Equal(a.commands, b.commands) && slices.Equal(a.command, b.command)
	return lists && a.host == b.host && a.jobs == b.jobs && a.verbose == b.verbose && a.json == b.json &&
		a.limitRate == b.limitRate && a.passwordFile == b.passwordFile && a.timeout == b.timeout && a.retries == b.retries
}

func TestOneCommandRunsAndItsExitCodeTells(t *testing.T) {
	v := newVisit(t, ftptest.Options{})
	if err := os.WriteFile("local.txt", []byte("local"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code      int
		args      []string
		out, errs string
	}{
		{0, []string{"ls"}, "docs\nhello.txt\n", "150 - "},
		{0, []string{"cat", "hello.txt"}, "hello", ""},
		{0, []string{"put", "local.txt", "docs"}, "", "226 - "},
		{0, []string{"get", "docs/local.txt", "copy"}, "", "226 - "},
		{0, []string{"-j", "2", "get", "-r", "docs", "back"}, "", ""},
		{0, []string{"mkdir", "a b;c"}, "", "257 - "},
		{0, []string{"-c", "cd docs; pwd", "-c", "ls"}, "/docs\nlocal.txt\nnotes.txt\n", "250 - "},
		{0, []string{"-c", "-rm nothing; @rmdir 'a b;c'; pwd"}, "/\n", "550 - "},
		{6, []string{"-c", "rm nothing; pwd"}, "", "550 - "},
		{2, []string{"frobnicate"}, "", "ftps: unknown command: frobnicate"},
		{2, []string{"get"}, "", "usage: get"},
		{6, []string{"get", "nothing"}, "", "550 - "},
		{6, []string{"put", "nothing"}, "", "ftps: "},
		{7, []string{"cd", ".."}, "", "550 - "},
		{2, []string{"-c", "pwd", "ls"}, "", "ftps: give one of"},
		{2, []string{"-j", "0", "ls"}, "", "ftps: between 1 and"},
		{2, []string{"--limit-rate", "fast", "ls"}, "", "ftps: \"fast\" is no rate"},
		{2, []string{"--verify", "eyes", "ls"}, "", "ftps: unknown way to verify"},
		{2, []string{"--trust", "blindly", "ls"}, "", "ftps: "},
		{2, []string{"-b", "nowhere"}, "", "ftps: cannot read the commands"},
		{2, []string{"--client-cert", "x", "ls"}, "", "ftps: --client-cert and"},
		{2, []string{"--ca", "nowhere", "ls"}, "", "ftps: cannot read"},
		{2, []string{"--password-stdin", "--password-file", "x", "ls"}, "", "ftps: give one of"},
	} {
		if code := v.runs(c.args...); code != c.code || v.out.String() != c.out || !strings.Contains(v.err.String(), c.errs) {
			t.Errorf("%q: exit %d, want %d\nout: %s\nerr: %s", c.args, code, c.code, &v.out, &v.err)
		}
	}
	for name, want := range map[string]string{"copy": "local", "back/notes.txt": "notes", "back/local.txt": "local"} {
		if text, err := os.ReadFile(name); err != nil || string(text) != want {
			t.Errorf("%s is %q, %v", name, text, err)
		}
	}
}

func TestEachFailureOfAConnectionHasItsExitCode(t *testing.T) {
	v := newVisit(t, ftptest.Options{})
	here := []string{"client", "127.0.0.1", "-p", v.port, "-u", "diego"}
	other := "sha256//" + strings.Repeat("A", 43) + "="

	_, closed, _ := net.SplitHostPort(ftptest.Nobody(t))

	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	_, mute, _ := net.SplitHostPort(silent.Addr().String())

	for _, c := range []struct {
		what string
		code int
		args []string
		errs string
	}{
		{"no host", 2, []string{"client"}, "ftps: "},
		{"no user", 2, []string{"client", "127.0.0.1", "-p", v.port, "--pin", v.pin, "ls"}, "ftps: no user"},
		{"nobody listens", 3, []string{"client", "127.0.0.1", "-p", closed, "-u", "diego", "ls"}, "ftps: "},
		{"nobody answers", 10, []string{"client", "127.0.0.1", "-p", mute, "-u", "diego", "--timeout", "300ms", "ls"}, "ftps: "},
		{"another pin", 5, append(here, "--pin", other, "ls"), "ftps: "},
		{"unknown host, strict", 5, append(here, "ls"), "ftps: "},
		{"no chain", 5, append(here, "--trust", "ca", "ls"), "ftps: "},
	} {
		if code := v.types("", c.args...); code != c.code || !strings.HasPrefix(v.err.String(), c.errs) {
			t.Errorf("%s: exit %d, want %d\n%s", c.what, code, c.code, &v.err)
		}
	}

	v.env["FTPS_PASSWORD"] = "wrong"
	if code := v.runs("ls"); code != 4 || !strings.HasPrefix(v.err.String(), "530 - ") {
		t.Errorf("wrong password: exit %d\n%s", code, &v.err)
	}
	v.env["FTPS_PASSWORD"] = ""
	if code := v.runs("ls"); code != 2 || !strings.HasPrefix(v.err.String(), "ftps: no password") {
		t.Errorf("no password: exit %d\n%s", code, &v.err)
	}
}

func TestThePasswordIsGoneFromTheEnvironment(t *testing.T) {
	v := newVisit(t, ftptest.Options{})
	t.Setenv("FTPS_PASSWORD", "secreto")
	v.want(0, v.runs("ls"))
	if left, ok := os.LookupEnv("FTPS_PASSWORD"); ok {
		t.Errorf("still there: %q", left)
	}
}

func TestAScriptComesFromStandardInputBehindThePassword(t *testing.T) {
	v := newVisit(t, ftptest.Options{})
	v.env["FTPS_PASSWORD"] = ""
	args := []string{"client", "127.0.0.1", "--port", v.port, "--user", "diego", "--pin", v.pin, "--password-stdin"}
	v.want(0, v.types("secreto\ncd docs\n# a remark\npwd\nsalir\nrm notes.txt\n", args...))
	if v.out.String() != "/docs\n" {
		t.Errorf("got %q", &v.out)
	}
	if strings.Contains(v.err.String(), "secreto") {
		t.Errorf("the password was shown: %s", &v.err)
	}
}

func TestVerboseShowsTheDialogueWithoutThePassword(t *testing.T) {
	v := newVisit(t, ftptest.Options{})
	v.want(0, v.runs("--lang", "es", "-v", "ls"))
	got := v.err.String()
	if !strings.HasPrefix(got, "Intentando conexión en 127.0.0.1 - "+v.port+"\n") {
		t.Errorf("it begins %q", got)
	}
	for _, want := range []string{"> AUTH TLS\n234 - ", "> USER diego\n331 - Usuario correcto", "> PASS ", "> MLSD", "> QUIT\n221 - "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "secreto") {
		t.Errorf("the password was shown:\n%s", got)
	}
}

func TestJSONTellsTransfersAndErrors(t *testing.T) {
	v := newVisit(t, ftptest.Options{})
	code := v.runs("--json", "-c", "get hello.txt; get nothing")
	var events []string
	for line := range strings.Lines(v.out.String()) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		events = append(events, o["event"].(string))
		if o["event"] == "done" && (o["bytes"] != float64(5) || len(o["sha256"].(string)) != 64) {
			t.Errorf("got %v", o)
		}
	}
	if code != 6 || !slices.Equal(events, []string{"start", "done", "error"}) {
		t.Errorf("exit %d, events %q\n%s", code, events, &v.out)
	}
}

func TestTheFirstUseIsNotedAndAChangedKeyRefused(t *testing.T) {
	v := newVisit(t, ftptest.Options{})
	args := []string{"client", "127.0.0.1", "-p", v.port, "-u", "diego", "--trust"}
	v.want(0, v.types("", append(args, "accept-new", "ls")...))
	v.want(0, v.types("", append(args, "strict", "ls")...))

	known := filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "ftps", "known_hosts")
	text, err := os.ReadFile(known)
	if err != nil || !strings.Contains(string(text), v.pin) {
		t.Fatalf("known_hosts is %q, %v", text, err)
	}
	changed := strings.Replace(string(text), v.pin, "sha256//"+strings.Repeat("A", 43)+"=", 1)
	if err := os.WriteFile(known, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"accept-new", "strict", "ask"} {
		if code := v.types("", append(args, how, "ls")...); code != 5 || !strings.Contains(v.err.String(), known) || !strings.Contains(v.err.String(), v.pin) {
			t.Errorf("%s: exit %d\n%s", how, code, &v.err)
		}
	}
}

// sits starts the client at a pseudo-terminal and returns it with the exit
// code to come.
func (v *visit) sits(args ...string) (p *terminal.Person, code chan int) {
	v.t.Helper()
	p = terminal.Open(v.t, 80, 24)
	return p, v.sitsAt(p, args...)
}

func (v *visit) sitsAt(p *terminal.Person, args ...string) (code chan int) {
	v.t.Helper()
	slave := p.Slave
	a := &app{in: slave, out: slave, err: slave, now: time.Now, self: "ftps", home: os.Getenv("HOME"),
		getenv: func(name string) string { return v.env[name] }}
	code = make(chan int, 1)
	go func() { code <- a.run(append([]string{"client", "127.0.0.1", "-p", v.port}, args...)) }()
	return code
}

func TestTheOriginalsSessionAtATerminal(t *testing.T) {
	for _, c := range []struct {
		lang                           catalog.Lang
		greeting, user, want, in, list string
		cwd, up, file, bye, complete   string
	}{
		{catalog.Spanish, "220 - Bienvenido al servidor FTP", "USUARIO:", "331 - Usuario correcto, ingrese la clave",
			"230 - Login exitoso", "150 - Preparado para recibir datos", "250 - Directorio cambiado correctamente",
			"550 - Acceso denegado", "550 - No es directorio", "221 - Cerrando conexión", "226 - Transferencia completada"},
		{catalog.English, "220 - ", "USER:", "331 - ", "230 - ", "150 - ", "250 - ", "550 - ", "550 - ", "221 - ", "226 - "},
	} {
		t.Run(c.lang.String(), func(t *testing.T) {
			v := newVisit(t, ftptest.Options{Lang: c.lang})
			v.env["FTPS_PASSWORD"] = ""
			if err := os.WriteFile("mine.txt", []byte("mine"), 0o644); err != nil {
				t.Fatal(err)
			}
			p, code := v.sits("--lang", c.lang.String(), "--pin", v.pin)
			p.Sees(c.greeting)
			p.Sees(c.user)
			p.Types("diego\n")
			p.Sees(c.want)
			p.Sees("PASS:")
			p.Types("secreto\n")
			p.Sees(c.in)
			p.Sees("ftp> ")
			p.Types("listar\r")
			p.Sees(c.list)
			p.Sees("\x1b[34mdocs\x1b[0m\r\nhello.txt\r\n")
			p.Sees(c.complete)
			p.Sees("ftp> ")
			p.Types("cd ..\r")
			p.Sees(c.up)
			p.Types("cd hello.txt\r")
			p.Sees(c.file)
			p.Types("cd do\t\r")
			p.Sees(c.cwd)
			p.Types("SUBIR mine.txt\r")
			p.Sees(c.list)
			p.Sees(c.complete)
			p.Types("DESCARGAR notes.txt\r")
			p.Sees(c.list)
			p.Sees(c.complete)
			p.Sees("ftp> ")
			p.Types("SALIR\r")
			p.Sees(c.bye)
			p.Ends(code, 0)
			if strings.Contains(p.Transcript(), "secreto") {
				t.Error("the password was shown")
			}
			if text, err := os.ReadFile("notes.txt"); err != nil || string(text) != "notes" {
				t.Errorf("got %q, %v", text, err)
			}
		})
	}
}

func TestAnUnknownKeyIsPutToThePersonOnce(t *testing.T) {
	v := newVisit(t, ftptest.Options{})
	v.env["FTPS_PASSWORD"] = ""
	p, code := v.sits("-u", "diego", "ls")
	p.Sees(v.pin)
	p.Sees("(yes/no) ")
	p.Types("perhaps\n")
	p.Sees("(yes/no) ")
	p.Types("no\n")
	p.Ends(code, 5)

	p, code = v.sits("-u", "diego", "ls")
	p.Sees("(yes/no) ")
	p.Types("yes\n")
	p.Sees("PASS: ")
	p.Types("secreto\n")
	p.Sees("hello.txt")
	p.Ends(code, 0)

	p, code = v.sits("-u", "diego", "ls")
	p.Sees("PASS: ")
	p.Types("secreto\n")
	p.Ends(code, 0)
	if strings.Contains(p.Transcript(), "yes/no") {
		t.Error("asked again")
	}
}

func TestAMistypedPasswordMayBeTypedAgain(t *testing.T) {
	v := newVisit(t, ftptest.Options{})
	v.env["FTPS_PASSWORD"] = ""
	p, code := v.sits("--pin", v.pin)
	p.Sees("USER: ")
	p.Types("diego\n")
	p.Sees("PASS: ")
	p.Types("wrong\n")
	p.Sees("530 - ")
	p.Sees("USER: ")
	p.Types("diego\n")
	p.Sees("PASS: ")
	p.Types("secreto\n")
	p.Sees("230 - ")
	p.Sees("ftp> ")
	p.Types("\x04")
	p.Sees("221 - ")
	p.Ends(code, 0)
}
