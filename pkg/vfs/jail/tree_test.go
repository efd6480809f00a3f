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
