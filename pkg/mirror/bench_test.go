package mirror_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"ftps/pkg/mirror"
	"ftps/pkg/vfs/memfs"
)

// BenchmarkSmallFiles moves 2,000 files of 4 KiB, a fifth of them in each of
// five folders, one after the other and pipelined. The server keeps them in
// memory: what is measured is the way there.
func BenchmarkSmallFiles(b *testing.B) {
	const files = 2000
	from := b.TempDir()
	for i := range files {
		write(b, filepath.Join(from, fmt.Sprint(i%5), fmt.Sprintf("file-%04d", i)), content(4096), longAgo)
	}
	for _, direction := range []string{"up", "down"} {
		for _, jobs := range []int{1, 4} {
			for _, piped := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/jobs=%d/piped=%v", direction, jobs, piped), func(b *testing.B) {
					tr := mirror.New(mirror.Config{Dial: over(b, memfs.New()), Jobs: jobs, NoSync: true, Records: b.TempDir()})
					defer tr.Close()
					if !piped {
						tr.WithoutPipeline()
					}
					o := mirror.Options{Recursive: true}
					if direction == "down" {
						if _, err := tr.Put(b.Context(), from, "/tree", o); err != nil {
							b.Fatal(err)
						}
					}
					to, n := b.TempDir(), 0
					for b.Loop() {
						n++
						var err error
						if direction == "up" {
							_, err = tr.Put(b.Context(), from, fmt.Sprintf("/up%d", n), o)
						} else {
							_, err = tr.Get(b.Context(), "/tree", filepath.Join(to, fmt.Sprint(n)), o)
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
}
