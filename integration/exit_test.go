package integration

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftptest"
	"ftps/pkg/ftptest/hostile"
)

// Every exit code that the client promises, through the binary, against a
// server that gives it the reason.
func TestEachExitCodeOfTheClient(t *testing.T) {
	type hook = func(*hostile.Session, string) bool
	says := func(code int, text string) hook {
		return func(c *hostile.Session, _ string) bool { c.Reply(code, text); return true }
	}
	asked := make(chan struct{}, 1)
	silent := func(*hostile.Session, string) bool { // never a word
		select {
		case asked <- struct{}{}:
		default:
		}
		return true
	}
	s := hostile.Start(t, hostile.Options{Hooks: map[string]hook{
		"DELE": says(550, "Permission denied"),
		"NOOP": silent,
		"RETR": func(c *hostile.Session, name string) bool {
			if strings.HasSuffix(name, "refused.txt") {
				c.Reply(450, "not now")
				return true
			}
			return false
		},
		"HASH": func(c *hostile.Session, name string) bool {
			if !strings.HasSuffix(name, "lie.txt") {
				return false
			}
			c.Reply(213, "SHA-256 0-4 "+strings.Repeat("0", 64)+" "+name)
			return true
		},
		"STOR": func(c *hostile.Session, name string) bool {
			if strings.Contains(name, "full.txt") { // it grows under another name
				c.Reply(552, "quota exceeded")
				return true
			}
			return false
		},
	}})
	for _, name := range []string{"/whole.txt", "/lie.txt", "/tree/a.txt", "/tree/refused.txt"} {
		s.Put(name, []byte("text"), time.Now())
	}
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	_, nobody, _ := net.SplitHostPort(ftptest.Nobody(t))

	dir := t.TempDir()
	if err := os.WriteFile(dir+"/full.txt", []byte("full"), 0o600); err != nil {
		t.Fatal(err)
	}
	password := []string{"FTPS_PASSWORD=" + hostile.Password}
	there := []string{"client", host, "-p", port, "-u", hostile.User, "--trust", "accept-new", "--retries", "0"}
	for _, c := range []struct {
		code int
		why  string
		env  []string
		args []string
	}{
		{0, "done", password, append(there, "get", "whole.txt")},
		{1, "a refusal like no other", password, append(there, "quote", "FROB")},
		{1, "a local command's failure", password, append(there, "-c", "!exit 3")},
		{2, "a word that is no command", password, append(there, "frobnicate")},
		{2, "a folder without -r", password, append(there, "get", "tree")},
		{3, "nobody listens", password, []string{"client", host, "-p", nobody, "-u", "x", "--trust", "accept-new", "pwd"}},
		{4, "a wrong password", []string{"FTPS_PASSWORD=wrong"}, append(there, "pwd")},
		{5, "another key", password, append(there, "--pin", "sha256//"+strings.Repeat("A", 43)+"=", "pwd")},
		{6, "no such file", password, append(there, "get", "nothing")},
		{7, "not allowed", password, append(there, "rm", "whole.txt")},
		{8, "one of two", password, append(there, "get", "-r", "tree", "copy")},
		{9, "another hash", password, append(there, "get", "lie.txt")},
		{10, "no answer", password, append(there, "--timeout", "500ms", "quote", "NOOP")},
		{11, "no room", password, append(there, "put", "full.txt")},
	} {
		if out, errs, code := runEnv(t, dir, "", c.env, c.args...); code != c.code {
			t.Errorf("%s: exit %d, want %d\n%s%s", c.why, code, c.code, out, errs)
		}
	}
	if _, err := os.Stat(dir + "/lie.txt"); err == nil {
		t.Error("what the hash disowns stands under its name")
	}

	t.Run("130", func(t *testing.T) {
		select {
		case <-asked: // by the one that timed out
		default:
		}
		var errs bytes.Buffer
		cmd := exec.Command(ftps, append(there, "quote", "NOOP")...)
		cmd.Dir, cmd.Stderr = dir, &errs
		cmd.Env = append(cleanEnv(dir), password...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { cmd.Wait(); close(ended) }()
		t.Cleanup(func() { cmd.Process.Kill(); <-ended })
		select {
		case <-asked:
		case <-time.After(patience):
			t.Fatalf("it did not get so far:\n%s", &errs)
		}
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatal("it goes on")
		}
		if code := cmd.ProcessState.ExitCode(); code != 130 {
			t.Errorf("exit %d\n%s", code, &errs)
		}
	})
}

// A bookmark made in one run serves in the next: server, account, key and
// folder, by its name alone.
func TestABookmarkServesForTheHost(t *testing.T) {
	s := hostile.Start(t, hostile.Options{})
	s.Put("/docs/a.txt", []byte("text"), time.Now())
	host, port, _ := net.SplitHostPort(s.Addr)
	dir := t.TempDir()
	env := []string{"FTPS_PASSWORD=" + hostile.Password}
	if _, errs, code := runEnv(t, dir, "", env, "client", host, "-p", port, "-u", hostile.User, "--trust", "accept-new",
		"-c", "cd docs; bookmark add work"); code != 0 {
		t.Fatalf("exit %d\n%s", code, errs)
	}
	os.Remove(dir + "/.home/.config/ftps/known_hosts") // the pin must do
	if out, errs, code := runEnv(t, dir, "", env, "client", "work", "ls"); code != 0 || out != "a.txt\n" {
		t.Errorf("exit %d, %q\n%s", code, out, errs)
	}
	// It is the key of that server, and of no other.
	other := hostile.Start(t, hostile.Options{})
	_, elsewhere, _ := net.SplitHostPort(other.Addr)
	path := dir + "/.home/.config/ftps/bookmarks.json"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(text, []byte(port), []byte(elsewhere)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := runEnv(t, dir, "", env, "client", "work", "ls"); code != 5 {
		t.Errorf("another key: exit %d\n%s", code, errs)
	}
}

func TestAnUnknownSubcommandIsToldWhereTheListIs(t *testing.T) {
	for lang, want := range map[string]string{"en": `"ftps admin --help" lists the commands`, "es": `"ftps admin --help" muestra los comandos`} {
		if _, errs, code := run(t, t.TempDir(), "", "--lang", lang, "admin", "frob"); code != 2 || !strings.Contains(errs, want) {
			t.Errorf("exit %d: %s", code, errs)
		}
	}
}

// Whoever takes a port of implicit TLS, or a web server's, for FTP's waits for
// a greeting that never comes.
func TestAPortThatSaysNothingIsExplained(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, lang := range []string{"en", "es"} {
		if _, errs, code := run(t, t.TempDir(), "", "--lang", lang, "client", "127.0.0.1", "-p", port, "-u", "x", "--timeout", "1s", "--retries", "0", "ls"); code != 10 || !strings.Contains(errs, "ftps://") || !strings.Contains(errs, "--timeout") {
			t.Errorf("exit %d: %s", code, errs)
		}
	}
}
