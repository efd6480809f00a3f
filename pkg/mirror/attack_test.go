//go:build unix

package mirror_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"ftps/pkg/mirror"
)

// swapper is another user of the client's machine, who may write in the tree
// and puts a link in the place of a folder of it, once.
type swapper struct {
	t               *testing.T
	folder, outside string
	when            func(mirror.Event) bool
	done            atomic.Bool
}

func (s *swapper) watch(e mirror.Event) {
	if !s.when(e) || !s.done.CompareAndSwap(false, true) {
		return
	}
	if err := os.Rename(s.folder, s.folder+" as it was"); err != nil {
		s.t.Error(err)
	}
	if err := os.Symlink(s.outside, s.folder); err != nil {
		s.t.Error(err)
	}
	// Who goes by paths is led outside from now on.
	if err := os.WriteFile(filepath.Join(s.folder, "by path"), nil, 0o666); err != nil {
		s.t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(s.outside, "by path")); err != nil {
		s.t.Errorf("this test shows nothing: %v", err)
	}
}

// Another user may give a file of ours a second name in the tree, where the
// kernel does not mind: what grows under that name is then our file.
func TestAHardLinkPlantedAsAPartIsNotWrittenInto(t *testing.T) {
	const n = 400 << 10
	// Who writes into what has the name writes into the other one as well.
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ours"), []byte("ours"), longAgo)
	link(t, filepath.Join(dir, "ours"), filepath.Join(dir, "f.part"))
	write(t, filepath.Join(dir, "f.part"), []byte("theirs"), longAgo)
	if b, _ := os.ReadFile(filepath.Join(dir, "ours")); string(b) != "theirs" {
		t.Errorf("%q: this test shows nothing", b)
	}
	for name, planted := range map[string]func(t *testing.T, to, outside string){
		"as the part of an earlier run": func(t *testing.T, to, outside string) {
			if err := os.Remove(filepath.Join(to, "f.part")); err != nil {
				t.Fatal(err)
			}
			link(t, outside, filepath.Join(to, "f.part"))
		},
		"as its record": func(t *testing.T, to, outside string) {
			os.Remove(filepath.Join(to, "f.part"))
			os.Remove(filepath.Join(to, "f.part-info"))
			link(t, outside, filepath.Join(to, "f.part-info"))
		},
	} {
		for _, resume := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, resumed %v", name, resume), func(t *testing.T) {
				budget := new(atomic.Int64)
				dial, home := ours(t, budget, true)
				write(t, filepath.Join(home, "f"), content(n), longAgo)
				to, outside := t.TempDir(), filepath.Join(t.TempDir(), "ours")
				write(t, outside, bytes.Repeat([]byte("x"), n), longAgo)
				tr := mirror.New(mirror.Config{Dial: dial, NoSync: true, Records: t.TempDir()})
				defer tr.Close()
				budget.Store(n / 2)
				if _, err := tr.Get(within(t), "/f", to, mirror.Options{}); err == nil {
					t.Fatal("it was not cut")
				}
				budget.Store(1 << 30)
				planted(t, to, outside)
				if _, err := tr.Get(within(t), "/f", to, mirror.Options{Resume: resume}); err != nil {
					t.Error(err)
				}
				if b, _ := os.ReadFile(filepath.Join(to, "f")); !bytes.Equal(b, content(n)) {
					t.Errorf("%d bytes came, or other ones", len(b))
				}
				if b, _ := os.ReadFile(outside); !bytes.Equal(b, bytes.Repeat([]byte("x"), n)) {
					t.Errorf("the file outside is another: %d bytes", len(b))
				}
			})
		}
	}
}

func link(t *testing.T, old, name string) {
	t.Helper()
	if err := os.Link(old, name); err != nil {
		t.Fatal(err)
	}
}

func planned(e mirror.Event) bool { _, ok := e.(mirror.Planned); return ok }
func started(e mirror.Event) bool { _, ok := e.(mirror.Started); return ok }
func moved(e mirror.Event) bool   { _, ok := e.(mirror.Moved); return ok }
func done(e mirror.Event) bool    { _, ok := e.(mirror.Done); return ok }

// moments at which a folder is swapped, and transfers that it happens to.
var (
	moments = map[string]func(mirror.Event) bool{"planned": planned, "started": started, "moved": moved, "one file done": done}
	ways    = map[string]struct {
		size     int
		segments int
		alone    bool
	}{
		"small files": {5000, 0, false}, "small files one by one": {5000, 0, true},
		"large files": {400 << 10, 0, false}, "large files over three connections": {3 << 20, 3, false},
	}
)

func inEachWay(t *testing.T, run func(t *testing.T, size, segments int, alone bool, when func(mirror.Event) bool)) {
	for way, w := range ways {
		for moment, when := range moments {
			t.Run(way+", "+moment, func(t *testing.T) { run(t, w.size, w.segments, w.alone, when) })
		}
	}
}

func TestAFolderOfTheLocalTreeThatBecomesALinkLeadsNoDownloadOutside(t *testing.T) {
	inEachWay(t, func(t *testing.T, size, segments int, alone bool, when func(mirror.Event) bool) {
		dial, home := ours(t, new(atomic.Int64), true)
		for i := range 3 {
			write(t, filepath.Join(home, "d", "sub", fmt.Sprint(i)), content(size), longAgo)
		}
		to, outside := t.TempDir(), t.TempDir()
		write(t, filepath.Join(to, "d", "sub", "0"), []byte("an older one"), longAgo)
		write(t, filepath.Join(outside, "0"), []byte("not to be touched"), longAgo)
		s := &swapper{t: t, folder: filepath.Join(to, "d", "sub"), outside: outside, when: when}
		tr := mirror.New(mirror.Config{Dial: dial, Jobs: 2, NoSync: true, Records: t.TempDir(), Progress: s.watch})
		defer tr.Close()
		if alone {
			tr.WithoutPipeline()
		}
		_, err := tr.Get(within(t), "/d", to, mirror.Options{Recursive: true, Segments: segments})
		if !s.done.Load() {
			t.Fatal("the folder was not swapped")
		}
		if err == nil {
			t.Error("nothing is said of it")
		}
		got := files(t, outside)
		if len(got) != 2 || got["0"] != "not to be touched" {
			t.Errorf("outside there are %v", slices.Collect(maps.Keys(got)))
		}
	})
}

func TestAFolderOfTheLocalTreeThatBecomesALinkSendsNothingFromOutside(t *testing.T) {
	inEachWay(t, func(t *testing.T, size, segments int, alone bool, when func(mirror.Event) bool) {
		dial, home := ours(t, new(atomic.Int64), true)
		from, outside := t.TempDir(), t.TempDir()
		secret := bytes.Repeat([]byte("secret "), size/7+1)[:size]
		for i := range 3 {
			write(t, filepath.Join(from, "d", "sub", fmt.Sprint(i)), content(size), longAgo)
			write(t, filepath.Join(outside, fmt.Sprint(i)), secret, longAgo)
		}
		s := &swapper{t: t, folder: filepath.Join(from, "d", "sub"), outside: outside, when: when}
		tr := mirror.New(mirror.Config{Dial: dial, Jobs: 2, NoSync: true, Records: t.TempDir(), Progress: s.watch})
		defer tr.Close()
		if alone {
			tr.WithoutPipeline()
		}
		_, _ = tr.Put(within(t), filepath.Join(from, "d"), "/", mirror.Options{Recursive: true, Segments: segments})
		if !s.done.Load() {
			t.Fatal("the folder was not swapped")
		}
		if b, err := os.ReadFile(filepath.Join(from, "d", "sub", "0")); !bytes.Equal(b, secret) {
			t.Errorf("this test shows nothing: by path there are %d bytes, %v", len(b), err)
		}
		for name, b := range files(t, home) {
			if strings.Contains(b, "secret") {
				t.Errorf("%s was sent", name)
			}
		}
	})
}
