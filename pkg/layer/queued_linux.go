package layer

import (
	"net"
	"syscall"
)

// Queued returns how many bytes have arrived at c and were not yet read
// (SIOCINQ, tcp(7)); 0 where that is not known.
func Queued(c net.Conn) int {
	n, _ := queue(c, syscall.TIOCINQ)
	return n
}
