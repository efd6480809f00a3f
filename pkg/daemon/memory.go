package daemon

import (
	"os"
	"runtime"
	"runtime/debug"
	figures "runtime/metrics"
)

// memory gives back to the system what a busy time has left over. The
// runtime keeps as much as the next peak of the heap may want, and looks for
// garbage only when something is allocated: after ten thousand connections
// an idle server would stay as large as they made it.
type memory struct {
	allocated uint64 // at the last look
	busy      bool   // since memory was given back
	tight     bool   // a large heap may grow by half only
}

const (
	// calm is how much may be allocated between two looks of a server that
	// has nothing to do.
	calm = 4 << 20
	// worth is how much must be kept unused for a collection to pay.
	worth = 8 << 20
	// large is what thousands of sessions hold. To collect as often as Go does
	// leaves as much garbage beside them again; half of that costs nothing
	// that can be measured, since so large a heap is collected seldom.
	large = 16 << 20
)

// The growth of the heap after which garbage is looked for, in percent.
const (
	usualGrowth = 100
	tightGrowth = 50
)

// look is called every now and then. It gives memory back once after each
// busy time, when it is over.
func (m *memory) look() (freed bool) {
	sample := []figures.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/total:bytes"},
	}
	figures.Read(sample)
	allocated := sample[0].Value.Uint64()
	quiet := allocated-m.allocated < calm
	m.allocated = allocated
	if !quiet {
		m.busy = true
		return false
	}
	held := sample[3].Value.Uint64() - sample[2].Value.Uint64()
	if !m.busy || held < sample[1].Value.Uint64()+worth {
		return false
	}
	m.busy = false
	runtime.GC() // each collection halves a stack that is too large
	debug.FreeOSMemory()
	return true
}

// glance is a look at the size of the heap alone, more often than the others:
// ten thousand sessions may come within seconds.
func (m *memory) glance() {
	sample := []figures.Sample{{Name: "/gc/heap/live:bytes"}}
	figures.Read(sample)
	m.tighten(sample[0].Value.Uint64())
}

// tighten chooses how far the heap may grow, unless whoever runs the server
// has (GOGC).
func (m *memory) tighten(live uint64) {
	if tight := live >= large; tight != m.tight && os.Getenv("GOGC") == "" {
		m.tight = tight
		growth := usualGrowth
		if tight {
			growth = tightGrowth
		}
		debug.SetGCPercent(growth)
	}
}
