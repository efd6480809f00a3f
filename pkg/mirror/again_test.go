package mirror_test

import (
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
	"ftps/pkg/mirror"
)

// lossy starts a server that drops the control connection at the second
// command of a verb: before it was done, or after and without a reply.
// It keeps no MLST, so that what is there is found out by listings.
func lossy(t *testing.T, verb string, after bool, o hostile.Options) *hostile.Server {
	var n atomic.Int32
	var s *hostile.Server
	o.Hooks = hooks{verb: func(c *hostile.Session, arg string) bool {
		if n.Add(1) != 2 {
			return false
		}
		if after {
			s.Do(verb, arg)
		}
		c.Hangup()
		return true
	}}
	s = hostile.Start(t, o)
	return s
}

// A connection lost between two folders ended the whole run, although scans
// and files were tried again.
func TestAMirrorGoesOnWhereAConnectionIsLostBetweenFolders(t *testing.T) {
	for name, features := range map[string][]string{"with MLST": nil, "with LIST alone": without("MLST")} {
		for when, after := range map[string]bool{"before it was done": false, "after it was done": true} {
			for _, verb := range []string{"MKD", "DELE", "RMD"} {
				t.Run(verb+" "+when+" "+name, func(t *testing.T) {
					t.Parallel()
					o := hostile.Options{Features: features}
					s := lossy(t, verb, after, o)
					here := t.TempDir()
					for _, f := range []string{"a/1", "a/b/2", "c/3"} {
						write(t, filepath.Join(here, f), []byte(f), longAgo)
					}
					s.Mkdir("/t")
					for _, f := range []string{"x/1", "x/y/2", "z/3"} {
						s.Put("/t/"+f, []byte(f), longAgo)
					}
					tr, told := transfer(t, s, func(c *mirror.Config) { c.Retries, c.Jobs = 2, 1 })
					c, err := tr.Compare(within(t), here, "/t", mirror.MirrorOptions{Upload: true, Delete: true})
					if err != nil {
						t.Fatal(err)
					}
					r, err := tr.Apply(within(t), c)
					if err != nil || r.Deleted != 6 || r.Files != 3 {
						t.Errorf("%v: %+v", err, r)
					}
					if again := of[mirror.Retrying](told); len(again) != 1 {
						t.Errorf("told %+v", again)
					}
					got := make(map[string]bool)
					for _, n := range s.Names() {
						if strings.HasPrefix(n, "/t/") {
							got[n] = true
						}
					}
					want := map[string]bool{"/t/a": true, "/t/a/b": true, "/t/c": true, "/t/a/1": true, "/t/a/b/2": true, "/t/c/3": true}
					if !maps.Equal(got, want) {
						t.Errorf("there is now %v", got)
					}
				})
			}
		}
	}
}

// What the server refuses is no loss: a name that is not there although
// nothing broke is told, and so is one that is still there afterwards.
func TestADeletionThatIsRefusedIsNotTakenForDone(t *testing.T) {
	for name, lost := range map[string]bool{"nothing was lost": false, "behind a loss": true} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			s := hostile.Start(t, hostile.Options{Hooks: hooks{"DELE": func(s *hostile.Session, _ string) bool {
				if lost && n.Add(1) == 1 {
					s.Hangup()
				} else {
					s.Reply(550, "No such file or directory, or so we say")
				}
				return true
			}}})
			s.Put("/t/gone", []byte("g"), longAgo)
			here := t.TempDir()
			tr, told := transfer(t, s, func(c *mirror.Config) { c.Retries = 2 })
			c, err := tr.Compare(within(t), here, "/t", mirror.MirrorOptions{Upload: true, Delete: true})
			if err != nil {
				t.Fatal(err)
			}
			if r, err := tr.Apply(within(t), c); err == nil || r.Deleted != 0 || ftpclient.Class(err) != ftpclient.SomeFailed {
				t.Errorf("%v: %+v", err, r)
			}
			if len(of[mirror.Deleted](told)) != 0 {
				t.Error("told as deleted")
			}
		})
	}
}

func TestAServerThatStaysAwayEndsTheMirror(t *testing.T) {
	for _, verb := range []string{"MKD", "DELE"} {
		s := hostile.Start(t, hostile.Options{Hooks: hooks{verb: func(s *hostile.Session, _ string) bool { s.Hangup(); return true }}})
		s.Put("/t/gone", []byte("g"), longAgo)
		s.Put("/t/gone too", []byte("g"), longAgo)
		here := t.TempDir()
		if verb == "MKD" {
			write(t, filepath.Join(here, "a", "b", "f"), []byte("f"), time.Now())
		}
		tr, told := transfer(t, s, func(c *mirror.Config) { c.Retries = 1 })
		c, err := tr.Compare(within(t), here, "/t", mirror.MirrorOptions{Upload: true, Delete: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tr.Apply(within(t), c); !errors.Is(err, ftpclient.ErrLost) {
			t.Errorf("%s: %v", verb, err)
		}
		if n := s.Count(verb); n != 2 || len(of[mirror.Retrying](told)) != 1 {
			t.Errorf("%s came %d times, told %v", verb, n, of[mirror.Retrying](told))
		}
	}
}
