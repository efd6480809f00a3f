//go:build unix

package jail

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ftps/pkg/vfs"
)

func (w *world) leave(path, content string) {
	w.Helper()
	u, err := w.Create(w.Context(), w.name(path), vfs.How{Size: -1})
	if err != nil {
		w.Fatal(err)
	}
	if _, err := io.WriteString(u, content); err != nil {
		w.Fatal(err)
	}
	if err := u.Abort(); err != nil {
		w.Fatal(err)
	}
}

func TestAccountsThatShareAHomeHavePartsOfTheirOwn(t *testing.T) {
	alice := newWorld(t)
	bobs, err := Open(alice.home, Options{Account: "bob", Umask: 0o027})
	if err != nil {
		t.Fatal(err)
	}
	bob := &world{T: t, FS: bobs, home: alice.home}
	defer bob.Close()

	alice.leave("/f", "alice's")
	if _, err := bob.Part(t.Context(), bob.name("/f")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("bob sees a part: %v", err)
	}
	if _, err := bob.OpenPart(t.Context(), bob.name("/f")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("bob opens a part: %v", err)
	}
	if _, err := bob.Create(t.Context(), bob.name("/f"), vfs.How{Offset: 1, Size: -1}); !errors.Is(err, vfs.ErrOffset) {
		t.Errorf("bob goes on from a part: %v", err)
	}
	bob.leave("/f", "bob's own")
	for w, want := range map[*world]int64{alice: 7, bob: 9} {
		if n, err := w.Part(t.Context(), w.name("/f")); n != want || err != nil {
			t.Errorf("part of %d bytes, %v; want %d", n, err, want)
		}
	}
	if err := bob.put("/f", "whole"); err != nil {
		t.Fatal(err)
	}
	alice.holds("/f", "whole")
	if err := alice.Remove(t.Context(), alice.name("/f")); err != nil {
		t.Fatal(err)
	}
	if n, err := alice.Part(t.Context(), alice.name("/f")); n != 7 || err != nil {
		t.Errorf("when the file is gone alice's part has %d bytes, %v", n, err)
	}
}

func TestTheLockOnAPartHoldsBetweenTreesOpenedOnOneHome(t *testing.T) {
	w := newWorld(t)
	again := &world{T: t, FS: open(t, w.home), home: w.home}
	defer again.Close()
	w.leave("/f", "0123")
	u, err := w.Create(t.Context(), w.name("/f"), vfs.How{Offset: 4, Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = again.Create(t.Context(), w.name("/f"), vfs.How{Offset: 4, Size: -1})
	w.fails(err, vfs.ErrBusy)
	if err := u.Abort(); err != nil {
		t.Fatal(err)
	}
	u, err = again.Create(t.Context(), w.name("/f"), vfs.How{Offset: 4, Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.holds("/f", "0123")
}

func TestSweepRemovesTemporariesAndOldPartsThatNobodyUses(t *testing.T) {
	w := newWorld(t)
	deep := filepath.Join(w.home, "a/b")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	w.link("../outside", "out")
	w.plant(w.outside, tempPrefix+"x", "not ours")
	w.plant(deep, tempName(), "0123456")
	w.plant(w.home, ".ftps-of-somebody", "x")
	w.plant(w.home, "whole", "x")
	w.leave("/a/young", "young")
	w.leave("/a/old", "old")
	w.leave("/a/used", "used")
	long := time.Now().Add(-25 * time.Hour)
	for _, name := range []string{"old", "used"} {
		if err := os.Chtimes(filepath.Join(w.home, "a", partName("alice", name)), long, long); err != nil {
			t.Fatal(err)
		}
	}
	resumed, err := w.Create(t.Context(), w.name("/a/used"), vfs.How{Offset: 4, Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	w.plant(w.home, "replaced", "x")
	replacing, err := w.Create(t.Context(), w.name("/replaced"), vfs.How{Size: -1})
	if err != nil {
		t.Fatal(err)
	}

	swept, err := Sweep(t.Context(), w.home, 24*time.Hour)
	if err != nil || swept != (Swept{Temporaries: 1, Parts: 1, Bytes: 10}) {
		t.Errorf("swept %+v, %v", swept, err)
	}
	for name, want := range map[string]int64{"/a/young": 5, "/a/used": 4} {
		if n, err := w.Part(t.Context(), w.name(name)); n != want || err != nil {
			t.Errorf("%s has a part of %d bytes, %v", name, n, err)
		}
	}
	for _, u := range []vfs.Upload{resumed, replacing} {
		if err := u.Commit(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for _, path := range []string{filepath.Join(w.outside, tempPrefix+"x"), filepath.Join(w.home, ".ftps-of-somebody")} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestAFolderWithAStrangersHiddenFileIsNotEmpty(t *testing.T) {
	w := newWorld(t)
	if err := os.Mkdir(filepath.Join(w.home, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.plant(filepath.Join(w.home, "d"), ".ftps-of-somebody", "x")
	w.fails(w.Rmdir(t.Context(), w.name("/d")), vfs.ErrNotEmpty)
}
