package shell

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
	"ftps/pkg/mirror"
	"ftps/pkg/pki"
)

// once is a hook for the nth time that a verb comes.
func once(nth int32, f func(*hostile.Session)) func(*hostile.Session, string) bool {
	var count atomic.Int32
	return func(c *hostile.Session, _ string) bool {
		if count.Add(1) != nth {
			return false
		}
		f(c)
		return true
	}
}

func hangup(c *hostile.Session) { c.Hangup() }

type hooks = map[string]func(*hostile.Session, string) bool

// linked is a session over a Link to a server with manners of the test's.
func linked(t *testing.T, retries int, o hostile.Options) (*stage, *Link, *hostile.Server) {
	t.Helper()
	s := hostile.Start(t, o)
	s.Put("/docs/notes.txt", []byte("notes"), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	s.Put("/docs/more.txt", bytes.Repeat([]byte("more"), 20_000), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	host, port, _ := net.SplitHostPort(s.Addr)
	number, _ := strconv.Atoi(port)
	trust, err := pki.NewTrust(pki.Policy{Host: host, Port: number, Mode: pki.AcceptNew})
	if err != nil {
		t.Fatal(err)
	}
	var link *Link
	st := newStage(t, func(o *Options) {
		o.Dialogue = NewDialogue(&bytes.Buffer{}, false, false)
		link = &Link{Retries: retries, Connector: &Connector{
			Target: Target{Host: host, Port: number, User: hostile.User}, Trust: trust, Dialogue: o.Dialogue,
			Secrets: Secrets{Environment: hostile.Password}, Config: ftpclient.Config{Timeout: 30 * time.Second},
		}}
		if err := link.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		o.Server, o.Target = link, link.Connector.Target
		o.Files = Mover{Link: link}
	})
	link.Lost = st.Session.Lost
	t.Cleanup(link.Close)
	return st, link, s
}

func TestALostConnectionComesBackInTheSameFolder(t *testing.T) {
	st, _, s := linked(t, 3, hostile.Options{Hooks: hooks{"MLST": once(1, hangup)}})
	out, errs, err := st.run(t, "cd docs; stat notes.txt; pwd")
	if err != nil || !strings.Contains(out, "notes.txt") || !strings.HasSuffix(out, "/docs\n") {
		t.Errorf("got %v\n%s%s", err, out, errs)
	}
	if told := strings.Count(errs, "\n"); told != 1 || !strings.Contains(errs, "connecting again") {
		t.Errorf("told in %d lines: %q", told, errs)
	}
	// The whole of the dialogue again, in its order, and nothing before TLS.
	log := s.Log()
	again := log[slices.Index(log, "MLST notes.txt")+1:]
	for _, line := range []string{"AUTH TLS", "PBSZ 0", "PROT P", "FEAT", "USER " + hostile.User, "PASS " + hostile.Password, "CWD /docs", "MLST notes.txt"} {
		i := slices.Index(again, line)
		if i < 0 {
			t.Fatalf("%q is missing, or out of order, in %q", line, log)
		}
		again = again[i+1:]
	}
}

func TestWhatChangesSomethingIsNotSentTwice(t *testing.T) {
	for _, c := range []struct{ line, verb string }{
		{"rm docs/notes.txt", "DELE"}, {"mkdir new", "MKD"}, {"rmdir docs", "RMD"}, {"mv docs/notes.txt other", "RNTO"}, {"quote SITE X", "SITE"},
	} {
		st, _, s := linked(t, 3, hostile.Options{Hooks: hooks{c.verb: once(1, hangup)}})
		_, errs, err := st.run(t, c.line)
		if ftpclient.Class(err) != ftpclient.CannotConnect || !strings.Contains(errs, "look whether this was done") {
			t.Errorf("%s: got %v, %q", c.line, err, errs)
		}
		if n := s.Count(c.verb); n != 1 {
			t.Errorf("%s: sent %d times", c.line, n)
		}
		// The session goes on.
		if out, _, err := st.run(t, "pwd"); err != nil || out != "/\n" {
			t.Errorf("%s: and then %q, %v", c.line, out, err)
		}
	}
}

func TestACommandThatTheServerDidNotRunIsSentAgain(t *testing.T) {
	st, _, s := linked(t, 3, hostile.Options{Hooks: hooks{"DELE": once(1, func(c *hostile.Session) {
		c.Reply(421, "idle for too long")
		c.Hangup()
	})}})
	if _, errs, err := st.run(t, "rm docs/notes.txt"); err != nil || s.Count("DELE") != 2 {
		t.Errorf("got %v, %q", err, errs)
	}
	if _, there := s.File("/docs/notes.txt"); there {
		t.Error("it is still there")
	}
}

func TestAConnectionThatWasQuietIsTriedBeforeItIsTrusted(t *testing.T) {
	st, link, s := linked(t, 3, hostile.Options{Hooks: hooks{"NOOP": once(1, hangup)}})
	link.used = time.Now().Add(-time.Minute)
	if _, errs, err := st.run(t, "rm docs/notes.txt"); err != nil || s.Count("DELE") != 1 {
		t.Errorf("got %v, %q", err, errs)
	}
}

func TestAListingThatBreaksOffShowsEachNameOnce(t *testing.T) {
	broken := once(2, func(c *hostile.Session) {
		if tc, _, _, err := dataOf(c); err == nil {
			tc.Write([]byte("type=file;size=5; notes.txt\r\n"))
		}
		c.Hangup()
	})
	st, _, s := linked(t, 3, hostile.Options{Hooks: hooks{"MLSD": broken}})
	out, errs, err := st.run(t, "ls docs; find docs")
	names := lines(out)
	slices.Sort(names)
	if want := []string{"docs/more.txt", "docs/notes.txt", "more.txt", "notes.txt"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("got %q, %v %s", out, err, errs)
	}
	if s.Count("MLSD") != 3 {
		t.Errorf("listed %d times", s.Count("MLSD"))
	}
}

func dataOf(c *hostile.Session) (tc *tls.Conn, raw net.Conn, refused string, err error) {
	c.Reply(150, "here it comes")
	return c.Data()
}

func TestARefusedLoginEndsTheReconnecting(t *testing.T) {
	st, link, s := linked(t, 5, hostile.Options{Hooks: hooks{
		"PWD":  once(1, hangup),
		"PASS": once(2, func(c *hostile.Session) { c.Reply(530, "too many") }),
	}})
	if _, _, err := st.run(t, "pwd"); ftpclient.Class(err) != ftpclient.LoginRefused || !link.Gone() {
		t.Errorf("got %v, gone %v", err, link.Gone())
	}
	if n := s.Count("USER"); n != 2 {
		t.Errorf("%d logins", n)
	}
}

func TestNoMoreTriesThanAreAllowed(t *testing.T) {
	for _, retries := range []int{0, 2} {
		var greeted atomic.Int32
		st, link, _ := linked(t, retries, hostile.Options{Hooks: hooks{
			"PWD": func(c *hostile.Session, _ string) bool { c.Hangup(); return true },
			"": func(c *hostile.Session, _ string) bool {
				if greeted.Add(1) == 1 {
					return false
				}
				c.Hangup()
				return true
			},
		}})
		_, _, err := st.run(t, "pwd")
		if n := greeted.Load(); ftpclient.Class(err) != ftpclient.CannotConnect || n != int32(1+retries) {
			t.Errorf("--retries %d: %v after %d connections", retries, err, n)
		}
		if link.Gone() != (retries == 0) {
			t.Errorf("--retries %d: gone %v", retries, link.Gone())
		}
	}
}

func TestCatGoesOnWhereItWasAndNeverIntoAnotherFile(t *testing.T) {
	cut := func(change func(*hostile.Server)) (string, *hostile.Server, error) {
		var s *hostile.Server
		st, _, server := linked(t, 3, hostile.Options{Hooks: hooks{"RETR": once(1, func(c *hostile.Session) {
			if tc, _, _, err := dataOf(c); err == nil {
				tc.Write(bytes.Repeat([]byte("more"), 5_000))
				tc.CloseWrite()
				io.Copy(io.Discard, tc) // until the client has all of it
			}
			change(s)
			c.Hangup()
		})}})
		s = server
		out, _, err := st.run(t, "cat docs/more.txt")
		return out, s, err
	}
	out, s, err := cut(func(*hostile.Server) {})
	if err != nil || out != strings.Repeat("more", 20_000) || s.Count("REST") == 0 {
		t.Errorf("%d bytes, %v, %q", len(out), err, s.Log())
	}
	out, _, err = cut(func(s *hostile.Server) { s.Put("/docs/more.txt", bytes.Repeat([]byte("else"), 20_000), time.Now()) })
	if !errors.Is(err, mirror.ErrChanged) || strings.Contains(out, "else") {
		t.Errorf("%d bytes, %v", len(out), err)
	}
}

func TestCatTakesNoLossBeforeTheFirstByteForAChangedFile(t *testing.T) {
	st, _, s := linked(t, 3, hostile.Options{Hooks: hooks{"MLST": once(1, hangup)}})
	out, _, err := st.run(t, "cat docs/notes.txt")
	if err != nil || out != "notes" || s.Count("MLST") != 2 {
		t.Errorf("%q, %v, %q", out, err, s.Log())
	}
}

func TestAnInterruptWhileItConnectsAgainIsHeard(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	st, _, _ := linked(t, 5, hostile.Options{Hooks: hooks{
		"PWD": once(1, hangup),
		"AUTH": func() func(*hostile.Session, string) bool {
			var n atomic.Int32
			return func(*hostile.Session, string) bool {
				if n.Add(1) == 1 {
					return false
				}
				cancel()
				return true // and no word
			}
		}(),
	}})
	if err := st.Command(ctx, []string{"pwd"}); ftpclient.Class(err) != ftpclient.Interrupted {
		t.Errorf("got %v", err)
	}
}
