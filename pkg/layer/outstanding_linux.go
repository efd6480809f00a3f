package layer

import (
	"net"
	"syscall"
	"unsafe"
)

// outstanding returns how many bytes the peer has not yet acknowledged, the
// FIN among them (SIOCOUTQ, tcp(7)).
func outstanding(c net.Conn) (n int, known bool) { return queue(c, syscall.TIOCOUTQ) }

// queue asks the socket beneath c for the length of one of its queues.
func queue(c net.Conn, which uintptr) (n int, known bool) {
	var value int32
	var errno syscall.Errno
	known = socket(c, func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, which, uintptr(unsafe.Pointer(&value)))
	})
	return int(value), known && errno == 0
}

// socket runs f on the descriptor of the socket beneath c, if there is one.
func socket(c net.Conn, f func(fd uintptr)) bool {
	for {
		switch v := c.(type) {
		case syscall.Conn:
			sc, err := v.SyscallConn()
			return err == nil && sc.Control(f) == nil
		case interface{ NetConn() net.Conn }:
			c = v.NetConn()
		default:
			return false
		}
	}
}
