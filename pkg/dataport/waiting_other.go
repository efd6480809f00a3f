//go:build !linux

package dataport

import "net"

// waitingAt is known on Linux alone.
func waitingAt(net.Listener) bool { return false }
