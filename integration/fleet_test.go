package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
)

var fleetTime = flag.Duration("fleet", 0, "how long the clients of the changes under load stay; 0 is until the changes are made")

// fleet is clients that come, carry files and go, all the while, and what they
// counted.
type fleet struct {
	logins, uploads, downloads atomic.Int64
	bytesUp, bytesDown         atomic.Int64

	mu     sync.Mutex
	failed []error
}

const fleetFile = 64 << 10

// sail has so many clients at work until stop is closed and each has ended
// what it was about.
func (f *fleet) sail(s *server, clients int, stop <-chan struct{}) {
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := f.visit(s, fmt.Sprintf("file-%d", n), stop); err != nil {
					f.mu.Lock()
					f.failed = append(f.failed, fmt.Errorf("client %d: %w", n, err))
					f.mu.Unlock()
					return
				}
			}
		})
	}
	all.Wait()
}

// visit is one connection with some files up and down.
func (f *fleet) visit(s *server, name string, stop <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	c, err := ftpclient.Dial(ctx, ftpclient.Config{Address: "127.0.0.1:" + s.port, Timeout: patience, TLS: &tls.Config{InsecureSkipVerify: true}})
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer c.Close()
	if err := c.Login(ctx, "diego", "secreto"); err != nil {
		return fmt.Errorf("login: %w", err)
	}
	f.logins.Add(1)
	content := seeded(fleetFile, 7)
	for range 4 {
		u, err := c.Store(ctx, name, ftpclient.StoreOptions{})
		if err != nil {
			return fmt.Errorf("STOR: %w", err)
		}
		_, err = u.Write(content)
		if end := u.Close(); err == nil {
			err = end
		}
		if err != nil {
			return fmt.Errorf("STOR: %w", err)
		}
		f.uploads.Add(1)
		f.bytesUp.Add(fleetFile)
		d, err := c.Retrieve(ctx, name, 0)
		if err != nil {
			return fmt.Errorf("RETR: %w", err)
		}
		got, err := io.ReadAll(d)
		if end := d.Close(); err == nil {
			err = end
		}
		if err != nil || !bytes.Equal(got, content) {
			return fmt.Errorf("RETR: %d bytes: %w", len(got), err)
		}
		f.downloads.Add(1)
		f.bytesDown.Add(fleetFile)
		select {
		case <-stop:
			return c.Quit(ctx)
		default:
		}
	}
	return c.Quit(ctx)
}

// Settings, certificate, accounts and level of the log change while fifty
// clients come and go: no transfer fails, no connection is refused.
func TestNothingFailsWhileAServerUnderLoadIsChanged(t *testing.T) {
	dir := t.TempDir()
	account(t, dir, "diego", "secreto")
	settings := filepath.Join(dir, "ftps.yaml")
	set := func(banner string) {
		t.Helper()
		swap(t, settings, "no_fsync: true\nbanner: "+banner+"\n", 0o600)
	}
	set("first")
	sockets, err := os.MkdirTemp("", "s") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(sockets) })
	socket := filepath.Join(sockets, "admin")
	s := serveIn(t, dir, "--config", settings, "--admin-socket", socket)

	f, stop, done := &fleet{}, make(chan struct{}), make(chan struct{})
	go func() { defer close(done); f.sail(s, 50, stop) }()
	begun := time.Now()
	do := func(args ...string) {
		t.Helper()
		if _, errs, code := run(t, dir, "", args...); code != 0 {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
	admin := func(words ...string) {
		t.Helper()
		do(append([]string{"admin", "--admin-socket", socket}, words...)...)
	}
	// told waits until the log has a line once more than before the change.
	told := func(line string, change func()) {
		t.Helper()
		n := strings.Count(s.out.String(), line)
		change()
		s.out.wait(t, `(?s)`+strings.Repeat(line+`.*`, n+1))
	}
	for round := 0; round == 0 || time.Since(begun) < *fleetTime; round++ {
		before := f.uploads.Load()
		told(`"msg":"reloaded"`, func() { set(fmt.Sprint("round-", round)) }) // the file
		told(`"msg":"reloaded"`, func() { s.cmd.Process.Signal(syscall.SIGHUP) })
		told(`"msg":"reloaded"`, func() { admin("reload") })
		told(`"msg":"certificate","file"`, func() { do("cert", "renew", "--config", settings) })
		told(`"msg":"users"`, func() { account(t, dir, fmt.Sprint("new", round), "secreto") })
		told(`"msg":"users"`, func() { do("userdel", fmt.Sprint("new", round)) })
		admin("log-level", "debug")
		admin("log-level", "warn")
		admin("log-level", "info")
		deadline := time.Now().Add(patience)
		for f.uploads.Load() < before+50 { // each has carried something since
			if time.Now().After(deadline) {
				t.Fatal("the clients stand still")
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	close(stop)
	<-done
	for _, err := range f.failed {
		t.Error(err)
	}
	log := s.out.String()
	for _, bad := range []string{`"msg":"turned-away"`, `"msg":"login-refused"`, `"msg":"kicked"`, `"level":"ERROR"`} {
		if strings.Contains(log, bad) {
			t.Errorf("the log has %s", bad)
		}
	}
	t.Logf("%d logins, %d uploads, %d downloads in %v", f.logins.Load(), f.uploads.Load(), f.downloads.Load(), time.Since(begun).Round(time.Millisecond))
}
