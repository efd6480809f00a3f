//go:build linux && (amd64 || arm64)

package jail

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ftps/pkg/vfs"
)

// The kernel tells names in batches, in records of many lengths. Each name
// comes once, with what is its own and not its neighbour's, and stays what it
// is once the next batch is read.
func TestAListingHasEachNameWithItsOwnSize(t *testing.T) {
	dir := t.TempDir()
	want := map[string]int64{}
	for i := range 1000 {
		// Each name begins another one, so that one cut short is found out.
		name := fmt.Sprintf("%03d", i) + strings.Repeat("ñ", i%126)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, name), int64(i)); err != nil {
			t.Fatal(err)
		}
		want[name] = int64(i)
	}
	tree, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	var all []vfs.Info
	for info, err := range tree.List(t.Context(), vfs.Name{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, info)
	}
	seen := map[string]string{}
	for _, info := range all {
		if size, known := want[info.Name]; !known || info.Size != size {
			t.Errorf("%q: %d bytes, want %d", info.Name, info.Size, size)
		}
		if other := seen[info.Unique]; other != "" {
			t.Errorf("%q and %q are both %q", info.Name, other, info.Unique)
		}
		seen[info.Unique] = info.Name
		delete(want, info.Name)
	}
	if len(want) > 0 || len(all) != 1000 {
		t.Errorf("%d entries, %d are missing", len(all), len(want))
	}
}

// A listing of a million entries must not keep the garbage collector at work.
func TestAListingAllocatesByTheBatch(t *testing.T) {
	const entries = 2000
	dir := t.TempDir()
	for i := range entries {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%07d", i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	n := testing.AllocsPerRun(3, func() {
		for range tree.List(t.Context(), vfs.Name{}) {
		}
	})
	if n > entries/10 {
		t.Errorf("%v allocations for %d entries", n, entries)
	}
}
