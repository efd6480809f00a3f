//go:build unix

package dataport

import (
	"net"
	"testing"
	"time"
)

// tcpPair returns both ends of a real connection.
func tcpPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

// A hello that stops after its first bytes is not looked at for as long as a
// silent connection is.
func TestASlowHelloIsLookedAtForTheTimeOfAHandshakeFromItsFirstByte(t *testing.T) {
	client, server := tcpPair(t)
	server.SetDeadline(time.Now().Add(patience))
	if _, err := client.Write([]byte("\x16\x03\x01")); err != nil {
		t.Fatal(err)
	}
	heard := 0
	began := time.Now()
	_, ok := ticketsIn(server, func() {
		heard++
		server.SetDeadline(time.Now().Add(50 * time.Millisecond))
	})
	if ok || heard != 1 || time.Since(began) > patience/2 {
		t.Errorf("%v, heard %d times, after %v", ok, heard, time.Since(began))
	}
}
