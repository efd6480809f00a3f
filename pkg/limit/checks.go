package limit

import (
	"context"
	"sync"
)

// Checks bounds how many password checks run at once: each costs a core for
// a fifth of a second.
type Checks struct {
	slots chan struct{}
}

// NewChecks allows n checks at once; less than 1 is 1.
func NewChecks(n int) *Checks {
	return &Checks{slots: make(chan struct{}, max(n, 1))}
}

// Acquire waits for a place, or until ctx ends. The caller gives the place
// back with release; a second call does nothing.
func (c *Checks) Acquire(ctx context.Context) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case c.slots <- struct{}{}:
		return sync.OnceFunc(func() { <-c.slots }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
