//go:build unix

package dataport

import (
	"testing"
	"time"
)

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
