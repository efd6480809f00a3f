package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/bcrypt"

	"ftps/pkg/users"
)

// desk is a person with a folder of their own, who types commands in it.
type desk struct {
	t        *testing.T
	env      map[string]string
	in       io.Reader
	out, err bytes.Buffer
}

func newDesk(t *testing.T) *desk {
	t.Chdir(t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	return &desk{t: t, env: map[string]string{"LANG": "C"}}
}

// types runs a command line and returns its exit code. Tests need no
// expensive hashes.
func (d *desk) types(stdin string, args ...string) int {
	d.t.Helper()
	d.out.Reset()
	d.err.Reset()
	a := &app{in: strings.NewReader(stdin), out: &d.out, err: &d.err, now: time.Now, self: "ftps",
		getenv: func(name string) string { return d.env[name] }}
	if d.in != nil {
		a.in = d.in
	}
	return a.run(args)
}

func (d *desk) want(code, got int) {
	d.t.Helper()
	if got != code {
		d.t.Fatalf("exit code %d, want %d\nout: %s\nerr: %s", got, code, &d.out, &d.err)
	}
}

func (d *desk) account(name string) *users.User {
	d.t.Helper()
	list, err := users.Load("users.yaml")
	if err != nil {
		d.t.Fatal(err)
	}
	u, ok := list.Lookup(name)
	if !ok {
		d.t.Fatalf("no account %s", name)
	}
	return u
}

func (d *desk) opens(name, password string) bool {
	d.t.Helper()
	return bcrypt.CompareHashAndPassword([]byte(d.account(name).Hash), []byte(password)) == nil
}

func says(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("not said: %q in:\n%s", word, text)
		}
	}
}

func TestAccountsComeChangeAndGo(t *testing.T) {
	d := newDesk(t)
	folder, err := filepath.EvalSymlinks(".")
	if err == nil {
		folder, err = filepath.Abs(folder)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.want(0, d.types("first word\r\nmore\n", "useradd", "ana", "--password-stdin", "--cost", "4"))
	says(t, d.err.String(), "ftps: account ana added to "+filepath.Join(folder, "users.yaml"), "home: ana, below "+filepath.Join(folder, "srv"))
	if d.out.Len() != 0 || !d.opens("ana", "first word") {
		t.Errorf("out: %s", &d.out)
	}

	d.want(1, d.types("x\n", "useradd", "ana", "--password-stdin", "--cost", "4"))
	says(t, d.err.String(), "ana exists already", "ftps passwd ana")
	if !d.opens("ana", "first word") {
		t.Error("the account was changed")
	}

	d.want(0, d.types("second", "passwd", "ana", "--password-stdin", "--cost", "4"))
	if !d.opens("ana", "second") || d.opens("ana", "first word") {
		t.Error("the password was not changed")
	}

	d.want(0, d.types("", "passwd", "ana", "--generate", "--cost", "4"))
	if password := strings.TrimSuffix(d.out.String(), "\n"); !d.opens("ana", password) || strings.Contains(d.err.String(), password) {
		t.Errorf("out: %q, err: %q", &d.out, &d.err)
	}

	if err := os.Chmod("users.yaml", 0o644); err != nil {
		t.Fatal(err)
	}
	d.want(0, d.types("third", "passwd", "ana", "--password-stdin", "--cost", "4"))
	says(t, d.err.String(), "every user of this machine can read", "chmod o-r")

	d.want(0, d.types("", "userdel", "ana"))
	says(t, d.err.String(), "account ana removed", "its files stay: ana, below")
	d.want(1, d.types("", "userdel", "ana"))
	says(t, d.err.String(), "there is no account ana")
	d.want(1, d.types("x", "passwd", "ana", "--password-stdin"))
	d.want(0, d.types("", "users"))
	says(t, d.err.String(), "there are no accounts", "ftps useradd NAME")
}

func TestUseraddWritesWhatItsFlagsSay(t *testing.T) {
	d := newDesk(t)
	d.want(0, d.types("x", "useradd", "b.c", "--password-stdin", "--cost=4", "--home", "/data/b", "--perm", "read,list",
		"--quota", "10GiB", "--max-sessions", "4", "--allow-from", "192.0.2.0/24,2001:db8::/32", "--expires", "2027-01-31"))
	says(t, d.err.String(), "home: /data/b\n")
	u := d.account("b.c")
	if u.Home != "/data/b" || u.Perm.String() != "ro" || u.Quota != 10<<30 || u.MaxSessions != 4 ||
		len(u.AllowFrom) != 2 || users.FormatExpires(u.Expires) != "2027-01-31" || u.Reuse != "" {
		t.Errorf("%+v", *u)
	}

	d.want(0, d.types("x", "useradd", "old", "--password-stdin", "--cost=4", "--session-reuse", "prefer"))
	says(t, d.err.String(), "any process on the client's address can take the first transfer")
	if d.account("old").Reuse != "prefer" {
		t.Error("session_reuse was not written")
	}
}

func TestUseraddNamesEveryMistake(t *testing.T) {
	d := newDesk(t)
	d.want(2, d.types("x", "useradd", ".x", "--password-stdin", "--perm", "root", "--quota", "much", "--max-sessions", "-1",
		"--allow-from", "here", "--expires", "soon", "--session-reuse", "never", "--home", "../y", "--cost", "31"))
	says(t, d.err.String(), `".x" cannot be a name`, "--perm:", "--quota:", "--max-sessions:", "--allow-from:", "--expires:", "--session-reuse:", "--home:", "--cost:")
	for _, args := range [][]string{
		{"useradd"},
		{"useradd", "a", "b"},
		{"useradd", "a", "--generate", "--password-stdin"},
		{"useradd", "a", "--password", "secret"},
		{"useradd", "a"}, // nobody to ask
		{"passwd", "a", "b"},
		{"userdel"},
		{"users", "a"},
	} {
		d.want(2, d.types("x", args...))
	}
	for _, password := range []string{"", "\n", strings.Repeat("x", 73)} {
		d.want(1, d.types(password, "useradd", "a", "--password-stdin"))
	}
	if _, err := os.Stat("users.yaml"); err == nil {
		t.Error("a file was made")
	}
}

func TestAccountsAreListed(t *testing.T) {
	d := newDesk(t)
	d.want(1, d.types("", "users"))
	says(t, d.err.String(), "there is no file users.yaml", "ftps useradd")
	hash := "$2a$04$" + strings.Repeat(".", 53)
	text := "users:\n  - name: ana\n    password: " + hash + "\n    quota: 20M\n" +
		"  - name: roberto\n    password: " + hash + "\n    permissions: [dropbox]\n    disabled: true\n    expires: 2001-01-01\n"
	if err := os.WriteFile("users.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d.want(0, d.types("", "users"))
	if got, want := d.out.String(), ""+
		"NAME     HOME     RIGHTS   QUOTA  SESSIONS  FROM  REMARKS\n"+
		"ana      ana      rw       20M    -         -     -\n"+
		"roberto  roberto  dropbox  -      -         -     disabled, expired 2001-01-01\n"; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	d.want(0, d.types("", "--lang", "es", "users"))
	says(t, d.out.String(), "NOMBRE", "desactivada, caducó el 2001-01-01")

	d.want(0, d.types("", "users", "--json"))
	var names []string
	for line := range strings.Lines(d.out.String()) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		names = append(names, row["name"].(string))
	}
	if strings.Join(names, " ") != "ana roberto" || strings.Contains(d.out.String(), "$2a$") {
		t.Errorf("%s", &d.out)
	}
}

func TestTheAccountsFileIsTheServers(t *testing.T) {
	d := newDesk(t)
	t.Setenv("FTPS_USERS", "env.yaml")
	d.want(0, d.types("x", "useradd", "ana", "--password-stdin", "--cost", "4"))
	d.want(0, d.types("x", "useradd", "ana", "--password-stdin", "--cost", "4", "--users", "flag.yaml"))
	t.Setenv("FTPS_USERS", "")
	if err := os.WriteFile("ftps.yaml", []byte("users: file.yaml\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.env["FTPS_PERM"] = "ro"
	d.env["FTPS_SESSION_REUSE"] = "prefer" // the server's, not the account's
	d.want(0, d.types("x", "useradd", "ana", "--password-stdin", "--cost", "4"))
	for _, name := range []string{"env.yaml", "flag.yaml", "file.yaml"} {
		list, err := users.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		u, _ := list.Lookup("ana")
		if u == nil || u.Reuse != "" || (u.Perm.String() == "ro") != (name == "file.yaml") {
			t.Errorf("%s: %+v", name, u)
		}
	}
	d.env["FTPS_COST"] = "cheap"
	d.want(2, d.types("x", "useradd", "bob", "--password-stdin"))
	says(t, d.err.String(), "FTPS_COST")
}

func TestThePasswordIsAskedForTwice(t *testing.T) {
	d := newDesk(t)
	asking := func(answers ...string) (useraddOptions, *[]string) {
		var asked []string
		o := useraddOptions{perm: "rw", newPassword: newPassword{cost: 4}}
		o.ask = func(_ context.Context, question string) (string, error) {
			asked = append(asked, question)
			return answers[len(asked)-1], nil
		}
		return o, &asked
	}
	a := &app{out: &d.out, err: &d.err, now: time.Now, getenv: os.Getenv}

	o, asked := asking("one", "two")
	if err := a.runUseradd(t.Context(), "ana", "users.yaml", "srv", o); err == nil || len(*asked) != 2 {
		t.Errorf("two passwords that differ: %v, %q", err, *asked)
	}
	o, asked = asking(strings.Repeat("x", 73))
	if err := a.runUseradd(t.Context(), "ana", "users.yaml", "srv", o); err == nil || len(*asked) != 1 {
		t.Errorf("a password that cannot be: %v, %q", err, *asked)
	}
	if _, err := os.Stat("users.yaml"); err == nil {
		t.Fatal("a file was made")
	}
	o, _ = asking("one", "one")
	if err := a.runUseradd(t.Context(), "ana", "users.yaml", "srv", o); err != nil || !d.opens("ana", "one") {
		t.Errorf("%v", err)
	}
	o, asked = asking()
	if err := a.runUseradd(t.Context(), "ana", "users.yaml", "srv", o); err == nil || len(*asked) != 0 {
		t.Errorf("asked before a name that is taken was refused: %v, %q", err, *asked)
	}
}

// What is typed at a real terminal is not shown.
func TestThePasswordIsNotEchoed(t *testing.T) {
	d := newDesk(t)
	master, terminal, err := pty.Open()
	if err != nil {
		t.Skip(err)
	}
	defer master.Close()
	defer terminal.Close()
	if err := master.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Log(err) // no poller on this system; the test's own deadline holds
	}
	a := &app{in: terminal, out: &d.out, err: terminal, now: time.Now, self: "ftps", getenv: func(string) string { return "" }}
	done := make(chan int, 1)
	go func() { done <- a.run([]string{"useradd", "ana", "--cost", "4"}) }()

	screen := bufio.NewReader(master)
	var seen strings.Builder
	until := func(word string) {
		t.Helper()
		for !strings.HasSuffix(seen.String(), word) {
			b, err := screen.ReadByte()
			if err != nil {
				t.Fatalf("%v, on the screen: %q", err, seen.String())
			}
			seen.WriteByte(b)
		}
	}
	until("Password: ")
	_, _ = io.WriteString(master, "hush hush\n")
	until("Once more: ")
	_, _ = io.WriteString(master, "hush hush\n")
	until("srv")
	select {
	case code := <-done:
		if code != 0 || strings.Contains(seen.String(), "hush") || !d.opens("ana", "hush hush") {
			t.Errorf("exit code %d, on the screen: %q", code, seen.String())
		}
	case <-time.After(time.Minute):
		t.Fatal("the command does not end")
	}
}
