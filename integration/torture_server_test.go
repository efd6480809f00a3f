//go:build torture

package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// prey is a server in a process of its own that can be killed and started
// again in the same place. Its output goes to a file.
type prey struct {
	t    *testing.T
	dir  string
	addr string
	log  string

	metrics string
	args    []string
	cmd     *exec.Cmd
	done    chan error
}

// newPrey makes the accounts (name and password in turn) and starts the
// server with them.
func newPrey(t *testing.T, accounts []string, args ...string) *prey {
	t.Helper()
	v := &prey{t: t, dir: t.TempDir()}
	for i := 0; i < len(accounts); i += 2 {
		_, errs, code := run(t, v.dir, accounts[i+1]+"\n", "useradd", accounts[i], "--password-stdin", "--cost", "4")
		if code != 0 {
			t.Fatalf("useradd %s: exit %d: %s", accounts[i], code, errs)
		}
	}
	// Below the ports that the system gives to clients: a flood leaves many
	// of those in use for a while.
	first := freeRange(t, 10)
	control, metrics := first+8, first+9
	v.metrics = fmt.Sprintf("127.0.0.1:%d", metrics)
	v.addr = fmt.Sprintf("127.0.0.1:%d", control)
	v.log = filepath.Join(v.dir, "log")
	v.args = append([]string{"server", "-H", "0.0.0.0", "-C", fmt.Sprint(control), "-D", fmt.Sprintf("%d-%d", first, first+7),
		"--no-console", "--log-format", "json", "--metrics", v.metrics}, args...)
	if os.Getuid() == 0 && !slices.Contains(args, "--run-as") {
		v.args = append(v.args, "--run-as", "root")
	}
	t.Cleanup(func() {
		v.stop()
		if t.Failed() {
			log, _ := os.ReadFile(v.log)
			t.Logf("the server's last words:\n%s", log[max(0, len(log)-4000):])
		}
	})
	v.start()
	return v
}

// start starts the server and waits until it accepts.
func (v *prey) start() {
	v.t.Helper()
	log, err := os.OpenFile(v.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		v.t.Fatal(err)
	}
	defer log.Close()
	v.cmd = exec.Command(ftps, v.args...)
	v.cmd.Dir, v.cmd.Env, v.cmd.Stdout, v.cmd.Stderr = v.dir, cleanEnv(v.dir), log, log
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	v.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan error) { done <- cmd.Wait() }(v.cmd, v.done)
	v.await("the server to accept", patience, func() bool {
		select {
		case err := <-v.done:
			v.done <- err
			v.t.Fatalf("the server ended: %v", err)
		default:
		}
		conn, err := net.Dial("tcp", v.addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// kill ends the server as a power cut would end the machine, less the disk.
func (v *prey) kill() {
	v.cmd.Process.Kill()
	<-v.done
	v.done <- errors.New("killed")
}

// stop ends the server in order.
func (v *prey) stop() {
	if v.cmd == nil {
		return
	}
	v.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-v.done:
		v.done <- err
	case <-time.After(patience):
		v.cmd.Process.Kill()
		v.t.Errorf("the server did not end within %v of SIGTERM", patience)
	}
}

// home is an account's folder on the disk.
func (v *prey) home(account string) string { return filepath.Join(v.dir, "srv", account) }

// await polls until what is awaited holds.
func (v *prey) await(what string, limit time.Duration, holds func() bool) bool {
	v.t.Helper()
	deadline := time.Now().Add(limit)
	for pause := time.Millisecond; !holds(); pause = min(2*pause, 200*time.Millisecond) {
		if time.Now().After(deadline) {
			v.t.Errorf("waited %v in vain for %s", limit, what)
			return false
		}
		time.Sleep(pause)
	}
	return true
}

// usage is what the kernel counts of a process, and its own goroutines.
type usage struct {
	resident int // KiB
	peak     int // the most that resident has been
	files    int // open descriptors
	routines int
}

func (u usage) String() string {
	return fmt.Sprintf("%.1f MiB, %d descriptors, %d goroutines", float64(u.resident)/1024, u.files, u.routines)
}

var statusLine = regexp.MustCompile(`(?m)^(VmRSS|VmHWM):\s+(\d+)`)

func (v *prey) usage() usage {
	proc := filepath.Join("/proc", strconv.Itoa(v.cmd.Process.Pid))
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		v.t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		v.t.Fatal(err)
	}
	u := usage{files: len(files)}
	for _, m := range statusLine.FindAllStringSubmatch(string(status), -1) {
		n, _ := strconv.Atoi(m[2])
		if m[1] == "VmRSS" {
			u.resident = n
		} else {
			u.peak = n
		}
	}
	u.routines = v.goroutines()
	return u
}

var goroutinesLine = regexp.MustCompile(`(?m)^ftps_goroutines (\d+)`)

// goroutines asks the server for their number, by a connection of its own
// each time, so that each answer counts the same of its own.
func (v *prey) goroutines() int {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + v.metrics + "/metrics")
	if err != nil {
		v.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	m := goroutinesLine.FindSubmatch(text)
	if err != nil || m == nil {
		v.t.Fatalf("no number of goroutines in /metrics: %v", err)
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}

// warm moves a file, so that the server holds what it holds once it has
// served, and returns what that takes when the session is gone.
func (v *prey) warm(account, password string) usage {
	v.t.Helper()
	p, err := loginPeer(v.addr, "", account, password)
	if err != nil {
		v.t.Fatal(err)
	}
	data := seeded(1<<20, 7)
	if code, err := p.upload("STOR warm", data); code != 226 {
		v.t.Fatalf("STOR: %d, %v", code, err)
	}
	if got, code, err := p.download("RETR warm"); code != 226 || !bytes.Equal(got, data) {
		v.t.Fatalf("RETR: %d, %v", code, err)
	}
	if _, err := p.want(250, "DELE warm"); err != nil {
		v.t.Fatal(err)
	}
	during := v.usage()
	p.close()
	after := during
	v.await("the first session to end", patience, func() bool {
		after = v.usage()
		return after.files < during.files && after.routines < during.routines
	})
	return after
}

// settled waits until the server has as few descriptors and goroutines as at
// the start, and tells both.
func (v *prey) settled(start usage) string {
	v.t.Helper()
	now := v.usage()
	v.await("the server to have no more than "+start.String(), patience, func() bool {
		now = v.usage()
		return now.files <= start.files && now.routines <= start.routines
	})
	return fmt.Sprintf("server at the start %v, at the end %v", start, now)
}

// cooled waits until the collector has given back most of what a flood took:
// it runs by itself every two minutes, and returns memory by and by.
func (v *prey) cooled(start usage) string {
	v.t.Helper()
	if testing.Short() {
		return ""
	}
	began, now, peak := time.Now(), v.usage(), 0
	v.await("the memory of the flood to be returned", 6*time.Minute, func() bool {
		now = v.usage()
		peak = max(peak, now.peak)
		return now.resident < start.resident+(peak-start.resident)/4
	})
	return fmt.Sprintf(", %.0f s later %v; at the most it had %.1f MiB", time.Since(began).Seconds(), now, float64(peak)/1024)
}

// faults returns the lines of the server's log that nobody should see.
func (v *prey) faults() []string {
	log, err := os.ReadFile(v.log)
	if err != nil {
		v.t.Fatal(err)
	}
	var bad []string
	for line := range bytes.Lines(log) {
		text := string(line)
		if strings.Contains(text, "fewer bytes than announced") {
			continue // 451 too, and the client's own doing
		}
		if strings.Contains(text, "panic") || strings.Contains(text, `"level":"ERROR"`) || strings.Contains(text, "events-lost") {
			bad = append(bad, strings.TrimSpace(text))
		}
	}
	return bad
}

// noFaults fails the test for each line of the log that nobody should see.
func (v *prey) noFaults() {
	v.t.Helper()
	bad := v.faults()
	for _, line := range bad[:min(len(bad), 10)] {
		v.t.Errorf("in the log: %.600s", line)
	}
}
