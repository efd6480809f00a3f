package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ftps/integration/load"
)

// figure is what one trial of one server or client came to, in one round.
type figure struct {
	Work, Who string
	Round     int
	Ops       int64 `json:",omitempty"`
	Bytes     int64 `json:",omitempty"`
	Entries   int   `json:",omitempty"` // of the folder that was listed
	Wall      float64
	Server    float64            `json:",omitempty"` // CPU seconds
	Client    float64            `json:",omitempty"` // CPU seconds
	Rest      *memory            `json:",omitempty"` // before
	After     *memory            `json:",omitempty"`
	Trips     float64            `json:",omitempty"` // round trips that depended on each other
	Conns     int64              `json:",omitempty"` // through the link
	TLS       string             `json:",omitempty"`
	Resumed   int64              `json:",omitempty"`
	Full      int64              `json:",omitempty"`
	Others    float64            // CPU seconds of whoever else was on the machine
	Load      float64            // average of the last minute, at the end
	Extra     map[string]float64 `json:",omitempty"`
	Fault     string             `json:",omitempty"`
}

// bench is one call of the program.
type bench struct {
	dir      string // on tmpfs, removed at the end
	results  string
	peers    string
	binary   string
	another  string // another build, to compare
	tree     string
	rounds   int
	short    bool
	profiles string
	servers  []*server
	versions map[string]string
}

// part is a part of the run: its figures are kept in a file of its own.
type part struct {
	name  string
	about string
	run   func(b *bench, p *partRun) error
}

// partRun collects a part's figures.
type partRun struct {
	Part     string
	Date     string
	Short    bool
	Seconds  float64
	Versions map[string]string
	Machine  string
	Figures  []figure
}

// add notes a figure and tells it.
func (p *partRun) add(f figure) {
	p.Figures = append(p.Figures, f)
	line := fmt.Sprintf("%-14s %-16s %d  wall %7.2f  server %6.2f  client %6.2f  others %5.2f  load %.1f",
		f.Work, f.Who, f.Round, f.Wall, f.Server, f.Client, f.Others, f.Load)
	if f.After != nil {
		line += fmt.Sprintf("  rest %d pss %d peak %d KiB", f.Rest.RSS, f.After.PSS, f.After.Peak)
	}
	if f.Trips > 0 {
		line += fmt.Sprintf("  round trips %.1f", f.Trips)
	}
	if f.Fault != "" {
		line += "  FAULT " + f.Fault
	}
	fmt.Println(line)
}

// small is n, or an eighth of it in a short run.
func (b *bench) small(n int) int {
	if b.short {
		return max(1, n/8)
	}
	return n
}

// server returns the one of that name, running.
func (b *bench) server(name string) (*server, error) {
	i := slices.IndexFunc(b.servers, func(s *server) bool { return s.name == name })
	if i < 0 {
		return nil, errors.New("no such server: " + name)
	}
	return b.servers[i], b.servers[i].run()
}

// rounds runs trial for each name, round by round, beginning with another one
// each time.
func (b *bench) interleaved(rounds int, names []string, trial func(round int, name string) error) error {
	for round := range rounds {
		for i := range names {
			if err := trial(round+1, names[(i+round)%len(names)]); err != nil {
				return err
			}
		}
	}
	return nil
}

// others is a stopwatch for the CPU that nobody of ours used.
type others struct{ machine, own float64 }

func watchOthers(own float64) others { return others{machineCPU(), own} }

func (o others) used(own float64) float64 { return max(0, machineCPU()-o.machine-(own-o.own)) }

// trial is one order to one server.
type trial struct {
	work    string // as the figure calls it
	order   load.Order
	memory  bool // a fresh server, and its memory
	entries int
	after   func(s *server)
}

// drive carries out a trial.
func (b *bench) drive(p *partRun, round int, s *server, t trial) error {
	if t.memory {
		s.stop()
		defer s.stop()
	}
	if err := s.run(); err != nil {
		return err
	}
	o := t.order
	if o.Addr == "" {
		o.Addr = s.addr()
	}
	o.User, o.Password = s.account, password
	order, err := json.Marshal(o)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "load", string(order))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer in.Close()
	limit := time.AfterFunc(10*time.Minute, func() { cmd.Process.Kill() })
	defer limit.Stop()

	f := figure{Work: t.work, Who: s.name, Round: round, Entries: t.entries}
	lines := bufio.NewReader(out)
	if _, err := lines.ReadString('\n'); err != nil {
		f.Fault = "the load did not begin"
		p.add(f)
		return nil
	}
	root := s.cmd.Process.Pid
	if t.memory {
		quiet(root)
		resetPeak(root)
		m := treeMemory(root)
		f.Rest = &m
	}
	before, spectators := treeCPU(root), watchOthers(b.ownCPU(s))
	stop := b.profile(s, t.work)
	io.WriteString(in, "\n")
	text, err := lines.ReadBytes('\n')
	f.Server = treeCPU(root) - before
	stop()
	if t.memory {
		m := treeMemory(root)
		f.After = &m
	}
	if err == nil {
		var r load.Result
		if err := json.Unmarshal(text, &r); err != nil {
			return err
		}
		f.Wall, f.Client, f.Ops, f.Bytes = r.Wall, r.CPU, r.Ops, r.Bytes
		f.TLS, f.Resumed, f.Full, f.Fault = r.TLS, r.Resumed, r.Full, r.Fault
	} else {
		f.Fault = "the load ended without a word"
	}
	f.Others, f.Load = spectators.used(b.ownCPU(s)+f.Client), loadAverage()
	p.add(f)
	in.Close()
	cmd.Wait()
	if t.after != nil {
		t.after(s)
	}
	return nil
}

// quiet waits until a server that has just been started has done what a start
// brings along: ours looks through its folders for what a crash left. On a busy
// machine it may not have its turn for a while, so it must be quiet for long.
func quiet(root int) {
	before, still := treeCPU(root), 0
	for range 300 {
		time.Sleep(300 * time.Millisecond)
		now := treeCPU(root)
		if still++; now-before >= 0.02 {
			still = 0
		}
		if still == 5 {
			return
		}
		before = now
	}
}

// ownCPU is what this program and a server have computed, and the programs
// that it has waited for.
func (b *bench) ownCPU(s *server) float64 {
	own, _ := readProcess(os.Getpid())
	if s != nil && s.cmd != nil {
		// The server is a child that was not waited for.
		return own.cpu + treeCPU(s.cmd.Process.Pid)
	}
	return own.cpu
}

// save keeps a part's figures.
func (b *bench) save(p *partRun) error {
	p.Date = time.Now().UTC().Format("2006-01-02")
	p.Short, p.Versions, p.Machine = b.short, b.versions, machine()
	text, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.results, p.Part+".json"), append(text, '\n'), 0o644)
}

// machine says what this ran on.
func machine() string {
	cpus, model := 0, "?"
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			cpus, model = cpus+1, strings.TrimSpace(value)
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d × %s, Linux %s", cpus, model, strings.TrimSpace(string(kernel)))
}
