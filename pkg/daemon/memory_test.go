package daemon

import (
	"runtime"
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
