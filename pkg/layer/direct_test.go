package layer

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// What goes past the scheduler is for its callers the connection that it was.
func TestADirectConnectionBehavesAsTheOneBeneath(t *testing.T) {
	small, big := []byte("EPSV\r\n"), bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	pair := func(t *testing.T) (peer *net.TCPConn, c net.Conn) {
		client, server := loopback(t)
		return client, Direct(server)
	}
	t.Run("bytes both ways", func(t *testing.T) {
		peer, c := pair(t)
		for _, text := range [][]byte{small, big} {
			go peer.Write(text)
			got := make([]byte, len(text))
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, text) {
				t.Fatalf("read %d bytes of %d: %v", len(got), len(text), err)
			}
			sent := make(chan error, 1)
			go func() {
				// In pieces that are small enough, until the peer's window and
				// our buffer are full.
				for rest := text; len(rest) > 0; {
					n, err := c.Write(rest[:min(len(rest), 9<<10)])
					if rest = rest[n:]; err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
			clear(got)
			if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, text) {
				t.Fatalf("the peer read other than was written: %v", err)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("the end", func(t *testing.T) {
		peer, c := pair(t)
		peer.CloseWrite()
		if n, err := c.Read(make([]byte, 9)); n != 0 || err != io.EOF {
			t.Fatalf("%d, %v", n, err)
		}
		if n, err := c.Read(nil); n != 0 || err != nil {
			t.Fatalf("reading nothing: %d, %v", n, err)
		}
		if err := closeWrite(c); err != nil {
			t.Fatal(err)
		}
		if n, err := peer.Read(make([]byte, 9)); n != 0 || err != io.EOF {
			t.Fatalf("the peer: %d, %v", n, err)
		}
	})
	t.Run("a deadline, and another", func(t *testing.T) {
		peer, c := pair(t)
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, err := c.Read(make([]byte, 9))
		var timeout net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Fatalf("reading: %v", err)
		}
		c.SetReadDeadline(time.Now().Add(30 * time.Second))
		peer.Write(small)
		if n, err := c.Read(make([]byte, 9)); n != len(small) || err != nil {
			t.Fatalf("reading again: %d, %v", n, err)
		}
		c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		written := 0
		for err = nil; err == nil; {
			var n int
			n, err = c.Write(big[:9<<10])
			written += n
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("writing: %v", err)
		}
		c.SetWriteDeadline(time.Time{})
		closeWrite(c)
		// What it said was written is what arrives.
		if n, err := io.Copy(io.Discard, peer); int(n) != written || err != nil {
			t.Fatalf("%d arrived of %d: %v", n, written, err)
		}
	})
	t.Run("closed beneath a read", func(t *testing.T) {
		_, c := pair(t)
		failed := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 9))
			failed <- err
		}()
		c.Close()
		if err := <-failed; !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		if _, err := c.Write(small); !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	})
	t.Run("reset", func(t *testing.T) {
		peer, c := pair(t)
		peer.SetLinger(0)
		peer.Close()
		_, err := c.Read(make([]byte, 9))
		var op *net.OpError
		if !errors.Is(err, syscall.ECONNRESET) || !errors.As(err, &op) || op.Op != "read" {
			t.Fatal(err)
		}
		if _, err := c.Write(small); !gone(err) {
			t.Fatal(err)
		}
	})
}

// BenchmarkLine is one short line there and back, as a control connection has
// them, waited for each time.
func BenchmarkLine(b *testing.B) {
	for _, way := range []struct {
		name string
		wrap func(c net.Conn) net.Conn
	}{
		{"net", func(c net.Conn) net.Conn { return c }},
		{"direct", Direct},
	} {
		b.Run(way.name, func(b *testing.B) {
			client, server := loopback(b)
			c := way.wrap(server)
			go func() {
				buf := make([]byte, 64)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					c.Write(buf[:n])
				}
			}()
			own := way.wrap(client)
			buf := make([]byte, 64)
			b.ReportAllocs()
			for b.Loop() {
				own.Write(buf[:6])
				if _, err := own.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
