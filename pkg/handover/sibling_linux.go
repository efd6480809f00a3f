package handover

import (
	"os"
	"syscall"
)

// asSibling has a successor started as a child of the service manager, as we
// are ourselves, and not as ours. systemd supervises its children alone: a
// main process that is not one of them is killed at once when the service is
// to stop, and nobody notices that it has crashed.
func asSibling() *syscall.SysProcAttr {
	// The first process of a container has no siblings (clone(2), CLONE_PARENT).
	if os.Getenv("NOTIFY_SOCKET") == "" || os.Getpid() == 1 {
		return nil
	}
	return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_PARENT}
}
