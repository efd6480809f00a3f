package jail

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

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

	stop, swaps := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				swaps <- n
				return
			default:
			}
			if err := unix.Renameat2(unix.AT_FDCWD, folder, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE); err != nil {
				t.Errorf("swap: %v", err)
				<-stop
				swaps <- n
				return
			}
			n++
		}
	}()

	ctx := t.Context()
	outcomes := make(map[string]int)
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
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
	for end := time.Now().Add(10 * time.Second); !stolen && time.Now().Before(end); {
		real, err := filepath.EvalSymlinks(filepath.Join(w.home, "d/secret"))
		if err != nil || filepath.Dir(filepath.Dir(real)) != w.home {
			continue
		}
		b, err := os.ReadFile(real)
		stolen = err == nil && string(b) == secret
	}
	close(stop)
	n := <-swaps
	t.Logf("%d swaps; through the jail: %v", n, outcomes)
	if !stolen {
		t.Error("the attack does not even work on a server that checks before it opens")
	}
	if outcomes["read"] == 0 || outcomes["refused"] == 0 || outcomes["written"] == 0 {
		t.Errorf("the race never went both ways: %v", outcomes)
	}
}
