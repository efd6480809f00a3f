package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ticks is USER_HZ, which Linux tells everybody in /proc as 100.
const ticks = 100

// process is a line of /proc/PID/stat.
type process struct {
	pid, parent int
	cpu         float64 // seconds, with those of children that have ended and were waited for
}

func readProcess(pid int) (process, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	// The name in brackets may hold anything.
	_, rest, ok := bytes.Cut(text[bytes.LastIndexByte(text, ')'):], []byte(" "))
	f := strings.Fields(string(rest))
	if !ok || len(f) < 15 {
		return process{}, false
	}
	p := process{pid: pid}
	p.parent, _ = strconv.Atoi(f[1])
	for _, field := range f[11:15] { // utime, stime, cutime, cstime
		n, _ := strconv.ParseFloat(field, 64)
		p.cpu += n / ticks
	}
	return p, true
}

// tree returns a process and all that it has started.
func tree(root int) []process {
	children := map[int][]process{}
	names, _ := filepath.Glob("/proc/[0-9]*")
	var all []process
	for _, name := range names {
		pid, _ := strconv.Atoi(filepath.Base(name))
		if p, ok := readProcess(pid); ok {
			children[p.parent] = append(children[p.parent], p)
			if pid == root {
				all = append(all, p)
			}
		}
	}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i].pid]...)
	}
	return all
}

// treeCPU returns the seconds that a tree has computed so far. The times of a
// child that has ended are its parent's once it was waited for.
func treeCPU(root int) (sum float64) {
	for _, p := range tree(root) {
		sum += p.cpu
	}
	return sum
}

// memory is what a tree holds, in KiB.
type memory struct{ RSS, PSS, Peak int64 }

// treeMemory sums up a tree. Peak is the sum of the highest RSS of each of its
// processes since resetPeak.
func treeMemory(root int) (m memory) {
	for _, p := range tree(root) {
		m.RSS += field(p.pid, "status", "VmRSS:")
		m.Peak += field(p.pid, "status", "VmHWM:")
		m.PSS += field(p.pid, "smaps_rollup", "Pss:")
	}
	return m
}

// resetPeak makes each process's highest RSS what it is now (proc(5),
// clear_refs).
func resetPeak(root int) {
	for _, p := range tree(root) {
		os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.pid), []byte("5"), 0)
	}
}

func field(pid int, file, name string) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}

// machineCPU returns the seconds that all processors together have computed.
func machineCPU() (sum float64) {
	text, _ := os.ReadFile("/proc/stat")
	first, _, _ := strings.Cut(string(text), "\n")
	for i, f := range strings.Fields(first)[1:] {
		if i == 3 || i == 4 || i >= 8 { // idle, waiting; guests are counted already
			continue
		}
		n, _ := strconv.ParseFloat(f, 64)
		sum += n / ticks
	}
	return sum
}

func loadAverage() float64 {
	text, _ := os.ReadFile("/proc/loadavg")
	n, _ := strconv.ParseFloat(strings.Fields(string(text) + " 0")[0], 64)
	return n
}
