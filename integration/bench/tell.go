package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// tell makes the tables from all parts that were kept, shows the goals, and
// writes the files of the tree.
func (b *bench) tell(write bool) error {
	var kept []partRun
	all := figures{}
	for _, p := range parts {
		text, err := os.ReadFile(filepath.Join(b.results, p.name+".json"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		var run partRun
		if err := json.Unmarshal(text, &run); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		kept = append(kept, run)
		run.into(all)
	}
	goals := goalTable(all) + caution(kept)
	fmt.Printf("\n%s\n", goals)
	if !write {
		return nil
	}
	text, err := json.MarshalIndent(kept, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile("integration/BENCH.json", append(text, '\n'), 0o644); err != nil {
		return err
	}
	report := "\n" + conditions(kept) + "\n## Goals\n\n" + goals + "\n## All figures, medians of the rounds\n" + works(kept, all) +
		"\n## Growth\n\n" + lineTable(all)
	return errors.Join(
		between("integration/BENCH.md", "figures", report),
		between("README.md", "goals", "\n"+goals+"\n"))
}

// between puts text between the marks of a file.
func between(file, name, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	mark := regexp.MustCompile(`(?s)(<!-- ` + name + `: begin[^>]*-->\n).*?(<!-- ` + name + `: end -->)`)
	if !mark.Match(old) {
		return fmt.Errorf("%s has no marks for %s", file, name)
	}
	fresh := mark.ReplaceAllFunc(old, func(m []byte) []byte {
		parts := mark.FindSubmatch(m)
		return slices.Concat(parts[1], bytes.TrimLeft([]byte(text), "\n"), parts[2])
	})
	return os.WriteFile(file, fresh, 0o644)
}

func goalTable(all figures) string {
	var b strings.Builder
	b.WriteString("| work | goal | ours | best peer | ratio | reached, or why not |\n|---|---|---|---|---|---|\n")
	for _, l := range lines(all) {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(l.cells[:], " | "))
	}
	return b.String()
}

// busy is the share of the machine that others may use before it is said.
const busy = 0.1

// caution says of a run on a busy machine, and of one with few rounds, what it
// is worth.
func caution(kept []partRun) string {
	rounds, most := 0, 0.0
	for _, p := range kept {
		var wall, others float64
		for _, f := range p.Figures {
			wall, others, rounds = wall+f.Wall, others+f.Others, max(rounds, f.Round)
		}
		if wall > 0 {
			most = max(most, others/wall/float64(processors(p.Machine)))
		}
	}
	if most < busy && rounds >= 3 {
		return ""
	}
	return fmt.Sprintf("\nRounds: %d, with up to %.0f %% of the machine used by others: what is told in seconds of a clock is worth little, and CPU time is off by a fifth.\n",
		rounds, 100*most)
}

// conditions says when, where and beside what it was measured.
func conditions(kept []partRun) string {
	var b strings.Builder
	versions := map[string]string{}
	for _, p := range kept {
		for name, v := range p.Versions {
			versions[name] = v
		}
	}
	var names []string
	for name, v := range versions {
		names = append(names, name+" "+v)
	}
	slices.Sort(names)
	if len(kept) > 0 {
		fmt.Fprintf(&b, "%s. %s.\n\n", kept[0].Machine, strings.Join(names, "; "))
	}
	b.WriteString("| part | date | rounds | took | load average, median and highest | CPU used by others, share of the machine |\n|---|---|---|---|---|---|\n")
	for _, p := range kept {
		var loads []float64
		var wall, others float64
		rounds := 0
		for _, f := range p.Figures {
			loads = append(loads, f.Load)
			wall, others, rounds = wall+f.Wall, others+f.Others, max(rounds, f.Round)
		}
		if len(loads) == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %.0f s | %.1f, %.1f | %.0f %% |\n", p.Part, p.Date, rounds, p.Seconds,
			median(loads), slices.Max(loads), 100*others/wall/float64(processors(p.Machine)))
	}
	return b.String()
}

func processors(machine string) int {
	n := 1
	fmt.Sscan(machine, &n)
	return max(1, n)
}

// columns are what the table of all figures may show of a work.
var columns = []struct {
	name string
	has  func(f figure) bool
	m    measure
}{
	{"server CPU ms each", func(f figure) bool { return f.Ops > 1 && f.Server > 0 }, cpuOp},
	{"server CPU s/GiB", func(f figure) bool { return f.Bytes >= 64*mib }, cpuGiB},
	{"server CPU s", func(f figure) bool { return f.Ops <= 1 && f.Bytes < 64*mib }, cpuSeconds},
	{"client CPU s/GiB", func(f figure) bool { return f.Bytes >= 64*mib }, clientGiB},
	{"each, a second", func(f figure) bool { return f.Ops > 1 }, perSecond},
	{"MiB/s", func(f figure) bool { return f.Bytes >= 64*mib }, throughput},
	{"wall s", func(f figure) bool { return true }, measure{of: func(f figure) float64 { return f.Wall }}},
	{"peak over idle, MiB", func(f figure) bool { return f.After != nil && strings.HasPrefix(f.Work, "mlsd") }, overIdle},
	{"KiB a session", func(f figure) bool { return f.After != nil && !strings.HasPrefix(f.Work, "mlsd") }, bySession},
	{"round trips", func(f figure) bool { return f.Trips > 0 }, trips},
}

// works tells every work in a table of its own.
func works(kept []partRun, all figures) string {
	var b strings.Builder
	for _, p := range kept {
		if p.Part == "growth" {
			continue
		}
		var told []string
		for _, f := range p.Figures {
			if slices.Contains(told, f.Work) || len(all[f.Work]) == 0 {
				continue
			}
			told = append(told, f.Work)
			tellWork(&b, f.Work, all[f.Work])
		}
	}
	return b.String()
}

func tellWork(b *strings.Builder, work string, by map[string][]figure) {
	var who []string
	for name := range by {
		who = append(who, name)
	}
	slices.Sort(who)
	first := by[who[0]][0]
	fmt.Fprintf(b, "\n**%s**\n\n| |", work)
	shown := columns[:0:0]
	for _, c := range columns {
		if c.has(first) {
			shown = append(shown, c)
			b.WriteString(" " + c.name + " |")
		}
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(shown)) + "\n")
	for _, name := range who {
		fmt.Fprintf(b, "| %s |", name)
		for _, c := range shown {
			b.WriteString(" " + number(c.m.median(by[name])) + " |")
		}
		b.WriteString("\n")
	}
}

// growthLines are the works of three sizes: what grows, and by what.
var growthLines = []struct {
	work, unit string
	x, y       func(f figure) float64
	per        string
}{
	{"bytes down", "server CPU s", func(f figure) float64 { return float64(f.Bytes) / gib }, func(f figure) float64 { return f.Server }, "GiB"},
	{"bytes up", "server CPU s", func(f figure) float64 { return float64(f.Bytes) / gib }, func(f figure) float64 { return f.Server }, "GiB"},
	{"files down", "server CPU ms", func(f figure) float64 { return float64(f.Ops) }, func(f figure) float64 { return f.Server * 1000 }, "file"},
	{"files up", "server CPU ms", func(f figure) float64 { return float64(f.Ops) }, func(f figure) float64 { return f.Server * 1000 }, "file"},
	{"entries", "server CPU µs", func(f figure) float64 { return float64(f.Entries) }, func(f figure) float64 { return f.Server * 1e6 }, "entry"},
	{"sessions", "KiB", func(f figure) float64 { return float64(f.Ops) }, func(f figure) float64 { return float64(f.After.PSS - f.Rest.PSS) }, "session"},
}

// lineTable fits a line through each.
func lineTable(all figures) string {
	var b strings.Builder
	b.WriteString("| what grows | costs | and once | largest deviation from the line | sizes |\n|---|---|---|---|---|\n")
	for _, g := range growthLines {
		by := map[float64][]float64{}
		for _, f := range all[g.work][ours] {
			by[g.x(f)] = append(by[g.x(f)], g.y(f))
		}
		var xs, ys []float64
		for x := range by {
			xs = append(xs, x)
		}
		if len(xs) < 2 {
			continue
		}
		slices.Sort(xs)
		for _, x := range xs {
			ys = append(ys, median(by[x]))
		}
		slope, once, off := fit(xs, ys)
		fmt.Fprintf(&b, "| %s | %s %s a %s | %s %s | %.1f %% | %s to %s |\n", g.work, number(slope), g.unit, g.per, number(once), g.unit,
			100*off, number(xs[0]), number(xs[len(xs)-1]))
	}
	return b.String()
}

// fit is the line of least squares, and the largest share by which a point is
// off it.
func fit(xs, ys []float64) (slope, once, off float64) {
	var sx, sy, sxx, sxy float64
	n := float64(len(xs))
	for i := range xs {
		sx, sy, sxx, sxy = sx+xs[i], sy+ys[i], sxx+xs[i]*xs[i], sxy+xs[i]*ys[i]
	}
	slope = (n*sxy - sx*sy) / (n*sxx - sx*sx)
	once = (sy - slope*sx) / n
	for i := range xs {
		if ys[i] != 0 {
			off = max(off, abs(ys[i]-slope*xs[i]-once)/ys[i])
		}
	}
	return slope, once, off
}

func abs(x float64) float64 { return max(x, -x) }
