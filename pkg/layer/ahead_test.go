package layer

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"testing"
)

func TestAheadLosesNothingBeneathTLS(t *testing.T) {
	client, server := loopback(t)
	c, s := handshake(t, Ahead(StrictEOF(client)), server)
	want := make([]byte, 4<<20)
	rand.Read(want)
	go func() {
		s.Write(want)
		s.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
}

// The script has no third read: what came with one is given in pieces.
func TestAheadGivesWhatCameBeforeTheError(t *testing.T) {
	broken := errors.New("broken")
	a := Ahead(&script{steps: []step{{[]byte("abc"), nil}, {[]byte("defg"), broken}}})
	var got []byte
	b := make([]byte, 2)
	for {
		n, err := a.Read(b)
		got = append(got, b[:n]...)
		if err != nil {
			if err != broken || string(got) != "abcdefg" {
				t.Errorf("%q, %v", got, err)
			}
			return
		}
	}
}

// A read as large as the buffer has nothing to gain from it.
func TestAheadLeavesLargeReadsAlone(t *testing.T) {
	a := Ahead(&script{steps: []step{{bytes.Repeat([]byte("x"), aheadSize), nil}}})
	b := make([]byte, aheadSize)
	if n, err := a.Read(b); n != aheadSize || err != nil || a.(*ahead).buf != nil {
		t.Errorf("%d, %v", n, err)
	}
}

type step struct {
	b   []byte
	err error
}

// script is a connection that reads as written.
type script struct {
	net.Conn
	steps []step
}

func (s *script) Read(b []byte) (int, error) {
	next := s.steps[0]
	s.steps = s.steps[1:]
	return copy(b, next.b), next.err
}
