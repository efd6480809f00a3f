package dataport

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// waitingAt reports whether connections wait at l to be accepted; false where
// that is not known.
func waitingAt(l net.Listener) bool {
	sc, ok := l.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	waiting := false
	_ = raw.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		waiting = err == nil && n > 0
	})
	return waiting
}
