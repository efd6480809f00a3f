package users

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"ftps/pkg/vfs"
)

func somebody(name string) User { return User{Name: name, Hash: hash2, Perm: vfs.ReadWrite} }

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// onlyTheseFiles fails when a temporary file was left behind.
func onlyTheseFiles(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(names) {
		t.Errorf("in the folder: %v, want %v", entries, names)
	}
}

func TestASymlinksTargetIsReplacedNotTheLink(t *testing.T) {
	for _, exists := range []bool{true, false} {
		dir := t.TempDir()
		real := filepath.Join(dir, "etc", "accounts.yaml")
		if err := os.Mkdir(filepath.Dir(real), 0o700); err != nil {
			t.Fatal(err)
		}
		if exists {
			if err := os.WriteFile(real, []byte("# old\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		link := filepath.Join(dir, "users.yaml")
		if err := os.Symlink("etc/../etc/accounts.yaml", link); err != nil {
			t.Fatal(err)
		}
		wrote, err := File{Path: link}.Add(t.Context(), somebody("ana"))
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
			t.Errorf("the link: %v, %v", info.Mode(), err)
		}
		if want, _ := filepath.EvalSymlinks(real); wrote != want {
			t.Errorf("wrote %s, want %s", wrote, want)
		}
		if list, err := Load(real); err != nil || list.Len() != 1 {
			t.Error(err)
		}
		onlyTheseFiles(t, filepath.Dir(real), "accounts.yaml", "accounts.yaml.lock")
	}
}

func TestABrokenWriteLeavesTheOldFile(t *testing.T) {
	for _, step := range []string{"write", "sync", "rename"} {
		for _, before := range []string{"", hashes(three)} {
			dir := t.TempDir()
			path := filepath.Join(dir, "users.yaml")
			if before != "" {
				if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			f := File{Path: path, step: func(name string) error {
				if name == step {
					return syscall.ENOSPC
				}
				return nil
			}}
			if _, err := f.Add(t.Context(), somebody("new")); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("%s: %v", step, err)
			}
			if before == "" {
				onlyTheseFiles(t, dir, "users.yaml.lock")
			} else if content(t, path) != before {
				t.Errorf("%s: the old file is gone", step)
			} else {
				onlyTheseFiles(t, dir, "users.yaml", "users.yaml.lock")
			}
		}
	}
}

func TestWhatACrashLeftBehindIsNoObstacle(t *testing.T) {
	path := written(t, "")
	rest := filepath.Join(filepath.Dir(path), ".users.yaml.new")
	victim := written(t, "precious")
	if err := os.Symlink(victim, rest); err != nil { // and no trap
		t.Fatal(err)
	}
	if _, err := (File{Path: path}).Add(t.Context(), somebody("ana")); err != nil {
		t.Fatal(err)
	}
	if content(t, victim) != "precious" {
		t.Error("wrote through a symlink")
	}
	onlyTheseFiles(t, filepath.Dir(path), "users.yaml", "users.yaml.lock")
}

func TestAChangeByAnEditorIsNotOverwritten(t *testing.T) {
	path := written(t, hashes(three))
	f := File{Path: path, step: func(name string) error {
		if name == "rename" {
			return os.WriteFile(path, []byte("# edited by hand\n"), 0o600)
		}
		return nil
	}}
	if _, err := f.Add(t.Context(), somebody("new")); !errors.Is(err, ErrChanged) {
		t.Errorf("%v", err)
	}
	if got := content(t, path); got != "# edited by hand\n" {
		t.Errorf("the editor's text is gone: %q", got)
	}
}

func TestAFileWithMistakesIsNotTouched(t *testing.T) {
	text := "users:\n  - name: a\n    shell: x\n"
	path := written(t, text)
	if _, err := (File{Path: path}).Add(t.Context(), somebody("new")); !errors.Is(err, ErrInvalid) {
		t.Errorf("%v", err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := (File{Path: path}).Add(t.Context(), somebody("new")); !errors.Is(err, ErrWritable) {
		t.Errorf("%v", err)
	}
	if content(t, path) != text {
		t.Error("the file was changed")
	}
}

func TestOnlyAddMakesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.yaml")
	if _, err := (File{Path: path}).Remove(t.Context(), "ana"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removing: %v", err)
	}
	if _, err := (File{Path: path}).SetPassword(t.Context(), "ana", hash2); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a password: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("made")
	}
	if _, err := (File{Path: filepath.Join(path, "x", "users.yaml")}).Add(t.Context(), somebody("ana")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is missing: %v", err)
	}
}

func TestALockThatIsHeldIsWaitedForAndGivenUp(t *testing.T) {
	path := written(t, "")
	release, err := lock(t.Context(), path+".lock", path)
	if err != nil {
		t.Fatal(err)
	}
	f := File{Path: path, Wait: 60 * time.Millisecond}
	if _, err := f.Add(t.Context(), somebody("ana")); !errors.Is(err, ErrLocked) {
		t.Errorf("while the lock is held: %v", err)
	}
	if content(t, path) != "" {
		t.Error("written without the lock")
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (File{Path: path}).Add(cancelled, somebody("ana")); !errors.Is(err, ErrLocked) {
		t.Errorf("cancelled: %v", err)
	}

	done := make(chan error, 1)
	go func() {
		_, err := File{Path: path}.Add(context.WithoutCancel(t.Context()), somebody("ana"))
		done <- err
	}()
	release()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the lock was not taken when it was free")
	}
}

func TestManyAtOnceLoseNothing(t *testing.T) {
	path := written(t, hashes(three))
	link := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			f := File{Path: path, Wait: time.Minute}
			if i%2 == 1 {
				f.Path = link
			}
			if _, err := f.Add(t.Context(), somebody(fmt.Sprintf("u%d", i))); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if list, err := Load(path); err != nil || list.Len() != 23 {
		t.Errorf("%d accounts, %v", list.Len(), err)
	}
}
