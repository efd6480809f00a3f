package ftptest

import (
	"net"
	"testing"
)

// Nobody returns an address on loopback at which nobody listens, and nobody
// can until the test ends: it is the near end of a connection. The port of a
// listener that was closed may be somebody else's by the time it is tried.
func Nobody(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		near.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near.LocalAddr().String()
}
