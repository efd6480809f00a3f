//go:build unix

package jail

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ftps/pkg/vfs"
)

// fail has one call on the disk fail, from its nth time on, until the
// returned function is called.
func fail(tree *FS, what string, nth int, errno error) (repair func()) {
	sound := tree.disk
	broken := func() bool {
		nth--
		return nth < 0
	}
	switch what {
	case "write":
		tree.disk.write = func(file *os.File, b []byte) (int, error) {
			if broken() {
				n, _ := sound.write(file, b[:len(b)/2]) // a full disk takes a piece
				return n, errno
			}
			return sound.write(file, b)
		}
	case "sync":
		tree.disk.sync = func(file *os.File) error {
			if broken() {
				return errno
			}
			return sound.sync(file)
		}
	case "rename":
		tree.disk.rename = func(folder *os.Root, from, to string) error {
			if broken() {
				return errno
			}
			return sound.rename(folder, from, to)
		}
	case "syncDir":
		tree.disk.syncDir = func(folder *os.Root) error {
			if broken() {
				return errno
			}
			return sound.syncDir(folder)
		}
	}
	return func() { tree.disk = sound }
}

func TestADiskThatFailsAtAnyStepLeavesTheOldContent(t *testing.T) {
	faults := []struct {
		errno syscall.Errno
		want  error
	}{
		{syscall.ENOSPC, vfs.ErrNoSpace},
		{syscall.EDQUOT, vfs.ErrQuota},
		{syscall.EROFS, vfs.ErrReadOnly},
		{syscall.EIO, syscall.EIO},
	}
	for _, s := range stories {
		for _, step := range []string{"write", "second write", "sync", "rename", "syncDir"} {
			if s.how.New && step == "rename" {
				continue // a link takes its place
			}
			for _, fault := range faults {
				t.Run(s.says+"/"+step+"/"+fault.errno.Error(), func(t *testing.T) {
					w := newWorld(t)
					q := w.limit(1000)
					s.prepare(w)
					what, second := strings.CutPrefix(step, "second ")
					nth := 0
					if second {
						nth = 1
					}
					repair := fail(w.FS, what, nth, fault.errno)
					w.fails(s.send(w), fault.want)
					repair()
					s.intact(w)
					w.exact(q)
					if err := w.put("/f", "a new attempt"); err != nil {
						t.Fatal(err)
					}
					if got, err := w.read("/f"); got != "a new attempt" {
						t.Errorf("the new attempt: %q, %v", got, err)
					}
					w.exact(q)
					if hidden := w.hidden(); len(hidden) != 0 {
						t.Errorf("behind a whole file there are %v", hidden)
					}
				})
			}
		}
	}
}

// intact demands what was there before the story's upload.
func (s story) intact(w *world) {
	w.Helper()
	got, err := w.read("/f")
	if s.before == "" {
		w.fails(err, fs.ErrNotExist)
	} else if got != s.before {
		w.Errorf("the file holds %q, %v", got, err)
	}
	for _, base := range w.hidden() {
		if s.before != "" || base != partName("alice", "f") {
			w.Errorf("%s stayed", base)
		}
	}
	if n, err := w.Part(w.Context(), w.name("/f")); s.before == "" && (err != nil || n < int64(len(s.part))) {
		w.Errorf("of the part there are %d bytes, %v", n, err)
	}
}

// limit gives the world's tree a quota.
func (w *world) limit(bytes int64) *vfs.Quota {
	w.Helper()
	q := vfs.NewQuota(bytes)
	view, err := vfs.Limit(w.Context(), w.FS, q)
	if err != nil {
		w.Fatal(err)
	}
	w.FS = view.(*FS)
	return q
}

func (w *world) exact(q *vfs.Quota) {
	w.Helper()
	used, err := w.Used(w.Context())
	if err != nil || used != q.Used() {
		w.Errorf("the quota counts %d bytes, the tree holds %d (%v)", q.Used(), used, err)
	}
}

// hidden returns the hidden names in the home.
func (w *world) hidden() []string {
	w.Helper()
	entries, err := os.ReadDir(w.home)
	if err != nil {
		w.Fatal(err)
	}
	var hidden []string
	for _, e := range entries {
		if kindOf(e.Name()) != visible {
			hidden = append(hidden, e.Name())
		}
	}
	return hidden
}

func TestAFailedSyncOfTheFolderDoesNotUndoALaterUpload(t *testing.T) {
	w := newWorld(t)
	if err := w.put("/f", "old"); err != nil {
		t.Fatal(err)
	}
	sound := w.disk
	w.disk.syncDir = func(folder *os.Root) error {
		w.disk.syncDir = sound.syncDir
		if err := w.put("/f", "later"); err != nil {
			t.Error(err)
		}
		return syscall.EIO
	}
	// An upload keeps the tree it began with, so both share its calls.
	w.fails(w.put("/f", "broken"), syscall.EIO)
	if got, err := w.read("/f"); got != "later" {
		t.Errorf("the file holds %q, %v", got, err)
	}
	if hidden := w.hidden(); len(hidden) != 0 {
		t.Errorf("%v stayed", hidden)
	}
}

func TestReadOnlyFilesStay(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write anything")
	}
	w := newWorld(t)
	w.plant(w.home, "f", "old")
	if err := os.Chmod(filepath.Join(w.home, "f"), 0o444); err != nil {
		t.Fatal(err)
	}
	w.fails(w.put("/f", "new"), fs.ErrPermission)
}

func TestErrorsOfTheKernelHaveTheTreesNames(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		errno syscall.Errno
		want  error
		not   error
	}{
		{syscall.ENOSPC, vfs.ErrNoSpace, vfs.ErrQuota},
		{syscall.EDQUOT, vfs.ErrQuota, vfs.ErrNoSpace},
		{syscall.EROFS, vfs.ErrReadOnly, fs.ErrPermission},
		{syscall.ELOOP, vfs.ErrEscape, nil},
		{syscall.ENOTEMPTY, vfs.ErrNotEmpty, fs.ErrExist},
		{syscall.ENOTDIR, vfs.ErrNotDir, fs.ErrNotExist},
		{syscall.EISDIR, vfs.ErrIsDir, nil},
		{syscall.ENAMETOOLONG, vfs.ErrBadName, nil},
		{syscall.EXDEV, errors.ErrUnsupported, nil},
		{syscall.ENOENT, fs.ErrNotExist, nil},
		{syscall.EACCES, fs.ErrPermission, nil},
		{syscall.EEXIST, fs.ErrExist, vfs.ErrNotEmpty},
	} {
		err := w.explain(&fs.PathError{Op: "op", Path: "p", Err: c.errno})
		if !errors.Is(err, c.want) || c.not != nil && errors.Is(err, c.not) {
			t.Errorf("%v became %v", c.errno, err)
		}
	}
}
