//go:build linux

package integration

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestStartedAsRootItServesAsSomebodyElseAndCannotComeBack(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("", "ftps-runas-") // not t.TempDir: others must get in
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	server := exec.Command(ftps, "server", "--run-as", "nobody", "-H", "127.0.0.1", "-C", "0", "-D", "0", "--lang", "en")
	server.Dir = dir
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	stop := time.AfterFunc(patience, func() { server.Process.Kill() })
	defer stop.Stop()
	ready := false
	for lines := bufio.NewScanner(out); !ready && lines.Scan(); {
		ready = strings.Contains(lines.Text(), "--pin sha256//")
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", server.Process.Pid))
	if !ready || err != nil {
		t.Fatalf("it did not start: %v", err)
	}
	for field, id := range map[string]string{"Uid": nobody.Uid, "Gid": nobody.Gid} {
		if want := field + ":" + strings.Repeat("\t"+id, 4) + "\n"; !strings.Contains(string(status), want) {
			t.Errorf("not %q in\n%s", want, status)
		}
	}
	// What it made before belongs to who serves; the key stays root's.
	for path, uid := range map[string]string{"srv": nobody.Uid, "certs/server.key": "0"} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil || fmt.Sprint(info.Sys().(*syscall.Stat_t).Uid) != uid {
			t.Errorf("%s: %v, want owner %s", path, err, uid)
		}
	}
	server.Process.Signal(syscall.SIGTERM)
	if err := server.Wait(); err != nil {
		t.Errorf("end: %v", err)
	}
}

func TestRootIsRefusedWithTheWayOut(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root alone is refused")
	}
	server := exec.Command(ftps, "server", "--lang", "en")
	server.Dir = t.TempDir()
	said, err := server.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "--run-as") {
		t.Errorf("%v: %s", err, said)
	}
	if entries, _ := os.ReadDir(server.Dir); len(entries) > 0 {
		t.Errorf("it left %v", entries)
	}
}

// "sudo -u ftps ftps admin list" in root's home.
func TestSomebodyElseInRootsFolderIsToldWhatToDo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	a := startAdministered(t, "")
	home := t.TempDir()
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "ftps-other-") // not t.TempDir: others must get in
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "ftps")
	replace(t, ftps, binary)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"admin", "list"}, []string{"no permission to read the settings file ftps.yaml\n", "use a folder", "--config"}},
		{[]string{"admin", "list", "--admin-socket", a.socket}, []string{"no permission to give commands to the server at " + a.socket + "\n", "sudo"}},
	} {
		cmd := exec.Command("/bin/sh", append([]string{"-c", `cd "$0" && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"`, home, binary}, c.args...)...)
		cmd.Env = cleanEnv(dir)
		said, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("%v: done", c.args)
		}
		for _, want := range c.want {
			if !strings.Contains(string(said), want) {
				t.Errorf("%v: no %q in\n%s", c.args, want, said)
			}
		}
	}
}
