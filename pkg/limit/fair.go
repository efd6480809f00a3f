package limit

import (
	"context"
	"slices"
	"sync"
)

// Fair bounds how much of something costly is done at once, and shares the
// places among those who ask: a place that is free goes to whoever has had the
// longest to wait since his last one, not to who asked for the most. Who asks
// is a key, such as the name of an account.
type Fair struct {
	mu    sync.Mutex
	free  int
	lines []*fairLine // of those who wait; whose turn it is stands in front
}

// fairLine is who waits under one key, in their order.
type fairLine struct {
	key     string
	waiting []chan struct{} // each is closed when its turn has come
}

// NewFair allows n at once; less than 1 is 1.
func NewFair(n int) *Fair { return &Fair{free: max(n, 1)} }

// Acquire waits for a place, or until ctx ends; it returns the cause then,
// and nobody stands in the line any more. The caller gives the place back with
// release; a second call does nothing.
func (f *Fair) Acquire(ctx context.Context, key string) (release func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	f.mu.Lock()
	if f.free > 0 { // then nobody waits
		f.free--
		f.mu.Unlock()
		return sync.OnceFunc(f.next), nil
	}
	i := slices.IndexFunc(f.lines, func(l *fairLine) bool { return l.key == key })
	if i < 0 {
		i = len(f.lines)
		f.lines = append(f.lines, &fairLine{key: key})
	}
	turn := make(chan struct{})
	f.lines[i].waiting = append(f.lines[i].waiting, turn)
	f.mu.Unlock()
	select {
	case <-turn:
		return sync.OnceFunc(f.next), nil
	case <-ctx.Done():
	}
	if !f.leave(key, turn) {
		f.next() // the turn came in the same moment, and is handed on
	}
	return nil, context.Cause(ctx)
}

// next hands a place on.
func (f *Fair) next() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lines) == 0 {
		f.free++
		return
	}
	line := f.lines[0]
	f.lines = f.lines[1:]
	close(line.waiting[0])
	if line.waiting = line.waiting[1:]; len(line.waiting) > 0 {
		f.lines = append(f.lines, line) // behind everybody else
	}
}

// leave takes somebody out of the line, if he still stands there.
func (f *Fair) leave(key string, turn chan struct{}) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.lines, func(l *fairLine) bool { return l.key == key })
	if i < 0 {
		return false
	}
	line := f.lines[i]
	at := slices.Index(line.waiting, turn)
	if at < 0 {
		return false
	}
	if line.waiting = slices.Delete(line.waiting, at, at+1); len(line.waiting) == 0 {
		f.lines = slices.Delete(f.lines, i, i+1)
	}
	return true
}

// Waiting returns how many wait.
func (f *Fair) Waiting() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.lines {
		n += len(l.waiting)
	}
	return n
}
