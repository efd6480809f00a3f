package integration

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// account adds an account with more flags than a name.
func account(t testing.TB, dir, name, password string, flags ...string) {
	t.Helper()
	args := append([]string{"useradd", name, "--password-stdin", "--cost", "4"}, flags...)
	if _, said, code := run(t, dir, password+"\n", args...); code != 0 {
		t.Fatalf("useradd %s: exit %d: %s", name, code, said)
	}
}

// set changes one account in users.yaml by hand.
func (s *server) set(t testing.TB, name, key, value string) {
	t.Helper()
	entry := regexp.MustCompile(`(?m)^(\s*)- name: ` + name + `$`)
	text := s.usersFile(t)
	if !entry.MatchString(text) {
		t.Fatalf("no account %s in:\n%s", name, text)
	}
	s.accounts(t, entry.ReplaceAllString(text, "$0\n$1  "+key+": "+value), 0o600)
}

// reread waits until the accounts were read again for the nth time.
func (s *server) reread(t testing.TB, n int) {
	t.Helper()
	s.out.wait(t, fmt.Sprintf(`(?s)(msg":"users".*){%d}`, n))
}

// Who asks for names gets the same words for every one of them; that the same
// work is done for each is counted in package users.
func TestAttackNameEnumeration(t *testing.T) {
	dir := t.TempDir()
	account(t, dir, "diego", "secreto")
	account(t, dir, "gone", "secreto", "--expires", "2020-01-01")
	account(t, dir, "elsewhere", "secreto", "--allow-from", "192.0.2.0/24")
	account(t, dir, "closed", "secreto")
	path := filepath.Join(dir, "users.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "- name: closed\n", "- name: closed\n    disabled: true\n", 1))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s := serveIn(t, dir)
	var heard [][2]string
	for i, try := range [][2]string{
		{"diego", "wrong"}, {"nobody", "wrong"}, {"nobody", "secreto"}, {"gone", "secreto"}, {"elsewhere", "secreto"},
		{"closed", "secreto"}, {"closed", "wrong"}, {"diego", ""}, {"diego", strings.Repeat("x", 73)}, {"DIEGO", "secreto"},
	} {
		// From addresses of their own, so that the delay of one tells nothing
		// about the next.
		heard = append(heard, s.attempt(t, fmt.Sprintf("127.0.2.%d", i+1), try[0], try[1]))
	}
	for i, said := range heard {
		if said != heard[0] {
			t.Errorf("attempt %d is answered %q, the first %q", i, said, heard[0])
		}
	}
	if !strings.HasPrefix(heard[0][0], "331 ") || !strings.HasPrefix(heard[0][1], "530 ") {
		t.Errorf("answered %q", heard[0])
	}
	s.serves(t, "diego", "secreto")
}

func TestAttackMaxSessions(t *testing.T) {
	dir := t.TempDir()
	account(t, dir, "diego", "secreto", "--max-sessions", "3")
	account(t, dir, "ana", "secreto")
	s := serveIn(t, dir)
	c := s.enter(t, "", "diego", "secreto")
	s.enter(t, "", "diego", "secreto")
	third := s.enter(t, "", "diego", "secreto")
	// The fourth is refused, from another address too, and that it was the
	// right password is told to nobody who had a wrong one.
	for i, local := range []string{"127.0.0.1", "127.0.0.9"} {
		if said := s.attempt(t, local, "diego", "secreto"); !strings.HasPrefix(said[1], "530 ") {
			t.Errorf("session %d: %q", 4+i, said)
		}
	}
	if right, wrong := s.attempt(t, "127.0.0.10", "diego", "secreto"), s.attempt(t, "127.0.0.10", "diego", "wrong"); right == wrong {
		t.Errorf("the owner is not told what is wrong: %q", right)
	}
	whole(t, c)
	// The control: an account without a limit has a fourth.
	for range 4 {
		s.enter(t, "", "ana", "secreto").Cmd(257, "PWD")
	}
	// A place that is given back can be taken, by REIN and by QUIT.
	third.Cmd(220, "REIN")
	fourth := s.enter(t, "", "diego", "secreto")
	third.Cmd(331, "USER diego")
	third.Cmd(530, "PASS secreto")
	fourth.Cmd(221, "QUIT")
	fourth.ExpectClosed()
	fourth.Raw().Close()
	s.out.wait(t, `"msg":"disconnected"[^\n]*"user":"diego"`) // nobody else of that name has left
	third.Login("diego", "secreto")
	whole(t, third)
}

func TestAttackAllowFrom(t *testing.T) {
	dir := t.TempDir()
	account(t, dir, "diego", "secreto", "--allow-from", "127.0.0.0/31,::1/128")
	account(t, dir, "ana", "secreto")
	s := serveIn(t, dir)
	for _, from := range []string{"127.0.0.2", "127.0.1.1", "127.255.0.1"} {
		if said := s.attempt(t, from, "diego", "secreto"); !strings.HasPrefix(said[1], "530 ") {
			t.Errorf("from %s: %q", from, said)
		}
	}
	// The control: an account without the limit is let in from there.
	if said := s.attempt(t, "127.0.0.2", "ana", "secreto"); !strings.HasPrefix(said[1], "230 ") {
		t.Errorf("an account without allow_from, from 127.0.0.2: %q", said)
	}
	s.serves(t, "diego", "secreto")
}

func TestAttackExpiredAccount(t *testing.T) {
	dir := t.TempDir()
	yesterday, tomorrow := time.Now().Add(-25*time.Hour), time.Now().Add(25*time.Hour)
	account(t, dir, "gone", "secreto", "--expires", yesterday.Format("2006-01-02"))
	account(t, dir, "diego", "secreto", "--expires", tomorrow.Format("2006-01-02"))
	s := serveIn(t, dir)
	if said := s.attempt(t, "127.0.0.2", "gone", "secreto"); !strings.HasPrefix(said[1], "530 ") {
		t.Errorf("an account that has expired: %q", said)
	}
	s.serves(t, "diego", "secreto") // the control: it expires, but not yet
}

func TestAttackUsersFileWrongAtStart(t *testing.T) {
	dir := withAccount(t)
	path := filepath.Join(dir, "users.yaml")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{
		string(good) + "    disable: true\n",   // which a lax reader would pass over
		string(good) + "    disabled: maybe\n", //
		string(good) + "    home: ../../etc\n",
		string(good) + string(good[strings.Index(string(good), "- name"):]),
		strings.Replace(string(good), "password: ", "password: plain-text #", 1),
		strings.Replace(string(good), "name: diego", "name: ../diego", 1),
		string(good) + "\x00",
		"users: [}",
		"- diego\n",
		"users: &a [*a]\n",
	} {
		if err := os.WriteFile(path, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		refuses(t, dir, nil, "users.yaml")
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	serveIn(t, dir).serves(t, "diego", "secreto")
}

func TestAttackUsersFileWrongAtReload(t *testing.T) {
	s := startServer(t, []string{"diego", "secreto"})
	s.reread(t, 1)
	good := s.usersFile(t)
	c := s.enter(t, "", "diego", "secreto")
	kept := 0
	for _, wrong := range []string{"users: [}", good + "    disable: true\n", "", "\x7fELF\x00"} {
		s.accounts(t, wrong, 0o600)
		if wrong == "" {
			continue // an empty file has no accounts: see below
		}
		kept++
		s.out.wait(t, fmt.Sprintf(`(?s)(msg":"users-kept".*){%d}`, kept))
		whole(t, c)
		s.serves(t, "diego", "secreto")
	}
	// And a good one is taken again.
	s.accounts(t, strings.Replace(good, "name: diego", "name: ana", 1), 0o600)
	c.Expect(421) // diego is gone
	c.ExpectClosed()
	s.serves(t, "ana", "secreto")
	if said := s.attempt(t, "127.0.0.2", "diego", "secreto"); !strings.HasPrefix(said[1], "530 ") {
		t.Errorf("an account that is gone: %q", said)
	}
}

func TestAttackUsersFileWritableByGroup(t *testing.T) {
	for _, mode := range []os.FileMode{0o620, 0o602, 0o666} {
		dir := withAccount(t)
		if err := os.Chmod(filepath.Join(dir, "users.yaml"), mode); err != nil {
			t.Fatal(err)
		}
		refuses(t, dir, nil, "users.yaml", "chmod go-w")
	}
	// While it serves: an account that somebody of the group adds is not let in.
	s := startServer(t, []string{"diego", "secreto"})
	s.reread(t, 1)
	added := s.usersFile(t) + strings.Replace(s.usersFile(t)[strings.Index(s.usersFile(t), "  - name"):], "diego", "mallory", 1)
	s.accounts(t, added, 0o660)
	s.out.wait(t, `msg":"users-kept"`)
	if said := s.attempt(t, "127.0.0.2", "mallory", "secreto"); !strings.HasPrefix(said[1], "530 ") {
		t.Errorf("the account that the group added: %q", said)
	}
	s.serves(t, "diego", "secreto")
	// The control: the same file that only its owner may write.
	s.accounts(t, added, 0o600)
	s.reread(t, 2)
	s.serves(t, "mallory", "secreto")
}

func TestAttackAccountDisabledMidSession(t *testing.T) {
	s := startServer(t, []string{"diego", "secreto", "ana", "secreto"})
	s.reread(t, 1)
	bystander := s.enter(t, "", "ana", "secreto")
	c := s.enter(t, "", "diego", "secreto")
	raw := c.OpenData(c.Passive())
	c.Send("STOR f")
	c.Expect(150)
	conn := c.Secure(raw)
	if _, err := conn.Write(seeded(64<<10, 5)); err != nil {
		t.Fatal(err)
	}
	waiting := s.secured(t, "")
	waiting.Cmd(331, "USER diego")

	s.set(t, "diego", "disabled", "true")
	c.Expect(426) // the upload
	c.Expect(421)
	if codes := c.ExpectClosed(); len(codes) > 0 {
		t.Errorf("heard after the 421: %v", codes)
	}
	conn.CloseWrite() // in vain
	if _, err := os.Stat(filepath.Join(s.home("diego"), "f")); err == nil {
		t.Error("the upload was kept")
	}
	waiting.Cmd(530, "PASS secreto")
	whole(t, bystander)
	// The control: as long as nobody disabled it, it was let in; and so it is
	// again.
	s.accounts(t, strings.Replace(s.usersFile(t), "disabled: true", "disabled: false", 1), 0o600)
	s.reread(t, 3)
	s.serves(t, "diego", "secreto")
}

// A session that is ended while its client takes nothing and hears nothing
// must not hold its file, its place or the server's end.
func TestAttackKickedSessionsLinger(t *testing.T) {
	dir := t.TempDir()
	account(t, dir, "diego", "secreto", "--max-sessions", "2")
	s := serveIn(t, dir)
	s.reread(t, 1)
	if err := os.MkdirAll(s.home("diego"), 0o750); err != nil {
		t.Fatal(err)
	}
	s.plant(t, "diego", "big", strings.Repeat("x", 32<<20))
	small := strings.Repeat("y", 1<<20) // fits into the buffers of the kernel
	s.plant(t, "diego", "small", small)
	for _, name := range []string{"big", "small"} {
		c := s.enter(t, "", "diego", "secreto")
		raw := c.OpenData(c.Passive())
		c.Send("RETR %s", name)
		c.Expect(150)
		conn := c.Secure(raw)
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	s.set(t, "diego", "disabled", "true")
	s.out.wait(t, `"msg":"kicked"`)
	kicked := time.Now()
	s.out.wait(t, `(?s)(msg":"disconnected".*){2}`)
	if took := time.Since(kicked); took > 8*time.Second {
		t.Errorf("the sessions took %v to end", took)
	}
	s.accounts(t, strings.Replace(s.usersFile(t), "disabled: true", "disabled: false", 1), 0o600)
	s.reread(t, 3)
	s.serves(t, "diego", "secreto") // both places are free
	if n := strings.Count(s.out.String(), `"msg":"kicked"`); n != 2 {
		t.Errorf("%d sessions were kicked, want 2", n)
	}
}
