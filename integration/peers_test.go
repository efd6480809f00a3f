//go:build interop

package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// eachForeigner runs a case against every server; a case that a server's
// configuration cannot bring about is left out by the caller's filter.
func eachForeigner(t *testing.T, has func(foreign) bool, run func(t *testing.T, f foreign)) {
	for _, f := range foreigners() {
		if has == nil || has(f) {
			t.Run(f.name, func(t *testing.T) { run(t, f) })
		}
	}
}

// passes runs one case and notes it in the table.
func (s *foreignServer) passes(t *testing.T, what string, run func(t *testing.T)) {
	t.Run(what, func(t *testing.T) {
		noteIn(t, &report.servers, s.name, s.version(), what)
		run(t)
	})
}

// clear empties the account's folder and the client's.
func (s *foreignServer) clear(t *testing.T) {
	t.Helper()
	list, err := os.ReadDir(s.Home)
	must(t, err)
	for _, e := range list {
		must(t, os.RemoveAll(filepath.Join(s.Home, e.Name())))
	}
}

func TestOurClientMovesFilesToOtherPeoplesServers(t *testing.T) {
	t.Parallel()
	n := 300
	if *full {
		n = 2000
	}
	cargoes := []*cargo{smallCargo(t), bigCargo(t), treeCargo(t, n)}
	eachForeigner(t, nil, func(t *testing.T, f foreign) {
		s := f.serve(t, foreignOptions{})
		for _, c := range cargoes {
			s.passes(t, c.what+", up and down", func(t *testing.T) {
				s.clear(t)
				s.does(t, "put", "-r", c.dir, "there")
				c.same(t, filepath.Join(s.Home, "there"), "uploaded")
				to := filepath.Join(t.TempDir(), "here")
				s.does(t, "get", "-r", "there", to)
				c.same(t, to, "downloaded")
			})
		}
		s.passes(t, "resume of a download that was killed", s.resumesDownload)
		s.passes(t, "resume of an upload that was killed", s.resumesUpload)
		s.passes(t, "folders made and removed, files renamed and deleted, UTF-8 names", s.renames)
		s.passes(t, "trust by pin, by authority and by first use; another key refused", s.trusts)
	})
}

// killed starts the client at a rate at which it cannot finish, kills it once
// grown reports that enough has arrived, and waits for its end.
func (s *foreignServer) killed(t *testing.T, grown func() bool, command ...string) {
	t.Helper()
	args := append([]string{"client", "127.0.0.1", "-p", fmt.Sprint(s.Control), "-u", s.account, "--password-stdin",
		"--pin", s.pin, "--limit-rate", "4M"}, command...)
	cmd := exec.Command(ftps, args...)
	var out bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdin = s.Dir, cleanEnv(s.Dir), strings.NewReader(foreignPassword+"\n")
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	deadline := time.Now().Add(patience)
	for !grown() && time.Now().Before(deadline) && cmd.ProcessState == nil {
		time.Sleep(10 * time.Millisecond)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if !grown() {
		t.Fatalf("%q did not get far enough to be killed:\n%s", command, out.String())
	}
}

const resumeSize, resumeFrom = 24 << 20, 4 << 20

func sizeAtLeast(file string, n int64) func() bool {
	return func() bool {
		info, err := os.Stat(file)
		return err == nil && info.Size() >= n
	}
}

// goesOn runs a transfer that must build upon what an earlier one left. Where
// no hash proves that, all of it is fetched again, unless size and time and
// the last 64 KiB are said to do.
func (s *foreignServer) goesOn(t *testing.T, verify string, command ...string) {
	t.Helper()
	most := int64(resumeSize)
	if verify == "size" {
		most -= resumeFrom - 64<<10
	}
	done := s.transfers(t, append([]string{"--verify", verify}, command...)...)
	if !done.Resumed || done.Bytes != resumeSize || done.Moved > most || done.Moved <= 0 {
		t.Errorf("%q: %+v", command, done)
	}
}

// proofs are the ways in which a resume is proven.
var proofs = []string{"auto", "size"}

// done is what the client says of a file that it has moved.
type done struct {
	Event, Verified string
	Bytes, Moved    int64
	Resumed         bool
}

// transfers runs a transfer of one file and returns what became of it.
func (s *foreignServer) transfers(t *testing.T, command ...string) (d done) {
	t.Helper()
	for line := range strings.Lines(s.does(t, append([]string{"--json"}, command...)...)) {
		var event done
		if json.Unmarshal([]byte(line), &event) == nil && event.Event == "done" {
			d = event
		}
	}
	if d.Event == "" {
		t.Errorf("%q: no file is done", command)
	}
	return d
}

func (s *foreignServer) resumesDownload(t *testing.T) {
	s.clear(t)
	data := seeded(resumeSize, 5)
	must(t, os.WriteFile(filepath.Join(s.Home, "half"), data, 0o644))
	for _, verify := range proofs {
		to := filepath.Join(t.TempDir(), "half")
		s.killed(t, sizeAtLeast(to+".part", resumeFrom), "get", "half", to)
		s.goesOn(t, verify, "get", "-c", "half", to)
		if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
		}
	}
}

func (s *foreignServer) resumesUpload(t *testing.T) {
	s.clear(t)
	data := seeded(resumeSize, 6)
	from := filepath.Join(t.TempDir(), "half")
	must(t, os.WriteFile(from, data, 0o644))
	there := filepath.Join(s.Home, "half")
	for _, verify := range proofs {
		os.Remove(there)
		s.killed(t, sizeAtLeast(there+".ftps-part", resumeFrom), "put", from, "half")
		s.goesOn(t, verify, "put", "-c", from, "half")
		if got, err := os.ReadFile(there); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
		}
	}
}

// script runs lines of the shell in one session and returns what they print.
func (s *foreignServer) script(t *testing.T, lines ...string) string {
	t.Helper()
	return s.does(t, "-c", strings.Join(lines, ";"))
}

// quoted is a word of the shell.
func quoted(word string) string { return "'" + word + "'" }

func (s *foreignServer) renames(t *testing.T) {
	s.clear(t)
	from := filepath.Join(t.TempDir(), "a")
	must(t, os.WriteFile(from, []byte("content"), 0o644))
	for _, name := range []string{"plain", "año ñandú.txt", "漢字の名前", "🦜🦜", "two  spaces", "-dash"} {
		folder := "dir " + name
		s.script(t, "mkdir "+quoted(folder), "put "+quoted(from)+" "+quoted("./"+name), "mv "+quoted("./"+name)+" "+quoted(folder+"/other "+name))
		if got, err := os.ReadFile(filepath.Join(s.Home, folder, "other "+name)); string(got) != "content" {
			t.Errorf("%q after mv: %q, %v", name, got, err)
		}
		out := s.script(t, "ls "+quoted(folder), "cat "+quoted(folder+"/other "+name), "rm "+quoted(folder+"/other "+name), "rmdir "+quoted(folder))
		if out != "other "+name+"\ncontent" {
			t.Errorf("%q: ls and cat printed %q", name, out)
		}
	}
	if list, err := os.ReadDir(s.Home); err != nil || len(list) > 0 {
		t.Errorf("left behind: %v, %v", list, err)
	}
}

func (s *foreignServer) trusts(t *testing.T) {
	ca := filepath.Join(s.Dir, "ca.pem")
	known := filepath.Join(s.Dir, ".home", ".config", "ftps", "known_hosts")
	defer os.Remove(known)
	for _, v := range []struct {
		how   string
		flags []string
		code  int
	}{
		{"nobody has vouched for it", []string{"--trust", "strict"}, 5},
		{"another pin", []string{"--pin", "sha256//" + strings.Repeat("A", 43) + "="}, 5},
		{"the pin", []string{"--pin", s.pin}, 0},
		{"the authority", []string{"--ca", ca, "--trust", "ca"}, 0},
		{"first use", []string{"--trust", "accept-new"}, 0},
		{"known from first use", []string{"--trust", "strict"}, 0},
	} {
		os.Remove(known + ".lock")
		if v.how == "first use" {
			os.Remove(known)
		}
		_, errs, code := s.clientWith(t, v.flags, "ls")
		if code != v.code {
			t.Errorf("%s: exit %d, want %d: %s", v.how, code, v.code, errs)
		}
	}
	if _, err := os.Stat(known); err != nil {
		t.Errorf("known_hosts: %v", err)
	}
}
