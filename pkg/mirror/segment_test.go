package mirror_test

import (
	"bytes"
	"context"
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

const bigSize = 17<<20 + 123

func TestOneBigFileComesOverSeveralConnections(t *testing.T) {
	dial, home := ours(t, new(atomic.Int64), true)
	want := content(bigSize)
	write(t, filepath.Join(home, "f"), want, longAgo)
	var lines atomic.Int32
	told := &events{}
	tr := mirror.New(mirror.Config{Jobs: 4, NoSync: true, Records: t.TempDir(), Progress: told.add,
		Dial: func(ctx context.Context) (*ftpclient.Conn, error) { lines.Add(1); return dial(ctx) }})
	defer tr.Close()
	dir := t.TempDir()
	r, err := tr.Get(within(t), "/f", dir, mirror.Options{Segments: 4})
	if err != nil || r.Bytes != bigSize {
		t.Fatalf("%v %+v", err, r)
	}
	if got := files(t, dir); len(got) != 1 || got["f"] != string(want) {
		t.Errorf("%d files, or another content", len(got))
	}
	// A segment that is done lends its connection to one that has not begun.
	if n := lines.Load(); n < 2 || n > 4 {
		t.Errorf("%d connections", n)
	}
	if d := of[mirror.Done](told); len(d) != 1 || d[0].Verified != mirror.ByHash {
		t.Errorf("%+v", d)
	}
}

func TestSegmentsByRESTAlone(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Features: without("HASH"), RequireReuse: true})
	want := content(bigSize)
	s.Put("/f", want, longAgo)
	tr, told := transfer(t, s, nil)
	dir := t.TempDir()
	if _, err := tr.Get(within(t), "/f", dir, mirror.Options{Segments: 3}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "f")); !bytes.Equal(got, want) {
		t.Error("the content differs")
	}
	if d := of[mirror.Done](told); len(d) != 1 || d[0].Verified != mirror.BySize {
		t.Errorf("%+v", d)
	}
}

func TestAServerThatForgetsTheOffsetIsFoundOutAtTheSeams(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Features: without("HASH"), Hooks: hooks{"REST": func(s *hostile.Session, _ string) bool {
		s.Reply(350, "whatever you say")
		return true
	}}})
	s.Put("/f", content(bigSize), longAgo)
	tr, _ := transfer(t, s, nil)
	dir := t.TempDir()
	if _, err := tr.Get(within(t), "/f", dir, mirror.Options{Segments: 3}); ftpclient.Class(err) != ftpclient.Damaged {
		t.Errorf("%v", err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("left %d files", len(left))
	}
}

func TestSegmentsGoOnWhereTheyStopped(t *testing.T) {
	for name, v := range map[string]struct {
		change   bool // of the file in between
		segments int
		whole    bool // begun again
	}{
		"over several":              {segments: 4},
		"over one":                  {segments: 1},
		"changed, over several":     {segments: 4, change: true, whole: true},
		"changed, and over one now": {segments: 1, change: true, whole: true},
	} {
		t.Run(name, func(t *testing.T) {
			budget := new(atomic.Int64)
			dial, home := ours(t, budget, true)
			want := content(bigSize)
			write(t, filepath.Join(home, "f"), want, longAgo)
			told := &events{}
			tr := mirror.New(mirror.Config{Dial: dial, Jobs: 4, NoSync: true, Records: t.TempDir(), Progress: told.add})
			defer tr.Close()
			local := filepath.Join(t.TempDir(), "f")
			budget.Store(9 << 20)
			if _, err := tr.Get(within(t), "/f", local, mirror.Options{Segments: 4}); err == nil {
				t.Fatal("it was not cut")
			}
			budget.Store(0)
			info, err := os.ReadFile(local + ".part-info")
			if err != nil || !strings.Contains(string(info), `"segments":"0-`) {
				t.Fatalf("the record: %s, %v", info, err)
			}
			if v.change {
				want = content(bigSize + 1)[:bigSize]
				write(t, filepath.Join(home, "f"), want, longAgo.Add(time.Hour))
			}
			r, err := tr.Get(within(t), "/f", local, mirror.Options{Segments: v.segments, Resume: true})
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(local); !bytes.Equal(got, want) {
				t.Error("spliced")
			}
			// Over one connection only the beginning counts, and of that
			// nothing may have come yet.
			begun := v.segments > 1 || !strings.Contains(string(info), `:0,`)
			if begun && v.whole != (r.Bytes == bigSize) {
				t.Errorf("%d bytes moved", r.Bytes)
			}
			if v.whole != (len(of[mirror.Restarted](told)) == 1) {
				t.Errorf("told %v", of[mirror.Restarted](told))
			}
		})
	}
}

func TestAChangeOfTheSameSizeAndTimeIsSeenBySegmentsToo(t *testing.T) {
	budget := new(atomic.Int64)
	dial, home := ours(t, budget, true)
	write(t, filepath.Join(home, "f"), content(bigSize), longAgo)
	told := &events{}
	tr := mirror.New(mirror.Config{Dial: dial, Jobs: 4, NoSync: true, Records: t.TempDir(), Progress: told.add})
	defer tr.Close()
	local := filepath.Join(t.TempDir(), "f")
	budget.Store(9 << 20)
	if _, err := tr.Get(within(t), "/f", local, mirror.Options{Segments: 4}); err == nil {
		t.Fatal("it was not cut")
	}
	budget.Store(0)
	other := content(bigSize + 1)[:bigSize]
	write(t, filepath.Join(home, "f"), other, longAgo)
	if _, err := tr.Get(within(t), "/f", local, mirror.Options{Segments: 4, Resume: true}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(local); !bytes.Equal(got, other) {
		t.Error("spliced")
	}
	if again := of[mirror.Restarted](told); len(again) != 1 || again[0].Reason != mirror.ErrOverlap {
		t.Errorf("told %v", again)
	}
}

func TestFewerConnectionsThanSegmentsWillDo(t *testing.T) {
	s := hostile.Start(t, hostile.Options{MaxSessions: 2})
	want := content(bigSize)
	s.Put("/f", want, longAgo)
	tr, _ := transfer(t, s, nil)
	dir := t.TempDir()
	if r, err := tr.Get(within(t), "/f", dir, mirror.Options{Segments: 4}); err != nil || r.Limit != 2 {
		t.Fatalf("%v %+v", err, r)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "f")); !bytes.Equal(got, want) {
		t.Error("the content differs")
	}
}

// Each segment was held against the 4 KiB before its own end, and a file that
// had changed elsewhere was put together from two.
func TestSegmentsFromAServerWithoutAHashAreComparedWhole(t *testing.T) {
	for name, change := range map[string]bool{"as it was": false, "changed": true} {
		t.Run(name, func(t *testing.T) {
			var cut atomic.Bool
			cut.Store(true)
			s := hostile.Start(t, hostile.Options{Features: without("HASH"), Hooks: hooks{"RETR": func(c *hostile.Session, _ string) bool {
				if !cut.Load() || c.Offset() > 0 {
					return false
				}
				c.Reply(150, "go")
				tc, raw, _, err := c.Data()
				if err != nil {
					t.Error(err)
					return true
				}
				tc.Write(content(bigSize)[:3<<20])
				raw.Close()
				c.Reply(426, "cut")
				return true
			}}})
			want := content(bigSize)
			s.Put("/f", want, longAgo)
			tr, told := transfer(t, s, nil)
			local := filepath.Join(t.TempDir(), "f")
			if _, err := tr.Get(within(t), "/f", local, mirror.Options{Segments: 3}); err == nil {
				t.Fatal("it was not cut")
			}
			cut.Store(false)
			if change {
				want = content(bigSize)
				want[1<<20] ^= 1
				s.Put("/f", want, longAgo)
			}
			if _, err := tr.Get(within(t), "/f", local, mirror.Options{Segments: 3, Resume: true}); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(local); !bytes.Equal(got, want) {
				t.Error("spliced")
			}
			if c := of[mirror.Comparing](told); len(c) != 1 || (len(of[mirror.Restarted](told)) == 1) != change {
				t.Errorf("told %+v, %+v", c, of[mirror.Restarted](told))
			}
		})
	}
}
