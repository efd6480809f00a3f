package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
	"ftps/pkg/mirror"
)

// compared runs Compare and returns its changes as "kind name".
func compared(t *testing.T, tr *mirror.Transfer, source, target string, o mirror.MirrorOptions) (*mirror.Changes, []string) {
	t.Helper()
	c, err := tr.Compare(within(t), source, target, o)
	if err != nil {
		t.Fatalf("Compare: %v", err)
	}
	var found []string
	for _, change := range c.Changes {
		line := string(change.Kind) + " " + change.Name
		if change.Kept {
			line += " kept"
		}
		found = append(found, line)
	}
	slices.Sort(found)
	return c, found
}

func TestAMirrorMovesWhatDiffersAndNothingElse(t *testing.T) {
	for _, up := range []bool{true, false} {
		t.Run(fmt.Sprintf("upload=%v", up), func(t *testing.T) {
			dial, home := ours(t, new(atomic.Int64), true)
			here, there := t.TempDir(), filepath.Join(home, "t")
			from, to := there, here
			source, target := "/t", here
			if up {
				from, to = here, there
				source, target = here, "/t"
			}
			for i := range 60 {
				write(t, filepath.Join(from, fmt.Sprint("d", i%6), fmt.Sprint(i)), content(100+i), longAgo)
			}
			os.Mkdir(filepath.Join(from, "empty"), 0o777)
			told := &events{}
			tr := mirror.New(mirror.Config{Dial: dial, Jobs: 3, NoSync: true, Records: t.TempDir(), Progress: told.add})
			defer tr.Close()
			o := mirror.MirrorOptions{Upload: up, Delete: true}
			c, _ := compared(t, tr, source, target, o)
			if _, err := tr.Apply(within(t), c); err != nil {
				t.Fatal(err)
			}
			if got, want := files(t, to), files(t, from); !maps.Equal(got, want) {
				t.Fatalf("%d names, want %d", len(got), len(want))
			}
			// Again: nothing.
			if c, changes := compared(t, tr, source, target, o); len(changes) != 0 || c.Same != 60 {
				t.Fatalf("%v, %d the same", changes, c.Same)
			}
			write(t, filepath.Join(from, "d0", "0"), []byte("other"), longAgo.Add(time.Hour))
			write(t, filepath.Join(from, "d0", "6"), content(106), longAgo.Add(time.Hour))
			write(t, filepath.Join(from, "d1", "1"), []byte("older, and of another size"), longAgo.Add(-time.Hour))
			write(t, filepath.Join(from, "new", "x"), []byte("x"), longAgo)
			os.RemoveAll(filepath.Join(from, "d2"))
			os.Remove(filepath.Join(from, "d3", "3"))
			want := []string{"conflict d1/1", "gone d2", "gone d3/3", "new new", "new new/x", "newer d0/0", "newer d0/6"}
			for i := 2; i < 60; i += 6 {
				want = append(want, fmt.Sprint("gone d2/", i))
			}
			slices.Sort(want)
			c, changes := compared(t, tr, source, target, o)
			if !slices.Equal(changes, want) {
				t.Fatalf("%v, want %v", changes, want)
			}
			r, err := tr.Apply(within(t), c)
			if err != nil || r.Files != 4 || r.Deleted != 12 {
				t.Errorf("%+v, %v", r, err)
			}
			if got, want := files(t, to), files(t, from); !maps.Equal(got, want) {
				t.Errorf("%d names, want %d", len(got), len(want))
			}
		})
	}
}

func TestOnlyNewerAndPatterns(t *testing.T) {
	dial, home := ours(t, new(atomic.Int64), true)
	here := t.TempDir()
	write(t, filepath.Join(here, "old"), []byte("old"), longAgo)
	write(t, filepath.Join(here, "src", "a.go"), []byte("a"), longAgo)
	write(t, filepath.Join(here, "src", "a.o"), []byte("a"), longAgo)
	write(t, filepath.Join(here, "src", "keep.o"), []byte("k"), longAgo)
	write(t, filepath.Join(here, ".git", "HEAD"), []byte("h"), longAgo)
	there := filepath.Join(home, "t")
	write(t, filepath.Join(there, "old"), []byte("newer here"), longAgo.Add(time.Hour))
	write(t, filepath.Join(there, "src", "b.o"), []byte("excluded, so not deleted"), longAgo)
	write(t, filepath.Join(there, "out", "c.o"), []byte("excluded, so its folder stays"), longAgo)
	tr := mirror.New(mirror.Config{Dial: dial, Jobs: 1, NoSync: true, Records: t.TempDir()})
	defer tr.Close()
	o := mirror.MirrorOptions{Upload: true, Delete: true, OnlyNewer: true, Exclude: []string{"*.o", ".git/"}, Include: []string{"src/keep.o"}}
	c, changes := compared(t, tr, here, "/t", o)
	if want := []string{"conflict old kept", "new src/a.go", "new src/keep.o"}; !slices.Equal(changes, want) {
		t.Fatalf("%v, want %v", changes, want)
	}
	if _, err := tr.Apply(within(t), c); err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(maps.Keys(files(t, there)))
	if want := []string{"old", "out/", "out/c.o", "src/", "src/a.go", "src/b.o", "src/keep.o"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	o.Exclude = []string{"[a"}
	if _, err := tr.Compare(within(t), here, "/t", o); err == nil {
		t.Error("a broken pattern passes")
	}
}

func TestNothingIsDeletedAfterAScanWithAGap(t *testing.T) {
	for name, gap := range map[string]func(*hostile.Session, string) bool{
		"an unknown line": func(s *hostile.Session, _ string) bool {
			send(t, s, []byte("type=file;size=1;modify=20210304050607; a\r\nwhat is this\r\n"), 226)
			return true
		},
		"450": func(s *hostile.Session, _ string) bool { s.Reply(450, "busy"); return true },
		"426 at the end": func(s *hostile.Session, _ string) bool {
			send(t, s, []byte("type=file;size=1;modify=20210304050607; a\r\n"), 426)
			return true
		},
		"550 on one subfolder": func(s *hostile.Session, _ string) bool { s.Reply(550, "Permission denied"); return true },
		"a listing cut in its middle": func(s *hostile.Session, _ string) bool {
			s.Reply(150, "go")
			tc, raw, _, err := s.Data()
			if err != nil {
				t.Error(err)
				return true
			}
			// Whole lines came, so that nothing but the missing close_notify
			// tells; and the server says that all is well.
			tc.Write([]byte("type=file;size=1;modify=20210304050607; a\r\n"))
			raw.Close()
			s.Reply(226, "done")
			return true
		},
		"a line cut in its middle": func(s *hostile.Session, _ string) bool {
			send(t, s, []byte("type=file;size=1;modify=20210304050607; a\r\ntype=file;size=1;modify=202103040506"), 226)
			return true
		},
		"two entries of one name": func(s *hostile.Session, _ string) bool {
			send(t, s, []byte("type=file;size=1;modify=20210304050607; a\r\ntype=file;size=2;modify=20210304050607; a\r\n"), 226)
			return true
		},
		"a name that leads elsewhere": func(s *hostile.Session, _ string) bool {
			send(t, s, []byte("type=file;size=1;modify=20210304050607; a\r\ntype=file;size=1;modify=20210304050607; ../hidden\r\n"), 226)
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := hostile.Start(t, hostile.Options{Hooks: hooks{"MLSD": func(s *hostile.Session, arg string) bool {
				return strings.HasSuffix(arg, "/sub") && gap(s, arg)
			}}})
			s.Put("/t/sub/a", []byte("a"), longAgo)
			s.Put("/t/sub/hidden", []byte("h"), longAgo)
			s.Put("/t/b", []byte("b"), longAgo)
			here := t.TempDir()
			write(t, filepath.Join(here, "sub", "hidden"), []byte("h"), longAgo)
			write(t, filepath.Join(here, "really gone"), []byte("g"), longAgo)
			tr, told := transfer(t, s, nil)
			c, _ := compared(t, tr, "/t", here, mirror.MirrorOptions{Delete: true})
			if !c.Incomplete || len(c.Gaps) != 1 {
				t.Fatalf("%+v", c)
			}
			_, err := tr.Apply(within(t), c)
			if !errors.Is(err, mirror.ErrIncomplete) || ftpclient.Class(err) != ftpclient.SomeFailed {
				t.Errorf("%v", err)
			}
			got := files(t, here)
			if _, kept := got["sub/hidden"]; !kept || got["really gone"] != "g" || got["b"] != "b" {
				t.Errorf("%v", got)
			}
			if len(of[mirror.Deleted](told)) != 0 {
				t.Error("something was deleted")
			}
			// The control: without the gap the rest goes.
			c.Incomplete, c.Gaps = false, nil
			for i := range c.Changes {
				c.Changes[i].Kept = false
			}
			if r, err := tr.Apply(within(t), c); err != nil || r.Deleted == 0 {
				t.Errorf("the gap is not what guards: %+v, %v", r, err)
			}
		})
	}
}

// A server that has no port for one listing (425) has one a moment later.
// Whoever gives up at once reports a gap, and deletes nothing.
func TestAFolderForWhichTheServerHadNoPortIsListedAgain(t *testing.T) {
	for name, refuse := range map[string]func(s *hostile.Session){
		"425": func(s *hostile.Session) { s.Reply(425, "Address already in use") },
		"426": func(s *hostile.Session) {
			send(t, s, []byte("type=file;size=1;modify=20210304050607; a\r\n"), 426)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var times atomic.Int32
			s := hostile.Start(t, hostile.Options{Hooks: hooks{"MLSD": func(s *hostile.Session, arg string) bool {
				if !strings.HasSuffix(arg, "/sub") || times.Add(1) > 1 {
					return false
				}
				refuse(s)
				return true
			}}})
			s.Put("/t/sub/a", []byte("a"), longAgo)
			s.Put("/t/sub/b", []byte("b"), longAgo)
			here := t.TempDir()
			write(t, filepath.Join(here, "gone"), []byte("g"), longAgo)
			tr, _ := transfer(t, s, func(c *mirror.Config) { c.Retries = 1 })
			c, _ := compared(t, tr, "/t", here, mirror.MirrorOptions{Delete: true})
			if c.Incomplete || len(c.Gaps) != 0 {
				t.Fatalf("gaps: %v", c.Gaps)
			}
			if _, err := tr.Apply(within(t), c); err != nil {
				t.Fatal(err)
			}
			if got := files(t, here); got["sub/a"] != "a" || got["sub/b"] != "b" || got["gone"] != "" {
				t.Errorf("%v", got)
			}
		})
	}
}

// What a server without MLSD says in LIST counts as much.
func TestNothingIsDeletedAfterAnOldListingWithAGap(t *testing.T) {
	const whole = "-rw-r--r-- 1 0 0 1 Mar 04  2021 a\r\n"
	for name, gap := range map[string]func(s *hostile.Session){
		"an unknown line":        func(s *hostile.Session) { send(t, s, []byte(whole+"?? what is this\r\n"), 226) },
		"451 behind it":          func(s *hostile.Session) { send(t, s, []byte(whole), 451) },
		"550 on one subfolder":   func(s *hostile.Session) { s.Reply(550, "Failed to open") },
		"a line in its middle":   func(s *hostile.Session) { send(t, s, []byte(whole+"-rw-r--r-- 1 0 0 1 Mar"), 226) },
		"a name out of the tree": func(s *hostile.Session) { send(t, s, []byte(whole+strings.Replace(whole, " a", " ../hidden", 1)), 226) },
	} {
		t.Run(name, func(t *testing.T) {
			s := hostile.Start(t, hostile.Options{Features: []string{"SIZE", "MDTM", "REST STREAM", "EPSV"}, Hooks: hooks{
				"MLSD": func(s *hostile.Session, _ string) bool { s.Reply(500, "no"); return true },
				"MLST": func(s *hostile.Session, _ string) bool { s.Reply(500, "no"); return true },
				"LIST": func(s *hostile.Session, arg string) bool {
					if strings.HasSuffix(arg, "/sub") {
						gap(s)
						return true
					}
					return false
				},
			}})
			s.Put("/t/sub/a", []byte("a"), longAgo)
			s.Put("/t/sub/hidden", []byte("h"), longAgo)
			s.Put("/t/b", []byte("b"), longAgo)
			here := t.TempDir()
			write(t, filepath.Join(here, "sub", "hidden"), []byte("h"), longAgo)
			write(t, filepath.Join(here, "gone"), []byte("g"), longAgo)
			tr, told := transfer(t, s, nil)
			c, _ := compared(t, tr, "/t", here, mirror.MirrorOptions{Delete: true})
			if !c.Incomplete || len(c.Gaps) == 0 {
				t.Fatalf("%+v", c)
			}
			if _, err := tr.Apply(within(t), c); !errors.Is(err, mirror.ErrIncomplete) {
				t.Errorf("%v", err)
			}
			got := files(t, here)
			if got["sub/hidden"] != "h" || got["gone"] != "g" || len(of[mirror.Deleted](told)) != 0 {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestAListingOverTheLimitDeletesNothing(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"MLSD": func(s *hostile.Session, arg string) bool {
		if !strings.HasSuffix(arg, "/sub") {
			return false
		}
		s.Reply(150, "go")
		tc, raw, _, err := s.Data()
		if err != nil {
			t.Error(err)
			return true
		}
		for i := range 20_000 {
			if _, err := fmt.Fprintf(tc, "type=file;size=1;modify=20210304050607; %0200d\r\n", i); err != nil {
				break
			}
		}
		raw.Close()
		s.Reply(426, "cut")
		return true
	}}})
	s.Put("/t/sub/hidden", []byte("h"), longAgo)
	here := t.TempDir()
	write(t, filepath.Join(here, "sub", "hidden"), []byte("h"), longAgo)
	write(t, filepath.Join(here, "gone"), []byte("g"), longAgo)
	tr, told := transfer(t, s, func(c *mirror.Config) {
		c.Dial = dial(s, func(c *ftpclient.Config) { c.MaxListing = 1 << 20 })
	})
	c, err := tr.Compare(within(t), "/t", here, mirror.MirrorOptions{Delete: true})
	if err == nil {
		_, err = tr.Apply(within(t), c)
	}
	if err == nil || len(of[mirror.Deleted](told)) != 0 {
		t.Errorf("%v", err)
	}
	if got := files(t, here); got["sub/hidden"] != "h" || got["gone"] != "g" {
		t.Errorf("%v", got)
	}
}

// The control connection ends behind a listing that was whole: the folders
// that still waited for theirs were never seen.
func TestAScanThatLosesItsConnectionDeletesNothing(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"MLSD": func(s *hostile.Session, arg string) bool {
		if !strings.HasSuffix(arg, "/d3") {
			return false
		}
		s.Reply(421, "shutting down")
		s.Hangup()
		return true
	}}})
	here := t.TempDir()
	for i := range 8 {
		s.Put(fmt.Sprintf("/t/d%d/f", i), []byte("f"), longAgo)
		write(t, filepath.Join(here, fmt.Sprint("d", i), "f"), []byte("f"), longAgo)
	}
	write(t, filepath.Join(here, "gone"), []byte("g"), longAgo)
	tr, told := transfer(t, s, func(c *mirror.Config) { c.Jobs = 1 })
	c, err := tr.Compare(within(t), "/t", here, mirror.MirrorOptions{Delete: true})
	if err == nil {
		_, err = tr.Apply(within(t), c)
	}
	if err == nil || len(of[mirror.Deleted](told)) != 0 || len(files(t, here)) != 17 {
		t.Errorf("%v, %d names", err, len(files(t, here)))
	}
}

func TestMoreDeletionsThanAllowedAreNone(t *testing.T) {
	dial, home := ours(t, new(atomic.Int64), true)
	here := t.TempDir()
	write(t, filepath.Join(here, "new"), []byte("n"), longAgo)
	for i := range 3 {
		write(t, filepath.Join(home, "t", fmt.Sprint(i)), []byte("x"), longAgo)
	}
	tr := mirror.New(mirror.Config{Dial: dial, Jobs: 1, NoSync: true, Records: t.TempDir()})
	defer tr.Close()
	for limit, goes := range map[int]bool{2: false, 3: true} {
		c, _ := compared(t, tr, here, "/t", mirror.MirrorOptions{Upload: true, Delete: true, MaxDelete: limit})
		_, err := tr.Apply(within(t), c)
		var many *mirror.TooManyError
		if goes != (err == nil) || !goes && !errors.As(err, &many) {
			t.Errorf("%d allowed: %v", limit, err)
		}
		if got := files(t, filepath.Join(home, "t")); !goes && len(got) != 3 {
			t.Errorf("%v", got)
		}
		if goes {
			break
		}
	}
}

func TestSymlinksAreNeitherFollowedNorDeletedThrough(t *testing.T) {
	dial, home := ours(t, new(atomic.Int64), true)
	write(t, filepath.Join(home, "t", "a"), []byte("a"), longAgo)
	here, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "precious"), []byte("p"), longAgo)
	write(t, filepath.Join(here, "real", "x"), []byte("x"), longAgo)
	if err := os.Symlink(outside, filepath.Join(here, "link")); err != nil {
		t.Skip(err)
	}
	os.Symlink("../real", filepath.Join(here, "real", "loop"))
	tr := mirror.New(mirror.Config{Dial: dial, Jobs: 1, NoSync: true, Records: t.TempDir()})
	defer tr.Close()
	c, changes := compared(t, tr, "/t", here, mirror.MirrorOptions{Delete: true})
	if want := []string{"gone real/x", "new a"}; !slices.Equal(changes, want) {
		t.Fatalf("%v", changes)
	}
	// Between scan and deletion the folder becomes a link to elsewhere.
	write(t, filepath.Join(here, "other", "x"), []byte("not to be deleted"), longAgo)
	os.RemoveAll(filepath.Join(here, "real"))
	os.Symlink("other", filepath.Join(here, "real"))
	r, err := tr.Apply(within(t), c)
	if err == nil || r.Deleted != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if b, err := os.ReadFile(filepath.Join(here, "other", "x")); err != nil || len(b) == 0 {
		t.Error("deleted through a symlink")
	}
	if _, err := os.Stat(filepath.Join(outside, "precious")); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(here, "link")); err != nil {
		t.Error("the link is gone")
	}
}

func TestAFileInAFoldersPlaceIsToldAndLeft(t *testing.T) {
	dial, home := ours(t, new(atomic.Int64), true)
	here := t.TempDir()
	write(t, filepath.Join(here, "x", "a"), []byte("a"), longAgo)
	write(t, filepath.Join(here, "b"), []byte("b"), longAgo)
	write(t, filepath.Join(home, "t", "x"), []byte("a file"), longAgo)
	write(t, filepath.Join(home, "t", "gone"), []byte("g"), longAgo)
	tr := mirror.New(mirror.Config{Dial: dial, Jobs: 1, NoSync: true, Records: t.TempDir()})
	defer tr.Close()
	c, _ := compared(t, tr, here, "/t", mirror.MirrorOptions{Upload: true, Delete: true})
	_, err := tr.Apply(within(t), c)
	if !errors.Is(err, mirror.ErrConflict) || ftpclient.Class(err) != ftpclient.SomeFailed {
		t.Errorf("%v", err)
	}
	got := files(t, filepath.Join(home, "t"))
	if got["x"] != "a file" || got["b"] != "b" || got["gone"] != "g" {
		t.Errorf("%v", got)
	}
}

func TestAMissingSourceIsNoEmptyOne(t *testing.T) {
	dial, home := ours(t, new(atomic.Int64), true)
	write(t, filepath.Join(home, "t", "a"), []byte("a"), longAgo)
	here := t.TempDir()
	write(t, filepath.Join(here, "a"), []byte("a"), longAgo)
	tr := mirror.New(mirror.Config{Dial: dial, Jobs: 1, NoSync: true, Records: t.TempDir()})
	defer tr.Close()
	for _, up := range []bool{true, false} {
		source, target := "/missing", here
		if up {
			source, target = filepath.Join(here, "missing"), "/t"
		}
		if _, err := tr.Compare(within(t), source, target, mirror.MirrorOptions{Upload: up, Delete: true}); ftpclient.Class(err) != ftpclient.NotFound {
			t.Errorf("upload=%v: %v", up, err)
		}
	}
}

func TestAWideTreeIsScannedOverSeveralConnections(t *testing.T) {
	dial, home := ours(t, new(atomic.Int64), true)
	for i := range 200 {
		write(t, filepath.Join(home, "t", fmt.Sprint(i), "f"), []byte("f"), longAgo)
	}
	var lines atomic.Int32
	tr := mirror.New(mirror.Config{Jobs: 3, NoSync: true, Records: t.TempDir(),
		Dial: func(ctx context.Context) (*ftpclient.Conn, error) { lines.Add(1); return dial(ctx) }})
	defer tr.Close()
	c, _ := compared(t, tr, "/t", t.TempDir(), mirror.MirrorOptions{})
	if c.Count(mirror.IsNew) != 400 || len(c.Gaps) != 0 {
		t.Errorf("%d new, gaps %v", c.Count(mirror.IsNew), c.Gaps)
	}
	if n := lines.Load(); n < 2 || n > 3 {
		t.Errorf("%d connections", n)
	}
}

func TestAWideTreeToGetIsScannedOverSeveralConnectionsToo(t *testing.T) {
	dial, home := ours(t, new(atomic.Int64), true)
	for i := range 200 {
		write(t, filepath.Join(home, "t", fmt.Sprint(i), "f"), []byte("f"), longAgo)
	}
	var lines atomic.Int32
	tr := mirror.New(mirror.Config{Jobs: 3, NoSync: true, Records: t.TempDir(),
		Dial: func(ctx context.Context) (*ftpclient.Conn, error) { lines.Add(1); return dial(ctx) }})
	defer tr.Close()
	p, err := tr.PlanGet(within(t), "/t", t.TempDir(), mirror.Options{Recursive: true})
	if err != nil || len(p.Files) != 200 || len(p.Folders) != 201 || len(p.Gaps) != 0 {
		t.Fatalf("%v", err)
	}
	if n := lines.Load(); n < 2 || n > 3 {
		t.Errorf("%d connections", n)
	}
}

// LIST has a mere date for what is half a year old. The time that came with
// such a file, by MDTM, is not taken for another one at each mirror.
func TestAnOldFileOfAServerWithoutMLSDIsMirroredOnce(t *testing.T) {
	for _, up := range []bool{false, true} {
		t.Run(fmt.Sprintf("upload=%v", up), func(t *testing.T) {
			changed := longAgo // 05:06:07 of that day
			s := hostile.Start(t, hostile.Options{Features: []string{"SIZE", "MDTM", "REST STREAM", "EPSV"}, Hooks: hooks{
				"MLSD": func(s *hostile.Session, _ string) bool { s.Reply(500, "no"); return true },
				"MLST": func(s *hostile.Session, _ string) bool { s.Reply(500, "no"); return true },
				"LIST": func(ss *hostile.Session, arg string) bool {
					line := "drwxr-xr-x 1 0 0 1 Mar 04  2021 t\r\n"
					if strings.HasSuffix(arg, "/t") {
						line = fmt.Sprintf("-rw-r--r-- 1 0 0 3 %s f\r\n", changed.Format("Jan _2  2006"))
					}
					send(t, ss, []byte("drwxr-xr-x 1 0 0 1 Mar 04  2021 .\r\n"+line), 226)
					return true
				},
			}})
			s.Put("/t/f", []byte("old"), longAgo)
			here := t.TempDir()
			write(t, filepath.Join(here, "f"), []byte("old"), longAgo)
			tr, _ := transfer(t, s, nil)
			source, target := "/t", here
			if up {
				source, target = here, "/t"
			}
			if c, found := compared(t, tr, source, target, mirror.MirrorOptions{Upload: up}); len(found) != 0 || c.Same != 1 {
				t.Errorf("%v", found)
			}
			// The control: of another day it is another file.
			newer := longAgo.Add(48 * time.Hour)
			if up {
				write(t, filepath.Join(here, "f"), []byte("old"), newer)
			} else {
				changed = newer
			}
			if _, found := compared(t, tr, source, target, mirror.MirrorOptions{Upload: up}); len(found) != 1 {
				t.Errorf("changed: %v", found)
			}
		})
	}
}
