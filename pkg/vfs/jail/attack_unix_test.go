//go:build unix

package jail

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ftps/pkg/vfs"
)

// world is a home with a secret outside of it.
type world struct {
	*testing.T
	*FS
	home, outside string
}

const secret = "what the client must not read"

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{T: t, home: filepath.Join(dir, "home"), outside: filepath.Join(dir, "outside")}
	for _, d := range []string{w.home, w.outside} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d, 0o755); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}
	w.plant(w.outside, "secret", secret)
	w.FS = open(t, w.home)
	t.Cleanup(func() { w.FS.Close() })
	return w
}

// plant writes a file as somebody on the machine would.
func (w *world) plant(dir, base, content string) {
	w.Helper()
	path := filepath.Join(dir, base)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		w.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil { // whatever the umask
		w.Fatal(err)
	}
}

func (w *world) link(target, name string) {
	w.Helper()
	if err := os.Symlink(target, filepath.Join(w.home, name)); err != nil {
		w.Fatal(err)
	}
}

func (w *world) name(path string) vfs.Name {
	w.Helper()
	n, err := vfs.Resolve(vfs.Name{}, path)
	if err != nil {
		w.Fatal(err)
	}
	return n
}

func (w *world) read(path string) (string, error) {
	name, err := vfs.Resolve(vfs.Name{}, path)
	if err != nil {
		return "", err
	}
	file, err := w.Open(w.Context(), name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	b, err := io.ReadAll(file)
	return string(b), err
}

func (w *world) put(path, content string) error {
	u, err := w.Create(w.Context(), w.name(path), vfs.How{Size: -1})
	if err != nil {
		return err
	}
	defer u.Abort()
	if _, err := io.WriteString(u, content); err != nil {
		return err
	}
	return u.Commit(w.Context())
}

// naive is what the jail is there to replace: it joins and opens.
func (w *world) naive(path string) string {
	b, err := os.ReadFile(filepath.Join(w.home, path))
	if err != nil {
		w.Logf("the naive server: %v", err)
	}
	return string(b)
}

// succeeds demands that the attack works on a server without a jail; else
// the test would show nothing.
func (w *world) succeeds(path string) {
	w.Helper()
	if got := w.naive(path); got != secret {
		w.Fatalf("the attack %q does not even work on a server without a jail: %q", path, got)
	}
}

func (w *world) fails(err error, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("error %v, want %v", err, want)
	}
}

// untouched demands that nothing outside was changed, added or removed.
func (w *world) untouched() {
	w.Helper()
	entries, err := os.ReadDir(w.outside)
	if err != nil || len(entries) != 1 {
		w.Errorf("outside there are %v, %v", entries, err)
	}
	if b, err := os.ReadFile(filepath.Join(w.outside, "secret")); string(b) != secret {
		w.Errorf("outside the secret is %q, %v", b, err)
	}
}

func TestAttackDotDot(t *testing.T) {
	w := newWorld(t)
	if err := os.Mkdir(filepath.Join(w.home, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"../outside/secret", "/../outside/secret", "d/../../outside/secret",
		"//..//outside/secret", "./../outside/./secret", "d/../d/../../outside/secret",
	} {
		w.succeeds(path)
		_, err := w.read(path)
		w.fails(err, vfs.ErrEscape)
	}
	for _, path := range []string{"..\\outside\\secret", "%2e%2e/outside/secret", "..%2foutside/secret"} {
		_, err := w.read(path)
		w.fails(err, fs.ErrNotExist)
	}
	// From a name in the tree one file is no way to another outside of it.
	if _, err := w.read(w.outside + "/secret"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absolute path of the machine: %v", err)
	}
}

// everything tries all there is on a name that leads out to a folder.
func (w *world) everything(folder string) {
	w.Helper()
	ctx := w.Context()
	in := func(base string) vfs.Name { return w.name(folder + "/" + base) }
	_, err := w.read(folder + "/secret")
	w.fails(err, vfs.ErrEscape)
	_, err = w.Stat(ctx, in("secret"))
	w.fails(err, vfs.ErrEscape)
	_, err = w.Part(ctx, in("secret"))
	w.fails(err, vfs.ErrEscape)
	_, err = w.Available(ctx, in("secret"))
	w.fails(err, vfs.ErrEscape)
	w.fails(w.put(folder+"/new", "x"), vfs.ErrEscape)
	w.fails(w.put(folder+"/secret", "x"), vfs.ErrEscape)
	_, err = w.Create(ctx, in("secret"), vfs.How{Append: true, Size: -1})
	w.fails(err, vfs.ErrEscape)
	w.fails(w.Mkdir(ctx, in("new")), vfs.ErrEscape)
	w.fails(w.Rmdir(ctx, in("new")), vfs.ErrEscape)
	w.fails(w.Remove(ctx, in("secret")), vfs.ErrEscape)
	w.fails(w.Chmod(ctx, in("secret"), 0o777), vfs.ErrEscape)
	w.fails(w.Chmod(ctx, w.name(folder), 0o777), vfs.ErrEscape)
	w.fails(w.Chtimes(ctx, in("secret"), time.Unix(0, 0)), vfs.ErrEscape)
	w.fails(w.Rename(ctx, in("secret"), w.name("/stolen")), vfs.ErrEscape)
	w.plant(w.home, "mine", "x")
	w.fails(w.Rename(ctx, w.name("/mine"), in("given")), vfs.ErrEscape)
	for info, err := range w.List(ctx, w.name(folder)) {
		if err == nil {
			w.Errorf("the listing shows %q", info.Name)
		}
		w.fails(err, vfs.ErrEscape)
	}
	w.untouched()
	if info, err := os.Stat(w.outside); err != nil || info.Mode().Perm() != 0o755 {
		w.Errorf("outside: %v, %v", info.Mode(), err)
	}
}

func TestAttackAbsoluteSymlinkOut(t *testing.T) {
	w := newWorld(t)
	w.link(w.outside, "out")
	w.succeeds("out/secret")
	w.everything("/out")
}

func TestAttackRelativeSymlinkOut(t *testing.T) {
	w := newWorld(t)
	w.link("../outside", "out")
	w.succeeds("out/secret")
	w.everything("/out")
}

func TestAttackSymlinkChainOut(t *testing.T) {
	w := newWorld(t)
	w.link(".", "here")
	w.link("here/here/..", "up")
	w.link("here/up/outside", "out")
	w.succeeds("out/secret")
	w.everything("/out")
	w.everything("/here/here/out")
}

func TestAttackSymlinkThroughTheHomesOwnPath(t *testing.T) {
	w := newWorld(t)
	w.link(w.home+"/../outside", "out")
	w.link(w.home+"-not/../outside", "beside")
	if err := os.Mkdir(w.home+"-not", 0o755); err != nil {
		t.Fatal(err)
	}
	w.succeeds("out/secret")
	w.succeeds("beside/secret")
	w.everything("/out")
	w.everything("/beside")
}

func TestAttackSymlinkToAFileOutside(t *testing.T) {
	w := newWorld(t)
	for i, target := range []string{filepath.Join(w.outside, "secret"), "../outside/secret"} {
		name := string(rune('a' + i))
		w.link(target, name)
		w.succeeds(name)
		_, err := w.read("/" + name)
		w.fails(err, vfs.ErrEscape)
		w.fails(w.put("/"+name, "x"), vfs.ErrEscape)
		w.fails(w.Chmod(t.Context(), w.name("/"+name), 0o777), vfs.ErrEscape)
	}
	w.link("../outside/new", "new")
	w.fails(w.put("/new", "x"), vfs.ErrEscape)
	w.untouched()
}

func TestAttackSymlinkLoop(t *testing.T) {
	w := newWorld(t)
	w.link("b", "a")
	w.link("a", "b")
	w.link("c/x", "c")
	for _, name := range []string{"/a", "/c", "/a/x"} {
		_, err := w.read(name)
		w.fails(err, vfs.ErrEscape)
		w.fails(w.put(name, "x"), vfs.ErrEscape)
	}
}

func TestAttackRenameOut(t *testing.T) {
	w := newWorld(t)
	w.link("../outside", "out")
	w.plant(w.home, "f", "x")
	w.fails(w.Rename(t.Context(), w.name("/f"), w.name("/out/f")), vfs.ErrEscape)
	if _, err := os.Stat(filepath.Join(w.home, "f")); err != nil {
		t.Error(err)
	}
	w.untouched()
	if err := os.Rename(filepath.Join(w.home, "f"), filepath.Join(w.home, "out/f")); err != nil {
		t.Fatalf("the attack does not even work without a jail: %v", err)
	}
}

func TestAttackRenameReplacesALinkAndNotItsTarget(t *testing.T) {
	w := newWorld(t)
	w.link("../outside/secret", "out")
	w.plant(w.home, "f", "x")
	if err := w.Rename(t.Context(), w.name("/f"), w.name("/out")); err != nil {
		t.Fatal(err)
	}
	if got, err := w.read("/out"); got != "x" {
		t.Errorf("%q, %v", got, err)
	}
	w.untouched()
}

func TestALinkThatLeavesIsListedAndCanBeRemoved(t *testing.T) {
	w := newWorld(t)
	w.link("../outside/secret", "out")
	w.link("nowhere", "dangling")
	for _, name := range []string{"/out", "/dangling"} {
		info, err := w.Stat(t.Context(), w.name(name))
		if err != nil || info.Type != vfs.TypeLink || info.Size != 0 {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
	}
	for info, err := range w.List(t.Context(), vfs.Name{}) {
		if err != nil || info.Type != vfs.TypeLink {
			t.Errorf("%+v, %v", info, err)
		}
	}
	for _, name := range []string{"/out", "/dangling"} {
		if err := w.Remove(t.Context(), w.name(name)); err != nil {
			t.Error(err)
		}
	}
	w.untouched()
}

// within runs f and demands that it ends in time.
func within(t *testing.T, d time.Duration, f func()) bool {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
		return true
	case <-time.After(d):
		return false
	}
}

func TestAttackFIFO(t *testing.T) {
	w := newWorld(t)
	fifo := filepath.Join(w.home, "fifo")
	if err := syscall.Mkfifo(fifo, 0o666); err != nil {
		t.Fatal(err)
	}
	w.link("fifo", "link")
	for _, path := range []string{"/fifo", "/link"} {
		ok := within(t, time.Minute, func() {
			_, err := w.read(path)
			w.fails(err, vfs.ErrNotRegular)
			w.fails(w.put(path, "x"), vfs.ErrNotRegular)
			_, err = w.Create(t.Context(), w.name(path), vfs.How{Append: true, Size: -1})
			w.fails(err, vfs.ErrNotRegular)
			_, err = w.read(path + "/x")
			w.fails(err, vfs.ErrNotDir)
			w.fails(w.put(path+"/x", "x"), vfs.ErrNotDir)
			for _, err := range w.List(t.Context(), w.name(path)) {
				w.fails(err, vfs.ErrNotDir)
			}
			info, err := w.Stat(t.Context(), w.name(path))
			if err != nil || info.Type != vfs.TypeOther {
				t.Errorf("%+v, %v", info, err)
			}
		})
		if !ok {
			t.Fatalf("%s blocks", path)
		}
	}
	blocked := !within(t, 200*time.Millisecond, func() { w.naive("fifo") })
	if !blocked {
		t.Error("the attack does not even work on a server without a jail")
	}
	if f, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
		f.Close() // lets the naive server go
	}
}

// The look before opening could be late: then the look at what was opened
// must hold.
func TestAttackFIFOBehindTheFirstLook(t *testing.T) {
	w := newWorld(t)
	if err := syscall.Mkfifo(filepath.Join(w.home, partName("alice", "f")), 0o666); err != nil {
		t.Fatal(err)
	}
	ok := within(t, time.Minute, func() {
		w.fails(w.put("/f", "x"), vfs.ErrNotRegular)
	})
	if !ok {
		t.Fatal("a FIFO in the place of a part blocks")
	}
}

func TestAttackSocketAndDevice(t *testing.T) {
	w := newWorld(t)
	// A socket's path must be short.
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	w.FS.Close()
	w.home, w.FS = dir, open(t, dir)
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	names := []string{"/socket"}
	if err := syscall.Mknod(filepath.Join(dir, "zero"), syscall.S_IFCHR|0o666, 1<<8|5); err == nil {
		names = append(names, "/zero")
		var b [4]byte
		if f, err := os.Open(filepath.Join(dir, "zero")); err != nil {
			t.Logf("the device opens for nobody here: %v", err)
		} else if n, _ := f.Read(b[:]); n != 4 {
			t.Error("the attack does not even work on a server without a jail")
		}
	}
	for _, name := range names {
		_, err := w.read(name)
		w.fails(err, vfs.ErrNotRegular)
		w.fails(w.put(name, "x"), vfs.ErrNotRegular)
		w.fails(w.Chmod(t.Context(), w.name(name), 0o777), vfs.ErrNotRegular)
		if info, err := w.Stat(t.Context(), w.name(name)); err != nil || info.Type != vfs.TypeOther {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
	}
}

func TestAttackNamesThatNoNameMayBe(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{
		"a\x00b", "a\rb", "a\nb", strings.Repeat("a/", 32<<10), strings.Repeat("a", 64<<10), strings.Repeat("a", 256),
	} {
		_, err := w.read(path)
		w.fails(err, vfs.ErrBadName)
	}
}

func TestAttackLineBreaksInNamesOnTheDisk(t *testing.T) {
	w := newWorld(t)
	w.plant(w.home, "a\r\n226 done", "x")
	w.plant(w.home, "b", "x")
	entries, err := os.ReadDir(w.home)
	if err != nil || len(entries) != 2 {
		t.Fatalf("the names are not even there: %v, %v", entries, err)
	}
	for info, err := range w.List(t.Context(), vfs.Name{}) {
		if err != nil || info.Name != "b" {
			t.Errorf("the listing shows %q, %v", info.Name, err)
		}
	}
}

func TestAttackHiddenNames(t *testing.T) {
	w := newWorld(t)
	u, err := w.Create(t.Context(), w.name("/f"), vfs.How{Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(u, secret); err != nil {
		t.Fatal(err)
	}
	if err := u.Abort(); err != nil {
		t.Fatal(err)
	}
	hidden := partName("alice", "f")
	w.succeeds(hidden)
	for _, path := range []string{hidden, "/" + hidden, "./" + hidden, strings.ToUpper(hidden)} {
		_, err := w.read(path)
		w.fails(err, vfs.ErrBadName)
	}
	for info, err := range w.List(t.Context(), vfs.Name{}) {
		t.Errorf("the listing shows %q, %v", info.Name, err)
	}
	info, err := os.Stat(filepath.Join(w.home, hidden))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others on the machine may read the part: %v, %v", info.Mode(), err)
	}
	// Nor by way of a link to it.
	w.link(partName("alice", "g"), "link")
	w.fails(w.put("/link", "x"), vfs.ErrBadName)
}

func TestAttackRemovingTheRoot(t *testing.T) {
	w := newWorld(t)
	w.link(".", "root")
	w.fails(w.Rmdir(t.Context(), vfs.Name{}), fs.ErrPermission)
	w.fails(w.Rmdir(t.Context(), w.name("/root")), vfs.ErrNotDir)
	w.fails(w.put("/root", "x"), vfs.ErrIsDir)
	if _, err := os.Stat(w.home); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(w.home, "root")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(w.home); err != nil {
		t.Errorf("the attack does not even work without a jail: %v", err)
	}
}
