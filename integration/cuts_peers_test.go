//go:build interop

package integration

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A cut in a transfer is one of these cases.
type cutCase struct {
	upload bool
	plan   cut
	run    runner
}

// crossing is one server and the gates before it.
type crossing struct {
	*behind
	data  []byte
	from  string // the same on the local disk
	gates []*gate

	mu     sync.Mutex
	number int
	tally  map[string]*cutTally
}

// cutTally is a row of the table.
type cutTally struct {
	cases, whole, resumed, again, wrong int
	codes                               map[int]int
}

// cutWorkers is how many clients run at a time: most wait for a stalled
// connection.
const cutWorkers = 12

func newCrossing(t *testing.T, b *behind, data []byte) *crossing {
	t.Helper()
	x := &crossing{behind: b, data: data, from: filepath.Join(t.TempDir(), "f"), tally: make(map[string]*cutTally)}
	must(t, os.WriteFile(x.from, data, 0o644))
	must(t, os.WriteFile(filepath.Join(b.home, "f"), data, 0o644))
	for i := range cutWorkers {
		x.gates = append(x.gates, openGate(t, fmt.Sprintf("127.0.21.%d", i+1), b.control, b.first, b.last))
	}
	return x
}

// measured is what passes when nothing is cut.
type measured struct {
	conn    int // the data connection that has the content
	records [2]int
	control [2]int
}

func (x *crossing) measure(t *testing.T, upload bool) (m measured) {
	t.Helper()
	g := x.gates[0]
	g.expect(nil)
	c := x.prepare(t, upload)
	if a := inProcess(t, x.behind, g, c.records, 0, patience, c.command(false)...); a.code != 0 {
		t.Fatalf("uncut: exit %d\n%s", a.code, tail(a.said))
	}
	links, _ := g.reset()
	dir := down
	if upload {
		dir = up
	}
	most := int64(0)
	for _, l := range links {
		if l.control {
			m.control = [2]int{l.ways[down].records.n, l.ways[up].records.n}
		} else if l.ways[dir].bytes > most {
			most, m.conn = l.ways[dir].bytes, l.number
			m.records = [2]int{l.ways[down].records.n, l.ways[up].records.n}
		}
	}
	if m.records[dir] < 64 {
		t.Fatalf("%d records passed", m.records[dir])
	}
	return m
}

// place is where one case works.
type place struct {
	upload        bool
	source        string // below the account's folder, or here
	local, remote string // folders
	target        string // the file that is to come
	records       string
	remoteName    string
}

func (x *crossing) prepare(t *testing.T, upload bool) *place {
	t.Helper()
	x.mu.Lock()
	x.number++
	name := fmt.Sprintf("case %d", x.number)
	x.mu.Unlock()
	dir, err := os.MkdirTemp(filepath.Dir(x.from), "case")
	must(t, err)
	p := &place{upload: upload, source: "f", local: filepath.Join(dir, "local"), records: filepath.Join(dir, "records")}
	must(t, os.Mkdir(p.local, 0o755))
	must(t, os.Mkdir(p.records, 0o755))
	p.target = filepath.Join(p.local, "f")
	if upload {
		p.source, p.remote = x.from, x.folder(t, name)
		p.target, p.remoteName = filepath.Join(p.remote, "f"), name+"/f"
	}
	return p
}

func (p *place) command(again bool) []string {
	words := []string{"get"}
	if p.upload {
		words = []string{"put"}
	}
	if again {
		words = append(words, "-c")
	}
	if p.upload {
		return append(words, p.source, p.remoteName)
	}
	return append(words, p.source, p.target)
}

func (p *place) clear() {
	os.RemoveAll(filepath.Dir(p.local))
	if p.remote != "" {
		os.RemoveAll(p.remote)
	}
}

// left names what stands in the target's folder beside the target, and tells
// the state of the target.
func (x *crossing) left(p *place) (beside []string, length int64, there, whole bool) {
	list, _ := os.ReadDir(filepath.Dir(p.target))
	for _, e := range list {
		if e.Name() != "f" {
			beside = append(beside, e.Name())
			if info, err := e.Info(); err == nil && !strings.HasSuffix(e.Name(), "-info") {
				length = max(length, info.Size())
			}
		}
	}
	got, err := os.ReadFile(p.target)
	return beside, length, err == nil, bytes.Equal(got, x.data)
}

// mayStay reports whether a resume has a use for a name.
func (x *crossing) mayStay(p *place, name string) bool {
	if p.upload {
		return x.part(name)
	}
	return name == "f.part" || name == "f.part-info"
}

// patient is how long a client waits where nothing is stalled; impatient
// where something is.
const patient, impatient = patience, 3 * time.Second

// fitting are the exit codes that a cut may come to.
func fitting(c cut) []int {
	switch {
	case c.how == byStall && c.control:
		return []int{10}
	case c.how == byStall:
		return []int{10, 9} // 9 where the server has said that it is done
	}
	// A server that loses its control connection breaks the data off too:
	// whichever the client sees first.
	return []int{3, 9}
}

// try takes one case to its end and returns what is wrong with it.
func (x *crossing) try(t *testing.T, g *gate, c cutCase) (wrong string) {
	p := x.prepare(t, c.upload)
	defer p.clear()
	timeout := patient
	if c.plan.how == byStall {
		timeout = impatient
	}
	g.expect(&c.plan)
	first := c.run(t, x.behind, g, p.records, 0, timeout, p.command(false)...)
	_, acted := g.reset()
	beside, _, there, whole := x.left(p)
	complain := func(format string, args ...any) {
		wrong += fmt.Sprintf(format, args...) + "\n"
	}
	switch {
	case !acted && !(c.plan.at.control && first.code == 0):
		// The control connection's last records are sometimes one less.
		complain("nothing was cut")
	case there && !whole:
		complain("a file that is not whole stands under its name")
	case first.code == 0 && !whole:
		complain("exit 0, and no file")
	case first.code == 1 && !c.plan.control && strings.Contains(first.said, "STOR: 451 "):
		// Pure-FTPd's word for an upload that broke off, and for a full disk.
	case first.code == 1 && x.name == "vsftpd" && strings.Contains(first.said, "version 3030"):
		// "500 OOPS" in clear, amid TLS: its last word when a handshake ends early.
	case first.code == 3 && c.plan.how == byStall && !c.plan.control && strings.Contains(first.said, "STOR: 425 "):
		// A handshake that stalls: the server gave up on the connection first, and said so.
	case first.code != 0 && !slices.Contains(fitting(c.plan), first.code):
		complain("exit %d", first.code)
	}
	for _, name := range beside {
		if !x.mayStay(p, name) {
			complain("%q is left of it", name)
		}
	}
	// As a person gives it again: with the retries that are the default.
	second := c.run(t, x.behind, g, p.records, 3, patient, p.command(true)...)
	g.reset()
	after, _, _, whole := x.left(p)
	switch {
	case second.code != 0:
		complain("again: exit %d\n%s", second.code, last(second.said))
	case !whole:
		complain("again: the file is not the one it should be")
	case len(after) > 0:
		complain("again: %q is left", after)
	}
	if list, _ := os.ReadDir(filepath.Join(p.records, "uploads")); len(list) > 0 {
		complain("again: the record is left")
	}
	if wrong != "" {
		wrong += "first run:\n" + last(first.said)
	}
	x.note(c, first, second, wrong != "")
	return wrong
}

// row names the row of the table that a case belongs to.
func (c cutCase) row() string {
	direction, stream, at := "down", "data", "records"
	if c.upload {
		direction = "up"
	}
	if c.plan.control {
		stream = "control"
	}
	switch {
	case c.plan.at.control:
		at = "records of its own"
	case c.plan.at.record < 0:
		at = "seeded offsets"
	}
	return fmt.Sprintf("%s | %s | %s | %s", direction, stream, c.plan.how, at)
}

// last is where a dialogue ends.
func last(said string) string { return said[max(0, len(said)-1000):] }

func (x *crossing) note(c cutCase, first, second attempt, wrong bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	row := x.tally[c.row()]
	if row == nil {
		row = &cutTally{codes: make(map[int]int)}
		x.tally[c.row()] = row
	}
	row.cases++
	row.codes[first.code]++
	switch {
	case wrong:
		row.wrong++
	case second.done.Verified == "present" || first.code == 0:
		row.whole++
	case second.done.Resumed:
		row.resumed++
	default:
		row.again++
	}
}

func (x *crossing) all(t *testing.T, cases []cutCase) { x.run(t, cases, x.try) }

// run runs the cases, each gate one at a time.
func (x *crossing) run(t *testing.T, cases []cutCase, try func(*testing.T, *gate, cutCase) string) {
	jobs := make(chan cutCase)
	var workers sync.WaitGroup
	complaints := 0
	for _, g := range x.gates {
		workers.Go(func() {
			for c := range jobs {
				if wrong := try(t, g, c); wrong != "" {
					x.mu.Lock()
					if complaints++; complaints <= 12 {
						t.Errorf("%s %s; %s: %s", x.name, c.row(), c.plan.at, wrong)
					} else {
						t.Fail()
					}
					x.mu.Unlock()
				}
			}
		})
	}
	for _, c := range cases {
		jobs <- c
	}
	close(jobs)
	workers.Wait()
}

// rows writes the table of what was cut.
func (x *crossing) rows() (rows []string) {
	for _, name := range slices.Sorted(maps.Keys(x.tally)) {
		r := x.tally[name]
		var codes []string
		for _, code := range slices.Sorted(maps.Keys(r.codes)) {
			codes = append(codes, fmt.Sprintf("%d × %d", r.codes[code], code))
		}
		rows = append(rows, fmt.Sprintf("| %s %s | %s | %d | %s | %d | %d | %d | %d |",
			x.name, x.version, name, r.cases, strings.Join(codes, ", "), r.whole, r.resumed, r.again, r.wrong))
	}
	return rows
}

// boundaries are the cases of a 64-record file: each end of a record, each
// manner, each stream. In short form every fourth boundary is taken once, in
// turns.
func (x *crossing) boundaries(t *testing.T) (cases []cutCase) {
	turn := 0
	for _, upload := range []bool{false, true} {
		m := x.measure(t, upload)
		dir, own := m.records[down], [2]int{m.control[down], m.control[up]}
		if upload {
			dir = m.records[up]
		}
		for _, s := range []struct {
			at      spot
			n       int
			control []bool
		}{
			{spot{data: m.conn, up: upload}, dir, []bool{false, true}},
			{spot{control: true}, own[down], []bool{true}},
			{spot{control: true, up: true}, own[up], []bool{true}},
		} {
			for k := range s.n {
				at := s.at
				at.record = k
				n := 0
				for _, control := range s.control {
					for _, how := range []manner{byFIN, byReset, byStall} {
						n++
						if *full || k%4 == 0 && turn%(3*len(s.control)) == n-1 {
							cases = append(cases, cutCase{upload: upload, plan: cut{how: how, control: control, at: at}, run: inProcess})
						}
					}
				}
				if k%4 == 0 {
					turn++
				}
			}
		}
	}
	return cases
}

// offsets are cases at seeded places of a big file.
func (x *crossing) offsets(t *testing.T, n int) (cases []cutCase) {
	random := rand.New(rand.NewPCG(2026, 22))
	hows := []manner{byFIN, byReset, byStall}
	for _, upload := range []bool{false, true} {
		m := x.measure(t, upload)
		for i := range n {
			at := spot{data: m.conn, up: upload, record: -1, byte: random.Int64N(int64(len(x.data)))}
			cases = append(cases, cutCase{upload: upload, run: inProcess, plan: cut{how: hows[i%3], control: i/3%2 == 1, at: at}})
		}
	}
	return cases
}

func TestWhatIsCutBetweenOurClientAndOurOrOtherPeoplesServersIsResumed(t *testing.T) {
	t.Parallel()
	start := time.Now()
	servers := []func(*testing.T) *behind{oursBehind}
	for _, f := range foreigners() {
		if f.name == "vsftpd" || f.name == "Pure-FTPd" {
			servers = append(servers, func(t *testing.T) *behind { return foreignBehind(t, f) })
		}
	}
	big, offsets, real := 8<<20, 6, 2
	if *full {
		big, offsets, real = 64<<20, 200, 10
	}
	for _, serve := range servers {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			b := serve(t)
			x := newCrossing(t, b, seeded(64*(16<<10), 31))
			noteIn(t, &report.servers, b.name, b.version, "transfers cut, reset and stalled: see CUTS.md")
			x.all(t, x.boundaries(t))
			for _, g := range x.gates {
				for _, l := range g.listeners {
					l.Close()
				}
			}
			y := newCrossing(t, b, seeded(big, 32))
			y.tally, y.number = x.tally, x.number
			cases := y.offsets(t, offsets)
			// A sample goes through the real binary.
			for i, c := range y.offsets(t, real) {
				if c.plan.how == byStall && c.upload {
					c.plan.how = []manner{byFIN, byReset}[i%2]
				}
				c.run = binary
				cases = append(cases, c)
			}
			y.all(t, cases)
			x.report(t)
		})
	}
	t.Logf("%.0f s", time.Since(start).Seconds())
}

// report prints the rows and writes the table.
func (x *crossing) report(t *testing.T) {
	t.Helper()
	report.Lock()
	defer report.Unlock()
	rows := x.rows()
	for _, row := range rows {
		fmt.Println("cuts: " + strings.Trim(row, "| "))
	}
	report.cuts = append(report.cuts, rows...)
	if *tableFile != "" {
		must(t, os.WriteFile(filepath.Join(filepath.Dir(*tableFile), "CUTS.md"), []byte(cutsTable()), 0o644))
	}
}

func cutsTable() string {
	form := "its short form"
	if *full {
		form = "full form"
	}
	return "# What is cut is resumed\n\n" +
		"Written by `scripts/interop --table`, in " + form + ", on " + time.Now().UTC().Format("2006-01-02") + ": a gate between `ftps client` and each server closes, resets\n" +
		"or stalls the data or the control connection behind a TLS record of a 64-record file, behind a record of\n" +
		"the control connection, or at seeded offsets of a big file. Then the command is given again with `-c`.\n" +
		"A folder of small files, each right behind its STOR, is cut in the same way and then sent again: whatever\n" +
		"happens, each file is told once, as done, failed or left undone, and what stands under a name is that file.\n\n" +
		"*whole at once*: the cut came after the file was proven. *resumed*: the second command built upon what\n" +
		"was there, proven by hash, or, where the server tells none, by fetching it again. *started again*: nothing was there, or too little to be worth a resume. *wrong*: anything else; in\n" +
		"all others the end is exit 0 with equal content and nothing left beside it.\n\n" +
		"| server | direction | stream | how | where | cases | exit codes of the first | whole at once | resumed | started again | wrong |\n" +
		"|---|---|---|---|---|---|---|---|---|---|---|\n" + strings.Join(report.cuts, "\n") + "\n"
}
