package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"ftps/pkg/ftpclient"
	"ftps/pkg/mirror"
	"ftps/pkg/vfs/memfs"
)

func TestATreeOfSmallFilesNeedsFewConnections(t *testing.T) {
	dial := over(t, memfs.New())
	from := t.TempDir()
	for i := range 300 {
		write(t, filepath.Join(from, fmt.Sprint(i%3), fmt.Sprintf("%d ñ", i)), content(i*20), longAgo)
	}
	told := &events{}
	var lines atomic.Int32
	tr := mirror.New(mirror.Config{Jobs: 2, NoSync: true, Records: t.TempDir(), Progress: told.add,
		Dial: func(ctx context.Context) (*ftpclient.Conn, error) { lines.Add(1); return dial(ctx) }})
	defer tr.Close()
	if r, err := tr.Put(within(t), from, "/up", mirror.Options{Recursive: true}); err != nil || r.Files != 300 {
		t.Fatalf("Put: %v %+v", err, r)
	}
	to := filepath.Join(t.TempDir(), "down")
	if r, err := tr.Get(within(t), "/up", to, mirror.Options{Recursive: true}); err != nil || r.Files != 300 {
		t.Fatalf("Get: %v %+v", err, r)
	}
	if got, want := files(t, to), files(t, from); !maps.Equal(got, want) {
		t.Errorf("%d names came back, want %d, or their content differs", len(got), len(want))
	}
	done := of[mirror.Done](told)
	for _, d := range done {
		if d.Verified != mirror.ByHash || len(d.SHA256) == 0 {
			t.Errorf("%s: %v", d.Item.Remote, d.Verified)
		}
	}
	if len(done) != 600 {
		t.Errorf("%d told as done", len(done))
	}
	info, err := os.Stat(filepath.Join(to, "0", "0 ñ"))
	if err != nil || !info.ModTime().Equal(longAgo) {
		t.Errorf("%v, %v", info, err)
	}
	if lines.Load() > 2 {
		t.Errorf("%d control connections", lines.Load())
	}
	// With -c there is nothing to do.
	if r, err := tr.Get(within(t), "/up", filepath.Dir(to), mirror.Options{Recursive: true, Resume: true}); err != nil || r.Files != 300 {
		t.Errorf("%v %+v", err, r)
	}
}

// tree of files of which some cannot be moved.
func TestInABatchOnlyWhatFailsHasFailed(t *testing.T) {
	dial := over(t, memfs.New())
	c, err := dial(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	from := t.TempDir()
	for i := range 60 {
		write(t, filepath.Join(from, fmt.Sprintf("%02d", i)), content(100+i), longAgo)
	}
	// Where a file is to go there is a folder.
	for _, name := range []string{"/up", "/up/10", "/up/59"} {
		if err := c.Mkdir(within(t), name); err != nil {
			t.Fatal(err)
		}
	}
	tr := mirror.New(mirror.Config{Dial: dial, Jobs: 1, NoSync: true, Records: t.TempDir()})
	defer tr.Close()
	var some *mirror.PartialError
	r, err := tr.Put(within(t), from+"/.", "/up", mirror.Options{Recursive: true})
	if !errors.As(err, &some) || len(r.Failed) != 2 || r.Files != 58 {
		t.Fatalf("%v, %d done, failed: %v", err, r.Files, r.Failed)
	}
	// And down: a folder of ours is in the way of one.
	to := t.TempDir()
	os.MkdirAll(filepath.Join(to, "30", "x"), 0o777)
	r, err = tr.Get(within(t), "/up/.", to, mirror.Options{Recursive: true})
	if !errors.As(err, &some) || len(r.Failed) != 1 || r.Files != 57 {
		t.Fatalf("%v, %d done, failed: %v", err, r.Files, r.Failed)
	}
	got := files(t, to)
	for i := range 60 {
		name := fmt.Sprintf("%02d", i)
		if i != 10 && i != 30 && i != 59 && got[name] != string(content(100+i)) {
			t.Errorf("%s differs", name)
		}
	}
	for name := range got {
		if strings.Contains(name, ".part") {
			t.Errorf("left behind: %s", name)
		}
	}
}

func TestABatchCutAnywhereIsFinishedByTheRetries(t *testing.T) {
	from := t.TempDir()
	for i := range 40 {
		write(t, filepath.Join(from, fmt.Sprintf("%02d", i)), content(3000+i), longAgo)
	}
	want := files(t, from)
	for _, in := range []bool{true, false} {
		for _, at := range []int64{2_000, 30_000, 60_000, 110_000} {
			t.Run(fmt.Sprintf("%d/download=%v", at, in), func(t *testing.T) {
				budget := new(atomic.Int64)
				dial, home := ours(t, budget, in)
				tr := mirror.New(mirror.Config{Dial: dial, Jobs: 1, NoSync: true, Records: t.TempDir()})
				defer tr.Close()
				target := filepath.Join(home, "up")
				if in {
					write(t, filepath.Join(home, "up", ".x"), nil, longAgo)
					os.Remove(filepath.Join(home, "up", ".x"))
					for name, b := range want {
						write(t, filepath.Join(target, name), []byte(b), longAgo)
					}
					target = filepath.Join(t.TempDir(), "down")
				}
				budget.Store(at)
				for try := 0; ; try++ {
					var err error
					if in {
						// The folder exists at the second try.
						os.Mkdir(target, 0o777)
						_, err = tr.Get(within(t), "/up/.", target, mirror.Options{Recursive: true})
					} else {
						_, err = tr.Put(within(t), from+"/.", "/up", mirror.Options{Recursive: true})
					}
					for name, b := range files(t, target) {
						if !strings.Contains(name, ".part") && b != want[name] {
							t.Fatalf("%s: %d bytes that are not the file's", name, len(b))
						}
					}
					if err == nil {
						break
					}
					if try == 3 {
						t.Fatalf("does not come to an end: %v", err)
					}
					budget.Store(0)
				}
				got := files(t, target)
				maps.DeleteFunc(got, func(name, _ string) bool { return strings.Contains(name, ".part") })
				if !maps.Equal(got, want) {
					t.Errorf("%d files, want %d", len(got), len(want))
				}
			})
		}
	}
}

func TestAFileChangedInItsMiddleIsSeenByTheHashOfItsBeginning(t *testing.T) {
	dial, home := ours(t, new(atomic.Int64), true)
	want := content(length)
	write(t, filepath.Join(home, "f"), want, longAgo)
	local := filepath.Join(t.TempDir(), "f")
	ctx, cancel := context.WithCancel(within(t))
	told := &events{}
	cfg := mirror.Config{Dial: dial, Jobs: 1, NoSync: true, Records: t.TempDir()}
	cfg.Progress = func(e mirror.Event) {
		if _, ok := e.(mirror.Moved); ok {
			cancel()
		}
	}
	tr := mirror.New(cfg)
	_, err := tr.Get(ctx, "/f", local, mirror.Options{})
	tr.Close()
	if err == nil {
		t.Skip("it was too fast to be stopped")
	}
	part, _ := os.ReadFile(local + ".part")
	if len(part) == 0 {
		t.Skip("nothing of it came")
	}
	// Not within the overlap that is fetched again.
	changed := append([]byte(nil), want...)
	changed[10] ^= 1
	write(t, filepath.Join(home, "f"), changed, longAgo)
	cfg.Progress = told.add
	tr = mirror.New(cfg)
	defer tr.Close()
	if _, err := tr.Get(within(t), "/f", local, mirror.Options{Resume: true}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(local); string(got) != string(changed) {
		t.Error("spliced")
	}
	if again := of[mirror.Restarted](told); len(again) != 1 || again[0].Reason != mirror.ErrOverlap {
		t.Errorf("told %v", again)
	}
}

func TestTheCallersOwnConnectionIsLeftAsItWas(t *testing.T) {
	var mode string
	dial := over(t, memfs.New(), func(cfg *ftpclient.Config) {
		cfg.Trace = func(sent bool, line string) {
			if sent && strings.HasPrefix(line, "MODE ") {
				mode += line[5:]
			}
		}
	})
	c, err := dial(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	from := t.TempDir()
	for i := range 5 {
		write(t, filepath.Join(from, fmt.Sprint(i)), []byte("x"), longAgo)
	}
	tr := mirror.New(mirror.Config{Conn: c, NoSync: true, Records: t.TempDir()})
	if _, err := tr.Put(within(t), from, "/t", mirror.Options{Recursive: true}); err != nil {
		t.Fatal(err)
	}
	if mode != "B" {
		t.Errorf("during the transfer: %q", mode)
	}
	tr.Close()
	if mode != "BS" || !c.Usable() {
		t.Errorf("after it: %q", mode)
	}
}
