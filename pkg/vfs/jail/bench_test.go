package jail

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"ftps/pkg/vfs"
)

// BenchmarkList lists a folder of 10,000 entries.
func BenchmarkList(b *testing.B) {
	const entries = 10000
	dir := b.TempDir()
	for i := range entries {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%07d", i)), nil, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	tree, err := Open(dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer tree.Close()
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range tree.List(b.Context(), vfs.Name{}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != entries {
			b.Fatalf("%d entries", n)
		}
	}
}
