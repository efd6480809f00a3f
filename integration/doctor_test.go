package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ftps/pkg/catalog"
)

// finding is a step of doctor as --json writes it.
type finding struct {
	Event, Check, State, Found, Key, Remedy string
	RemedyKey                               string `json:"remedy_key"`
	Exit                                    int
}

// diagnosis is what doctor found, by step.
type diagnosis map[string]finding

// diagnosed reads doctor's --json, each object of which must be a step, and
// in the end, where files cannot be moved, an error.
func diagnosed(t *testing.T, out string) diagnosis {
	t.Helper()
	d := diagnosis{}
	for line := range strings.Lines(out) {
		var f finding
		if err := json.Unmarshal([]byte(line), &f); err != nil || f.Event != "check" && f.Event != "error" {
			t.Errorf("%q: %v", line, err)
		}
		if f.Event == "check" {
			d[f.Check] = f
			if row, ok := catalog.Lookup("doctor.check." + f.Check); !ok || row.EN == "" {
				t.Errorf("a step without a name: %s", line)
			}
			if (f.State == "wrong") != (f.Remedy != "" && f.RemedyKey != "") {
				t.Errorf("wrong without a remedy, or the other way round: %s", line)
			}
		}
	}
	if len(d) < 20 {
		t.Errorf("only %d steps:\n%s", len(d), out)
	}
	return d
}

// of lists the steps in a state, in alphabetical order.
func (d diagnosis) of(state string) []string {
	var names []string
	for name, f := range d {
		if f.State == state {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestDoctorExaminesTheRealServer(t *testing.T) {
	s := startServer(t, []string{"diego", "un secreto"})
	base := []string{"client", "127.0.0.1", "-p", s.port, "-u", "diego", "--password-stdin"}
	told := func(out, errs string) {
		t.Helper()
		if strings.Contains(out+errs, "un secreto") {
			t.Errorf("the password was told:\n%s%s", out, errs)
		}
		if left, err := os.ReadDir(s.home("diego")); err == nil && len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	pinned := append(slices.Clone(base), "--pin", s.pin)
	out, errs, code := run(t, s.dir, "un secreto\n", append(pinned, "--json", "-v", "doctor")...)
	told(out, errs)
	if d := diagnosed(t, out); code != 0 || len(d.of("ok")) != len(d) {
		t.Errorf("exit %d, wrong %v, not tried %v\n%s", code, d.of("wrong"), d.of("untried"), errs)
	}

	// Without a pin nobody vouches for it, and nothing is sent.
	out, errs, code = run(t, s.dir, "un secreto\n", append(base, "--lang", "es", "DOCTOR")...)
	told(out, errs)
	for _, want := range []string{"✗ confianza", "→ no se envió nada", s.pin, "– entrada        sin hacer: no se confía", "✓ versiones TLS  1.2 y 1.3"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
	if code != 5 || !strings.Contains(errs, "ftps: ") {
		t.Errorf("exit %d: %s", code, errs)
	}

	// A wrong password, and then no server at all.
	out, errs, code = run(t, s.dir, "not it\n", append(pinned, "--json", "doctor")...)
	if d := diagnosed(t, out); code != 4 || d["login"].RemedyKey != "doctor.login.remedy" || d["versions"].State != "ok" {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	s.stop(t)
	out, errs, code = run(t, s.dir, "un secreto\n", append(pinned, "doctor", "--json")...)
	if d := diagnosed(t, out); code != 3 || d["tcp"].RemedyKey != "doctor.tcp.remedy" {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

// In a session the doctor has connections of its own, and the session goes on
// behind it, in its folder.
func TestDoctorExaminesFromWithinASession(t *testing.T) {
	t.Parallel()
	s := serveAccounts(t, map[string]string{"diego": "session_reuse: prefer\nmax_sessions: 2"})
	out, errs, code := run(t, s.dir, "secreto\n", "client", "127.0.0.1", "-p", s.port, "--pin", s.pin, "-u", "diego", "--password-stdin",
		"-c", "mkdir sub; cd sub; doctor; pwd")
	if code != 0 {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	for _, want := range []string{"✗ required       no: ", "session_reuse: require", "✗ connections    one; a second is refused: ", "/sub\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s%s", want, out, errs)
		}
	}
	if left, err := os.ReadDir(filepath.Join(s.home("diego"), "sub")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestCertShowTellsWhetherTheSystemTrustsAServer(t *testing.T) {
	t.Parallel()
	s := serveAccounts(t, map[string]string{"diego": ""})
	type shown struct {
		Pin     string
		Trusted bool
		Reason  string
		Days    int `json:"days_left"`
	}
	for _, c := range []struct {
		env     []string
		trusted bool
	}{
		{nil, false},
		{[]string{"SSL_CERT_FILE=" + filepath.Join(s.dir, "certs", "server.crt")}, true},
	} {
		var got shown
		out, errs, code := runEnv(t, s.dir, "", c.env, "cert", "show", "127.0.0.1:"+s.port, "--json")
		if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 {
			t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
		}
		if got.Pin != s.pin || got.Trusted != c.trusted || (got.Reason == "") != c.trusted || got.Days < 100 {
			t.Errorf("%+v", got)
		}
		out, _, _ = runEnv(t, s.dir, "", c.env, "cert", "show", "127.0.0.1:"+s.port)
		if strings.Contains(out, "an authority of this system vouches for it") != c.trusted {
			t.Error(out)
		}
	}
}
