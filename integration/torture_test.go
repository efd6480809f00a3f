//go:build torture

package integration

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The flags of the torture; scripts/torture sets them. With -short every part
// does about a tenth of its work.
var (
	tortureSeed  = flag.Uint64("seed", 0, "repeat the run of that seed; 0 makes a new one")
	tortureTable = flag.String("table", "", "write what was done and found to that Markdown file")
	soakFor      = flag.Duration("soak", 0, "how long the soak lasts; 0 leaves it out")
)

// TestTorture does to the real binary what the world may do to it in a bad
// year. Each part prints one line: how much was done, and what was found.
func TestTorture(t *testing.T) {
	if *tortureSeed == 0 {
		*tortureSeed = uint64(time.Now().UnixNano())%1_000_000_000 + 1
	}
	fmt.Printf("torture: -seed %d\n", *tortureSeed)
	defer func() {
		if err := writeTable(*tortureTable); err != nil {
			t.Error(err)
		}
	}()
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"model", tortureModel},
		{"kill", tortureKill},
		{"disk", tortureDisk},
		{"race", tortureRace},
		{"flood", tortureFlood},
		{"soak", tortureSoak},
	} {
		t.Run(part.name, part.run)
	}
}

// random returns a source of its own for each part and worker, the same for
// the same seed.
func random(part string, worker int) *rand.Rand {
	sum := *tortureSeed
	for _, b := range []byte(part) {
		sum = sum*1099511628211 ^ uint64(b)
	}
	return rand.New(rand.NewPCG(sum, uint64(worker)))
}

// amount is n, or a share of it in a short run.
func amount(n int) int {
	if testing.Short() {
		return max(1, n/10)
	}
	return n
}

// figures are the rows of the table, in the order in which they came.
var figures struct {
	mu   sync.Mutex
	rows []figure
}

type figure struct{ name, done, found string }

// tell prints the one line of a part and keeps it for the table. It is called
// when the part is over; found is what a fault-free run has to say.
func tell(t *testing.T, name, done, found string) {
	t.Helper()
	if t.Failed() {
		found = "FAULTS, see the output"
	}
	fmt.Printf("torture: %s: %s; %s\n", name, done, found)
	figures.mu.Lock()
	defer figures.mu.Unlock()
	figures.rows = append(figures.rows, figure{name, done, found})
}

// held are rows for what other tests of the repository prove, so that the
// table is whole.
var held = []figure{
	{"crash at any point", "a recording file system replays only what was synced, up to each call of each kind of upload: `TestAfterAnyCrashAFileIsOldOrWholeAndWhatWasAcknowledgedIsThere`, `TestAnUploadIsSyncedBeforeItIsRenamedAndItsFolderAfter` in pkg/vfs/jail", "part of `go test ./...`"},
	{"failing disk", "each write, sync and rename fails in turn with EIO and ENOSPC: `TestADiskThatFailsAtAnyStepLeavesTheOldContent` in pkg/vfs/jail", "part of `go test ./...`"},
}

// writeTable merges this run's rows into the Markdown table at path.
func writeTable(path string) error {
	figures.mu.Lock()
	defer figures.mu.Unlock()
	if path == "" || len(figures.rows) == 0 {
		return nil
	}
	var rows []figure
	old, _ := os.ReadFile(path)
	for line := range strings.Lines(string(old)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) == 3 && strings.HasPrefix(line, "| ") && strings.TrimSpace(cells[0]) != "test" {
			rows = append(rows, figure{strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])})
		}
	}
	for _, row := range append(slices.Clone(figures.rows), held...) {
		i := slices.IndexFunc(rows, func(r figure) bool { return r.name == row.name })
		if i < 0 {
			rows = append(rows, row)
		} else {
			rows[i] = row
		}
	}
	var b strings.Builder
	b.WriteString("# Torture\n\nWritten by `scripts/torture`, which repeats any run from the seed it prints. Each row is the last run of that part.\n\n")
	b.WriteString("| test | how much | found |\n|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.name, r.done, r.found)
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
