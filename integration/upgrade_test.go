package integration

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
)

var (
	crowd   = flag.Int("crowd", 4, "clients under whose load a server is upgraded")
	bigMiB  = flag.Int("big", 8, "MiB of the transfers that run through an upgrade")
	oneport = flag.Bool("oneport", false, "upgrade with a single data port")
	stall   = flag.Duration("stall", 0, "time for which both servers stand still in the middle of an upgrade")
)

// build builds the binary as a release of that version.
func build(t *testing.T, path, version string) {
	t.Helper()
	out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-X main.release="+version, "-o", path, "../cmd/ftps").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// replace puts a binary in another's place as a package manager does.
func replace(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to+".new", raw, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(to+".new", to); err != nil {
		t.Fatal(err)
	}
}

// upgradable is a server whose binary lies in a folder of its own.
type upgradable struct {
	*administered
	binary string
	pids   []int // of the servers after the first
}

func startUpgradable(t *testing.T, settings string, args ...string) *upgradable {
	t.Helper()
	short, err := os.MkdirTemp("", "ftps-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	u := &upgradable{administered: &administered{socket: filepath.Join(short, "a.sock"), metrics: fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])}}
	u.binary = filepath.Join(short, "ftps")
	replace(t, ftps, u.binary)
	dir := t.TempDir()
	u.server = &server{dir: dir}
	u.settings(t, settings)
	for _, name := range []string{"diego", "eva", "unused"} {
		if _, errs, code := run(t, dir, "a password\n", "useradd", name, "--password-stdin", "--cost", "4"); code != 0 {
			t.Fatalf("useradd %s: %s", name, errs)
		}
	}
	u.server = serveBinary(t, u.binary, dir, append([]string{"--admin-socket", u.socket, "--metrics", u.metrics}, args...)...)
	t.Cleanup(u.end)
	return u
}

// upgrade has the server replaced, and returns what was said.
func (u *upgradable) upgrade(t *testing.T) string {
	t.Helper()
	said := u.admin(t, "upgrade")
	var pid int
	if i := strings.Index(said, "(process "); i >= 0 {
		fmt.Sscanf(said[i:], "(process %d)", &pid)
	}
	if pid == 0 {
		t.Fatalf("no process in %q", said)
	}
	u.pids = append(u.pids, pid)
	return said
}

// end stops the successors, which are nobody's children any more, and waits
// until they are gone.
func (u *upgradable) end() {
	for _, pid := range u.pids {
		syscall.Kill(pid, syscall.SIGTERM)
	}
	for _, pid := range u.pids {
		for deadline := time.Now().Add(patience); time.Now().Before(deadline) && alive(pid); {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// stand has both servers stand still, as a disk or a hypervisor may.
func (u *upgradable) stand(t *testing.T, span time.Duration) {
	t.Helper()
	both := append([]int{u.cmd.Process.Pid}, u.pids...)
	for _, do := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
		for _, pid := range both {
			if err := syscall.Kill(pid, do); err != nil {
				t.Errorf("process %d: %v", pid, err)
			}
		}
		if do == syscall.SIGSTOP {
			time.Sleep(span)
		}
	}
}

func alive(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(raw), ") Z ")
}

func (u *upgradable) open(ctx context.Context, name string) (*ftpclient.Conn, error) {
	c, err := ftpclient.Dial(ctx, ftpclient.Config{
		Address: "127.0.0.1:" + u.port, TLS: &tls.Config{InsecureSkipVerify: true}, Timeout: patience,
	})
	if err != nil {
		return nil, err
	}
	if err := c.Login(ctx, name, "a password"); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// shown logs a user in, and returns the certificate that the server showed.
func (u *upgradable) shown(ctx context.Context, t *testing.T, name string) *x509.Certificate {
	t.Helper()
	c, err := u.open(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.TLS().PeerCertificates[0]
}

func (u *upgradable) stats(t *testing.T) (s struct {
	Version string
	Elder   bool `json:"upgraded_from_serves"`
	Failed  int
}) {
	t.Helper()
	if err := json.Unmarshal([]byte(u.admin(t, "stats", "--json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// halves is what is written in two parts, the second after a signal.
type halves struct {
	content []byte
	begun   chan struct{} // closed when the first half is under way
	goOn    chan struct{}
}

func newHalves(content []byte) *halves {
	return &halves{content, make(chan struct{}), make(chan struct{})}
}

func put(ctx context.Context, c *ftpclient.Conn, name string, content []byte) error {
	up, err := c.Store(ctx, name, ftpclient.StoreOptions{})
	if err != nil {
		return err
	}
	if _, err := up.Write(content); err != nil {
		up.Close()
		return err
	}
	return up.Close()
}

func get(ctx context.Context, c *ftpclient.Conn, name string) ([]byte, error) {
	down, err := c.Retrieve(ctx, name, 0)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(down)
	return content, errors.Join(err, down.Close())
}

// upload and download move their first half, and the rest when told.
func (h *halves) upload(ctx context.Context, c *ftpclient.Conn, name string) error {
	up, err := c.Store(ctx, name, ftpclient.StoreOptions{})
	if err != nil {
		return err
	}
	_, err = up.Write(h.content[:len(h.content)/2])
	close(h.begun)
	<-h.goOn
	if err == nil {
		_, err = up.Write(h.content[len(h.content)/2:])
	}
	return errors.Join(err, up.Close())
}

func (h *halves) download(ctx context.Context, c *ftpclient.Conn, name string) error {
	down, err := c.Retrieve(ctx, name, 0)
	if err != nil {
		return err
	}
	got := make([]byte, len(h.content)/2)
	_, err = io.ReadFull(down, got)
	close(h.begun)
	<-h.goOn
	rest, err2 := io.ReadAll(down)
	if err := errors.Join(err, err2, down.Close()); err != nil {
		return err
	}
	if sha256.Sum256(append(got, rest...)) != sha256.Sum256(h.content) {
		return errors.New("another content came")
	}
	return nil
}

// throng is many clients that log in, move files both ways and leave, over and
// over, until it is stopped.
type throng struct {
	stop   chan struct{}
	live   sync.WaitGroup
	rounds atomic.Int64
	mu     sync.Mutex
	failed []error
}

func (u *upgradable) load(ctx context.Context, clients int) *throng {
	l := &throng{stop: make(chan struct{})}
	for i := range clients {
		name := []string{"diego", "eva"}[i%2]
		l.live.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				if err := u.round(ctx, name, fmt.Sprintf("c%d-%d", i, n)); err != nil {
					l.mu.Lock()
					l.failed = append(l.failed, fmt.Errorf("%v: client %d, round %d: %w", time.Now().Format("15:04:05.000"), i, n, err))
					l.mu.Unlock()
					return
				}
				l.rounds.Add(1)
			}
		})
	}
	return l
}

func (u *upgradable) round(ctx context.Context, name, file string) error {
	c, err := u.open(ctx, name)
	if err != nil {
		return fmt.Errorf("to connect: %w", err)
	}
	defer c.Close()
	content := bytes.Repeat([]byte(file), 3000)
	for range 3 {
		if err := put(ctx, c, file, content); err != nil {
			return fmt.Errorf("to put: %w", err)
		}
		back, err := get(ctx, c, file)
		if err != nil || !bytes.Equal(back, content) {
			return fmt.Errorf("to get (%d bytes): %w", len(back), err)
		}
		for _, err := range c.List(ctx, "/") {
			if err != nil {
				return fmt.Errorf("to list: %w", err)
			}
		}
	}
	if err := c.Delete(ctx, file); err != nil {
		return fmt.Errorf("to delete: %w", err)
	}
	return c.Quit(ctx)
}

// more waits until the load has gone on for some rounds.
func (l *throng) more(t *testing.T, rounds int64) {
	t.Helper()
	for want, deadline := l.rounds.Load()+rounds, time.Now().Add(patience); l.rounds.Load() < want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the load has stopped: %v", l.failed)
		}
		l.mu.Lock()
		failed := len(l.failed)
		l.mu.Unlock()
		if failed > 0 {
			break
		}
	}
}

func (l *throng) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.live.Wait()
	for _, err := range l.failed {
		t.Error(err)
	}
	t.Logf("%d rounds of a login, 9 transfers and a delete", l.rounds.Load())
}

func TestAnUpgradeUnderLoadLosesNoTransferAndRefusesNobody(t *testing.T) {
	var args []string
	if *oneport {
		args = append(args, "-D", strconv.Itoa(freeRange(t, 1)))
	}
	// Half of two transfers waits while the load goes on, on a slow machine for minutes.
	const settings = "max_connections_per_address: 1000\nstall_timeout: 10m\n"
	u := startUpgradable(t, settings, args...)
	second := filepath.Join(filepath.Dir(u.binary), "second")
	build(t, second, "9.9.9")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()

	content := make([]byte, *bigMiB<<20)
	rand.Read(content)
	if err := os.WriteFile(filepath.Join(u.dir, "srv", "diego", "big"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	up, down := newHalves(content), newHalves(content)
	moved := make(chan error, 2)
	stayed, err := u.open(ctx, "eva") // and begins nothing before the upgrade
	if err != nil {
		t.Fatal(err)
	}
	defer stayed.Close()
	for _, move := range []func(*ftpclient.Conn) error{
		func(c *ftpclient.Conn) error { return up.upload(ctx, c, "up") },
		func(c *ftpclient.Conn) error { return down.download(ctx, c, "big") },
	} {
		go func() {
			c, err := u.open(ctx, "diego")
			if err == nil {
				defer c.Close()
				err = move(c)
			}
			moved <- err
		}()
	}
	<-up.begun
	<-down.begun
	l := u.load(ctx, *crowd)
	l.more(t, int64(*crowd))
	if now := u.stats(t); now.Version == "9.9.9" {
		t.Fatalf("%+v", now)
	}

	replace(t, second, u.binary)
	if said := u.upgrade(t); !strings.Contains(said, "9.9.9") {
		t.Errorf("%q", said)
	}
	l.more(t, int64(*crowd))
	if now := u.stats(t); now.Version != "9.9.9" || !now.Elder {
		t.Errorf("%+v", now)
	}
	for range 4 {
		if *stall > 0 {
			u.stand(t, *stall)
			l.more(t, int64(*crowd))
		}
	}
	_, errs, code := run(t, u.dir, "", "admin", "--admin-socket", u.socket, "upgrade")
	if code == 0 || !strings.Contains(errs, "still has sessions") {
		t.Errorf("a second upgrade while the old server drains: %d, %s", code, errs)
	}
	// A session of the old server's goes on with new transfers, whose
	// connections the new server accepts.
	for i := range 5 {
		name := fmt.Sprintf("stayed%d", i)
		if err := put(ctx, stayed, name, content[:100_000]); err != nil {
			t.Errorf("an upload of an old session: %v", err)
		}
		if back, err := get(ctx, stayed, name); err != nil || !bytes.Equal(back, content[:100_000]) {
			t.Errorf("a download of an old session: %d bytes, %v", len(back), err)
		}
	}
	// Under the same load.
	u.settings(t, settings+"banner: after\n")
	u.admin(t, "reload")
	l.more(t, int64(*crowd))
	typed := func(in string, words ...string) {
		t.Helper()
		if _, errs, code := run(t, u.dir, in, words...); code != 0 {
			t.Fatalf("%v: %s", words, errs)
		}
	}
	before := u.shown(ctx, t, "eva")
	typed("", "cert", "renew")
	u.admin(t, "log-level", "debug")
	typed("a password\n", "useradd", "new", "--password-stdin", "--cost", "4")
	typed("", "userdel", "unused")
	path := filepath.Join(u.dir, "users.yaml")
	accounts, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A rate that is out of reach: diego's sessions go on, his transfers too.
	limited := bytes.Replace(accounts, []byte("name: diego\n"), []byte("name: diego\n    rate_down: 10GiB\n    rate_up: 10GiB\n"), 1)
	if bytes.Equal(limited, accounts) {
		t.Fatalf("no diego in\n%s", accounts)
	}
	if err := os.WriteFile(path, limited, 0o600); err != nil {
		t.Fatal(err)
	}
	u.admin(t, "reload")
	l.more(t, int64(*crowd))
	if after := u.shown(ctx, t, "new"); after.Equal(before) {
		t.Error("the certificate that was renewed is not shown")
	} else if !bytes.Equal(after.RawSubjectPublicKeyInfo, before.RawSubjectPublicKeyInfo) {
		t.Error("the renewal has another key")
	}
	if c, err := u.open(ctx, "unused"); err == nil {
		c.Close()
		t.Error("an account that was removed got in")
	}
	close(up.goOn)
	close(down.goOn)
	for range 2 {
		if err := <-moved; err != nil {
			t.Errorf("a transfer through the upgrade: %v", err)
		}
	}
	if stored, err := os.ReadFile(filepath.Join(u.dir, "srv", "diego", "up")); err != nil || sha256.Sum256(stored) != sha256.Sum256(content) {
		t.Errorf("the upload: %d bytes, %v", len(stored), err)
	}
	stayed.Quit(ctx)
	u.out.wait(t, `"msg":"old-server-gone"`)
	l.more(t, int64(*crowd))
	l.end(t)
	if now := u.stats(t); now.Elder || now.Failed > 0 {
		t.Errorf("%+v", now)
	}
}

// After an upgrade nobody could end a session that the old server still had.
func TestTheAdministratorReachesTheSessionsOfTheServerBeforeTheUpgrade(t *testing.T) {
	u := startUpgradable(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	open := func(name string) *ftpclient.Conn {
		t.Helper()
		c, err := u.open(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	first, second, third := open("diego"), open("eva"), open("diego")
	u.upgrade(t)
	young := open("eva")
	list := u.admin(t, "list")
	if strings.Count(list, "\n") < 6 || strings.Count(list, "* ") != 4 || !strings.Contains(list, "* connected to the server before the upgrade") {
		t.Errorf("list:\n%s", list)
	}
	if words, _, _ := run(t, u.dir, "", "__complete", "admin", "--admin-socket", u.socket, "kick", ""); !strings.HasPrefix(words, "0\n1\n127.0.0.1\n2\n3\ndiego\neva\n:4\n") {
		t.Errorf("TAB offers %q", words)
	}
	kicked := func(want string, gone []*ftpclient.Conn, words ...string) {
		t.Helper()
		if said := u.admin(t, words...); !strings.Contains(said, want) {
			t.Errorf("%v: %q", words, said)
		}
		for _, c := range gone {
			if _, err := c.Pwd(ctx); err == nil {
				t.Errorf("%v, and the session goes on", words)
			}
		}
	}
	kicked("Sessions ended: 1", []*ftpclient.Conn{first}, "kick", "0", "enough")
	kicked("Sessions ended: 2", []*ftpclient.Conn{second, young}, "kick", "eva")
	if _, err := third.Pwd(ctx); err != nil {
		t.Errorf("another's session: %v", err)
	}
	kicked("sessions ended: 1", []*ftpclient.Conn{third}, "ban", "127.0.0.1")
	u.out.wait(t, `"msg":"old-server-gone"`)
	if list := u.admin(t, "list"); !strings.Contains(list, "Nobody is connected") {
		t.Errorf("list:\n%s", list)
	}
}

func TestANewServerThatDoesNotComeUpChangesNothing(t *testing.T) {
	u := startUpgradable(t, "")
	for what, c := range map[string]struct {
		binary, settings, want string
	}{
		"something else":        {"no program", "", "cannot start"},
		"settings with a fault": {"", "no_such: 1\n", `unknown key "no_such"`},
		"a folder that is gone": {"", "root_dir: /no/such\n", "/no/such"},
	} {
		t.Run(what, func(t *testing.T) {
			u.settings(t, c.settings)
			if c.binary == "" {
				replace(t, ftps, u.binary)
			} else {
				path := filepath.Join(t.TempDir(), "x")
				os.WriteFile(path, []byte(c.binary), 0o755)
				replace(t, path, u.binary)
			}
			_, errs, code := run(t, u.dir, "", "admin", "--admin-socket", u.socket, "upgrade")
			if code == 0 || !strings.Contains(errs, c.want) {
				t.Errorf("exit %d: %s", code, errs)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := u.round(ctx, "diego", "x"); err != nil {
				t.Errorf("the old server: %v", err)
			}
		})
	}
	u.settings(t, "")
	replace(t, ftps, u.binary)
	u.cmd.Process.Signal(syscall.SIGUSR2)
	m := u.out.wait(t, `"msg":"handed-over".*"pid":(\d+)`)
	pid, _ := strconv.Atoi(m[1])
	u.pids = append(u.pids, pid)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := u.round(ctx, "diego", "x"); err != nil {
		t.Errorf("after SIGUSR2: %v", err)
	}
}
