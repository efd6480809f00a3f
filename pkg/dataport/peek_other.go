//go:build !unix

package dataport

import "net"

// peek sees nothing: no connection is given to another process here.
func peek(net.Conn, int, func([]byte) bool) {}
