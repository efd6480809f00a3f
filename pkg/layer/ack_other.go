//go:build !linux

package layer

import "net"

// AckAtOnce does nothing here: only Linux can be asked.
func AckAtOnce(net.Conn) {}
