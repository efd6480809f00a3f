//go:build unix

package jail

import (
	"sync"
	"testing"
	"time"
)

// A successor sweeps when it starts, while the old server still serves: an
// upload whose nameless file it took in the moment before it was locked was
// refused as if somebody else had the file.
func TestASweepMeanwhileRefusesNoUpload(t *testing.T) {
	w := newWorld(t)
	if err := w.put("/f", "old"); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	var sweeping sync.WaitGroup
	for range 2 {
		sweeping.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if _, err := Sweep(t.Context(), w.home, 24*time.Hour); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 200 {
		if err := w.put("/f", "new"); err != nil {
			t.Error(err)
			break
		}
	}
	close(over)
	sweeping.Wait()
}
