package limit

import (
	"context"
	"net/netip"
	"sync"
)

// Turns lets each address (IPv6: each /64) have one password checked at a
// time. Whoever sends hundreds of guesses at once so stands in line for
// checks once, not hundreds of times before everybody else.
type Turns struct {
	mu    sync.Mutex
	lines map[netip.Addr]*turnLine
}

// turnLine is one address's line; it is forgotten with the last in it.
type turnLine struct {
	turn   chan struct{} // holds a token while somebody has the turn
	inside int           // having the turn or waiting for it
}

// NewTurns returns a Turns in which nobody stands.
func NewTurns() *Turns { return &Turns{lines: make(map[netip.Addr]*turnLine)} }

// Acquire waits for addr's turn, or until ctx ends. The caller gives the turn
// back with release; a second call does nothing.
func (t *Turns) Acquire(ctx context.Context, addr netip.Addr) (release func(), err error) {
	addr = Network(addr)
	t.mu.Lock()
	line := t.lines[addr]
	if line == nil {
		line = &turnLine{turn: make(chan struct{}, 1)}
		t.lines[addr] = line
	}
	line.inside++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if line.inside--; line.inside == 0 {
			delete(t.lines, addr)
		}
	}
	select {
	case line.turn <- struct{}{}:
		return sync.OnceFunc(func() {
			<-line.turn
			leave()
		}), nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}
