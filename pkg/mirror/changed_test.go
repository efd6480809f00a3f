package mirror_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
	"ftps/pkg/mirror"
)

// changing is a server of some kind whose one file is cut and then changed.
type changing struct {
	transfer func(t *testing.T, told *events) *mirror.Transfer
	put      func(data []byte, when time.Time)
	cut      func(bool)
}

// kinds are the servers by what they tell of a file.
var kinds = []struct {
	name  string
	start func(t *testing.T) changing
}{
	{"HASH of ranges", startOurs},
	{"HASH of whole files", told(nil, nil)},
	{"XSHA256 alone", told([]string{"XSHA256"}, []string{"HASH"})},
	{"no hash", told(nil, []string{"HASH"})},
	{"no hash, SIZE alone", told(nil, []string{"HASH", "MDTM", "MLST", "MFMT"})},
	{"no hash, no SIZE", told(nil, []string{"HASH", "MDTM", "MLST", "MFMT", "SIZE"})},
}

func startOurs(t *testing.T) changing {
	budget := new(atomic.Int64)
	dial, home := ours(t, budget, true)
	return changing{
		transfer: func(t *testing.T, told *events) *mirror.Transfer {
			tr := mirror.New(mirror.Config{Dial: dial, Jobs: 1, NoSync: true, Records: t.TempDir(), Progress: told.add})
			t.Cleanup(tr.Close)
			return tr
		},
		put: func(data []byte, when time.Time) {
			os.Remove(filepath.Join(home, "f"))
			write(t, filepath.Join(home, "f"), data, when)
		},
		cut: func(on bool) {
			budget.Store(0)
			if on {
				budget.Store(cutAt)
			}
		},
	}
}

// told starts the test server with more in its FEAT, and without some.
func told(with, lacks []string) func(t *testing.T) changing {
	return func(t *testing.T) changing {
		var on atomic.Bool
		var s *hostile.Server
		h := cutting(t, content(length), cutAt, &on)
		features := with
		for _, f := range hostile.DefaultFeatures {
			verb, _, _ := strings.Cut(f, " ")
			keep := true
			for _, l := range lacks {
				keep = keep && l != verb
			}
			if keep {
				features = append(features[:len(features):len(features)], f)
			}
		}
		for _, verb := range append(lacks[:len(lacks):len(lacks)], "MLSD") {
			if verb == "MLSD" && !strings.Contains(fmt.Sprint(lacks), "MLST") {
				continue
			}
			h[verb] = func(s *hostile.Session, _ string) bool { s.Reply(500, "no"); return true }
		}
		h["XSHA256"] = func(c *hostile.Session, arg string) bool {
			f, ok := s.File(arg)
			if !ok {
				return false
			}
			c.Reply(250, fmt.Sprintf("%X", sha256.Sum256(f.Data)))
			return true
		}
		s = hostile.Start(t, hostile.Options{Features: features, Hooks: h})
		return changing{
			transfer: func(t *testing.T, told *events) *mirror.Transfer {
				tr, _ := transfer(t, s, func(c *mirror.Config) { c.Progress, c.Jobs = told.add, 1 })
				return tr
			},
			put: func(data []byte, when time.Time) { s.Put("/f", data, when) },
			cut: on.Store,
		}
	}
}

// flipped is the file with one bit changed.
func flipped(at int) []byte {
	b := content(length)
	b[at] ^= 1
	return b
}

// Whatever happens to a file on the server between the cut and the resume:
// what has the name in the end is the server's file as it is then, or there
// is none, and an exit code and a sentence tell.
func TestAFileThatChangedBetweenCutAndResumeIsNeverSpliced(t *testing.T) {
	later := longAgo.Add(time.Hour)
	for _, change := range []struct {
		name string
		data []byte
		when time.Time
	}{
		{"same size, other content, newer", content(length + 1)[:length], later},
		{"same size and time, other content", content(length + 1)[:length], longAgo},
		{"same size and time, the part's first byte", flipped(0), longAgo},
		{"same size and time, the part's last byte", flipped(cutAt - 1), longAgo},
		{"same size and time, a byte in the part's middle", flipped(cutAt / 2), longAgo},
		{"same size and time, behind the part", flipped(cutAt + 1), longAgo},
		{"newer, and the same", content(length), later},
		{"longer", append(content(length), "and more"...), later},
		{"longer, and the same time", append(content(length), "and more"...), longAgo},
		{"shorter", content(length)[:length-5], later},
		{"shorter, and the same time", content(length)[:length-5], longAgo},
		{"shorter than the part", content(length)[:cutAt/2], longAgo},
		{"empty", nil, longAgo},
		{"removed, and another put", content(77_777), later},
	} {
		for _, kind := range kinds {
			t.Run(change.name+"/"+kind.name, func(t *testing.T) {
				s := kind.start(t)
				tr, told, local := s.leavePart(t)
				part, err := os.Stat(local + ".part")
				if err != nil || part.Size() < cutAt/2 {
					t.Fatalf("no part to speak of: %v", err)
				}
				s.put(change.data, change.when)
				_, err = tr.Get(within(t), "/f", local, mirror.Options{Resume: true})
				failed := err != nil
				for try := 0; err != nil; try++ {
					if ftpclient.Class(err) == 0 || try > 0 {
						t.Fatalf("%v (class %d)", err, ftpclient.Class(err))
					}
					if _, statErr := os.Stat(local); statErr == nil {
						t.Fatal("a file that failed took the name")
					}
					_, err = tr.Get(within(t), "/f", local, mirror.Options{Resume: true})
				}
				got, err := os.ReadFile(local)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, change.data) {
					t.Errorf("spliced: %d bytes that are not the server's", len(got))
				}
				again := of[mirror.Restarted](told)
				done := of[mirror.Done](told)
				if len(done) != 1 || len(again) == 0 && !failed && !done[0].Resumed {
					t.Errorf("begun again, and not told: %+v", done)
				}
			})
		}
	}
}

// leavePart leaves a part of a download that was cut, at local.
func (s changing) leavePart(t *testing.T) (tr *mirror.Transfer, told *events, local string) {
	t.Helper()
	told = &events{}
	tr = s.transfer(t, told)
	local = filepath.Join(t.TempDir(), "f")
	s.put(content(length), longAgo)
	s.cut(true)
	if _, err := tr.Get(within(t), "/f", local, mirror.Options{}); err == nil {
		t.Fatal("a cut download succeeded")
	}
	s.cut(false)
	return tr, told, local
}

// unhashedPart leaves a part of a download from a server that tells no hash.
func unhashedPart(t *testing.T) (changing, *mirror.Transfer, *events, string) {
	t.Helper()
	s := told(nil, []string{"HASH"})(t)
	tr, told, local := s.leavePart(t)
	return s, tr, told, local
}

// The proof without a hash is the part itself, fetched again: the price of
// beginning again, and what is here stays if it breaks off once more.
func TestWithoutAnyHashThePartIsFetchedAgainAndKept(t *testing.T) {
	s, tr, told, local := unhashedPart(t)
	s.put(content(length), longAgo)
	s.cut(true)
	if _, err := tr.Get(within(t), "/f", local, mirror.Options{Resume: true}); err == nil {
		t.Fatal("it was not cut")
	}
	if b, err := os.ReadFile(local + ".part"); err != nil || !bytes.Equal(b, content(length)[:cutAt]) {
		t.Errorf("cut once more, the part is %d bytes, %v", len(b), err)
	}
	s.cut(false)
	r, err := tr.Get(within(t), "/f", local, mirror.Options{Resume: true})
	if err != nil || r.Bytes != length {
		t.Errorf("%v, %+v", err, r)
	}
	if b, _ := os.ReadFile(local); !bytes.Equal(b, content(length)) {
		t.Error("not the server's file")
	}
	if c := of[mirror.Comparing](told); len(c) != 2 || c[1].Bytes != cutAt || len(of[mirror.Restarted](told)) != 0 {
		t.Errorf("told %+v, %+v", c, of[mirror.Restarted](told))
	}
	if d := of[mirror.Done](told); len(d) != 1 || !d[0].Resumed || d[0].Moved != length || d[0].Verified != mirror.BySize {
		t.Errorf("told %+v", d)
	}
}

// What --verify says about a server without a hash. To take size, time and
// the last bytes for proof is the user's to choose, and what it may cost is
// a file of two: with it, the comparison of the whole is what guards.
func TestHowMuchProofAResumeWithoutAHashNeedsIsTheUsersToSay(t *testing.T) {
	changed := flipped(cutAt / 2)
	t.Run("hash: none, so no", func(t *testing.T) {
		s, tr, _, local := unhashedPart(t)
		s.put(changed, longAgo)
		tr.SetVerify(mirror.VerifyHash)
		if _, err := tr.Get(within(t), "/f", local, mirror.Options{Resume: true}); !errors.Is(err, mirror.ErrNoHash) {
			t.Error(err)
		}
		if _, err := os.Stat(local); err == nil {
			t.Error("unproven, and it took the name")
		}
	})
	t.Run("size", func(t *testing.T) {
		s, tr, told, local := unhashedPart(t)
		s.put(changed, longAgo)
		tr.SetVerify(mirror.VerifySize)
		r, err := tr.Get(within(t), "/f", local, mirror.Options{Resume: true})
		if err != nil || r.Bytes != length-cutAt || len(of[mirror.Comparing](told)) != 0 {
			t.Errorf("%v, %+v", err, r)
		}
		if b, _ := os.ReadFile(local); bytes.Equal(b, changed) {
			t.Error("no splice: it is not the comparison that guards")
		}
	})
}

// A server that announces HASH, and when it comes to it will not tell: the
// hash of the whole was all that would have proven the part.
func TestAHashThatIsRefusedInTheEndIsNoProof(t *testing.T) {
	for name, data := range map[string][]byte{"as it was": content(length), "changed": flipped(cutAt / 2)} {
		t.Run(name, func(t *testing.T) {
			var on atomic.Bool
			h := cutting(t, content(length), cutAt, &on)
			h["HASH"] = func(s *hostile.Session, _ string) bool { s.Reply(550, "not for you"); return true }
			s := hostile.Start(t, hostile.Options{Hooks: h})
			s.Put("/f", content(length), longAgo)
			tr, told := transfer(t, s, nil)
			local := filepath.Join(t.TempDir(), "f")
			on.Store(true)
			if _, err := tr.Get(within(t), "/f", local, mirror.Options{}); err == nil {
				t.Fatal("a cut download succeeded")
			}
			on.Store(false)
			s.Put("/f", data, longAgo)
			if _, err := tr.Get(within(t), "/f", local, mirror.Options{Resume: true}); err != nil {
				t.Fatal(err)
			}
			if b, _ := os.ReadFile(local); !bytes.Equal(b, data) {
				t.Error("spliced")
			}
			if len(of[mirror.Comparing](told)) != 1 {
				t.Error("nothing was compared")
			}
		})
	}
}
