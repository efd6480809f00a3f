//go:build unix

package dataport

import (
	"errors"
	"net"
	"syscall"
)

// peek shows enough what has arrived at a connection, as often as more comes,
// until that is satisfied, there are limit bytes or the read deadline is
// over. The bytes stay where they are.
func peek(raw net.Conn, limit int, enough func([]byte) bool) {
	conn, ok := raw.(syscall.Conn)
	if !ok {
		return
	}
	sc, err := conn.SyscallConn()
	if err != nil {
		return
	}
	buffer := make([]byte, limit)
	_ = sc.Read(func(fd uintptr) (done bool) {
		n, _, err := syscall.Recvfrom(int(fd), buffer, syscall.MSG_PEEK)
		switch {
		case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
			return false
		case err != nil || n <= 0:
			return true
		}
		// Not satisfied: Read comes back when more has arrived.
		return enough(buffer[:n]) || n == limit
	})
}
