package integration

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftptest"
)

// The tests in attack_*_test.go are one for each attack or bad input: the
// reply that it gets, and that nothing is lost by it. ATTACKS.md lists them
// with the defence that stops each and the test in which it is switched off.

// greeted connects from a loopback address ("" is any) and reads the greeting.
func (s *server) greeted(t testing.TB, local string) *ftptest.Conn {
	t.Helper()
	c := ftptest.ConnectFrom(t, local, netip.MustParseAddrPort("127.0.0.1:"+s.port),
		&tls.Config{InsecureSkipVerify: true, ServerName: "ftps.test"})
	c.Expect(220)
	return c
}

// secured says AUTH TLS and nothing more.
func (s *server) secured(t testing.TB, local string) *ftptest.Conn {
	t.Helper()
	c := s.greeted(t, local)
	c.Cmd(234, "AUTH TLS")
	c.StartTLS()
	return c
}

func (s *server) enter(t testing.TB, local, user, password string) *ftptest.Conn {
	t.Helper()
	c := s.secured(t, local)
	c.Login(user, password)
	return c
}

// attempt tries one login and returns its replies to USER and PASS.
func (s *server) attempt(t testing.TB, local, user, password string) [2]string {
	t.Helper()
	c := s.secured(t, local)
	var said [2]string
	for i, line := range []string{"USER " + user, "PASS " + password} {
		c.Send("%s", line)
		code, lines, err := c.Read()
		if err != nil {
			t.Fatal(err)
		}
		said[i] = fmt.Sprint(code, " ", strings.Join(lines, "\n"))
	}
	c.Raw().Close()
	return said
}

func (s *server) home(user string) string { return filepath.Join(s.dir, "srv", user) }

// whole demands that the session works as if nothing had been tried: a file
// goes up and comes back.
func whole(t testing.TB, c *ftptest.Conn) {
	t.Helper()
	data := seeded(100<<10, 7)
	if code := c.Upload(data, "STOR after-the-attack"); code != 226 {
		t.Errorf("an upload after the attack: %d", code)
	}
	got, code := c.Download("RETR after-the-attack")
	if code != 226 || !bytes.Equal(got, data) {
		t.Errorf("its download: %d, %d bytes of %d", code, len(got), len(data))
	}
	c.Cmd(250, "DELE after-the-attack")
}

// serves demands that a new client is served.
func (s *server) serves(t testing.TB, user, password string) {
	t.Helper()
	c := s.enter(t, "", user, password)
	whole(t, c)
	c.Cmd(221, "QUIT")
}

// plant writes a file into a home as somebody on the machine would.
func (s *server) plant(t testing.TB, user, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.home(user), name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// accounts writes users.yaml as an administrator's editor would: at once,
// under its name.
func (s *server) accounts(t testing.TB, content string, mode os.FileMode) {
	t.Helper()
	swap(t, filepath.Join(s.dir, "users.yaml"), content, mode)
}

// swap puts a whole file in the place of another: whoever watches it never
// reads half of it, or none.
func swap(t testing.TB, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path+".new", mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func (s *server) usersFile(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "users.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// never fails if the server printed or logged one of these words.
func (s *server) never(t testing.TB, words ...string) {
	t.Helper()
	said := s.out.String()
	for _, w := range words {
		if strings.Contains(said, w) {
			t.Errorf("the server's output holds %q", w)
		}
	}
}

// soon fails unless f returns within a generous time.
func soon(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s: blocked", what)
	}
}
