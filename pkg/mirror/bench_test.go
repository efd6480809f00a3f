package mirror_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"ftps/pkg/mirror"
)

// BenchmarkSmallFiles moves 2,000 files of 4 KiB, a fifth of them in each of
// five folders, over one connection and over four.
func BenchmarkSmallFiles(b *testing.B) {
	const files = 2000
	from := b.TempDir()
	for i := range files {
		write(b, filepath.Join(from, fmt.Sprint(i%5), fmt.Sprintf("file-%04d", i)), content(4096), longAgo)
	}
	for _, jobs := range []int{1, 4} {
		for _, up := range []bool{true, false} {
			name := "down"
			if up {
				name = "up"
			}
			b.Run(fmt.Sprintf("%s/%d", name, jobs), func(b *testing.B) {
				dial, home := ours(b, new(atomic.Int64), false)
				tr := mirror.New(mirror.Config{Dial: dial, Jobs: jobs, NoSync: true, Records: b.TempDir()})
				defer tr.Close()
				if !up {
					if _, err := tr.Put(b.Context(), from, "/tree", mirror.Options{Recursive: true}); err != nil {
						b.Fatal(err)
					}
				}
				n := 0
				for b.Loop() {
					n++
					var err error
					if up {
						_, err = tr.Put(b.Context(), from, fmt.Sprintf("/up%d", n), mirror.Options{Recursive: true})
					} else {
						_, err = tr.Get(b.Context(), "/tree", filepath.Join(home, fmt.Sprintf("down%d", n)), mirror.Options{Recursive: true})
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(files*n)/b.Elapsed().Seconds(), "files/s")
			})
		}
	}
}
