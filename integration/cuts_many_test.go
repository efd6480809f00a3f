//go:build interop

package integration

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// manyFiles is how many small files go up at a time, each right behind its
// STOR.
const manyFiles = 96

// many is a crossing of a folder of small files.
type many struct {
	*crossing
	want map[string]string
}

func newMany(t *testing.T, b *behind) *many {
	x := &many{newCrossing(t, b, nil), make(map[string]string)}
	x.from = filepath.Join(t.TempDir(), "from")
	must(t, os.Mkdir(x.from, 0o755))
	random := rand.New(rand.NewPCG(2026, 33))
	for i := range manyFiles {
		name, b := fmt.Sprintf("%02d ñ", i), seeded(random.IntN(6_000), uint64(i))
		x.want[name] = string(b)
		must(t, os.WriteFile(filepath.Join(x.from, name), b, 0o644))
	}
	return x
}

// put sends the folder and returns what is wrong with what became of it.
func (x *many) put(t *testing.T, g *gate, dir string, c cutCase, retries int) (a attempt, wrong string) {
	timeout := patient
	if c.plan.how == byStall {
		timeout = impatient
	}
	a = c.run(t, x.behind, g, filepath.Join(t.TempDir(), "records"), retries, timeout, "put", "-r", x.from+"/.", filepath.Base(dir))
	ends := make(map[string]int)
	for line := range strings.Lines(a.said) {
		var event struct{ Event, Name string }
		if json.Unmarshal([]byte(line), &event) != nil {
			continue
		}
		name := event.Name[strings.LastIndexByte(event.Name, '/')+1:]
		switch event.Event {
		case "done":
			if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != x.want[name] {
				wrong += fmt.Sprintf("%s was told as done, and is not what it should be: %v\n", name, err)
			}
			ends[name]++
		case "failed", "left":
			ends[name]++
		}
	}
	planned := len(ends) > 0
	for name := range x.want {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && string(got) != x.want[name] {
			wrong += fmt.Sprintf("%s holds something else\n", name)
		}
		if planned && ends[name] != 1 {
			wrong += fmt.Sprintf("%s ended %d times\n", name, ends[name])
		}
		if a.code == 0 && err != nil {
			wrong += fmt.Sprintf("exit 0, and no %s\n", name)
		}
	}
	return a, wrong
}

func (x *many) try(t *testing.T, g *gate, c cutCase) (wrong string) {
	x.mu.Lock()
	x.number++
	number := x.number
	x.mu.Unlock()
	dir := x.folder(t, fmt.Sprintf("many %d", number))
	defer os.RemoveAll(dir)
	g.expect(&c.plan)
	first, wrong := x.put(t, g, dir, c, number%2*2)
	if _, acted := g.reset(); !acted && first.code != 0 {
		wrong += "nothing was cut\n"
	}
	again := c
	again.plan.how = byFIN // for its patience alone
	second, more := x.put(t, g, dir, again, 3)
	g.reset()
	if wrong += more; second.code != 0 {
		wrong += fmt.Sprintf("again: exit %d\n%s", second.code, last(second.said))
	}
	list, err := os.ReadDir(dir)
	if must(t, err); len(list) != manyFiles {
		wrong += fmt.Sprintf("%d names in the end\n", len(list))
	}
	if wrong != "" {
		wrong += "first run:\n" + last(first.said)
	}
	x.noteMany(c, first, wrong != "")
	return wrong
}

func (x *many) noteMany(c cutCase, first attempt, wrong bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	name := strings.Replace(c.row(), "up", fmt.Sprintf("up, %d small files ahead", manyFiles), 1)
	row := x.tally[name]
	if row == nil {
		row = &cutTally{codes: make(map[int]int)}
		x.tally[name] = row
	}
	row.cases++
	row.codes[first.code]++
	switch {
	case wrong:
		row.wrong++
	case first.code == 0:
		row.whole++
	default:
		row.again++
	}
}

// cases are every end of a record of the data connection and of the control
// connection, and seeded offsets between them.
func (x *many) cases(t *testing.T, offsets int) (cases []cutCase) {
	g := x.gates[0]
	g.expect(nil)
	dir := x.folder(t, "many, uncut")
	if a, wrong := x.put(t, g, dir, cutCase{run: inProcess}, 0); a.code != 0 || wrong != "" {
		t.Fatalf("uncut: exit %d\n%s%s", a.code, wrong, last(a.said))
	}
	links, _ := g.reset()
	var control, data *link
	for _, l := range links {
		switch {
		case l.control:
			control = l
		case data == nil || l.ways[up].bytes > data.ways[up].bytes:
			data = l
		}
	}
	turn := 0
	add := func(at spot, n int, hows ...manner) {
		step := 1
		if !*full {
			step = max(1, n/30)
		}
		for k := 0; k < n; k += step {
			at.record = k
			turn++
			for i, how := range hows {
				if *full || turn%len(hows) == i {
					cases = append(cases, cutCase{upload: true, run: inProcess, plan: cut{how: how, control: at.control, at: at}})
				}
			}
		}
	}
	all := []manner{byFIN, byReset, byStall}
	add(spot{data: data.number, up: true}, data.ways[up].records.n, all...)
	add(spot{data: data.number}, data.ways[down].records.n, all...)
	add(spot{control: true, up: true}, control.ways[up].records.n, all...)
	add(spot{control: true}, control.ways[down].records.n, all...)
	random := rand.New(rand.NewPCG(2026, 34))
	for i := range offsets {
		at := spot{data: data.number, up: true, record: -1, byte: random.Int64N(data.ways[up].bytes)}
		cases = append(cases, cutCase{upload: true, run: inProcess, plan: cut{how: all[i%3], control: i/3%2 == 1, at: at}})
	}
	return cases
}

func TestManySmallFilesThatGoAheadAndAreCutAnywhereAreThemselvesOrAbsent(t *testing.T) {
	t.Parallel()
	x := newMany(t, oursBehind(t))
	offsets := 12
	if *full {
		offsets = 200
	}
	x.run(t, x.cases(t, offsets), x.try)
	x.report(t)
}
