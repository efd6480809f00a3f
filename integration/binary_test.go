// Package integration holds the tests of the real binary: what a person
// types, what stock clients do with it, and what an attacker tries.
package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is the deadline of every wait on another process.
const patience = 60 * time.Second

// ftps is the binary under test, built once.
var ftps string

// covered is where the binary counts what is run of it, "" for nowhere:
// scripts/coverage sets it. Behind its wall a server could not write there.
// Without cmd/ among what is counted the binary would write nothing at all.
var covered = os.Getenv("FTPS_COVER")

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ftps-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ftps = filepath.Join(dir, "ftps")
	args := []string{"build", "-o", ftps}
	if covered != "" {
		args = append(args, "-cover", "-coverpkg=../pkg/...,../cmd/...")
	}
	build := exec.Command("go", append(args, "../cmd/ftps")...)
	build.Stderr = os.Stderr
	code := 1
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the binary:", err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// replied reports whether what was said holds a reply with one of the codes:
// a number of its own, before a space or a hyphen (RFC 959 §4.2). The digits
// alone stand in ports, sizes and times too.
func replied(said string, codes ...int) bool {
	return slices.ContainsFunc(codes, func(code int) bool {
		return regexp.MustCompile(fmt.Sprintf(`(^|[^0-9])%d[ -]`, code)).MatchString(said)
	})
}

func TestTheDigitsOfAPortAreNoReply(t *testing.T) {
	const said = "220 - Welcome\r\n> EPSV\r\n229 - Entering Extended Passive Mode (|||23295|)\r\n226-415 bytes 14150\r\n"
	if replied(said, 232, 295, 150) || !replied(said, 232, 226) || !replied(said, 220) || !replied(said, 229) {
		t.Error("a reply is not told from the digits of a port")
	}
}

// transcript collects what a process says and lets a test wait for it.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newTranscript() *transcript { return &transcript{more: make(chan struct{})} }

func (tr *transcript) Write(p []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.text.Write(p)
	close(tr.more)
	tr.more = make(chan struct{})
	return len(p), nil
}

func (tr *transcript) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.text.String()
}

// wait returns the first match of re and its groups.
func (tr *transcript) wait(t testing.TB, re string) []string {
	t.Helper()
	m, err := tr.find(re, patience)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (tr *transcript) find(re string, limit time.Duration) ([]string, error) {
	r := regexp.MustCompile(re)
	deadline := time.After(limit)
	for {
		tr.mu.Lock()
		text, more := tr.text.String(), tr.more
		tr.mu.Unlock()
		if m := r.FindStringSubmatch(text); m != nil {
			return m, nil
		}
		select {
		case <-more:
		case <-deadline:
			return nil, fmt.Errorf("no match of %q within %v in:\n%s", re, limit, text)
		}
	}
}

// server is a running ftps server.
type server struct {
	dir  string // its working folder: users.yaml, certs, srv
	port string // control port on 127.0.0.1
	pin  string
	out  *transcript // standard output and standard error
	cmd  *exec.Cmd
	done chan error
}

// ports hands out numbers for listeners: below the range from which the
// system takes the ports of outgoing connections, which any client may hold
// by the time the server binds, and above those of other people's servers.
var ports struct {
	sync.Mutex
	next int
}

const (
	firstPort = 22000
	lastPort  = 32000
)

// freePorts returns n TCP ports that nobody listens on.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var list []int
	for range n {
		list = append(list, freeRange(t, 1))
	}
	return list
}

// freeRange returns the first of n ports in a row that nobody listens on; it
// returns none of them a second time before all others had their turn.
func freeRange(t testing.TB, n int) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.next == 0 {
		ports.next = firstPort + os.Getpid()*16%(lastPort-firstPort)
	}
	for range (lastPort - firstPort) / n {
		first := ports.next
		ports.next += n
		if ports.next > lastPort {
			ports.next = firstPort
			continue
		}
		if allFree(first, n) {
			return first
		}
	}
	t.Fatalf("no %d free ports in a row", n)
	return 0
}

func allFree(first, n int) bool {
	for p := first; p < first+n; p++ {
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", p))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

// run runs the binary to its end in dir and returns its output and exit code.
func run(t testing.TB, dir, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return runEnv(t, dir, stdin, nil, args...)
}

func runEnv(t testing.TB, dir, stdin string, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return runFor(t, dir, stdin, patience, env, args...)
}

// runFor is runEnv for what may take longer.
func runFor(t testing.TB, dir, stdin string, limit time.Duration, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, ftps, args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(stdin), &out, &errs
	cmd.Env = append(cleanEnv(dir), env...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v\n%s", args, err, errs.String())
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// cleanEnv is an environment in which nothing of this machine's user shows:
// an empty home, English, no settings.
func cleanEnv(dir string) []string {
	home := filepath.Join(dir, ".home")
	os.MkdirAll(home, 0o700)
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LC_ALL=C.UTF-8", "TERM=xterm",
		"GOPATH=" + os.Getenv("GOPATH"), "GOCACHE=" + os.Getenv("GOCACHE"),
		"NOTIFY_SOCKET=" + os.Getenv("NOTIFY_SOCKET"), "WATCHDOG_USEC=" + os.Getenv("WATCHDOG_USEC")}
	if covered != "" {
		env = append(env, "GOCOVERDIR="+covered, "FTPS_LANDLOCK=off")
	}
	return env
}

// startServer adds the accounts (name and password in turn) and serves in a
// folder of the test's own until it ends.
func startServer(t testing.TB, accounts []string, args ...string) *server {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(accounts); i += 2 {
		_, errs, code := run(t, dir, accounts[i+1]+"\n", "useradd", accounts[i], "--password-stdin", "--cost", "4")
		if code != 0 {
			t.Fatalf("useradd %s: exit %d: %s", accounts[i], code, errs)
		}
	}
	return serveIn(t, dir, args...)
}

// serveIn serves in a folder that is ready.
func serveIn(t testing.TB, dir string, args ...string) *server {
	t.Helper()
	return serveBinary(t, ftps, dir, args...)
}

// serveBinary serves with another binary than the tests'.
func serveBinary(t testing.TB, binary, dir string, args ...string) *server {
	t.Helper()
	port := fmt.Sprint(freePorts(t, 1)[0])
	first := freeRange(t, 4)
	s := &server{dir: dir, port: port, out: newTranscript(), done: make(chan error, 1)}
	args = append([]string{"server", "-H", "127.0.0.1", "-C", port, "-D", fmt.Sprintf("%d-%d", first, first+3),
		"--no-console", "--run-as", "root"}, args...)
	if os.Getuid() != 0 {
		args = slices.DeleteFunc(args, func(a string) bool { return a == "--run-as" || a == "root" })
	}
	s.cmd = exec.Command(binary, args...)
	s.cmd.Dir, s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = dir, cleanEnv(dir), s.out, s.out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	t.Cleanup(func() {
		s.stop(t)
		if t.Failed() {
			t.Logf("the server said:\n%s", s.out)
		}
	})
	s.pin = s.out.wait(t, `--pin (sha256//[A-Za-z0-9+/=]+)`)[1]
	return s
}

// stop ends the server as an administrator would, with SIGTERM.
func (s *server) stop(t testing.TB) {
	t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.done:
		s.done <- err
	case <-time.After(patience):
		s.cmd.Process.Kill()
		t.Errorf("the server did not end within %v of SIGTERM", patience)
	}
}

// client runs one command of the client against the server.
func (s *server) client(t testing.TB, user, password string, command ...string) (stdout, stderr string, code int) {
	t.Helper()
	args := append([]string{"client", "127.0.0.1", "-p", s.port, "--pin", s.pin, "-u", user, "--password-stdin"}, command...)
	return run(t, s.dir, password+"\n", args...)
}
