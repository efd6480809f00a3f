package jail

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ftps/pkg/vfs"
)

// swapping exchanges two names without pause until stop is called, which
// returns how often it did.
func swapping(t *testing.T, a, b string) (stop func() int) {
	t.Helper()
	over, swaps := make(chan struct{}), make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-over:
				swaps <- n
				return
			default:
			}
			if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
				t.Errorf("swap: %v", err)
				<-over
				swaps <- n
				return
			}
		}
	}()
	return sync.OnceValue(func() int {
		close(over)
		return <-swaps
	})
}

// It ended as 451, as if the server had a fault.
func TestALinkThatIsAFolderWhenItIsReadIsInUse(t *testing.T) {
	w := newWorld(t)
	err := w.FS.explain(&os.PathError{Op: "readlinkat", Path: "d", Err: unix.EINVAL})
	if !errors.Is(err, vfs.ErrBusy) {
		t.Errorf("it is %v", err)
	}
	if err := w.FS.explain(&os.PathError{Op: "openat", Path: "d", Err: unix.EINVAL}); errors.Is(err, vfs.ErrBusy) {
		t.Errorf("any other is too: %v", err)
	}
}

// The classic race: a name that is a folder when it is checked and a link out
// when it is used. One thread swaps the two without pause while a client
// reads, lists, writes, renames and removes through the name.
func TestAttackSwapRace(t *testing.T) {
	w := newWorld(t)
	folder, link := filepath.Join(w.home, "d"), filepath.Join(w.home, "l")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	w.plant(folder, "secret", "harmless")
	w.link("../outside", "l")

	stop := swapping(t, folder, link)
	defer stop()
	ctx := t.Context()
	outcomes := make(map[string]int)
	// Two seconds, and longer where the race has not gone each way by then.
	one := func() bool { return outcomes["read"] == 0 || outcomes["refused"] == 0 || outcomes["written"] == 0 }
	for began := time.Now(); time.Since(began) < 2*time.Second || one() && time.Since(began) < time.Minute; {
		content, err := w.read("/d/secret")
		if content == secret {
			t.Fatal("read the secret")
		}
		if err == nil {
			outcomes["read"]++
		} else {
			outcomes["refused"]++
		}
		if w.put("/d/new", "x") == nil {
			outcomes["written"]++
			_ = w.Rename(ctx, w.name("/d/new"), w.name("/d/newer"))
			_ = w.Remove(ctx, w.name("/d/newer"))
		}
		_ = w.Mkdir(ctx, w.name("/d/folder"))
		_ = w.Rmdir(ctx, w.name("/d/folder"))
		_ = w.Chmod(ctx, w.name("/d/secret"), 0o600)
		_ = w.Rename(ctx, w.name("/d/secret"), w.name("/d/secret"))
		for info, err := range w.List(ctx, w.name("/d")) {
			if err == nil && info.Name == "secret" && info.Size == int64(len(secret)) {
				t.Fatal("listed the secret")
			}
		}
	}
	w.untouched()
	if info, err := os.Stat(filepath.Join(w.outside, "secret")); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the secret's mode: %v, %v", info.Mode(), err)
	}

	// The control: a server that resolves the path, checks it and opens it.
	stolen := false
	for end := time.Now().Add(time.Minute); !stolen && time.Now().Before(end); {
		real, err := filepath.EvalSymlinks(filepath.Join(w.home, "d/secret"))
		if err != nil || filepath.Dir(filepath.Dir(real)) != w.home {
			continue
		}
		b, err := os.ReadFile(real)
		stolen = err == nil && string(b) == secret
	}
	n := stop()
	t.Logf("%d swaps; through the jail: %v", n, outcomes)
	if !stolen {
		t.Error("the attack does not even work on a server that checks before it opens")
	}
	if one() {
		t.Errorf("the race never went both ways: %v", outcomes)
	}
}

// A file that becomes a FIFO between the look and the opening must not block.
func TestAttackSwapRaceWithAFIFO(t *testing.T) {
	w := newWorld(t)
	fifo := filepath.Join(w.home, "fifo")
	if err := unix.Mkfifo(fifo, 0o666); err != nil {
		t.Fatal(err)
	}
	w.plant(w.home, "f", "content")
	stop := swapping(t, filepath.Join(w.home, "f"), fifo)
	defer stop()
	tries := 0
	ok := within(t, time.Minute, func() {
		for end := time.Now().Add(time.Second); time.Now().Before(end); {
			content, err := w.read("/f")
			if err == nil && content != "content" || err != nil && !errors.Is(err, vfs.ErrNotRegular) {
				t.Errorf("read %q, %v", content, err)
				return
			}
			// The size lets none of these get further than opening what is there.
			_, err = w.Create(t.Context(), w.name("/f"), vfs.How{Append: tries%2 == 0, Size: 1 << 62})
			if !errors.Is(err, vfs.ErrNoSpace) && !errors.Is(err, vfs.ErrNotRegular) {
				t.Errorf("create: %v", err)
				return
			}
			tries++
		}
	})
	if !ok {
		t.Fatal("blocked")
	}
	t.Logf("%d swaps, %d tries", stop(), tries)
}

// To open a device is to use it already: tapes rewind, watchdogs start.
func TestWhatIsNotRegularIsNeverOpened(t *testing.T) {
	w := newWorld(t)
	if err := unix.Mkfifo(filepath.Join(w.home, "fifo"), 0o666); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Skip(err)
	}
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(fd, filepath.Join(w.home, "fifo"), unix.IN_OPEN); err != nil {
		t.Skip(err)
	}
	opened := func() bool {
		n, err := unix.Read(fd, make([]byte, 4096))
		return err == nil && n > 0
	}

	ctx, name := t.Context(), w.name("/fifo")
	_, err = w.Open(ctx, name)
	w.fails(err, vfs.ErrNotRegular)
	_, err = w.Create(ctx, name, vfs.How{Append: true, Size: -1})
	w.fails(err, vfs.ErrNotRegular)
	_, err = w.Create(ctx, name, vfs.How{Size: -1})
	w.fails(err, vfs.ErrNotRegular)
	w.fails(w.Chmod(ctx, name, 0o600), vfs.ErrNotRegular)
	w.fails(w.Chtimes(ctx, name, time.Unix(0, 0)), vfs.ErrNotRegular)
	for range w.List(ctx, vfs.Name{}) {
	}
	for _, err := range w.List(ctx, name) {
		w.fails(err, vfs.ErrNotDir)
	}
	if _, err := w.Stat(ctx, name); err != nil {
		t.Error(err)
	}
	if opened() {
		t.Error("the FIFO was opened")
	}
	f, err := os.OpenFile(filepath.Join(w.home, "fifo"), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if !opened() {
		t.Error("an opening is not noticed: the test shows nothing")
	}
}
