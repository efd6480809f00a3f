//go:build linux

package wall

import (
	"os"
	"path/filepath"
	"testing"

	"ftps/pkg/fault"
)

// standing is a wall as it looks to whoever asks, without any in the kernel.
func standing(t *testing.T, folders ...Folder) *Wall {
	t.Helper()
	w := &Wall{Folders: folders}
	for _, f := range folders {
		info, err := os.Stat(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		w.inside = append(w.inside, inside{info, f.Access})
	}
	return w
}

func TestAPathIsAdmittedByTheFoldersAboveItNotByItsName(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"srv/diego", "etc", "other"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"srv/out": "../other", "in": "srv/diego"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	w := standing(t, Folder{"homes", filepath.Join(dir, "srv"), Tree}, Folder{"accounts", filepath.Join(dir, "etc"), Read})
	for _, c := range []struct {
		path   string
		access Access
		want   bool
	}{
		{"srv/diego", Tree, true},
		{"srv/not/there/yet", Tree, true},
		{"in", Tree, true},
		{"srv/out", Tree, false},
		{"srv/out/not/there", Tree, false},
		{"other", Tree, false},
		{"other", Read, false},
		{"etc/users.yaml", Read, true},
		{"etc/home", Tree, false},
		{"srv/diego", Read, true},
		{"srv/diego", Run, false},
		{"", Tree, false},
	} {
		if got := w.Admits(filepath.Join(dir, c.path), c.access); got != c.want {
			t.Errorf("%s of %q: %v", c.access, c.path, got)
		}
	}
	// Another folder under the same name is not the one that the kernel knows.
	if err := os.Rename(filepath.Join(dir, "srv"), filepath.Join(dir, "old")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "srv"), 0o755); err != nil {
		t.Fatal(err)
	}
	if w.Admits(filepath.Join(dir, "srv"), Tree) || !w.Admits(filepath.Join(dir, "old"), Tree) {
		t.Error("the name decided, not the folder")
	}
	if none := (*Wall)(nil); !none.Admits("/", Tree) {
		t.Error("where there is no wall, nothing is outside")
	}
}

func TestAWallIsRequiredWholeOrNotAtAll(t *testing.T) {
	for _, c := range []struct {
		mode  Mode
		abi   int
		wants bool
	}{
		{Auto, 0, true}, {Auto, 1, true}, {Auto, 2, false}, {Auto, 7, false},
		{Require, 0, true}, {Require, 2, true}, {Require, 3, false}, {Require, 7, false},
	} {
		err := missing(c.mode, c.abi)
		if (err != nil) != c.wants {
			t.Errorf("%s with version %d: %v", c.mode, c.abi, err)
		}
		if err != nil && err.(*fault.Error).Key != "wall.none" {
			t.Errorf("%s with version %d: %v", c.mode, c.abi, err)
		}
	}
	if Missing(Off) != nil || Missing(Auto) != nil {
		t.Error("only require asks for one")
	}
}

func TestALoaderIsFoundWhereThereIsOne(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if got := interpreter(self); got != "" && !filepath.IsAbs(got) {
		t.Errorf("of this program: %q", got)
	}
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := interpreter(script); got != "" {
		t.Errorf("of a script: %q", got)
	}
	if got := Program(); len(got) == 0 || got[0] != (Folder{"program", filepath.Dir(self), Run}) {
		t.Errorf("of the program: %v", got)
	}
}
