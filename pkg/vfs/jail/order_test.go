//go:build unix

package jail

import (
	"fmt"
	"io"
	"os"
	"slices"
	"testing"

	"ftps/pkg/vfs"
)

// call is one call on the disk.
type call struct {
	what     string // write, sync, rename, syncDir
	inode    string // the file written, synced or renamed
	from, to string // of a rename
	content  string // the whole file when it was synced
}

// record has a tree write down what it does to the disk.
func record(t *testing.T, tree *FS) *[]call {
	t.Helper()
	var calls []call
	disk := realDisk()
	unique := func(info os.FileInfo, err error) string {
		if err != nil {
			t.Errorf("recording: %v", err)
			return ""
		}
		return describe("", info).Unique
	}
	tree.disk.write = func(file *os.File, b []byte) (int, error) {
		calls = append(calls, call{what: "write", inode: unique(file.Stat())})
		return disk.write(file, b)
	}
	tree.disk.sync = func(file *os.File) error {
		content, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<40))
		if err != nil {
			t.Errorf("recording: %v", err)
		}
		calls = append(calls, call{what: "sync", inode: unique(file.Stat()), content: string(content)})
		return disk.sync(file)
	}
	tree.disk.rename = func(folder *os.Root, from, to string) error {
		calls = append(calls, call{what: "rename", inode: unique(folder.Lstat(from)), from: from, to: to})
		return disk.rename(folder, from, to)
	}
	tree.disk.syncDir = func(folder *os.Root) error {
		calls = append(calls, call{what: "syncDir"})
		return disk.syncDir(folder)
	}
	return &calls
}

// kinds returns the calls without repetition.
func kinds(calls []call) []string {
	var kinds []string
	for _, c := range calls {
		kinds = append(kinds, c.what)
	}
	return slices.Compact(kinds)
}

// crash returns what a name may hold after the power failed behind the first
// n calls. Only what was synced is sure to be there: a file that was not may
// be empty, and a rename whose folder was not may have happened or not.
func crash(calls []call, n int, name, before string) []string {
	synced := map[string]string{}
	sure, maybe := before, []string{}
	for _, c := range calls[:n] {
		switch {
		case c.what == "sync":
			synced[c.inode] = c.content
		case c.what == "rename" && c.to == name:
			maybe = append(maybe, c.inode)
		case c.what == "syncDir" && len(maybe) > 0:
			sure, maybe = synced[maybe[len(maybe)-1]], nil
		}
	}
	states := []string{sure}
	for _, inode := range maybe {
		states = append(states, synced[inode]) // "" where it was not
	}
	return states
}

// judge plays a crash behind every call of an upload and returns what is
// wrong with what it leaves: anything but the old or the new content, or the
// old content although the upload was acknowledged.
func judge(calls []call, name, before, after string) error {
	for n := range len(calls) + 1 {
		for _, state := range crash(calls, n, name, before) {
			if state != before && state != after {
				return fmt.Errorf("after %v the file holds %q", kinds(calls[:n]), state)
			}
			if n == len(calls) && state != after {
				return fmt.Errorf("the upload was acknowledged and the file holds %q", state)
			}
		}
	}
	return nil
}

// upload is one way to write a file.
type story struct {
	says          string
	before, sends string
	part          string
	how           vfs.How
	after         string
}

var stories = []story{
	{"a new file", "", "new content", "", vfs.How{Size: -1}, "new content"},
	{"a resumed file", "", " content", "new", vfs.How{Offset: 3, Size: -1}, "new content"},
	{"a file that must be new", "", "new content", "", vfs.How{New: true, Size: -1}, "new content"},
	{"an overwrite", "old", "new content", "", vfs.How{Size: -1}, "new content"},
	{"an append", "old", " and new", "", vfs.How{Append: true, Size: -1}, "old and new"},
	{"an offset over a file", "old content", "new", "", vfs.How{Offset: 4, Size: -1}, "old new"},
}

// prepare makes the tree of a story.
func (s story) prepare(w *world) {
	w.Helper()
	if s.before != "" {
		if err := w.put("/f", s.before); err != nil {
			w.Fatal(err)
		}
	}
	if s.part != "" {
		u, err := w.Create(w.Context(), w.name("/f"), vfs.How{Size: -1})
		if err != nil {
			w.Fatal(err)
		}
		if _, err := io.WriteString(u, s.part); err != nil {
			w.Fatal(err)
		}
		if err := u.Abort(); err != nil {
			w.Fatal(err)
		}
	}
}

// send plays the story's upload to its end, or to the first error.
func (s story) send(w *world) error {
	u, err := w.Create(w.Context(), w.name("/f"), s.how)
	if err != nil {
		return err
	}
	defer u.Abort()
	half := len(s.sends) / 2
	for _, piece := range []string{s.sends[:half], s.sends[half:]} {
		if _, err := io.WriteString(u, piece); err != nil {
			return err
		}
	}
	return u.Commit(w.Context())
}

func TestAnUploadIsSyncedBeforeItIsRenamedAndItsFolderAfter(t *testing.T) {
	for _, s := range stories {
		t.Run(s.says, func(t *testing.T) {
			w := newWorld(t)
			s.prepare(w)
			calls := record(t, w.FS)
			if err := s.send(w); err != nil {
				t.Fatal(err)
			}
			want := []string{"write", "sync", "rename", "syncDir"}
			if s.how.New {
				want = []string{"write", "sync", "syncDir"} // a link in place of the rename
			}
			if got := kinds(*calls); !slices.Equal(got, want) {
				t.Errorf("the calls were %v, want %v", got, want)
			}
		})
	}
}

func TestAfterAnyCrashAFileIsOldOrWholeAndWhatWasAcknowledgedIsThere(t *testing.T) {
	for _, s := range stories {
		if s.how.New {
			continue // placed by link(2), which is not recorded
		}
		t.Run(s.says, func(t *testing.T) {
			w := newWorld(t)
			s.prepare(w)
			calls := record(t, w.FS)
			if err := s.send(w); err != nil {
				t.Fatal(err)
			}
			if err := judge(*calls, "f", s.before, s.after); err != nil {
				t.Error(err)
			}
			// The controls: without either sync the same crashes do harm.
			for _, missing := range []string{"sync", "syncDir"} {
				without := slices.DeleteFunc(slices.Clone(*calls), func(c call) bool { return c.what == missing })
				if judge(without, "f", s.before, s.after) == nil {
					t.Errorf("without %s nothing is lost: the test shows nothing", missing)
				}
			}
		})
	}
}

func TestWithoutSyncNothingIsSynced(t *testing.T) {
	w := newWorld(t)
	w.FS.opts.NoSync = true
	calls := record(t, w.FS)
	if err := w.put("/f", "old"); err != nil {
		t.Fatal(err)
	}
	if err := w.put("/f", "new"); err != nil {
		t.Fatal(err)
	}
	if err := w.Mkdir(t.Context(), w.name("/d")); err != nil {
		t.Fatal(err)
	}
	if got := kinds(*calls); !slices.Equal(got, []string{"write", "rename", "write", "rename"}) {
		t.Errorf("the calls were %v", got)
	}
	if judge(*calls, "f", "", "new") == nil {
		t.Error("a crash does no harm: the test of the order shows nothing")
	}
}

func TestNewNamesOfFoldersAndFilesAreSynced(t *testing.T) {
	w := newWorld(t)
	if err := w.put("/f", "x"); err != nil {
		t.Fatal(err)
	}
	calls := record(t, w.FS)
	if err := w.Mkdir(t.Context(), w.name("/d")); err != nil {
		t.Fatal(err)
	}
	if len(*calls) != 1 || (*calls)[0].what != "syncDir" {
		t.Errorf("after mkdir the calls were %v", *calls)
	}
	*calls = nil
	if err := w.Rename(t.Context(), w.name("/f"), w.name("/d/f")); err != nil {
		t.Fatal(err)
	}
	if len(*calls) != 2 {
		t.Errorf("after a rename between two folders the calls were %v", *calls)
	}
}

func TestAPartIsSyncedWhenItIsLeft(t *testing.T) {
	w := newWorld(t)
	calls := record(t, w.FS)
	story{part: "half", how: vfs.How{Size: -1}}.prepare(w)
	if got := kinds(*calls); !slices.Equal(got, []string{"write", "sync"}) {
		t.Errorf("the calls were %v", got)
	}
}
