//go:build unix

package users

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestTheFirstAccountMakesAFileForItsOwnerAlone(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := t.TempDir()
	path := filepath.Join(dir, "users.yaml")
	wrote, err := File{Path: path}.Add(t.Context(), somebody("ana"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(wrote)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	if lock, err := os.Stat(path + ".lock"); err != nil || lock.Mode() != 0o600 {
		t.Errorf("the lock: %v", err)
	}
	list, err := Load(path)
	if err != nil || list.Len() != 1 {
		t.Fatal(err)
	}
	onlyTheseFiles(t, dir, "users.yaml", "users.yaml.lock")
}

// The server runs as the folder's owner and could not read root's file.
func TestTheFirstAccountThatRootMakesBelongsToTheFoldersOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 4242, 4343); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "users.yaml")
	if _, err := (File{Path: path}).Add(t.Context(), somebody("ana")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".lock"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != 4242 || st.Gid != 4343 || info.Mode() != 0o600 {
			t.Errorf("%s: %d:%d %v", name, st.Uid, st.Gid, info.Mode())
		}
	}
}

func TestOwnerAndModeStay(t *testing.T) {
	path := written(t, hashes(three))
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 4242, 4343
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := (File{Path: path}).SetPassword(t.Context(), "ana", hash2); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".lock"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		if int(st.Uid) != uid || int(st.Gid) != gid {
			t.Errorf("%s belongs to %d:%d, want %d:%d", name, st.Uid, st.Gid, uid, gid)
		}
		if name == path && info.Mode() != 0o640 {
			t.Errorf("mode %v", info.Mode())
		}
	}
}

func TestWhatIsNoFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := Load(dir); !errors.Is(err, ErrNotFile) {
		t.Errorf("folder: %v", err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	done := make(chan error, 1)
	go func() { _, err := Load(fifo); done <- err }()
	select {
	case err := <-done:
		if !errors.Is(err, ErrNotFile) {
			t.Errorf("fifo: %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("a FIFO holds Load up")
	}
}
