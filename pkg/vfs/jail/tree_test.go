//go:build unix

package jail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"ftps/pkg/fault"
	"ftps/pkg/vfs"
)

func (w *world) holds(path, content string) {
	w.Helper()
	if got, err := w.read(path); got != content || err != nil {
		w.Errorf("%s holds %.60q, %v; want %.60q", path, got, err, content)
	}
}

// leave leaves a part.
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

func TestAFolderThatCannotBeOpenedIsNamed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, key := range map[string]string{filepath.Join(dir, "none"): "vfs.home.missing", file: "vfs.home.notdir"} {
		_, err := Open(path, Options{})
		var f *fault.Error
		if !errors.As(err, &f) || f.Key != key || f.Args[0] != path {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAnUploadToALinkReplacesItsTargetAndLeavesTheLink(t *testing.T) {
	w := newWorld(t)
	if err := os.Mkdir(filepath.Join(w.home, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.plant(filepath.Join(w.home, "d"), "target", "old")
	w.link("d/target", "link")
	w.link("link", "chain")
	for i, name := range []string{"/link", "/chain"} {
		content := fmt.Sprint("new ", i)
		if err := w.put(name, content); err != nil {
			t.Fatal(err)
		}
		w.holds("/d/target", content)
		if info, err := os.Lstat(filepath.Join(w.home, name)); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s is a link no more: %v, %v", name, info.Mode(), err)
		}
	}
	// A link to what is not there yet begins it, with its part beside it.
	w.link("d/new", "ahead")
	w.leave("/ahead", "0123")
	if n, err := w.Part(t.Context(), w.name("/d/new")); n != 4 || err != nil {
		t.Errorf("the part: %d, %v", n, err)
	}
	if err := w.put("/ahead", "x"); err != nil {
		t.Fatal(err)
	}
	w.holds("/d/new", "x")
}

func TestAbsoluteLinksThatStayInsideAreFollowed(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if err := os.Mkdir(filepath.Join(w.home, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.plant(filepath.Join(w.home, "d"), "f", "content")
	w.link(filepath.Join(w.home, "d"), "folder")
	w.link(filepath.Join(w.home, "folder", "f"), "file")
	w.link(w.home, "self")
	for _, path := range []string{"/folder/f", "/file", "/self/self/folder/f"} {
		w.holds(path, "content")
		if info, err := w.Stat(ctx, w.name(path)); err != nil || info.Type != vfs.TypeFile || info.Size != 7 {
			t.Errorf("%s: %+v, %v", path, info, err)
		}
	}
	seen := map[string]vfs.Type{}
	for info, err := range w.List(ctx, w.name("/self")) {
		if err != nil {
			t.Fatal(err)
		}
		seen[info.Name] = info.Type
	}
	if len(seen) != 4 || seen["folder"] != vfs.TypeDir || seen["file"] != vfs.TypeFile || seen["self"] != vfs.TypeDir {
		t.Errorf("the listing shows %v", seen)
	}
	if err := w.put("/file", "new"); err != nil {
		t.Fatal(err)
	}
	w.holds("/d/f", "new")
	for _, err := range []error{
		w.Mkdir(ctx, w.name("/folder/e")),
		w.Rename(ctx, w.name("/folder/e"), w.name("/self/e")),
		w.Rmdir(ctx, w.name("/self/e")),
		w.Chmod(ctx, w.name("/folder/f"), 0o600),
		w.Chtimes(ctx, w.name("/file"), time.Unix(1, 0)),
		w.Remove(ctx, w.name("/folder/f")),
		w.Remove(ctx, w.name("/self")),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(w.home); err != nil {
		t.Error(err)
	}
}

func TestAbsoluteLinksWorkWhereTheHomeItselfIsALink(t *testing.T) {
	w := newWorld(t)
	alias := filepath.Join(t.TempDir(), "alias")
	if err := os.Symlink(w.home, alias); err != nil {
		t.Fatal(err)
	}
	w.FS.Close()
	w.FS = open(t, alias)
	w.plant(w.home, "f", "content")
	w.link(filepath.Join(w.home, "f"), "real")
	w.link(filepath.Join(alias, "f"), "by-alias")
	w.holds("/real", "content")
	w.holds("/by-alias", "content")
}

func TestModesDoNotDependOnTheUmaskOfTheProcess(t *testing.T) {
	for _, umask := range []int{0, 0o077} {
		old := syscall.Umask(umask)
		w := newWorld(t)
		err := errors.Join(w.put("/f", "x"), w.Mkdir(t.Context(), w.name("/d")))
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]fs.FileMode{"f": 0o640, "d": 0o750} {
			info, err := os.Stat(filepath.Join(w.home, name))
			if err != nil || info.Mode().Perm() != want {
				t.Errorf("with the umask %#o %s has the mode %v, %v", umask, name, info.Mode(), err)
			}
		}
	}
}

func TestAFolderKeepsTheGroupBitThatItInherits(t *testing.T) {
	w := newWorld(t)
	if err := os.Chmod(w.home, 0o755|fs.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	old := syscall.Umask(0o077) // so that the mode has to be set a second time
	err := w.Mkdir(t.Context(), w.name("/d"))
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Chmod(t.Context(), w.name("/d"), 0o700); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(w.home, "d"))
	if err != nil || info.Mode() != fs.ModeDir|fs.ModeSetgid|0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestAnOverwriteKeepsTheOwnerWherePermitted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	w := newWorld(t)
	w.plant(w.home, "f", "old")
	if err := os.Chown(filepath.Join(w.home, "f"), 12345, 23456); err != nil {
		t.Skip(err)
	}
	if err := w.put("/f", "new"); err != nil {
		t.Fatal(err)
	}
	info, err := w.Stat(t.Context(), w.name("/f"))
	if err != nil || info.Owner != "12345" || info.Group != "23456" || info.Mode != 0o644 {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestAProgramThatRunsCanBeReplaced(t *testing.T) {
	w := newWorld(t)
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip(err)
	}
	program, err := os.ReadFile(sleep)
	if err != nil {
		t.Skip(err)
	}
	path := filepath.Join(w.home, "program")
	if err := os.WriteFile(path, program, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, "60")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if err := w.put("/program", "new"); err != nil {
		t.Error(err)
	}
	w.holds("/program", "new")
}

func TestTwoNamesOfOneFileShowAsOne(t *testing.T) {
	w := newWorld(t)
	w.plant(w.home, "a", "x")
	if err := os.Link(filepath.Join(w.home, "a"), filepath.Join(w.home, "b")); err != nil {
		t.Fatal(err)
	}
	a, err := w.Stat(t.Context(), w.name("/a"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := w.Stat(t.Context(), w.name("/b"))
	if err != nil || a.Links != 2 || a.Unique == "" || a.Unique != b.Unique {
		t.Errorf("%+v and %+v, %v", a, b, err)
	}
	// The kernel takes a rename between the two for done; the old name must
	// go even so.
	if err := w.Rename(t.Context(), w.name("/a"), w.name("/b")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.read("/a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old name: %v", err)
	}
	w.holds("/b", "x")
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

// cancelAfter is a context that ends when it was looked at n times.
type cancelAfter struct {
	context.Context
	n int
}

func (c *cancelAfter) Err() error {
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}

func TestALargeCopyStopsWithTheContext(t *testing.T) {
	w := newWorld(t)
	large := filepath.Join(w.home, "large")
	w.plant(w.home, "large", "")
	if err := os.Truncate(large, 4*copyPiece); err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(large)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.Create(filepath.Join(w.home, "to"))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if clone(to, from) {
		t.Skip("this file system copies at once")
	}
	q := w.limit(1 << 30)
	ctx := &cancelAfter{Context: t.Context(), n: 3} // Create itself looks once
	_, err = w.Create(ctx, w.name("/large"), vfs.How{Append: true, Size: -1})
	if ctx.n >= 0 {
		t.Errorf("the copy ended before its context, %d looks early: %v", ctx.n, err)
	}
	if err == nil {
		t.Error("the copy went on")
	}
	if hidden := w.hidden(); len(hidden) != 0 {
		t.Errorf("%v stayed", hidden)
	}
	w.exact(q)
}

func TestListingHoldsNoFolderInMemory(t *testing.T) {
	const files = 20_000
	w := newWorld(t)
	root, err := os.OpenRoot(w.home)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for i := range files {
		f, err := root.Create(fmt.Sprintf("%05d%s", i, strings.Repeat("-", 200)))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const bound = 1 << 20
	before, seen := live(), 0
	for _, err := range w.List(t.Context(), vfs.Name{}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == files-1 {
			if grown := int64(live()) - int64(before); grown > bound {
				t.Errorf("near the end of %d entries the listing holds %d bytes", files, grown)
			}
		}
	}
	if seen != files {
		t.Errorf("saw %d of %d", seen, files)
	}
	// The control: a slice of them is more than the bound.
	before = live()
	var all []vfs.Info
	for info := range w.List(t.Context(), vfs.Name{}) {
		all = append(all, info)
	}
	if grown := int64(live()) - int64(before); grown < bound {
		t.Errorf("even a slice of %d entries holds no more than %d bytes: the test shows nothing", len(all), grown)
	}
	runtime.KeepAlive(all)
}

func TestFilesAndUploadsOutliveTheTree(t *testing.T) {
	w := newWorld(t)
	w.plant(w.home, "f", "content")
	file, err := w.Open(t.Context(), w.name("/f"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	u, err := w.Create(t.Context(), w.name("/g"), vfs.How{Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.FS.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(file); string(b) != "content" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := io.WriteString(u, "x"); err != nil {
		t.Error(err)
	}
	if err := u.Commit(t.Context()); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(w.home, "g")); string(b) != "x" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := w.read("/f"); err == nil {
		t.Error("a closed tree opens files")
	}
}
