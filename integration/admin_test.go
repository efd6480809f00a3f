package integration

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ftps/pkg/ftptest"
)

// administered is a server with an admin socket and metrics.
type administered struct {
	*server
	socket, metrics string
}

func startAdministered(t *testing.T, settings string) *administered {
	t.Helper()
	short, err := os.MkdirTemp("", "ftps-") // a socket's name has some hundred bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	a := &administered{socket: filepath.Join(short, "a.sock"), metrics: fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])}
	dir := t.TempDir()
	a.server = &server{dir: dir}
	a.settings(t, settings)
	for _, name := range []string{"diego", "eva"} {
		_, errs, code := run(t, dir, "a password\n", "useradd", name, "--password-stdin", "--cost", "4")
		if code != 0 {
			t.Fatalf("useradd %s: %s", name, errs)
		}
	}
	a.server = serveIn(t, dir, "--admin-socket", a.socket, "--metrics", a.metrics)
	return a
}

func (a *administered) settings(t *testing.T, text string) {
	t.Helper()
	swap(t, filepath.Join(a.dir, "ftps.yaml"), text, 0o600)
}

// admin gives a command that must succeed and returns what it printed.
func (a *administered) admin(t *testing.T, words ...string) string {
	t.Helper()
	out, errs, code := run(t, a.dir, "", append([]string{"admin", "--admin-socket", a.socket}, words...)...)
	if code != 0 {
		t.Fatalf("admin %v: exit %d: %s", words, code, errs)
	}
	return out
}

// An administrator checks new settings while the server is running.
func TestCheckBesideTheRunningServerDoesNotCallItsPortsTaken(t *testing.T) {
	a := startAdministered(t, "")
	args := []string{"server", "--check", "-H", "127.0.0.1", "-C", a.port}
	if os.Getuid() == 0 {
		args = append(args, "--run-as", "root")
	}
	if _, errs, code := run(t, a.dir, "", append(args, "--admin-socket", a.socket)...); code != 0 || !strings.Contains(errs, a.socket) {
		t.Errorf("exit %d: %s", code, errs)
	}
	if _, errs, code := run(t, a.dir, "", append(args, "--admin-socket", "off")...); code != 1 || !strings.Contains(errs, "port "+a.port+" is already in use") {
		t.Errorf("where nothing tells that it is the same server: exit %d: %s", code, errs)
	}
}

func (a *administered) dial(t *testing.T) *ftptest.Conn {
	t.Helper()
	return ftptest.Connect(t, netip.MustParseAddrPort("127.0.0.1:"+a.port), &tls.Config{InsecureSkipVerify: true})
}

func (a *administered) login(t *testing.T, name string) *ftptest.Conn {
	t.Helper()
	c := a.dial(t)
	c.Enter(name, "a password")
	return c
}

// scrape returns the numbers of /metrics by series.
func (a *administered) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	numbers := make(map[string]float64)
	for line := range strings.Lines(a.get(t, "/metrics", http.StatusOK)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		m := regexp.MustCompile(`^(ftps_[a-z_]+(?:\{[^{}]*\})?) (\S+)\n$`).FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("a line of another kind: %q", line)
		}
		number, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		numbers[m[1]] = number
	}
	return numbers
}

func (a *administered) get(t *testing.T, path string, status int) string {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + a.metrics + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != status {
		t.Fatalf("GET %s: %s, %v", path, r.Status, err)
	}
	return string(text)
}

func TestAnAdministratorSeesAndEndsSessionsFromAnotherProcess(t *testing.T) {
	a := startAdministered(t, "")
	if info, err := os.Stat(a.socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	if out := a.admin(t, "list"); !strings.Contains(out, "Nobody is connected") {
		t.Errorf("%q", out)
	}
	diego, eva := a.login(t, "diego"), a.login(t, "eva")

	var seen []map[string]any
	for line := range strings.Lines(a.admin(t, "list", "--json")) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		seen = append(seen, o)
	}
	if len(seen) != 2 || seen[0]["user"] != "diego" || seen[1]["user"] != "eva" || seen[0]["id"] != 0.0 {
		t.Errorf("%v", seen)
	}
	if out := a.admin(t, "--lang", "es", "listar"); !strings.Contains(out, "USUARIO") || !strings.Contains(out, "TLS 1.3") {
		t.Errorf("%q", out)
	}
	a.admin(t, "kick", "diego", "too", "slow")
	diego.Expect(421)
	a.out.wait(t, `"msg":"kicked".*"user":"diego","reason":"too slow"`)
	if out := a.admin(t, "ban", "127.0.0.1", "1h"); !strings.Contains(out, "sessions ended: 1") {
		t.Errorf("%q", out)
	}
	eva.Expect(421)
	a.dial(t).Expect(421)
	if out := a.admin(t, "bans"); !regexp.MustCompile(`127\.0\.0\.1  5\dm`).MatchString(out) {
		t.Errorf("%q", out)
	}
	a.admin(t, "unban", "127.0.0.1")
	a.login(t, "eva")
	if _, errs, code := run(t, a.dir, "", "admin", "--admin-socket", a.socket, "kick", "nobody"); code != 1 || !strings.HasPrefix(errs, "ftps: nobody is neither") {
		t.Errorf("exit %d, %q", code, errs)
	}
	if _, errs, code := run(t, a.dir, "", "admin", "--admin-socket", a.socket, "dance"); code != 2 || !strings.Contains(errs, "unknown command") {
		t.Errorf("exit %d, %q", code, errs)
	}
	a.admin(t, "exit")
	a.out.wait(t, "server stopped")
	if _, err := os.Lstat(a.socket); !os.IsNotExist(err) {
		t.Errorf("the socket stays: %v", err)
	}
	if _, errs, code := run(t, a.dir, "", "admin", "--admin-socket", a.socket, "list"); code != 3 || !strings.Contains(errs, "no server answers") {
		t.Errorf("exit %d, %q", code, errs)
	}
}

func TestTheOnlyServerIsFoundWithoutNamingItsSocket(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root's runtime folder is the machine's own, where others serve")
	}
	s := startServer(t, nil)
	if out, errs, code := run(t, s.dir, "", "admin", "stats"); code != 0 {
		t.Errorf("%s%s", out, errs)
	}
}

func TestDrainLetsTheLastOneFinish(t *testing.T) {
	a := startAdministered(t, "")
	c := a.login(t, "diego")
	a.admin(t, "drain")
	if got := a.get(t, "/healthz", http.StatusServiceUnavailable); got != "draining\n" {
		t.Errorf("%q", got)
	}
	a.dial(t).Expect(421)
	c.Cmd(257, "PWD")
	c.Cmd(221, "QUIT")
	a.out.wait(t, "server stopped")
}

func TestReloadSwapsWhatCanChangeAndNamesTheRest(t *testing.T) {
	a := startAdministered(t, "banner: before\n")
	old := a.login(t, "diego")
	a.settings(t, "banner: after\nlog_level: debug\numask: '077'\nimplicit_port: 9990\nlang: es\nidle_timeout: 90s\n")
	out := a.admin(t, "reload")
	if !strings.Contains(out, "implicit-port cannot change while the server runs") || strings.Count(out, "cannot change") != 1 {
		t.Errorf("%q", out)
	}
	c := a.dial(t)
	if r := c.Expect(220); r != "after" {
		t.Errorf("the greeting is %q", r)
	}
	if out := a.admin(t, "log-level"); !strings.Contains(out, "level debug") {
		t.Errorf("%q", out)
	}
	old.Cmd(257, "PWD") // who is there stays

	// A mistake changes nothing, neither there nor anywhere else.
	a.settings(t, "banner: never\nidle_timeout: soon\n")
	if _, errs, code := run(t, a.dir, "", "admin", "--admin-socket", a.socket, "reload"); code != 1 || !strings.Contains(errs, "key idle_timeout") {
		t.Errorf("exit %d, %q", code, errs)
	}
	if r := a.dial(t).Expect(220); r != "after" {
		t.Errorf("the greeting is %q", r)
	}
	a.settings(t, "banner: by signal\n")
	a.cmd.Process.Signal(syscall.SIGHUP)
	a.out.wait(t, `(?s)"msg":"reloaded".*"msg":"reloaded"`)
	if r := a.dial(t).Expect(220); r != "by signal" {
		t.Errorf("the greeting is %q", r)
	}
}

func TestTheMetricsAreWhatWasDone(t *testing.T) {
	a := startAdministered(t, "")
	before := a.scrape(t)
	if before[`ftps_logins_total{outcome="accepted"}`] != 0 || before["ftps_accounts"] != 2 {
		t.Errorf("at the start: %v", before)
	}
	if err := os.WriteFile(filepath.Join(a.dir, "five"), []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if out, errs, code := a.client(t, "diego", "a password", "put", "five"); code != 0 {
			t.Fatal(out, errs)
		}
	}
	if out, errs, code := a.client(t, "diego", "a password", "get", "five", "back"); code != 0 {
		t.Fatal(out, errs)
	}
	if _, _, code := a.client(t, "diego", "wrong", "pwd"); code != 4 {
		t.Fatalf("a wrong password: exit %d", code)
	}
	c := a.login(t, "eva")
	c.Cmd(550, "DELE nothing")
	c.Cmd(500, "NONSENSE")
	a.admin(t, "ban", "2001:db8::1")

	want := map[string]float64{
		`ftps_logins_total{outcome="accepted"}`:                     4,
		`ftps_logins_total{outcome="refused"}`:                      1,
		`ftps_transfers_total{direction="upload",verdict="whole"}`:  2,
		`ftps_transfers_total{direction="upload",verdict="failed"}`: 0,
		`ftps_transfer_bytes_total{direction="upload"}`:             10,
		`ftps_transfer_bytes_total{direction="download"}`:           5,
		`ftps_transfer_seconds_count{direction="download"}`:         1,
		`ftps_replies_refused_total{code="550",verb="DELE"}`:        1,
		`ftps_replies_refused_total{code="500",verb="unknown"}`:     1,
		`ftps_transfers_bound_total{bound="none"}`:                  0,
		`ftps_connections_total{outcome="admitted"}`:                5,
		`ftps_bans`:               1,
		`ftps_sessions_logged_in`: 1,
		`ftps_accounts_stale`:     0,
	}
	deadline := time.Now().Add(patience)
	for {
		got, wrong := a.scrape(t), ""
		for series, n := range want {
			if got[series] != n {
				wrong += fmt.Sprintf("%s is %v, want %v\n", series, got[series], n)
			}
		}
		if n := got[`ftps_tls_handshakes_total{resumed="false",version="TLS 1.3"}`]; n != 5 {
			wrong += fmt.Sprintf("handshakes: %v\n", n)
		}
		if wrong == "" {
			break
		}
		if time.Now().After(deadline) { // a session may end a moment after its client
			t.Fatal(wrong)
		}
	}
	text := a.get(t, "/metrics", http.StatusOK)
	for _, secret := range []string{"diego", "eva", "five", "127.0.0.1"} {
		if strings.Contains(text, secret) {
			t.Errorf("the metrics tell of %s", secret)
		}
	}
	if got := a.get(t, "/healthz", http.StatusOK); !strings.HasPrefix(got, "ok\n") {
		t.Errorf("%q", got)
	}
	if err := os.WriteFile(filepath.Join(a.dir, "users.yaml"), []byte("users: [nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.out.wait(t, `"msg":"users-kept"`)
	if got := a.get(t, "/healthz", http.StatusOK); !strings.Contains(got, "older than their file") {
		t.Errorf("%q", got)
	}
	if a.scrape(t)["ftps_accounts_stale"] != 1 {
		t.Error("ftps_accounts_stale is 0")
	}
	if out := a.admin(t, "stats"); !strings.Contains(out, "older than the file") || !strings.Contains(out, "Uploads: 2 (10 B)") {
		t.Errorf("%q", out)
	}
}
