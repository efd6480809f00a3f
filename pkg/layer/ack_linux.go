package layer

import (
	"net"
	"syscall"
)

// AckAtOnce has the kernel acknowledge at once what comes next on the socket
// beneath c (TCP_QUICKACK, tcp(7)). It holds until the kernel thinks better
// of it, so it is called before each read that it is meant for.
func AckAtOnce(c net.Conn) {
	if d, ok := c.(interface{ ackAtOnce() }); ok {
		d.ackAtOnce()
		return
	}
	socket(c, func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) })
}
