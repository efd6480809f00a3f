package s3fs

import (
	"context"
	"slices"
	"sync"
)

// turns lets one at a time change what has one key: a store does not look and
// then act in one step, and some list an object that is being replaced as if
// it were gone. Whoever changes something else does not wait, however slow
// the store is. Other servers are not seen; what they may do at the same
// moment is bounded by the conditions of the requests themselves.
type turns struct {
	mu    sync.Mutex
	taken map[string]chan struct{} // closed when it is free again
}

// take waits for its turn on some keys and returns what ends it.
func (t *turns) take(ctx context.Context, keys ...string) (done func(), err error) {
	// In one order, so that two who want the same keys do not wait for each
	// other.
	slices.Sort(keys)
	keys = slices.Compact(keys)
	for i, key := range keys {
		if err := t.one(ctx, key); err != nil {
			t.free(keys[:i])
			return nil, err
		}
	}
	return func() { t.free(keys) }, nil
}

func (t *turns) one(ctx context.Context, key string) error {
	for {
		t.mu.Lock()
		other, busy := t.taken[key]
		if !busy {
			if t.taken == nil {
				t.taken = make(map[string]chan struct{})
			}
			t.taken[key] = make(chan struct{})
			t.mu.Unlock()
			return nil
		}
		t.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (t *turns) free(keys []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range keys {
		close(t.taken[key])
		delete(t.taken, key)
	}
}
