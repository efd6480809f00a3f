//go:build unix

package hook

import (
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

// trusted reports that a program's owner is root or the server's user.
func trusted(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (stat.Uid == 0 || int(stat.Uid) == os.Geteuid())
}

// alone has the program lead a group of its own, which ends with it: what it
// started must not go on when its time is over.
func alone(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
