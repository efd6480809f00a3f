// Command bench measures the server and the client of this tree beside other
// people's, and writes the table of what was reached. scripts/bench installs
// what it needs and runs it.
package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"ftps/integration/load"
)

func main() {
	load.RunAs()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	var b bench
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	only := flag.String("only", strings.Join(names, ","), "`PARTS` to run, with commas; none tells the table of what was kept")
	flag.IntVar(&b.rounds, "rounds", 5, "number of rounds")
	flag.BoolVar(&b.short, "short", false, "one round of an eighth of the work; changes no file of the tree")
	flag.StringVar(&b.results, "results", "", "folder in which the figures of each part are kept")
	only2 := flag.String("servers", "", "only these servers, with commas")
	flag.StringVar(&b.profiles, "profile", "", "folder for profiles of our server's processor, one a work")
	flag.StringVar(&b.another, "another", "", "`BINARY` of another build to measure beside this tree's")
	write := flag.Bool("write", true, "write integration/BENCH.md, BENCH.json and the README's table")
	flag.Parse()
	if b.short {
		b.rounds, *write = 1, false
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	b.peers = filepath.Join(cache, "ftps", "peers")
	if dir := os.Getenv("FTPS_PEERS"); dir != "" {
		b.peers = dir
	}
	if b.results == "" {
		b.results = filepath.Join(cache, "ftps", "bench")
		if b.short {
			b.results += "-short"
		}
	}
	if err := os.MkdirAll(b.results, 0o755); err != nil {
		return err
	}
	if *only != "none" {
		if err := b.measure(strings.Split(*only, ","), *only2); err != nil {
			return err
		}
	}
	return b.tell(*write)
}

// measure runs the parts.
func (b *bench) measure(names []string, servers string) error {
	dir, err := os.MkdirTemp("/dev/shm", "ftps-bench-")
	if err != nil {
		return err
	}
	b.dir = dir
	defer os.RemoveAll(dir)
	defer b.interruptible()()
	if err := os.WriteFile(b.opensslConf(), []byte(opensslConf), 0o644); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return err
	}
	b.binary = filepath.Join(dir, "ftps-binary")
	if err := b.build(); err != nil {
		return err
	}
	commit, _ := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	b.tree = "this tree, " + strings.TrimSpace(string(commit))
	raiseLimit()
	b.versions = clientVersions()
	if b.another != "" {
		makers = append(makers, another)
	}
	for _, m := range makers {
		if servers != "" && !slices.Contains(strings.Split(servers, ","), m.name) {
			continue
		}
		s, err := b.newServer(m)
		if err != nil {
			return err
		}
		defer s.stop()
		b.servers = append(b.servers, s)
		b.versions[m.name] = s.version()
	}
	for _, name := range names {
		i := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
		if i < 0 {
			return fmt.Errorf("no such part: %s", name)
		}
		p := &partRun{Part: name}
		began := time.Now()
		fmt.Printf("== %s: %s\n", name, parts[i].about)
		if err := parts[i].run(b, p); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		p.Seconds = time.Since(began).Seconds()
		if err := b.save(p); err != nil {
			return err
		}
		fmt.Printf("== %s took %.0f s\n", name, p.Seconds)
	}
	return nil
}

// build builds the binary, with the profiler laid over it if that is wanted.
func (b *bench) build() error {
	args := []string{"build", "-trimpath", "-o", b.binary}
	if b.profiles != "" {
		here, err := os.Getwd()
		if err != nil {
			return err
		}
		overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
			filepath.Join(here, "cmd/ftps/profile.go"): filepath.Join(here, "integration/bench/profile.go.txt")}})
		if err != nil {
			return err
		}
		file := filepath.Join(b.dir, "overlay.json")
		if err := os.WriteFile(file, overlay, 0o644); err != nil {
			return err
		}
		args = append(args, "-overlay", file)
	}
	if out, err := exec.Command("go", append(args, "./cmd/ftps")...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	return os.MkdirAll(cmp.Or(b.profiles, b.dir), 0o755)
}

// profile profiles our server while a work is done.
func (b *bench) profile(s *server, work string) (stop func()) {
	if b.profiles == "" || s.name != ours {
		return func() {}
	}
	s.cmd.Process.Signal(syscall.SIGWINCH) // SIGUSR2 is an upgrade
	return func() {
		s.cmd.Process.Signal(syscall.SIGWINCH)
		to := filepath.Join(b.profiles, strings.ReplaceAll(work, " ", "-")+".pprof")
		for range 100 {
			time.Sleep(20 * time.Millisecond)
			if text, err := os.ReadFile(b.profileFile()); err == nil {
				os.Remove(b.profileFile())
				os.WriteFile(to, text, 0o644)
				return
			}
		}
	}
}

func (b *bench) profileFile() string { return filepath.Join(b.dir, ours, "profile") }

// interruptible ends the servers and clears up if the run is interrupted.
func (b *bench) interruptible() (done func()) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		if _, open := <-stop; !open {
			return
		}
		for _, s := range b.servers {
			if cmd := s.cmd; cmd != nil {
				syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			}
		}
		os.RemoveAll(b.dir)
		os.Exit(130)
	}()
	return func() { signal.Stop(stop); close(stop) }
}

// raiseLimit asks for as many descriptors as may be had: the load holds
// thousands of sessions.
func raiseLimit() {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return
	}
	more := syscall.Rlimit{Cur: max(l.Max, 1<<16), Max: max(l.Max, 1<<16)}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &more) != nil {
		l.Cur = l.Max
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
	}
}

// descriptors is how many a process may have.
func descriptors() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 1024
	}
	return int(min(l.Cur, 1<<20))
}
