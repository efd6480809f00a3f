//go:build unix

package handover

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func links(t *testing.T) (*Link, *Link) {
	t.Helper()
	a, b, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*Link{a, b} {
		l.conn.SetDeadline(time.Now().Add(30 * time.Second))
	}
	return a, b
}

func TestMessagesComeInOrderWithTheirSockets(t *testing.T) {
	a, b := links(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	long := bytes.Repeat([]byte("x"), 1<<20)
	a.Send("small", 1)
	a.Send("sockets", "two", l.(*net.TCPListener), l.(*net.TCPListener))
	a.Send("long", long)
	closed := make(chan struct{})
	go func() { a.Close(); close(closed) }()
	for i, want := range []struct {
		kind  string
		files int
	}{{"small", 0}, {"sockets", 2}, {"long", 0}} {
		m, err := b.Receive()
		if err != nil || m.Kind != want.kind || len(m.Files) != want.files {
			t.Fatalf("message %d: %s with %d files, %v", i, m.Kind, len(m.Files), err)
		}
		if m.Kind == "sockets" {
			other, err := net.FileListener(m.Files[0])
			if err != nil || other.Addr().String() != l.Addr().String() {
				t.Fatalf("%v, %v", other, err)
			}
			other.Close()
		}
		m.Close()
	}
	if _, err := b.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
	<-closed
	b.Close()
}

func TestAGivenConnectionIsTheOthersFromThenOn(t *testing.T) {
	a, b := links(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	client.Write([]byte("said before"))
	a.Give("conn", nil, server)
	m, err := b.Receive()
	if err != nil || len(m.Files) != 1 {
		t.Fatalf("%v, %v", m, err)
	}
	mine, err := net.FileConn(m.Files[0])
	m.Close()
	if err != nil {
		t.Fatal(err)
	}
	mine.SetDeadline(time.Now().Add(30 * time.Second))
	heard := make([]byte, len("said before"))
	if _, err := io.ReadFull(mine, heard); err != nil || string(heard) != "said before" {
		t.Errorf("%q, %v", heard, err)
	}
	a.Close()
	if _, err := server.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the giver still has it: %v", err)
	}
	mine.Close()
	b.Close()
}

func TestWhoSendsToNobodyIsToldSo(t *testing.T) {
	a, b := links(t)
	b.Cut()
	for deadline := time.Now().Add(30 * time.Second); ; {
		if err := a.Send("x", nil); errors.Is(err, ErrClosed) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("sending goes on")
		}
	}
	a.Cut()
	if err := a.Send("x", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}
