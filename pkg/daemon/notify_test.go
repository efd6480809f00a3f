package daemon

import (
	"net"
	"sync/atomic"
	"testing"
	"time"
)

func TestALoopThatNoLongerAcceptsIsMissed(t *testing.T) {
	p := &pulse{limit: 100 * time.Millisecond, beats: make(map[string]*atomic.Int64)}
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := p.listen("control", bare)
	gone := make(chan struct{})
	go func() { // accepts, and nobody calls
		defer close(gone)
		l.Accept()
	}()
	beat := p.beat("control")
	for first, deadline := beat.Load(), time.Now().Add(30*time.Second); beat.Load() == first; {
		if time.Now().After(deadline) {
			t.Fatal("a loop that waits for somebody does not beat")
		}
		time.Sleep(time.Millisecond)
	}
	l.Close()
	<-gone
	if got := p.silent(time.Unix(0, beat.Load()).Add(p.limit)); got != "" {
		t.Errorf("%q is missed too soon", got)
	}
	if got := p.silent(time.Unix(0, beat.Load()).Add(p.limit + 1)); got != "control" {
		t.Errorf("missed: %q", got)
	}
}
