//go:build unix

package jail

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ftps/pkg/vfs"
)

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
