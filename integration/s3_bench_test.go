//go:build interop

package integration

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// storeBench is for scripts/s3 --bench: the rounds, and where the table goes.
var (
	storeRounds = flag.Int("s3-rounds", 0, "measure transfers through the server beside the store's own client, so many rounds")
	storeTable  = flag.String("s3-table", "", "write the medians to this Markdown file")
)

// storeWorks are what is measured, in the order of a round.
var storeWorks = []string{"1 GiB up", "1 GiB down", "2,000 files of 4 KiB up", "2,000 files of 4 KiB down"}

// carrier moves a folder to the store and back: our client through our
// server, or a client that speaks S3 itself.
type carrier struct {
	name     string
	put, get func(local, remote string) *exec.Cmd
	served   int // process id of a server between, 0 is none
}

// spent is what one piece of work took.
type spent struct {
	wall, client, server, store float64 // seconds: of the clock, then of processors
}

// What goes through the server is at least four fifths as fast as a client
// straight at the store, or the table says why not. The figures are told, and
// never held against a limit: the machine may be busy.
func TestS3ThroughputBesideTheStoresOwnClient(t *testing.T) {
	if *storeRounds == 0 {
		t.Skip("measured by scripts/s3 --bench")
	}
	var text strings.Builder
	for _, kind := range []string{"minio", "versitygw"} {
		figures := measureStore(t, kind)
		fmt.Fprintf(&text, "## Through the server and straight to %s\n\n%s\n", storeNames[kind], tableOf(figures))
	}
	fmt.Print(text.String())
	if *storeTable == "" {
		return
	}
	page, err := os.ReadFile(*storeTable)
	must(t, err)
	head, _, ok := strings.Cut(string(page), storeMark)
	if !ok {
		t.Fatalf("%s has no line %q", *storeTable, storeMark)
	}
	must(t, os.WriteFile(*storeTable, []byte(head+storeMark+"\n\n"+conditionsOf(*storeRounds)+text.String()), 0o644))
}

const storeMark = "<!-- what follows is written by scripts/s3 --bench -->"

var storeNames = map[string]string{"minio": "MinIO on four drives", "versitygw": "versitygw over a folder"}

func conditionsOf(rounds int) string {
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("Rounds: %d, of which these are the medians, on %s, rclone %s; load of the machine, %d cores, at the end: %s.\n\n", rounds,
		time.Now().UTC().Format("2006-01-02"), firstMatch(`v(\S+)`, "rclone", "version"), runtime.NumCPU(), strings.Fields(string(load))[0])
}

func measureStore(t *testing.T, kind string) map[string]map[string][]spent {
	store := startStore(t, kind)
	s := store.startSite(store.address)
	big := newCargo(t, "big", "", func(dir string) { fillWith(t, filepath.Join(dir, "big.bin"), 1<<30, 7) })
	tree := newCargo(t, "tree", "", func(dir string) {
		for i := range 2000 {
			fillWith(t, filepath.Join(dir, fmt.Sprint("folder ", i%20), fmt.Sprint("file ", i)), 4<<10, byte(i))
		}
	})
	figures := make(map[string]map[string][]spent)
	for round := range *storeRounds {
		carriers := storeCarriers(t, store, s)
		if round%2 == 1 {
			slices.Reverse(carriers)
		}
		for i, cargo := range []*cargo{big, tree} {
			for _, c := range carriers {
				to := filepath.Join(inMemory(t), "down")
				for j, cmd := range []*exec.Cmd{c.put(cargo.dir, cargo.name), c.get(cargo.name, to)} {
					work := storeWorks[2*i+j]
					took := spend(t, cmd, c.served, store.cmd.Process.Pid)
					if figures[work] == nil {
						figures[work] = make(map[string][]spent)
					}
					figures[work][c.name] = append(figures[work][c.name], took)
					fmt.Printf("%s, round %d: %s: %s: %.2f s; processor: client %.2f, server %.2f, store %.2f\n",
						kind, round+1, work, c.name, took.wall, took.client, took.server, took.store)
				}
				cargo.same(t, to, "downloaded")
				must(t, os.RemoveAll(to))
				store.empty()
			}
		}
	}
	return figures
}

// inMemory is a folder on tmpfs: our client syncs each file that comes down,
// rclone none, and it is the way through the server that is measured.
func inMemory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "ftps-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// storeCarriers are our client through the server, and rclone's own S3, each
// with eight files at once.
func storeCarriers(t *testing.T, store *objectStore, s *site) []carrier {
	ours := func(args ...string) *exec.Cmd {
		args = append([]string{"client", "127.0.0.1", "-p", s.port, "--pin", s.pin, "-u", strictUser, "--password-stdin", "-j", "8"}, args...)
		cmd := exec.Command(ftps, args...)
		cmd.Env, cmd.Stdin = cleanEnv(t.TempDir()), strings.NewReader(peerPassword+"\n")
		return cmd
	}
	rclone := func(args ...string) *exec.Cmd {
		cmd := exec.Command("rclone", append(args, "--transfers", "8", "--checkers", "8")...)
		cmd.Env = append(cleanEnv(t.TempDir()), "RCLONE_CONFIG=/dev/null", "RCLONE_CONFIG_STORE_TYPE=s3",
			"RCLONE_CONFIG_STORE_PROVIDER=Other", "RCLONE_CONFIG_STORE_ENDPOINT=http://"+store.address, "RCLONE_CONFIG_STORE_REGION=us-east-1",
			"RCLONE_CONFIG_STORE_ACCESS_KEY_ID="+storeKey, "RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY="+storeSecret)
		return cmd
	}
	return []carrier{
		{name: "ours", served: s.cmd.Process.Pid,
			put: func(local, remote string) *exec.Cmd { return ours("put", "-r", local, remote) },
			get: func(remote, local string) *exec.Cmd { return ours("get", "-r", remote, local) }},
		{name: "rclone",
			put: func(local, remote string) *exec.Cmd {
				return rclone("copy", local, "store:"+storeBucket+"/rclone/"+remote)
			},
			get: func(remote, local string) *exec.Cmd {
				return rclone("copy", "store:"+storeBucket+"/rclone/"+remote, local)
			}},
	}
}

func fillWith(t *testing.T, path string, size int, seed byte) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	f, err := os.Create(path)
	must(t, err)
	block := seeded(min(size, 1<<20), uint64(seed))
	for left := size; left > 0; left -= len(block) {
		block[0]++
		_, err := f.Write(block)
		must(t, err)
	}
	must(t, f.Close())
}

// spend runs a client and says what it, the server and the store took.
func spend(t *testing.T, cmd *exec.Cmd, server, store int) spent {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	before, beforeStore := processorOf(t, server), processorOf(t, store)
	start := time.Now()
	must(t, cmd.Start())
	late := time.AfterFunc(peerPatience(), func() { cmd.Process.Kill() })
	defer late.Stop()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd.Args[0], err, tail(out.String()))
	}
	wall := time.Since(start).Seconds()
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return spent{wall, used.Seconds(), processorOf(t, server) - before, processorOf(t, store) - beforeStore}
}

// processorOf is the processor time of a process, in seconds.
func processorOf(t *testing.T, pid int) float64 {
	t.Helper()
	if pid == 0 {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, err := strconv.Atoi(fields[11])
	must(t, err)
	system, err := strconv.Atoi(fields[12])
	must(t, err)
	return float64(user+system) / 100 // of USER_HZ, which Linux keeps at 100
}

// empty removes all that lies in the store's bucket.
func (s *objectStore) empty() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Minute)
	defer cancel()
	for failed := range s.client.RemoveObjects(ctx, storeBucket, s.client.Client.ListObjects(ctx, storeBucket, minio.ListObjectsOptions{Recursive: true}), minio.RemoveObjectsOptions{}) {
		must(s.t, failed.Err)
	}
	syscall.Sync() // what one client wrote is not written at another's expense
}

// median sorts by one measure.
func median(all []spent, by func(spent) float64) float64 {
	values := make([]float64, len(all))
	for i, s := range all {
		values[i] = by(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func tableOf(figures map[string]map[string][]spent) string {
	var b strings.Builder
	b.WriteString("| work | through the server | straight, by rclone | ratio | at least 0.8 | processor: client, server, store | rclone, store |\n|---|---|---|---|---|---|---|\n")
	for i, work := range storeWorks {
		ours, rclone := figures[work]["ours"], figures[work]["rclone"]
		clock := func(s spent) float64 { return s.wall }
		a, z := median(ours, clock), median(rclone, clock)
		amount, unit := 1024.0, "MiB/s"
		if i >= 2 {
			amount, unit = 2000, "files/s"
		}
		reached := "yes"
		if z/a < 0.8 {
			reached = "**no**"
		}
		fmt.Fprintf(&b, "| %s | %.0f %s | %.0f %s | %.2f | %s | %.1f + %.1f + %.1f s | %.1f + %.1f s |\n", work, amount/a, unit, amount/z, unit, z/a, reached,
			median(ours, func(s spent) float64 { return s.client }), median(ours, func(s spent) float64 { return s.server }), median(ours, func(s spent) float64 { return s.store }),
			median(rclone, func(s spent) float64 { return s.client }), median(rclone, func(s spent) float64 { return s.store }))
	}
	return b.String()
}
