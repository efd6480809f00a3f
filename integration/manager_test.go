package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manager plays systemd: it listens for what the server says of itself.
type manager struct {
	path  string
	heard *transcript
}

func newManager(t *testing.T) *manager {
	t.Helper()
	short, err := os.MkdirTemp("", "ftps-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	m := &manager{filepath.Join(short, "notify"), newTranscript()}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		for buffer := make([]byte, 4096); ; {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			fmt.Fprintf(m.heard, "%s\n", buffer[:n])
		}
	}()
	return m
}

func TestTheServiceManagerHearsHowTheServerIs(t *testing.T) {
	m := newManager(t)
	t.Setenv("NOTIFY_SOCKET", m.path)
	t.Setenv("WATCHDOG_USEC", "1000000")
	u := startUpgradable(t, "")
	m.heard.wait(t, `(?m)^READY=1$`)
	m.heard.wait(t, `(?m)^STATUS=serving on 127.0.0.1:\d+, 0 sessions$`)
	m.heard.wait(t, `(?m)^WATCHDOG=1$`)
	u.admin(t, "reload")
	m.heard.wait(t, `(?m)^RELOADING=1\nMONOTONIC_USEC=\d+\n(.*\n)*READY=1$`)
	u.upgrade(t)
	m.heard.wait(t, fmt.Sprintf(`(?m)^MAINPID=%d\n(.*\n)*READY=1$`, u.pids[0]))
	m.heard.wait(t, `MAINPID=\d+\n(.*\n)*WATCHDOG=1\n`)
	syscall.Kill(u.pids[0], syscall.SIGTERM)
	m.heard.wait(t, `(?m)^STOPPING=1$`)
}

// systemd kills a main process that is not its child at once when the service
// is to stop, and does not notice when it crashes.
func TestASuccessorIsAChildOfTheServiceManagerAndNotOfTheOldServer(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("systemd is there on Linux alone")
	}
	m := newManager(t)
	t.Setenv("NOTIFY_SOCKET", m.path)
	u := startUpgradable(t, "")
	u.upgrade(t)
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", u.pids[0]))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("\nPPid:\t%d\n", os.Getpid()); !strings.Contains(string(raw), want) {
		t.Errorf("want %q in\n%s", want, raw)
	}
	m.heard.wait(t, fmt.Sprintf(`(?m)^MAINPID=%d$`, u.pids[0]))
}

// activated starts a server with sockets that are open already, as systemd
// does: from descriptor 3 on, and the process's own number in LISTEN_PID.
func activated(t *testing.T, dir string, listeners []*net.TCPListener, names string, args ...string) (*transcript, *exec.Cmd) {
	t.Helper()
	words := append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, ftps, "server", "-H", "127.0.0.1", "--no-console", "--admin-socket", "off"}, args...)
	if os.Getuid() == 0 {
		words = append(words, "--run-as", "root")
	}
	cmd := exec.Command("/bin/sh", words...)
	out := newTranscript()
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = append(cleanEnv(dir), fmt.Sprintf("LISTEN_FDS=%d", len(listeners)), "LISTEN_FDNAMES="+names)
	for _, l := range listeners {
		f, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(patience):
			cmd.Process.Kill()
		}
	})
	return out, cmd
}

func TestSocketsOfTheServiceManagerAreServed(t *testing.T) {
	listener := func() (*net.TCPListener, string) {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0]))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		_, port, _ := net.SplitHostPort(l.Addr().String())
		return l.(*net.TCPListener), port
	}
	control, port := listener()
	implicit, other := listener()
	data, dataPort := listener()

	// Named, or known by the port that the settings have.
	out, _ := activated(t, t.TempDir(), []*net.TCPListener{control, implicit, data}, "control:implicit:ftps.socket", "-D", dataPort)
	if said := out.wait(t, `Listening on 127.0.0.1:(\d+)`); said[1] != port {
		t.Errorf("%q", said)
	}
	out.wait(t, `127.0.0.1:`+other)
	out.wait(t, `Data ports: `+dataPort)

	// One that is for nothing is a mistake.
	out, _ = activated(t, t.TempDir(), []*net.TCPListener{control, implicit}, "control:ftps.socket", "-D", "0")
	said := out.wait(t, `ftps: the service manager listens on [^\n]*\n`)[0]
	if !strings.Contains(said, other) {
		t.Errorf("%q", said)
	}
}
