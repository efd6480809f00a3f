package mirror_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
	"ftps/pkg/mirror"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/memfs"
)

func TestASmallFileAloneComesWithoutARecord(t *testing.T) {
	dial := over(t, memfs.New())
	from := t.TempDir()
	for i, n := range []int{0, 1, 4096, 256<<10 - 1, 256 << 10} {
		write(t, filepath.Join(from, fmt.Sprint(i)), content(n), longAgo)
	}
	told := &events{}
	tr := mirror.New(mirror.Config{Dial: dial, Jobs: 2, Records: t.TempDir(), Progress: told.add})
	defer tr.Close()
	if _, err := tr.Put(within(t), from, "/up", mirror.Options{Recursive: true}); err != nil {
		t.Fatal(err)
	}
	tr.WithoutPipeline()
	to := filepath.Join(t.TempDir(), "down")
	if r, err := tr.Get(within(t), "/up", to, mirror.Options{Recursive: true}); err != nil || r.Files != 5 {
		t.Fatalf("Get: %v %+v", err, r)
	}
	if got, want := files(t, to), files(t, from); !maps.Equal(got, want) {
		t.Errorf("%d names came, want %d, or their content differs", len(got), len(want))
	}
	for _, d := range of[mirror.Done](told) {
		if d.Verified != mirror.ByHash || d.Moved != d.Bytes {
			t.Errorf("%+v", d)
		}
	}
	info, err := os.Stat(filepath.Join(to, "2"))
	if err != nil || !info.ModTime().Equal(longAgo) {
		t.Errorf("%v, %v", info, err)
	}
}

// A small file that breaks off leaves nothing behind, and is not whole.
func TestASmallFileThatBreaksOffLeavesNothing(t *testing.T) {
	budget := new(atomic.Int64)
	dial, home := ours(t, budget, true)
	write(t, filepath.Join(home, "f"), content(100<<10), longAgo)
	budget.Store(50 << 10)
	tr := mirror.New(mirror.Config{Dial: dial, Records: t.TempDir()})
	defer tr.Close()
	to := t.TempDir()
	if r, err := tr.Get(within(t), "/f", to, mirror.Options{}); err == nil {
		t.Errorf("taken for whole: %+v", r)
	}
	if got := files(t, to); len(got) != 0 {
		t.Errorf("it left %v", got)
	}
	budget.Store(1 << 30)
	if r, err := tr.Get(within(t), "/f", to, mirror.Options{}); err != nil || r.Bytes != 100<<10 {
		t.Errorf("%v %+v", err, r)
	}
}

// Where something has the name under which it would be written, that is left
// alone.
func TestASmallFileLeavesSomebodysPartAlone(t *testing.T) {
	dial, home := ours(t, new(atomic.Int64), true)
	write(t, filepath.Join(home, "f"), content(5000), longAgo)
	to := t.TempDir()
	write(t, filepath.Join(to, "f.part"), []byte("mine"), longAgo)
	tr := mirror.New(mirror.Config{Dial: dial, Records: t.TempDir()})
	defer tr.Close()
	if r, err := tr.Get(within(t), "/f", to, mirror.Options{}); err != nil || r.Files != 1 {
		t.Fatalf("%v %+v", err, r)
	}
	got := files(t, to)
	if len(got) != 2 {
		t.Errorf("%d names", len(got))
	}
	if b, err := os.ReadFile(filepath.Join(to, "f.part")); string(b) != "mine" {
		t.Errorf("f.part is %q, %v", b, err)
	}
}

// A client that was killed while it put a small file in its place left a part
// without a record there, for ever.
func TestThePartThatAKilledClientLeftOfASmallFileGoesWithTheNextRun(t *testing.T) {
	file := content(5000)
	for name, left := range map[string][]byte{"nothing yet": {}, "a half": file[:2500], "all": file} {
		for _, resume := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, resumed %v", name, resume), func(t *testing.T) {
				dial, home := ours(t, new(atomic.Int64), true)
				write(t, filepath.Join(home, "f"), file, longAgo)
				to := t.TempDir()
				write(t, filepath.Join(to, "f.part"), left, longAgo)
				tr := mirror.New(mirror.Config{Dial: dial, Records: t.TempDir()})
				defer tr.Close()
				if _, err := tr.Get(within(t), "/f", to, mirror.Options{Resume: resume}); err != nil {
					t.Fatal(err)
				}
				if got := files(t, to); len(got) != 1 || got["f"] != string(file) {
					t.Errorf("there are %v", slices.Collect(maps.Keys(got)))
				}
			})
		}
	}
}

// A file of the tree itself may be called like that, and begin like that.
func TestAFileOfTheTreeIsNoPartThatWasLeft(t *testing.T) {
	dial, home := ours(t, new(atomic.Int64), true)
	file := content(5000)
	write(t, filepath.Join(home, "d", "f"), file, longAgo)
	write(t, filepath.Join(home, "d", "f.part"), file[:2500], longAgo)
	tr := mirror.New(mirror.Config{Dial: dial, Records: t.TempDir()})
	defer tr.Close()
	to := t.TempDir()
	for range 2 {
		if _, err := tr.Get(within(t), "/d", to, mirror.Options{Recursive: true}); err != nil {
			t.Fatal(err)
		}
		if got := files(t, to); len(got) != 3 {
			t.Errorf("there are %v", slices.Collect(maps.Keys(got)))
		}
	}
}

// Many small files are over before a second login is: nobody holds any back
// for it, or waits for it in the end.
func TestNoWorkWaitsForAConnectionThatIsNotThere(t *testing.T) {
	dial := over(t, memfs.New())
	from := t.TempDir()
	for i := range 300 {
		write(t, filepath.Join(from, fmt.Sprint(i)), content(i), longAgo)
	}
	c, err := dial(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	tr := mirror.New(mirror.Config{Conn: c, Jobs: 3, NoSync: true, Records: t.TempDir(),
		Dial: func(ctx context.Context) (*ftpclient.Conn, error) {
			<-ctx.Done() // a server that takes its time
			return nil, &ftpclient.ConnectError{Address: "far away", Err: net.ErrClosed}
		}})
	defer tr.Close()
	if r, err := tr.Put(within(t), from, "/up", mirror.Options{Recursive: true}); err != nil || r.Files != 300 {
		t.Fatalf("Put: %v %+v", err, r)
	}
	to := filepath.Join(t.TempDir(), "down")
	if r, err := tr.Get(within(t), "/up", to, mirror.Options{Recursive: true}); err != nil || r.Files != 300 {
		t.Fatalf("Get: %v %+v", err, r)
	}
	if got, want := files(t, to), files(t, from); !maps.Equal(got, want) {
		t.Error("not the same")
	}
}

func TestWhoWantsSizeForProofGetsNoHash(t *testing.T) {
	for verify, hashed := range map[mirror.Verify]bool{mirror.VerifyAuto: true, mirror.VerifySize: false, mirror.VerifyNone: false} {
		dial := over(t, memfs.New())
		from, to := filepath.Join(t.TempDir(), "f"), filepath.Join(t.TempDir(), "f")
		write(t, from, content(300<<10), longAgo)
		told := &events{}
		tr := mirror.New(mirror.Config{Dial: dial, Records: t.TempDir(), Progress: told.add, Verify: verify})
		if _, err := tr.Put(within(t), from, "/f", mirror.Options{}); err != nil {
			t.Error(err)
		}
		if _, err := tr.Get(within(t), "/f", to, mirror.Options{}); err != nil {
			t.Error(err)
		}
		for _, d := range of[mirror.Done](told) {
			if (len(d.SHA256) > 0) != hashed {
				t.Errorf("%v: %+v", verify, d)
			}
		}
		tr.Close()
	}
}

// undated is a tree of which nobody changes a time afterwards.
type undated struct {
	vfs.FS
	asked *atomic.Int32
}

func (u undated) Metered(q *vfs.Quota) vfs.FS { return undated{u.FS.Metered(q), u.asked} }

func (u undated) Chtimes(ctx context.Context, name vfs.Name, mtime time.Time) error {
	u.asked.Add(1)
	return u.FS.Chtimes(ctx, name, mtime)
}

// Where the server takes a file's time before its data, it is told once, for
// small files and large ones.
func TestAFileHasItsTimeFromTheBeginning(t *testing.T) {
	tree := undated{memfs.New(), new(atomic.Int32)}
	dial := over(t, tree)
	from := t.TempDir()
	for i, n := range []int{0, 10, 4096, 600 << 10} {
		write(t, filepath.Join(from, fmt.Sprint(i)), content(n), longAgo.Add(time.Duration(i)*time.Hour))
	}
	tr := mirror.New(mirror.Config{Dial: dial, Jobs: 1, Records: t.TempDir()})
	defer tr.Close()
	if _, err := tr.Put(within(t), from, "/up", mirror.Options{Recursive: true}); err != nil {
		t.Fatal(err)
	}
	if n := tree.asked.Load(); n != 0 {
		t.Errorf("%d times were set once more", n)
	}
	for i := range 4 {
		name, err := vfs.Resolve(vfs.Name{}, fmt.Sprint("/up/", i))
		if err != nil {
			t.Fatal(err)
		}
		if info, err := tree.Stat(t.Context(), name); err != nil || !info.ModTime.Equal(longAgo.Add(time.Duration(i)*time.Hour)) {
			t.Errorf("%d: %v, %v", i, info.ModTime, err)
		}
	}
}
