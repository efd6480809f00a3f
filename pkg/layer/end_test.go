package layer

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

const fileSize = 3 << 20

// upload sends a file to a reader that is late, with an unread ticket in the
// way, and returns how much arrived.
func upload(t *testing.T, gather bool, end func(c *tls.Conn, raw net.Conn) error) (n int64, sendErr, readErr error) {
	client, server := loopback(t)
	server.SetReadBuffer(64 << 10)
	raw := net.Conn(client)
	if gather {
		raw = Gather(StrictEOF(client), DefaultGather)
	}
	c, s := handshake(t, raw, StrictEOF(server))
	sent := make(chan error, 1)
	written := make(chan struct{})
	go func() {
		if _, err := c.Write(make([]byte, fileSize)); err != nil {
			close(written)
			sent <- err
			return
		}
		close(written)
		sent <- end(c, raw)
	}()
	// Read as little as lets the client write it all, and the rest when it
	// has closed or waits for our end.
	buf := make([]byte, 32<<10)
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for readErr == nil {
		var k int
		k, readErr = s.Read(buf)
		n += int64(k)
		<-pause.C
	}
	if readErr == io.EOF {
		readErr = nil
	}
	s.Close()
	<-written
	return n, <-sent, readErr
}

func TestANaiveCloseLosesTheTailAndEndDoesNot(t *testing.T) {
	for _, gather := range []bool{false, true} {
		n, sendErr, readErr := upload(t, gather, func(c *tls.Conn, raw net.Conn) error {
			return End(c, raw, 10*time.Second)
		})
		if n != fileSize || sendErr != nil || readErr != nil {
			t.Errorf("gathered %v: %d of %d bytes arrived; sender %v, reader %v", gather, n, fileSize, sendErr, readErr)
		}
	}
	n, sendErr, readErr := upload(t, false, func(c *tls.Conn, _ net.Conn) error { return c.Close() })
	if n == fileSize && readErr == nil {
		t.Error("the naive close lost nothing: this test shows nothing")
	}
	if sendErr != nil {
		t.Errorf("the naive close even said so: %v", sendErr)
	}
}

func TestEndWaitsForASlowReaderAsLongAsItReads(t *testing.T) {
	client, server := loopback(t)
	server.SetReadBuffer(64 << 10)
	g := Gather(client, DefaultGather)
	c, s := handshake(t, g, server)
	ended := make(chan error, 1)
	go func() {
		c.Write(make([]byte, 1<<20))
		ended <- EndWithin(c, g, time.Second, 20*time.Millisecond)
	}()
	var n int64
	buf := make([]byte, 32<<10)
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		k, err := s.Read(buf)
		n += int64(k)
		if err != nil {
			break
		}
		<-pause.C
	}
	s.Close()
	if err := <-ended; err != nil && !errors.Is(err, ErrNoEnd) || n != 1<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestAPeerThatNeverEndsIsLeftAfterAWhile(t *testing.T) {
	client, server := loopback(t)
	g := Gather(client, DefaultGather)
	c, s := handshake(t, g, server)
	c.Write([]byte("hello"))
	go io.Copy(io.Discard, s) // reads, and never closes
	begin := time.Now()
	err := EndWithin(c, g, 20*time.Second, 50*time.Millisecond)
	if !errors.Is(err, ErrNoEnd) || time.Since(begin) > 10*time.Second {
		t.Errorf("%v after %v, want ErrNoEnd soon", err, time.Since(begin))
	}
}

func TestAPeerThatStopsReadingIsAnError(t *testing.T) {
	client, server := loopback(t)
	server.SetReadBuffer(16 << 10)
	client.SetWriteBuffer(4 << 20)
	g := Gather(client, DefaultGather)
	c, _ := handshake(t, g, server)
	client.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	c.Write(make([]byte, 512<<10))
	err := EndWithin(c, g, 200*time.Millisecond, 50*time.Millisecond)
	if err == nil || errors.Is(err, ErrNoEnd) {
		t.Errorf("%v, want an error: what was written may be lost", err)
	}
}

func TestAMereFINFromThePeerIsAnEnd(t *testing.T) {
	client, server := loopback(t)
	g := Gather(StrictEOF(client), DefaultGather)
	c, s := handshake(t, g, server)
	c.Write([]byte("hello"))
	go func() {
		io.ReadFull(s, make([]byte, 5))
		io.ReadAll(s)
		server.Close()
	}()
	if err := End(c, g, 10*time.Second); err != nil {
		t.Errorf("%v, want nil", err)
	}
}

func TestEndCarriesOnPastTheDeadlineThatCloseWriteLeaves(t *testing.T) {
	client, server := loopback(t)
	g := Gather(client, DefaultGather)
	c, s := handshake(t, g, server)
	c.Write([]byte("hello"))
	if err := errors.Join(g.Flush(), c.CloseWrite()); err != nil {
		t.Fatal(err)
	}
	if err := g.Flush(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the alert goes out by itself (%v): the remedy is no longer needed", err)
	}
	go func() { io.Copy(io.Discard, s); s.Close() }()
	if err := Push(g, time.Second); err != nil {
		t.Errorf("Push: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the peer's end: %v", err)
	}
}

// lftp closes as soon as it has the size it expects, and leaves close_notify
// unread.
func TestAPeerThatClosesWithTheLastByteHasItAll(t *testing.T) {
	for range 20 {
		client, server := loopback(t)
		g := Gather(server, DefaultGather)
		c, s := handshake(t, client, g)
		const size = 100 << 10
		ended := make(chan error, 1)
		go func() {
			s.Write(make([]byte, size))
			g.Flush()
			ended <- End(s, g, 10*time.Second)
		}()
		io.CopyN(io.Discard, c, size)
		client.SetLinger(0) // the reset that unread bytes cause, for certain
		client.Close()
		if err := <-ended; err != nil {
			t.Fatalf("%v, want nil", err)
		}
	}
}

func TestAPeerThatClosesInTheMiddleHasNot(t *testing.T) {
	client, server := loopback(t)
	server.SetWriteBuffer(4 << 20)
	client.SetReadBuffer(64 << 10)
	g := Gather(server, DefaultGather)
	c, s := handshake(t, client, g)
	written := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		s.Write(make([]byte, 1<<20))
		close(written)
		ended <- End(s, g, 10*time.Second)
	}()
	io.CopyN(io.Discard, c, 100)
	<-written
	client.SetLinger(0)
	client.Close()
	if err := <-ended; err == nil {
		t.Error("no error, but most of it was not taken")
	}
}

// packets counts the writes and the ends that reach the wire.
type packets struct {
	net.Conn
	n int
}

func (p *packets) Write(b []byte) (int, error) {
	p.n++
	return p.Conn.Write(b)
}

func (p *packets) WriteLast(b []byte) (int, error) { return WriteLast(p.Conn, b) } // goes with the end

func (p *packets) CloseWrite() error {
	p.n++
	return closeWrite(p.Conn)
}

// A small file, its close_notify and the FIN were three packets, each of which
// woke the peer.
func TestASmallFileAndItsEndAreOnePacket(t *testing.T) {
	client, server := loopback(t)
	wire := &packets{Conn: Direct(server)}
	raw := Gather(StrictEOF(wire), DefaultGather)
	c, s := handshake(t, client, raw)
	text := bytes.Repeat([]byte("small "), 700)
	raw.Flush()
	wire.n = 0
	ended := make(chan error, 1)
	go func() {
		if _, err := s.Write(text); err != nil {
			ended <- err
			return
		}
		ended <- End(s, raw, 10*time.Second)
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, text) {
		t.Fatalf("%d bytes of %d: %v", len(got), len(text), err)
	}
	c.CloseWrite()
	client.CloseWrite()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if wire.n != 1 {
		t.Errorf("%d packets", wire.n)
	}
}

// Where what is collected leaves no room for close_notify, everything arrives
// even so.
func TestAFullBufferLeavesNothingOfTheEndOut(t *testing.T) {
	for length := 3900; length <= 4200; length += 5 {
		client, server := loopback(t)
		raw := Gather(StrictEOF(Direct(server)), 4096)
		c, s := handshake(t, StrictEOF(client), raw)
		text := make([]byte, length)
		ended := make(chan error, 1)
		go func() {
			s.Write(text)
			ended <- End(s, raw, 10*time.Second)
		}()
		got, err := io.ReadAll(c)
		c.CloseWrite()
		client.CloseWrite()
		if err := errors.Join(err, <-ended); err != nil || len(got) != length {
			t.Fatalf("%d bytes of %d: %v", len(got), length, err)
		}
	}
}
