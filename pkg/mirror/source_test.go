package mirror_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"ftps/pkg/ftptest/hostile"
	"ftps/pkg/mirror"
)

// A file that somebody writes to while it is sent is two files: what the
// server has of it gets no name, and the run says so.
func TestASourceThatChangesWhileItIsSentGetsNoName(t *testing.T) {
	for name, change := range map[string]func(local string) error{
		"it grows":   func(local string) error { return appendTo(local, "and more") },
		"it shrinks": func(local string) error { return os.Truncate(local, length/2) },
		"a byte of it is another": func(local string) error {
			return os.WriteFile(local, flipped(length-1), 0o666)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dial, home := ours(t, new(atomic.Int64), false)
			local := filepath.Join(t.TempDir(), "f")
			write(t, local, content(length), longAgo)
			write(t, filepath.Join(home, "f"), []byte("the old one"), longAgo)
			var failed error
			var once atomic.Bool
			tr := mirror.New(mirror.Config{Dial: dial, Jobs: 1, NoSync: true, Records: t.TempDir(), Progress: func(e mirror.Event) {
				if _, begun := e.(mirror.Started); begun && once.CompareAndSwap(false, true) {
					failed = change(local)
				}
			}})
			defer tr.Close()
			_, err := tr.Put(within(t), local, "/f", mirror.Options{})
			if failed != nil || !once.Load() {
				t.Fatalf("the change: %v", failed)
			}
			if !errors.Is(err, mirror.ErrChanged) {
				t.Errorf("Put: %v", err)
			}
			if got, _ := os.ReadFile(filepath.Join(home, "f")); string(got) != "the old one" {
				t.Errorf("%d bytes took the name", len(got))
			}
			// And it is sent as it is now by the next run, with what the first
			// left behind or without.
			want, _ := os.ReadFile(local)
			if _, err := tr.Put(within(t), local, "/f", mirror.Options{Resume: true}); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(filepath.Join(home, "f")); !bytes.Equal(got, want) {
				t.Error("spliced")
			}
		})
	}
}

func appendTo(local, more string) error {
	f, err := os.OpenFile(local, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(more)
	return errors.Join(err, f.Close())
}

// Between the plan and its turn a small file may go, or become a large one,
// or something else: the other files of its batch arrive all the same, and
// what can still be sent is.
func TestASmallFileThatChangesBeforeItsTurnTakesNoOtherWithIt(t *testing.T) {
	const files = 40
	for name, v := range map[string]struct {
		change func(t *testing.T, local string)
		arrive bool // the changed one too, as it is now
	}{
		"it is removed": {func(t *testing.T, local string) { os.Remove(local) }, false},
		"it is a folder": {func(t *testing.T, local string) {
			os.Remove(local)
			os.Mkdir(local, 0o777)
		}, false},
		"it is longer":     {func(t *testing.T, local string) { write(t, local, content(5000), longAgo) }, true},
		"it is long":       {func(t *testing.T, local string) { write(t, local, content(1<<20), longAgo) }, true},
		"it is shorter":    {func(t *testing.T, local string) { write(t, local, content(7), longAgo) }, true},
		"it is all empty":  {func(t *testing.T, local string) { write(t, local, nil, longAgo) }, true},
		"it has a new day": {func(t *testing.T, local string) { write(t, local, content(3010), time.Now()) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			dial, home := ours(t, new(atomic.Int64), false)
			from := t.TempDir()
			for i := range files {
				write(t, filepath.Join(from, fmt.Sprintf("%02d", i)), content(3000+i), longAgo)
			}
			victim := filepath.Join(from, "10")
			var once atomic.Bool
			tr := mirror.New(mirror.Config{Dial: dial, Jobs: 1, NoSync: true, Records: t.TempDir(), Progress: func(e mirror.Event) {
				if _, planned := e.(mirror.Planned); planned && once.CompareAndSwap(false, true) {
					v.change(t, victim)
				}
			}})
			defer tr.Close()
			r, err := tr.Put(within(t), from+"/.", "/up", mirror.Options{Recursive: true})
			if !once.Load() {
				t.Fatal("no plan was told")
			}
			if v.arrive != (err == nil) || !v.arrive && (len(r.Failed) != 1 || r.Failed[0].Name != "/up/10") {
				t.Errorf("%v, failed: %v", err, r.Failed)
			}
			for i := range files {
				name := fmt.Sprintf("%02d", i)
				want, wantErr := os.ReadFile(filepath.Join(from, name))
				got, gotErr := os.ReadFile(filepath.Join(home, "up", name))
				if (wantErr == nil) != (gotErr == nil) || !bytes.Equal(got, want) {
					t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(want), gotErr)
				}
			}
		})
	}
}

// What came over several connections was one file only if it was the same
// before and after.
func TestAFileThatChangesUnderItsSegmentsIsNone(t *testing.T) {
	dial, home := ours(t, new(atomic.Int64), true)
	there := filepath.Join(home, "f")
	write(t, there, content(bigSize), longAgo)
	var once atomic.Bool
	tr := mirror.New(mirror.Config{Dial: dial, Jobs: 3, NoSync: true, Records: t.TempDir(), Progress: func(e mirror.Event) {
		if _, moved := e.(mirror.Moved); moved && once.CompareAndSwap(false, true) {
			os.Chtimes(there, longAgo.Add(time.Hour), longAgo.Add(time.Hour))
		}
	}})
	defer tr.Close()
	local := filepath.Join(t.TempDir(), "f")
	if _, err := tr.Get(within(t), "/f", local, mirror.Options{Segments: 3}); !errors.Is(err, mirror.ErrChanged) {
		t.Errorf("Get: %v", err)
	}
	if _, err := os.Stat(local); err == nil {
		t.Error("it took the name")
	}
	if part, err := os.Stat(local + ".part"); err == nil && part.Size() > 0 {
		t.Errorf("%d bytes of the part are left to build upon", part.Size())
	}
	if _, err := tr.Get(within(t), "/f", local, mirror.Options{Segments: 3, Resume: true}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(local); !bytes.Equal(got, content(bigSize)) {
		t.Error("the second try differs")
	}
}

// 426 may come for a file that is whole, where the server did not like how its
// connection ended: the server is asked what it has.
func TestAnUploadThatTheServerDoubtsIsLookedAt(t *testing.T) {
	for name, v := range map[string]struct {
		keeps    int // bytes, of 1000
		features []string
		verified mirror.Verified // 0: it failed
	}{
		"stored, and a hash":      {1000, hostile.DefaultFeatures, mirror.ByHash},
		"stored, and no hash":     {1000, without("HASH"), mirror.Unclean},
		"short by a byte":         {999, hostile.DefaultFeatures, 0},
		"short, and no hash":      {999, without("HASH"), 0},
		"nothing, and never will": {-1, hostile.DefaultFeatures, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var s *hostile.Server
			s = hostile.Start(t, hostile.Options{Features: v.features, Hooks: hooks{"STOR": func(c *hostile.Session, arg string) bool {
				c.Reply(150, "go")
				tc, raw, _, err := c.Data()
				if err != nil {
					t.Error(err)
					return true
				}
				var b bytes.Buffer
				b.ReadFrom(tc)
				if v.keeps >= 0 {
					s.Put("/"+filepath.Base(arg), b.Bytes()[:v.keeps], time.Now())
				}
				tc.CloseWrite()
				raw.Close()
				c.Reply(426, "the end was not seen")
				return true
			}}})
			local := filepath.Join(t.TempDir(), "f")
			write(t, local, content(1000), longAgo)
			tr, told := transfer(t, s, nil)
			_, err := tr.Put(within(t), local, "/f", mirror.Options{})
			done := of[mirror.Done](told)
			_, named := s.File("/f")
			switch {
			case v.verified == 0 && (err == nil || named || len(done) != 0):
				t.Errorf("taken for whole: %v, named %v", err, named)
			case v.verified != 0 && (err != nil || !named || len(done) != 1 || done[0].Verified != v.verified):
				t.Errorf("%v, named %v, %+v", err, named, done)
			}
		})
	}
}
