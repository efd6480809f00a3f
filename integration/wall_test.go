//go:build linux

package integration

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ftps/pkg/wall"
)

func needsLandlock(t *testing.T) {
	t.Helper()
	if covered != "" {
		t.Skip("behind its wall the server cannot write what of it was run")
	}
	if wall.ABI() < 3 {
		t.Skipf("this kernel's Landlock is version %d", wall.ABI())
	}
}

// status returns a field of the process's status.
func (s *server) status(t *testing.T, field string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, field+":\t"); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("no %s in\n%s", field, text)
	return ""
}

// eventually waits until f, which looks at another process, is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestBehindTheWallAccountsAndCertificatesStillChange(t *testing.T) {
	needsLandlock(t)
	a := startAdministered(t, "landlock: require\n")
	a.out.wait(t, `"msg":"landlock"`)
	if got := a.status(t, "NoNewPrivs"); got != "1" {
		t.Errorf("NoNewPrivs is %s", got)
	}
	if said := a.admin(t, "stats"); !strings.Contains(said, "reaches only its folders") {
		t.Errorf("stats: %s", said)
	}
	if said := a.get(t, "/healthz", http.StatusOK); !strings.Contains(said, "reaches only its folders") {
		t.Errorf("healthz: %s", said)
	}

	add := func(home string) {
		t.Helper()
		if _, errs, code := run(t, a.dir, "secreto\n", "useradd", "ana", "--home", home, "--password-stdin", "--cost", "4"); code != 0 {
			t.Fatal(errs)
		}
	}
	add("ana")
	eventually(t, "a new account", func() bool { return strings.HasPrefix(a.attempt(t, "", "ana", "secreto")[1], "230") })
	a.serves(t, "ana", "secreto")

	if _, errs, code := run(t, a.dir, "otro secreto\n", "passwd", "ana", "--password-stdin", "--cost", "4"); code != 0 {
		t.Fatal(errs)
	}
	eventually(t, "a new password", func() bool { return strings.HasPrefix(a.attempt(t, "", "ana", "otro secreto")[1], "230") })

	// Whoever renews a certificate puts new files in the place of the old.
	issue(t, a.dir, "new", nil, nil)
	for _, kind := range []string{"crt", "key"} {
		if err := os.Rename(filepath.Join(a.dir, "new."+kind), filepath.Join(a.dir, "certs", "server."+kind)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "a new certificate", func() bool {
		a.admin(t, "reload")
		c := a.secured(t, "")
		name := c.Raw().(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
		c.Raw().Close()
		return name == "new"
	})
	// And the settings are read again.
	a.settings(t, "landlock: require\nbanner: after\n")
	a.admin(t, "reload")
	c := a.dial(t)
	if greeting := c.Expect(220); greeting != "after" {
		t.Errorf("the greeting is %q", greeting)
	}
}

func TestAHomeOutsideOfTheWallNeedsARestart(t *testing.T) {
	needsLandlock(t)
	for _, c := range []struct{ lang, said string }{{"en", "needs a restart"}, {"es", "hace falta un reinicio"}, {"off", ""}} {
		t.Run(c.lang, func(t *testing.T) {
			settings, said := "lang: "+c.lang, c.lang
			if c.lang == "off" { // the wall is: the home is no trouble
				settings, said = "landlock: off", "en"
			}
			a := startAdministered(t, settings)
			outside := t.TempDir()
			if _, errs, code := run(t, a.dir, "secreto\n", "useradd", "ana", "--home", outside, "--password-stdin", "--cost", "4"); code != 0 {
				t.Fatal(errs)
			}
			_, errs, code := run(t, a.dir, "", "admin", "--admin-socket", a.socket, "--lang", said, "reload")
			in := a.attempt(t, "", "ana", "secreto")[1]
			a.serves(t, "diego", "a password") // the old list holds
			if c.said == "" {
				if code != 0 || !strings.HasPrefix(in, "230") {
					t.Errorf("without a wall: %d %s, login: %s", code, errs, in)
				}
				return
			}
			if code == 0 || !strings.HasPrefix(in, "530") {
				t.Errorf("reload: %d %s, login: %s", code, errs, in)
			}
			if stats := a.admin(t, "--lang", said, "stats"); !strings.Contains(stats, c.said) || !strings.Contains(errs, c.said) {
				t.Errorf("it says %s and %s", errs, stats)
			}
			a.out.wait(t, `"users-kept".*ana.*`+c.said)
			// The next start has it.
			a.stop(t)
			again := serveIn(t, a.dir, "--admin-socket", a.socket, "--metrics", a.metrics)
			again.serves(t, "ana", "secreto")
		})
	}
}

func TestWithLandlockOffTheServerSaysSoAndStillGainsNoPrivileges(t *testing.T) {
	dir := withAccount(t)
	s := serveIn(t, dir, "--landlock", "off")
	s.out.wait(t, `"no-landlock"`)
	if got := s.status(t, "NoNewPrivs"); got != "1" {
		t.Errorf("NoNewPrivs is %s", got)
	}
	if strings.Count(s.out.String(), `"no-landlock"`) != 1 {
		t.Errorf("it says so more than once:\n%s", s.out)
	}
	s.serves(t, "diego", "secreto")
}

func TestBehindTheWallTheServerEndsInOrder(t *testing.T) {
	needsLandlock(t)
	a := startAdministered(t, "landlock: require\n")
	a.serves(t, "diego", "a password")
	a.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-a.done:
		a.done <- err
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it did not end")
	}
	if _, err := os.Lstat(a.socket); err == nil {
		t.Error("the admin socket stayed behind")
	}
}
