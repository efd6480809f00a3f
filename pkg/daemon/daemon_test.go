package daemon

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ftps/pkg/catalog"
	"ftps/pkg/event"
	"ftps/pkg/fault"
	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
	"ftps/pkg/handover"
	"ftps/pkg/pki"
	"ftps/pkg/users"
	"ftps/pkg/vfs"
)

func TestMain(m *testing.M) {
	if link, err := handover.Inherited(); link != nil || err != nil {
		comeUp(link)
		syscall.Exit(0) // at once: under the race detector a program takes a second to end
	}
	if lookedAround() {
		syscall.Exit(0) // os.Exit writes what was covered, and cannot here
	}
	goleak.VerifyTestMain(m)
}

// host is a machine of the test's own: folders, accounts, a certificate.
type host struct {
	t   *testing.T
	dir string
	cfg Config
	log *book
}

func newHost(t *testing.T, accounts ...users.User) *host {
	t.Helper()
	h := &host{t: t, dir: t.TempDir(), log: &book{more: make(chan struct{}, 1)}}
	h.cfg = Config{
		Host:         "127.0.0.1",
		ImplicitPort: Off,
		AllowRoot:    true,
		RootDir:      h.at("srv"),
		MakeRoot:     true,
		Users:        h.at("users.yaml"),
		Umask:        0o027,
		Certs:        []pki.Files{{Cert: h.at("certs/server.crt"), Key: h.at("certs/server.key")}},
		MakeCert:     true,
		Log:          slog.New(slog.NewJSONHandler(h.log, nil)),
		Events:       h.log,
		Grace:        10 * time.Second,
	}
	for _, u := range accounts {
		h.add(u)
	}
	return h
}

func (h *host) at(name string) string { return filepath.Join(h.dir, name) }

// account is one with the password "secreto", hashed cheaply.
func account(name string) users.User {
	hash, err := users.Hash("secreto", users.MinCost)
	if err != nil {
		panic(err)
	}
	return users.User{Name: name, Hash: hash, Home: name, Perm: vfs.ReadWrite}
}

func (h *host) add(u users.User) {
	h.t.Helper()
	if _, err := (users.File{Path: h.cfg.Users}).Add(h.t.Context(), u); err != nil {
		h.t.Fatal(err)
	}
}

// edit replaces words in users.yaml.
func (h *host) edit(old, new string) {
	h.t.Helper()
	text, err := os.ReadFile(h.cfg.Users)
	if err != nil {
		h.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		h.t.Fatalf("%q is not in\n%s", old, text)
	}
	// At once, or the server may read half of it.
	next := h.at("users.next")
	if err := os.WriteFile(next, []byte(strings.ReplaceAll(string(text), old, new)), 0o600); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(next, h.cfg.Users); err != nil {
		h.t.Fatal(err)
	}
}

// start runs the server until the test ends; end stops it sooner.
func (h *host) start() (d *Daemon, end func()) {
	h.t.Helper()
	return h.startWith(func(*Daemon) {})
}

// startWith has something changed before anybody is served.
func (h *host) startWith(change func(*Daemon)) (d *Daemon, end func()) {
	h.t.Helper()
	d, err := New(h.cfg)
	if err != nil {
		h.t.Fatalf("start: %s", catalog.Explain(catalog.English, err))
	}
	change(d)
	return d, h.run(d)
}

// run serves until the test ends, or the function it returns is called.
func (h *host) run(d *Daemon) (end func()) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, nil) }()
	end = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				h.t.Errorf("run: %v", err)
			}
		case <-time.After(ftptest.Patience):
			h.t.Error("the server did not end")
		}
	})
	h.t.Cleanup(end)
	return end
}

func (h *host) dial(d *Daemon) *ftptest.Conn {
	h.t.Helper()
	return ftptest.Connect(h.t, d.Control(), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
}

func (h *host) secure(d *Daemon) *ftptest.Conn {
	h.t.Helper()
	c := h.dial(d)
	c.Expect(220)
	c.Cmd(234, "AUTH TLS")
	c.StartTLS()
	return c
}

func (h *host) login(d *Daemon, name string) *ftptest.Conn {
	h.t.Helper()
	c := h.secure(d)
	c.Login(name, "secreto")
	return c
}

// refused says what a start that must fail says.
func (h *host) refused() string {
	h.t.Helper()
	d, err := New(h.cfg)
	if err == nil {
		d.listeners.close()
		d.queue.close()
		h.t.Fatal("the server started")
	}
	return catalog.Explain(catalog.English, err)
}

// book is a log and a sink that can be waited on.
type book struct {
	mu     sync.Mutex
	text   bytes.Buffer
	events []event.Event
	more   chan struct{}
}

func (b *book) noted() {
	select {
	case b.more <- struct{}{}:
	default:
	}
}

func (b *book) Write(p []byte) (int, error) {
	defer b.noted()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) Handle(e event.Event) {
	defer b.noted()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
}

// lines returns the log so far, decoded.
func (b *book) lines() (all []map[string]any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range strings.Lines(b.text.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil {
			all = append(all, fields)
		}
	}
	return all
}

// wait returns the first line with the message.
func (b *book) wait(t *testing.T, message string) map[string]any {
	t.Helper()
	deadline := time.After(ftptest.Patience)
	for {
		for _, line := range b.lines() {
			if line["msg"] == message {
				return line
			}
		}
		select {
		case <-b.more:
		case <-deadline:
			t.Fatalf("no line %q in the log:\n%v", message, b.lines())
		}
	}
}

func TestAFirstStartMakesWhatItNeedsAndServes(t *testing.T) {
	h := newHost(t, account("diego"))
	d, _ := h.start()
	os.Mkdir(h.at("any"), 0o777)
	made, err := os.Stat(h.at("any")) // whoever runs this may have a strict umask
	if err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{"srv": 0o750, "srv/diego": 0o750, "certs/server.key": 0o600} {
		info, err := os.Stat(h.at(path))
		if err != nil || info.Mode().Perm() != mode&made.Mode() {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	c := h.login(d, "diego")
	if code := c.Upload([]byte("hola"), "STOR a.txt"); code != 226 {
		t.Fatalf("upload: %d", code)
	}
	data, code := c.Download("RETR a.txt")
	if code != 226 || string(data) != "hola" {
		t.Errorf("download: %d %q", code, data)
	}
	info, err := os.Stat(h.at("srv/diego/a.txt"))
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("on the disk: %v, %v", info, err)
	}
	if s := d.Stats(); s.Uploads != 1 || s.Downloads != 1 || s.Logins != 1 || s.BytesIn != 4 {
		t.Errorf("stats: %+v", s)
	}
	if u := d.Users(); len(u) != 1 || u[0].Sessions != 1 || !u[0].Active {
		t.Errorf("users: %+v", u)
	}
}

func TestTheCertificateAndItsPinOutliveARestart(t *testing.T) {
	h := newHost(t)
	d, end := h.start()
	pin := d.Pin()
	end()
	d, _ = h.start()
	if d.Pin() != pin {
		t.Error("the pin changed")
	}
}

func TestHalfACertificateIsNotReplaced(t *testing.T) {
	h := newHost(t)
	os.MkdirAll(h.at("certs"), 0o700)
	os.WriteFile(h.at("certs/server.key"), []byte("mine"), 0o600)
	if said := h.refused(); !strings.Contains(said, "server.crt") {
		t.Error(said)
	}
	if text, _ := os.ReadFile(h.at("certs/server.key")); string(text) != "mine" {
		t.Error("the key was overwritten")
	}
}

func TestABusyPortIsNamedWithTheFlagThatChoosesAnother(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	for flag, change := range map[string]func(*Config){
		"--control-port":  func(c *Config) { c.ControlPort = port },
		"--implicit-port": func(c *Config) { c.ImplicitPort = port },
		"--data-port":     func(c *Config) { c.FirstData, c.LastData = port, port },
	} {
		h := newHost(t)
		change(&h.cfg)
		said := h.refused()
		if !strings.Contains(said, flag) || !strings.Contains(said, "already in use") {
			t.Errorf("%s: %s", flag, said)
		}
		h.cfg.FreeControl, h.cfg.FreeData = true, true
		if flag != "--implicit-port" {
			d, end := h.start()
			if int(d.Control().Port()) == port || d.DataPorts()[0] == port {
				t.Errorf("%s: took the busy port", flag)
			}
			end()
		}
	}
}

func TestANamedRootFolderMustExist(t *testing.T) {
	h := newHost(t)
	h.cfg.MakeRoot = false
	if said := h.refused(); !strings.Contains(said, "does not exist") || !strings.Contains(said, "--root-dir") {
		t.Error(said)
	}
	os.WriteFile(h.at("srv"), nil, 0o600)
	if said := h.refused(); !strings.Contains(said, "not a folder") {
		t.Error(said)
	}
}

func TestAtTheEndEverySessionIsTold421AndThePortIsFreeAtOnce(t *testing.T) {
	h := newHost(t, account("diego"))
	d, end := h.start()
	fresh, busy := h.dial(d), h.login(d, "diego")
	fresh.Expect(220)
	h.cfg.ControlPort = int(d.Control().Port())
	h.cfg.FirstData, h.cfg.LastData = d.DataPorts()[0], d.DataPorts()[0]
	end()
	for _, c := range []*ftptest.Conn{fresh, busy} {
		if codes := c.ExpectClosed(); len(codes) != 1 || codes[0] != 421 {
			t.Errorf("told %v", codes)
		}
	}
	again, _ := h.start()
	h.login(again, "diego").Cmd(257, "PWD")
}

func TestATransferMayFinishInTheGracePeriod(t *testing.T) {
	h := newHost(t, account("diego"))
	d, end := h.start()
	c := h.login(d, "diego")
	port := c.Passive()
	c.Send("STOR slow")
	conn := c.Secure(c.OpenData(port))
	c.Expect(150)
	if _, err := conn.Write([]byte("half, ")); err != nil {
		t.Fatal(err)
	}
	d.Stop()
	h.log.wait(t, "stopping")
	if _, err := conn.Write([]byte("and half")); err != nil {
		t.Fatal(err)
	}
	conn.CloseWrite()
	c.Expect(226)
	conn.Close()
	c.Expect(421)
	end()
	if text, err := os.ReadFile(h.at("srv/diego/slow")); string(text) != "half, and half" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestAnAccountThatIsDisabledIsKickedAndStaysOut(t *testing.T) {
	h := newHost(t, account("diego"), account("eva"))
	d, _ := h.start()
	diego, eva := h.login(d, "diego"), h.login(d, "eva")
	h.edit("name: diego", "name: diego\n    disabled: true")
	if codes := diego.ExpectClosed(); len(codes) != 1 || codes[0] != 421 {
		t.Errorf("told %v", codes)
	}
	eva.Cmd(257, "PWD")
	c := h.secure(d)
	c.Cmd(331, "USER diego")
	c.Cmd(530, "PASS secreto")
}

func TestAnAccountThatIsAddedCanLogInWithoutARestart(t *testing.T) {
	h := newHost(t)
	d, _ := h.start()
	if d.Accounts() != 0 {
		t.Fatal("accounts from nowhere")
	}
	h.add(account("eva"))
	h.log.wait(t, "users")
	eventually(t, "the account", func() bool { return d.Accounts() > 0 })
	h.login(d, "eva").Cmd(257, "PWD")
}

func TestAFaultyFileKeepsTheLastGoodAccountsAndIsSaid(t *testing.T) {
	h := newHost(t, account("diego"))
	d, _ := h.start()
	c := h.login(d, "diego")
	h.edit("name: diego", "nam: diego")
	line := h.log.wait(t, "users-kept")
	if cause, _ := line["cause"].(string); !strings.Contains(cause, "nam") {
		t.Errorf("the log says %v", line)
	}
	if d.Stats().UsersFault == nil {
		t.Error("stats do not tell")
	}
	if _, err := d.Reload(); !errors.Is(err, users.ErrInvalid) {
		t.Errorf("reload: %v", err)
	}
	c.Cmd(257, "PWD")
	h.edit("nam: diego", "name: diego")
	if _, err := d.Reload(); err != nil || d.Stats().UsersFault != nil {
		t.Errorf("after the repair: %v, %v", err, d.Stats().UsersFault)
	}
	c.Cmd(257, "PWD")
}

func TestNSessionsOfAnAccountAndNotOneMore(t *testing.T) {
	u := account("diego")
	u.MaxSessions = 2
	h := newHost(t, u)
	d, _ := h.start()
	first := h.login(d, "diego")
	h.login(d, "diego")
	third := h.secure(d)
	third.Cmd(331, "USER diego")
	third.Send("PASS secreto")
	if code, _, err := third.Read(); err != nil || code < 400 {
		t.Fatalf("the third was let in: %d, %v", code, err)
	}
	first.Cmd(221, "QUIT")
	first.ExpectClosed()
	h.log.wait(t, "disconnected")
	h.login(d, "diego")
}

func TestABannedAddressIsSentAwayAndItsSessionsEnd(t *testing.T) {
	h := newHost(t, account("diego"))
	d, _ := h.start()
	c := h.login(d, "diego")
	if n := d.Ban(netip.MustParseAddr("127.0.0.1"), 0); n != 1 {
		t.Errorf("%d sessions ended", n)
	}
	c.Expect(421)
	h.dial(d).Expect(421)
	if !d.Unban(netip.MustParseAddr("::ffff:127.0.0.1")) || d.Unban(netip.MustParseAddr("127.0.0.1")) {
		t.Error("unban")
	}
	h.dial(d).Expect(220)
}

func TestABanEndsWhenItsTimeIsOver(t *testing.T) {
	var b bans
	addr := netip.MustParseAddr("192.0.2.1")
	b.add(addr, time.Nanosecond)
	for b.has(addr) { // a nanosecond
	}
	b.add(addr, time.Hour)
	if !b.has(addr) {
		t.Error("ended an hour too early")
	}
}

func TestDrainAdmitsNobodyAndEndsWithTheLastSession(t *testing.T) {
	h := newHost(t, account("diego"))
	d, err := New(h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- d.Run(context.Background(), nil) }()
	c := h.login(d, "diego")
	d.Drain()
	d.Drain()
	h.dial(d).Expect(421)
	select {
	case <-done:
		t.Fatal("ended with a session open")
	default:
	}
	c.Cmd(257, "PWD")
	c.Cmd(221, "QUIT")
	select {
	case <-done:
	case <-time.After(ftptest.Patience):
		t.Fatal("did not end")
	}
}

func TestAnAccountThatExpiresWhileItIsLoggedInIsKicked(t *testing.T) {
	u := account("diego")
	expires, err := users.ParseExpires(time.Now().Add(48 * time.Hour).Format(time.DateOnly))
	if err != nil {
		t.Fatal(err)
	}
	u.Expires = expires
	h := newHost(t, u)
	d, _ := h.start()
	c := h.login(d, "diego")
	d.expire(time.Now())
	c.Cmd(257, "PWD")
	d.expire(time.Now().Add(72 * time.Hour))
	c.Expect(421)
}

func TestEveryLineOfASessionHasItsIdAndAfterLoginItsUser(t *testing.T) {
	h := newHost(t, account("diego"))
	d, end := h.start()
	c := h.login(d, "diego")
	c.Cmd(550, "CWD nowhere")
	c.Upload([]byte("x"), "STOR a\x1b[2Jb")
	c.Cmd(221, "QUIT")
	c.ExpectClosed()
	wrong := h.secure(d)
	wrong.Cmd(331, "USER eva")
	wrong.Cmd(530, "PASS geheim")
	end()
	seen := map[string]bool{}
	for _, line := range h.log.lines() {
		message, _ := line["msg"].(string)
		seen[message] = true
		switch message {
		case "users", "stopping", "certificate-made":
			continue
		}
		if id, _ := line["session"].(string); len(id) < 8 {
			t.Errorf("no session: %v", line)
		}
		if user := line["user"]; line["id"] == 0.0 && message != "connected" && message != "secured" && user != "diego" {
			t.Errorf("no user: %v", line)
		}
	}
	for _, message := range []string{"connected", "secured", "login", "refused", "transfer", "disconnected", "login-refused"} {
		if !seen[message] {
			t.Errorf("no line %q", message)
		}
	}
	for _, secret := range []string{"secreto", "geheim", "\x1b"} {
		if strings.Contains(h.log.text.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

func TestCheckFindsAllThatIsWrongAndTouchesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	u := account("diego")
	h := newHost(t, u)
	if wrong, warnings := Check(h.cfg); len(wrong)+len(warnings) != 0 {
		t.Errorf("all is well, but: %v, %v", wrong, warnings)
	}
	if !absent(h.at("srv")) || !absent(h.at("certs")) {
		t.Error("Check made something")
	}
	h.cfg.ControlPort = taken.Addr().(*net.TCPAddr).Port
	h.cfg.MakeRoot, h.cfg.MakeCert = false, false
	h.edit("name: diego", "nam: diego")
	wrong, _ := Check(h.cfg)
	var said strings.Builder
	for _, err := range wrong {
		said.WriteString(catalog.Explain(catalog.English, err) + "\n")
	}
	for _, want := range []string{"already in use", "server.crt", "root folder", "nam"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q is not said:\n%s", want, said.String())
		}
	}
}

func TestAnAccountThatChangesWhileItsPasswordIsCheckedDoesNotGetIn(t *testing.T) {
	h := newHost(t)
	old, changed := account("diego"), account("diego")
	b, err := newBackend(h.cfg, users.NewList(old))
	if err != nil {
		t.Fatal(err)
	}
	l := &login{session: "a", user: &old}
	if !b.enter(l) {
		t.Fatal("an unchanged account was refused")
	}
	stale := b.exchange(users.NewList(changed)) // another hash
	if !stale["a"] {
		t.Error("the session goes on")
	}
	if b.enter(&login{session: "b", user: &old}) {
		t.Error("the old account came in after the change")
	}
}

func TestANewRateTakesHoldWithoutEndingTheSession(t *testing.T) {
	h := newHost(t)
	slow := account("diego")
	slow.RateDown = 1
	b, err := newBackend(h.cfg, users.NewList(slow))
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.Login(t.Context(), ftpserver.Attempt{Name: "diego", Password: "secreto", Session: "a", Remote: netip.MustParseAddr("192.0.2.1")})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	waited := make(chan error, 1)
	go func() { waited <- a.Down.Wait(t.Context(), 1<<20) }()
	fast := slow
	fast.RateDown = 1 << 30
	if stale := b.exchange(users.NewList(fast)); len(stale) != 0 {
		t.Error("the session was ended")
	}
	select {
	case err := <-waited:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(ftptest.Patience):
		t.Error("still slow")
	}
}

func TestARefusedLoginIsOnlyThatToTheEngine(t *testing.T) {
	h := newHost(t)
	b, err := newBackend(h.cfg, users.NewList(account("diego")))
	if err != nil {
		t.Fatal(err)
	}
	for name, password := range map[string]string{"diego": "wrong", "nobody": "secreto"} {
		_, err := b.Login(t.Context(), ftpserver.Attempt{Name: name, Password: password, Remote: netip.MustParseAddr("192.0.2.1")})
		if !errors.Is(err, ftpserver.ErrLogin) {
			t.Errorf("%s: %v", name, err)
		}
		var keyed *fault.Error
		if errors.As(err, &keyed) {
			t.Errorf("%s: the cause has a sentence of its own: %v", name, keyed)
		}
	}
}
