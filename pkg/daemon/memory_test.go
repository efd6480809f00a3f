package daemon

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestMemoryIsGivenBackOnceWhenABusyTimeIsOver(t *testing.T) {
	var m memory
	m.look()
	peak := make([][]byte, 0, 64)
	for range 64 {
		peak = append(peak, make([]byte, 1<<20))
	}
	if m.look() {
		t.Error("given back in the middle of it")
	}
	runtime.KeepAlive(peak)
	peak = nil
	if !m.look() {
		t.Error("not given back afterwards")
	}
	if m.look() {
		t.Error("given back again without need")
	}
}

func TestALargeHeapMayGrowByHalfOnlyAndASmallOneAsMuchAgain(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(usualGrowth)
	defer debug.SetGCPercent(before)
	var m memory
	for _, step := range []struct {
		live uint64
		want int
	}{{large - 1, usualGrowth}, {large, tightGrowth}, {4 * large, tightGrowth}, {1 << 20, usualGrowth}} {
		m.tighten(step.live)
		if got := debug.SetGCPercent(usualGrowth); got != step.want {
			t.Errorf("%d bytes live: growth by %d %%, not %d", step.live, got, step.want)
		} else {
			debug.SetGCPercent(got)
		}
	}
}

func TestWhoChoseTheGrowthOfTheHeapKeepsIt(t *testing.T) {
	t.Setenv("GOGC", "70")
	before := debug.SetGCPercent(70)
	defer debug.SetGCPercent(before)
	var m memory
	m.tighten(4 * large)
	if got := debug.SetGCPercent(70); got != 70 {
		t.Errorf("growth by %d %%", got)
	}
}
