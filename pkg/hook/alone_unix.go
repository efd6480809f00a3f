//go:build unix

package hook

import (
	"os/exec"
	"syscall"
)

// alone has the program lead a group of its own, which ends with it: what it
// started must not go on when its time is over.
func alone(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
