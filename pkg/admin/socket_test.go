//go:build linux || darwin

package admin

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// socketPath is short: a socket's name has some hundred bytes.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ftps-admin-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "a.sock")
}

// serve opens a socket and serves f on it; heard collects who said what.
func serve(t *testing.T, f *fake, path string, weaken func(*Socket)) (heard func() []string) {
	t.Helper()
	s, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if weaken != nil {
		weaken(s)
	}
	var mu sync.Mutex
	var lines []string
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.Serve(ctx, f, func(_ int, words []string, err error) {
			mu.Lock()
			defer mu.Unlock()
			line := strings.Join(words, " ")
			if err != nil {
				line += " refused: " + err.Error()
			}
			lines = append(lines, line)
		})
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-over:
		case <-time.After(time.Minute):
			t.Error("the socket did not end")
		}
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("the socket's file is still there: %v", err)
		}
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), lines...)
	}
}

func do(t *testing.T, path string, words ...string) (Response, error) {
	t.Helper()
	c, err := Dial(path)
	if err != nil {
		return Response{}, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return c.Do(ctx, Request{Lang: "es", Words: words})
}

func TestTheSocketRunsTheTableOfTheConsole(t *testing.T) {
	f, path := newFake(), socketPath(t)
	heard := serve(t, f, path, nil)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	answer, err := do(t, path, "list")
	if err != nil || !strings.Contains(answer.Out, "USUARIO") {
		t.Errorf("%+v, %v", answer, err)
	}
	if answer, err = do(t, path, "kick", "0", "por lento"); err != nil || len(f.kicked) != 1 || f.reasons[0] != "por lento" {
		t.Errorf("%+v, %v, kicked %v", answer, err, f.kicked)
	}
	if answer, err = do(t, path, "dance"); err != nil || !strings.Contains(answer.Error, "comando desconocido") {
		t.Errorf("%+v, %v", answer, err)
	}
	if _, err = do(t, path, "exit"); err != nil || f.stopped != 1 {
		t.Errorf("exit: %v, stopped %d times", err, f.stopped)
	}
	if got := heard(); len(got) != 4 || got[1] != "kick 0 por lento" {
		t.Errorf("heard %q", got)
	}
}

// stranger is somebody else's uid, as the kernel would tell it.
func stranger(*net.UnixConn) (int, error) { return os.Geteuid() + 1000, nil }

func TestAnotherUserIsRefusedWithoutAWord(t *testing.T) {
	f, path := newFake(), socketPath(t)
	heard := serve(t, f, path, func(s *Socket) { s.peer = stranger })
	if answer, err := do(t, path, "drain"); err == nil {
		t.Errorf("answered %+v", answer)
	}
	if f.drained != 0 {
		t.Error("a stranger drained the server")
	}
	if got := heard(); len(got) != 1 || !strings.Contains(got[0], "console.socket.stranger") {
		t.Errorf("heard %q", got)
	}
}

// A real process of another user, on a socket that anybody may open: only the
// kernel's word stands between them. Without the question it gets through.
func TestAProcessOfAnotherUserIsRefusedByWhatTheKernelSays(t *testing.T) {
	if path := os.Getenv("FTPS_TEST_SOCKET"); path != "" {
		if _, err := do(t, path, "drain"); err != nil {
			t.Fatal(err)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	for name, c := range map[string]struct {
		weaken func(*Socket)
		drains int
	}{
		"as it is": {nil, 0},
		"without the check": {func(s *Socket) {
			s.peer = func(*net.UnixConn) (int, error) { return os.Geteuid(), nil }
		}, 1},
	} {
		f, path := newFake(), socketPath(t)
		serve(t, f, path, c.weaken)
		copied := filepath.Join(filepath.Dir(path), "test")
		text, err := os.ReadFile(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied, text, 0o755); err != nil {
			t.Fatal(err)
		}
		// Whatever the umask: without the check it must get there.
		for name, mode := range map[string]os.FileMode{filepath.Dir(path): 0o755, copied: 0o755, path: 0o666} {
			if err := os.Chmod(name, mode); err != nil {
				t.Fatal(err)
			}
		}
		other := exec.Command(copied, "-test.run", "^"+t.Name()+"$")
		other.Dir, other.Env = "/", []string{"FTPS_TEST_SOCKET=" + path}
		other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := other.CombinedOutput()
		if f.drained != c.drains || (err == nil) != (c.drains == 1) {
			t.Errorf("%s: drained %d times, %v\n%s", name, f.drained, err, out)
		}
	}
}

func TestAStaleSocketIsReplacedAndALiveOneIsNot(t *testing.T) {
	path := socketPath(t)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close() // what a killed server leaves
	serve(t, newFake(), path, nil)
	if _, err := do(t, path, "stats"); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "console.socket.live") {
		t.Errorf("beside a live server: %v", err)
	}
	if _, err := do(t, path, "stats"); err != nil {
		t.Errorf("the first server after the second's attempt: %v", err)
	}
}

func TestAFileThatIsNoSocketIsLeftAlone(t *testing.T) {
	path := socketPath(t)
	os.WriteFile(path, []byte("precious"), 0o644)
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "console.socket.file") {
		t.Errorf("%v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "precious" {
		t.Error("the file is gone")
	}
	os.Remove(path)
	os.Symlink("elsewhere", path)
	if _, err := Listen(path); err == nil {
		t.Error("a symlink was followed")
	}
}

func TestOnlySocketsWithAServerBehindThemAreFound(t *testing.T) {
	const uid = 4711 // not root, whose folder is the machine's own
	run := filepath.Dir(socketPath(t))
	getenv := func(string) string { return run }
	folder := RuntimeFolder(uid, getenv)
	if err := MakeFolder(folder, os.Geteuid()); err != nil {
		t.Fatal(err)
	}
	serve(t, newFake(), SocketIn(folder, 5000), nil)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: SocketIn(folder, 5001), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if got := Live(uid, getenv); len(got) != 0 && os.Geteuid() != uid {
		t.Errorf("in a folder of somebody else: %v", got)
	}
	if err := os.Chown(folder, uid, -1); err != nil {
		t.Skip("only root can give a folder away")
	}
	if got := Live(uid, getenv); len(got) != 1 || got[0] != SocketIn(folder, 5000) {
		t.Errorf("live: %v", got)
	}
}

func TestARuntimeFolderThatOthersMayWriteIsNotUsed(t *testing.T) {
	folder := filepath.Join(filepath.Dir(socketPath(t)), "run")
	if err := MakeFolder(folder, os.Geteuid()); err != nil {
		t.Fatal(err)
	}
	if err := MakeFolder(folder, os.Geteuid()); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if err := MakeFolder(folder, os.Geteuid()+1); err == nil {
		t.Error("somebody else's folder was taken")
	}
	os.Chmod(folder, 0o777)
	if err := MakeFolder(folder, os.Geteuid()); err == nil {
		t.Error("a folder that anybody may write was taken")
	}
	os.Remove(folder)
	os.Symlink("/tmp", folder)
	if err := MakeFolder(folder, os.Geteuid()); err == nil {
		t.Error("a symlink was followed")
	}
}
