package layer

import (
	"io"
	"net"
	"testing"
	"time"
)

// A client with Nagle's algorithm on, as lftp and ftplib are, that writes the
// end of its handshake in two pieces lost 40 ms with each file: the second
// piece waits for the acknowledgement of the first.
func TestPiecesOfAHandshakeDoNotWaitForADelayedAcknowledgement(t *testing.T) {
	const files = 20
	// The quickest of them: what else the machine does delays some, and an
	// acknowledgement that is held back delays each.
	take := func(wrap func(net.Conn) net.Conn, before func(net.Conn)) (quickest time.Duration) {
		quickest = time.Hour
		for range files {
			start := time.Now()
			client, socket := loopback(t)
			server := wrap(socket)
			client.SetNoDelay(false)
			go func() {
				buf := make([]byte, 1)
				client.Write([]byte("h")) // hello
				io.ReadFull(client, buf)
				client.Write([]byte("c")) // change_cipher_spec
				client.Write([]byte("f")) // Finished
			}()
			buf := make([]byte, 1)
			for i := range 3 {
				before(server)
				if _, err := io.ReadFull(server, buf); err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					server.Write([]byte("s")) // the server's hello
				}
			}
			quickest = min(quickest, time.Since(start))
		}
		return quickest
	}
	bare := func(c net.Conn) net.Conn { return c }
	held := take(bare, func(net.Conn) {})
	if held < 20*time.Millisecond {
		t.Skipf("this kernel did not hold acknowledgements back: %v for a file", held)
	}
	for name, wrap := range map[string]func(net.Conn) net.Conn{"net": bare, "direct": Direct} {
		if prompt := take(wrap, AckAtOnce); prompt > held/2 {
			t.Errorf("%s: each of %d files took %v, and %v without prompt acknowledgements", name, files, prompt, held)
		}
	}
}
