package daemon

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/dataport"
	"ftps/pkg/users"
)

func TestAReloadGivesNewSessionsTheNewSettings(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.Level = new(slog.LevelVar)
	next := h.cfg
	h.cfg.Reread = func() (Config, []string, error) { return next, []string{"host"}, nil }
	d, _ := h.start()
	old := h.login(d, "diego")

	next.Banner, next.Lang, next.LogLevel = "after", catalog.Spanish, slog.LevelDebug
	next.Umask, next.NoSync, next.Reuse = 0o077, true, dataport.Prefer
	next.MaxConnections, next.MaxPerAddress, next.MaxBeforeLogin = 7, 2, 5
	next.HandshakeTimeout, next.LoginTimeout = 11*time.Second, 50*time.Second
	next.IdleTimeout, next.StallTimeout = 77*time.Second, 66*time.Second
	if fixed, err := d.Reload(); err != nil || len(fixed) != 1 || fixed[0] != "host" {
		t.Fatalf("%v, %v", fixed, err)
	}
	if d.Level() != slog.LevelDebug {
		t.Errorf("the log's level is %v", d.Level())
	}
	c := h.dial(d)
	if greeting := c.Expect(220); greeting != "after" {
		t.Errorf("the greeting is %q", greeting)
	}
	h.dial(d).Expect(421) // the third of this address
	c.Cmd(234, "AUTH TLS")
	c.StartTLS()
	c.Login("diego", "secreto")
	if said := c.Cmd(501, "SITE IDLE 78"); said != catalog.Text(catalog.Spanish, "reply.idle.range", int64(77)) {
		t.Errorf("%q", said)
	}
	old.Cmd(200, "SITE IDLE 78") // who was there keeps what was
	if code := c.Upload([]byte("x"), "STOR private"); code != 226 {
		t.Fatalf("STOR: %d", code)
	}
	if info, err := os.Stat(h.at("srv/diego/private")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	live := d.live.Load()
	if !live.NoSync || live.Reuse != dataport.Prefer || live.MaxConnections != 7 || live.MaxBeforeLogin != 5 ||
		live.HandshakeTimeout != next.HandshakeTimeout || live.LoginTimeout != next.LoginTimeout || live.StallTimeout != next.StallTimeout {
		t.Errorf("%+v", live)
	}

	// The level that was set by hand stays while the setting does.
	d.SetLevel(slog.LevelWarn)
	if _, err := d.Reload(); err != nil || d.Level() != slog.LevelWarn {
		t.Errorf("level %v, %v", d.Level(), err)
	}
}

func TestAReloadWithAMistakeInSettingsOrAccountsChangesNothing(t *testing.T) {
	h := newHost(t, account("diego"))
	next, wrong := h.cfg, error(nil)
	h.cfg.Reread = func() (Config, []string, error) { return next, nil, wrong }
	d, _ := h.start()
	next.Banner = "never"

	wrong = errors.New("key banner")
	if _, err := d.Reload(); err != wrong {
		t.Errorf("%v", err)
	}
	wrong = nil
	users, err := os.ReadFile(h.cfg.Users)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.cfg.Users, []byte("users: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Reload(); err == nil {
		t.Error("a faulty list was taken")
	}
	if greeting := h.dial(d).Expect(220); greeting == "never" {
		t.Error("the settings changed although the accounts could not")
	}
	if err := os.WriteFile(h.cfg.Users, users, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Reload(); err != nil {
		t.Fatal(err)
	}
	if greeting := h.dial(d).Expect(220); greeting != "never" {
		t.Errorf("after it was mended: %q", greeting)
	}
}

func TestABanCoversTheNetworkOfAnIPv6Address(t *testing.T) {
	var b bans
	b.add(netip.MustParseAddr("2001:db8::7"), 0)
	b.add(netip.MustParseAddr("192.0.2.1"), time.Nanosecond)
	for addr, want := range map[string]bool{
		"2001:db8::7": true, "2001:db8::ffff:1": true, "2001:db8:0:1::7": false, "192.0.2.2": false, "192.0.2.1": false,
	} {
		if b.has(netip.MustParseAddr(addr)) != want {
			t.Errorf("%s: banned is %v", addr, !want)
		}
	}
	if all := b.all(); len(all) != 1 || all[0].String() != "2001:db8::/64" {
		t.Errorf("%v", all)
	}
	if !b.remove(netip.MustParseAddr("2001:db8::1")) || b.has(netip.MustParseAddr("2001:db8::7")) {
		t.Error("a neighbour's address did not lift the ban")
	}
}

// A list that was read before an account was removed must not come into force
// after the one without it, which somebody's reload has read meanwhile.
func TestAListThatWasReadEarlierNeverComesInForceLater(t *testing.T) {
	h := newHost(t, account("diego"), account("gone"))
	d, err := New(h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer h.run(d)()
	read, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	d.reloading.Lock()
	d.fileRead = func() { once.Do(func() { close(read); <-goOn }) }
	d.reloading.Unlock()

	moved := make(chan struct{})
	go func() { defer close(moved); d.rereadUsers() }() // its file has both
	<-read
	if _, err := (users.File{Path: h.cfg.Users}).Remove(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	if d.reloading.TryLock() {
		d.reloading.Unlock()
		t.Error("the file can be read again while an older list waits to be put in force")
	}
	reloaded := make(chan error, 1)
	go func() { _, err := d.Reload(); reloaded <- err }()
	close(goOn)
	<-moved
	if err := <-reloaded; err != nil {
		t.Fatal(err)
	}
	if _, ok := d.backend.verifier.List().Lookup("gone"); ok {
		t.Error("an account that was removed is back")
	}
}

// The negative control of every change of an account that ends its sessions: a
// list that is only put in force leaves them at work.
func TestAListThatEndsNoSessionsLeavesADisabledAccountAtWork(t *testing.T) {
	h := newHost(t, account("diego"))
	d, _ := h.start()
	c := h.secure(d)
	c.Login("diego", "secreto")
	closed := account("diego")
	closed.Disabled = true
	if stale := d.backend.exchange(users.NewList(closed)); len(stale) != 1 {
		t.Errorf("%d sessions are not what they were", len(stale))
	}
	if code := c.Upload([]byte("x"), "STOR f"); code != 226 {
		t.Errorf("STOR: %d: this shows nothing", code)
	}
}

// The negative control: without the lock, the list that was read first comes
// last.
func TestWithoutTheLockTheOlderListWins(t *testing.T) {
	h := newHost(t, account("diego"), account("gone"))
	d, err := New(h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer h.run(d)()
	older, err := d.loadUsersAgain()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (users.File{Path: h.cfg.Users}).Remove(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Reload(); err != nil {
		t.Fatal(err)
	}
	d.usersChanged(older)
	if _, ok := d.backend.verifier.List().Lookup("gone"); !ok {
		t.Error("the test above shows nothing")
	}
}

func TestAChangeOfTheSettingsFileIsAReload(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.Settings = h.at("ftps.yaml")
	write := func(banner string) {
		t.Helper()
		next := h.at("ftps.next") // put in its place at once: an empty file has a banner too
		if err := os.WriteFile(next, []byte(banner), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, h.cfg.Settings); err != nil {
			t.Fatal(err)
		}
	}
	write("before")
	next := h.cfg
	h.cfg.Reread = func() (Config, []string, error) {
		raw, err := os.ReadFile(h.cfg.Settings)
		cfg := next
		if cfg.Banner = string(raw); cfg.Banner == "wrong" {
			err = errors.New("key banner")
		}
		return cfg, nil, err
	}
	h.cfg.Banner = "before"
	d, _ := h.start()
	write("wrong")
	h.log.wait(t, "reload-refused")
	if got := h.dial(d).Expect(220); got != "before" {
		t.Errorf("with a mistake in the file: %q", got)
	}
	write("after")
	h.log.wait(t, "reloaded")
	if got := h.dial(d).Expect(220); got != "after" {
		t.Errorf("%q", got)
	}
}
