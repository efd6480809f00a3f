//go:build interop

package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// moves is a short round of everything, for servers with other manners.
func (s *foreignServer) moves(t *testing.T, flags ...string) (dialogue string) {
	t.Helper()
	s.clear(t)
	data := seeded(300_000, 8)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "up"), data, 0o644))
	from, to := filepath.Join(dir, "up"), filepath.Join(dir, "down")
	_, errs, code := s.clientWith(t, append([]string{"--pin", s.pin, "-v"}, flags...), "-c",
		strings.Join([]string{"put " + quoted(from) + " 'año 1'", "mkdir d", "ls", "mv 'año 1' 'd/año 2'", "ls -l d",
			"get 'd/año 2' " + quoted(to), "rm 'd/año 2'", "rmdir d"}, ";"))
	if code != 0 {
		t.Fatalf("exit %d\n%s", code, tail(errs))
	}
	if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
	}
	return errs
}

// sends reports whether the client sent a verb.
func sends(dialogue, verb string) bool {
	return regexp.MustCompile(`(?m)^> ` + verb + `\b`).MatchString(dialogue)
}

func TestOurClientOpensDataConnectionsToOtherPeoplesServersEveryWay(t *testing.T) {
	t.Parallel()
	eachForeigner(t, nil, func(t *testing.T, f foreign) {
		s := f.serve(t, foreignOptions{})
		s.passes(t, "EPSV", func(t *testing.T) {
			if d := s.moves(t); !sends(d, "EPSV") || sends(d, "PASV") {
				t.Error(d)
			}
		})
		s.passes(t, "active, EPRT", func(t *testing.T) {
			if d := s.moves(t, "--active"); !sends(d, "EPRT") || sends(d, "EPSV") {
				t.Error(d)
			}
		})
	})
	eachForeigner(t, func(f foreign) bool { return f.canDeny }, func(t *testing.T, f foreign) {
		s := f.serve(t, foreignOptions{Without: []string{"EPSV", "EPRT"}})
		s.passes(t, "PASV, where EPSV is refused", func(t *testing.T) {
			if d := s.moves(t); !sends(d, "PASV") {
				t.Error(d)
			}
		})
		s.passes(t, "active, PORT, where EPRT is refused", func(t *testing.T) {
			if d := s.moves(t, "--active"); !sends(d, "PORT") {
				t.Error(d)
			}
		})
	})
}

func TestOurClientSpeaksImplicitTLSToOtherPeoplesServers(t *testing.T) {
	t.Parallel()
	eachForeigner(t, func(f foreign) bool { return f.canImplicit }, func(t *testing.T, f foreign) {
		s := f.serve(t, foreignOptions{Implicit: true})
		s.passes(t, "implicit TLS", func(t *testing.T) {
			if d := s.moves(t); sends(d, "AUTH") {
				t.Error(d)
			}
		})
	})
}

func TestOurClientNeedsNoExtensionOfOtherPeoplesServers(t *testing.T) {
	t.Parallel()
	small, tree := smallCargo(t), treeCargo(t, 40)
	eachForeigner(t, func(f foreign) bool { return f.canDeny }, func(t *testing.T, f foreign) {
		s := f.serve(t, foreignOptions{Without: []string{"SIZE", "MDTM", "MFMT", "MLST", "MLSD", "REST"}})
		s.passes(t, "without SIZE, MDTM, MFMT, MLST, MLSD and REST: files and trees, up and down", func(t *testing.T) {
			s.moves(t)
			for _, c := range []*cargo{small, tree} {
				s.clear(t)
				s.does(t, "put", "-r", c.dir, "there")
				c.same(t, filepath.Join(s.Home, "there"), "uploaded")
				to := filepath.Join(t.TempDir(), "here")
				s.does(t, "get", "-r", "there", to)
				c.same(t, to, "downloaded")
			}
		})
		s.passes(t, "without REST: a resume is whole all the same", func(t *testing.T) {
			s.clear(t)
			data, dir := seeded(resumeSize, 9), t.TempDir()
			must(t, os.WriteFile(filepath.Join(s.Home, "file"), data, 0o644))
			to := filepath.Join(dir, "file")
			s.killed(t, sizeAtLeast(to+".part", resumeFrom), "get", "file", to)
			s.transfers(t, "get", "-c", "file", to)
			if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, data) {
				t.Errorf("down: %d bytes of %d, %v", len(got), len(data), err)
			}
			s.killed(t, func() bool {
				list, _ := os.ReadDir(s.Home)
				return slices.ContainsFunc(list, func(e os.DirEntry) bool {
					info, err := e.Info()
					return err == nil && strings.HasPrefix(e.Name(), "again") && info.Size() >= resumeFrom
				})
			}, "put", to, "again")
			s.transfers(t, "put", "-c", to, "again")
			if got, err := os.ReadFile(filepath.Join(s.Home, "again")); err != nil || !bytes.Equal(got, data) {
				t.Errorf("up: %d bytes of %d, %v", len(got), len(data), err)
			}
		})
	})
}

func TestOurClientFindsTheZoneOfOtherPeoplesListings(t *testing.T) {
	t.Parallel()
	eachForeigner(t, func(f foreign) bool { return f.canZone }, func(t *testing.T, f foreign) {
		when := time.Now().UTC().Truncate(24 * time.Hour).Add(-37*time.Hour + 23*time.Minute + 7*time.Second)
		shown := func(t *testing.T, s *foreignServer) (times []string) {
			for _, name := range []string{"one", "two words"} {
				file := filepath.Join(s.Home, name)
				must(t, os.WriteFile(file, []byte("x"), 0o644))
				must(t, os.Chtimes(file, when, when))
			}
			for line := range strings.Lines(s.does(t, "--json", "ls", "-l")) {
				var e struct{ Name, Modified string }
				must(t, json.Unmarshal([]byte(line), &e))
				if e.Name != "" {
					times = append(times, e.Modified)
				}
			}
			return times
		}
		for zone, offset := range map[string]time.Duration{"America/Caracas": -4 * time.Hour, "Asia/Kathmandu": 5*time.Hour + 45*time.Minute} {
			s := f.serve(t, foreignOptions{Zone: zone, Without: []string{"MLSD", "MLST"}})
			s.passes(t, "LIST in the time of "+zone+", shown in UTC by what MDTM says", func(t *testing.T) {
				want := when.Truncate(time.Minute).Format(time.RFC3339)
				if got := shown(t, s); !slices.Equal(got, []string{want, want}) {
					t.Errorf("%s, and the files are of %s", got, when)
				}
			})
			s = f.serve(t, foreignOptions{Zone: zone, Without: []string{"MLSD", "MLST", "MDTM"}})
			s.passes(t, "LIST in the time of "+zone+" without MDTM: times as they came", func(t *testing.T) {
				want := when.Add(offset).Truncate(time.Minute).Format(time.RFC3339)
				if got := shown(t, s); !slices.Equal(got, []string{want, want}) {
					t.Errorf("%s, and the files are of %s", got, when)
				}
			})
		}
	})
}

// TestOurClientSaysWhatOtherPeoplesServersRefuse: exit code and words tell what to do.
func TestOurClientSaysWhatOtherPeoplesServersRefuse(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, s *foreignServer, code int, words string, command ...string) {
		t.Helper()
		_, errs, got := s.client(t, command...)
		if got != code || !regexp.MustCompile(words).MatchString(errs) {
			t.Errorf("%q: exit %d, want %d and %q:\n%s", command, got, code, words, errs)
		}
	}
	some := filepath.Join(t.TempDir(), "some")
	must(t, os.WriteFile(some, seeded(4<<20, 3), 0o644))
	eachForeigner(t, nil, func(t *testing.T, f foreign) {
		s := f.serve(t, foreignOptions{})
		s.passes(t, "refusals: a missing file, a folder that is not empty, a wrong password", func(t *testing.T) {
			must(t, os.MkdirAll(filepath.Join(s.Home, "d", "e"), 0o777))
			refused(t, s, 6, `550|not found`, "get", "missing", t.TempDir())
			refused(t, s, 6, `550`, "rm", "missing")
			if _, errs, code := s.client(t, "rmdir", "d"); code == 0 || !replied(errs, 550) {
				t.Errorf("rmdir of a full folder: exit %d: %s", code, errs)
			}
			args := []string{"client", "127.0.0.1", "-p", fmt.Sprint(s.Control), "--pin", s.pin, "-u", s.account, "--password-stdin", "ls"}
			if _, errs, code := run(t, s.Dir, "wrong\n", args...); code != 4 || !replied(errs, 530) {
				t.Errorf("wrong password: exit %d: %s", code, errs)
			}
		})
	})
	eachForeigner(t, func(f foreign) bool { return f.canReadOnly }, func(t *testing.T, f foreign) {
		s := f.serve(t, foreignOptions{ReadOnly: true})
		s.passes(t, "refusal: no permission to write", func(t *testing.T) {
			refused(t, s, 7, `55[03]`, "put", some, "new")
			refused(t, s, 7, `55[03]`, "mkdir", "folder")
		})
	})
	eachForeigner(t, func(f foreign) bool { return f.canQuota }, func(t *testing.T, f foreign) {
		s := f.serve(t, foreignOptions{Quota: 1 << 20})
		s.passes(t, "refusal: the quota is full", func(t *testing.T) { refused(t, s, 11, `552`, "put", some, "new") })
	})
	// Making a small disk takes root.
	eachForeigner(t, func(f foreign) bool { return f.full != "" && os.Getuid() == 0 }, func(t *testing.T, f foreign) {
		s := f.serve(t, foreignOptions{Full: 2 << 20})
		s.passes(t, "refusal: the disk is full", func(t *testing.T) {
			code := 1
			if f.full == "452" {
				code = 11
			}
			refused(t, s, code, f.full, "put", some, "new")
		})
	})
	eachForeigner(t, nil, func(t *testing.T, f foreign) {
		s := f.serve(t, foreignOptions{MaxSessions: 1})
		s.passes(t, "refusal: one session too many", func(t *testing.T) {
			c := s.dial(t, nil)
			defer c.Close()
			_, errs, code := s.client(t, "ls")
			if !(code == 3 && replied(errs, 421) || code == 4 && replied(errs, 530)) {
				t.Errorf("exit %d: %s", code, errs)
			}
		})
	})
}
