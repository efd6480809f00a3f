//go:build torture

package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// tortureFlood opens more connections than an honest world has: first with
// limits that let them all in, to see what they cost, then with the limits as
// they are by default, from many addresses and from one. Honest clients work
// meanwhile, and their rate is told. Rates are not asserted: they are a matter
// of the machine.
func tortureFlood(t *testing.T) {
	t.Run("held before the login", func(t *testing.T) {
		floodHeld(t, "flood, held before the login", load{Silent: amount(10_000), Half: amount(1000), Slow: amount(500)})
	})
	t.Run("held sessions", func(t *testing.T) {
		floodHeld(t, "flood, held sessions", load{Idle: amount(5000), Slow: amount(500), Deaf: amount(100)})
	})
	t.Run("many addresses", func(t *testing.T) { floodRefused(t, "flood, many addresses", false) })
	t.Run("one address", func(t *testing.T) { floodRefused(t, "flood, one address", true) })
}

func descriptorLimit(t *testing.T) uint64 {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil { // what is started from here on has it
		t.Fatal(err)
	}
	return uint64(l.Cur)
}

func floodHeld(t *testing.T, name string, want load) {
	descriptors := descriptorLimit(t)
	v := newPrey(t, []string{"diego", "secreto"}, "--max-connections", "100000", "--max-connections-per-address", "100000",
		"--max-before-login", "100000", "--handshake-timeout", "1h", "--login-timeout", "1h", "--idle-timeout", "1h", "--stall-timeout", "1h")
	start := v.warm("diego", "secreto")
	if err := os.WriteFile(filepath.Join(v.home("diego"), "big"), seeded(16<<20, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	want.Addr, want.Account = v.addr, "diego"
	before, faults := honestRate(v.addr, window())
	r, got := startLoad(t, want)
	peak := v.usage()
	during, more := honestRate(v.addr, window())
	faults += more
	r.stop(t)
	after, more := honestRate(v.addr, window())
	faults += more
	if got.Silent < int64(want.Silent) || got.Half < int64(want.Half) || got.Idle < int64(want.Idle) || got.Slow < int64(want.Slow) || got.Deaf < int64(want.Deaf) {
		t.Errorf("reached only %+v of %+v", got, want)
	}
	if faults > 0 {
		t.Errorf("%d honest sessions failed", faults)
	}
	end := v.settled(start) + v.cooled(start)
	v.noFaults()
	tell(t, name, fmt.Sprintf("limits raised, %d descriptors a process: %d silent connections, %d half handshakes, %d idle sessions, %d writers of a byte a second, %d readers that never read; the server then has %v",
		descriptors, got.Silent, got.Half, got.Idle, got.Slow, got.Deaf, peak),
		rates(before, during, after)+"; "+end)
}

func floodRefused(t *testing.T, name string, one bool) {
	descriptorLimit(t)
	v := newPrey(t, []string{"diego", "secreto"})
	start := v.warm("diego", "secreto")
	before, faults := honestRate(v.addr, window())
	const perSecond = 500
	r, _ := startLoad(t, load{Addr: v.addr, One: one, Account: "diego", Silent: amount(10_000), Half: amount(1000), Again: true, PerSec: perSecond})
	began := time.Now()
	during, more := honestRate(v.addr, 2*window())
	faults += more
	peak := v.usage()
	got := r.stop(t)
	took := time.Since(began)
	after, more := honestRate(v.addr, window())
	faults += more
	if faults > 0 {
		t.Errorf("%d honest sessions failed", faults)
	}
	log, err := os.ReadFile(v.log)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(log, []byte("--max-before-login")) && !bytes.Contains(log, []byte("--max-connections-per-address")) {
		t.Error("the log does not name the setting that the flood ran into")
	}
	end := v.settled(start)
	for _, line := range v.faults() {
		if !strings.Contains(line, "events-lost") { // that is what the queue is bounded for
			t.Errorf("in the log: %.600s", line)
		}
	}
	tell(t, name, fmt.Sprintf("limits as they are by default: %d connections in %.0f s that say nothing or begin a handshake, and come back when they are closed (%d were); the server had %v",
		got.Opened, took.Seconds(), got.Cut, peak),
		rates(before, during, after)+"; none of them refused; "+end)
}

// rates compares with the mean of before and after: the machine may have
// other things to do, and not the same all the time.
func rates(before, during, after float64) string {
	return fmt.Sprintf("honest sessions %.1f a second before, %.1f during, %.1f after (%.0f %% of the quiet ones)",
		before, during, after, 200*during/(before+after))
}

// window is how long a rate is measured.
func window() time.Duration {
	if testing.Short() {
		return 4 * time.Second
	}
	return 15 * time.Second
}

// honestRate has four clients log in, upload, download and leave over and
// over. It returns the whole sessions a second, and how many failed.
func honestRate(addr string, d time.Duration) (rate float64, failed int64) {
	var all sync.WaitGroup
	var whole, bad atomic.Int64
	stop := time.Now().Add(d)
	data := seeded(256<<10, 3)
	for i := range 4 {
		all.Go(func() {
			for time.Now().Before(stop) {
				if err := honestSession(addr, fmt.Sprintf("honest%d", i), data); err != nil {
					fmt.Fprintln(os.Stderr, "an honest session:", err)
					bad.Add(1)
					continue
				}
				whole.Add(1)
			}
		})
	}
	all.Wait()
	return float64(whole.Load()) / d.Seconds(), bad.Load()
}

func honestSession(addr, name string, data []byte) error {
	p, err := loginPeer(addr, "", "diego", "secreto")
	if err != nil {
		return err
	}
	defer p.close()
	if code, err := p.upload("STOR "+name, data); code != 226 {
		return fmt.Errorf("STOR: %d, %v", code, err)
	}
	if got, code, err := p.download("RETR " + name); code != 226 || !bytes.Equal(got, data) {
		return fmt.Errorf("RETR: %d, %d bytes, %v", code, len(got), err)
	}
	_, err = p.want(221, "QUIT")
	return err
}
