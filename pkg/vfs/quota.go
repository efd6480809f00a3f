package vfs

import (
	"context"
	"math"
	"sync"
)

// Quota counts the bytes of one account's tree and refuses those beyond its
// limit. The sessions of an account share one. The tree is counted when the
// first of them opens it and kept by the changes that go through [FS] from
// then on; what other programs do to the files is not seen.
//
// An upload counts while it is written, so replacing a file needs room for
// both. All methods accept a nil Quota, which has no limit.
type Quota struct {
	counting chan struct{} // holds one token while nobody counts

	mu      sync.Mutex
	limit   int64
	used    int64
	counted bool
}

// NewQuota returns a quota of limit bytes.
func NewQuota(limit int64) *Quota {
	q := &Quota{counting: make(chan struct{}, 1), limit: limit}
	q.counting <- struct{}{}
	return q
}

// Limit returns a view of fsys that q counts and bounds, after counting what
// is there if nobody has yet. The view replaces fsys: closing it closes both.
func Limit(ctx context.Context, fsys FS, q *Quota) (FS, error) {
	if q == nil {
		return fsys, nil
	}
	if err := q.count(ctx, fsys); err != nil {
		return nil, err
	}
	return fsys.Metered(q), nil
}

func (q *Quota) count(ctx context.Context, fsys FS) error {
	select {
	case <-q.counting:
		defer func() { q.counting <- struct{}{} }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if q.counted {
		return nil
	}
	used, err := fsys.Used(ctx)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.used, q.counted = used, true
	return nil
}

// SetLimit changes the limit. What is there already stays, also beyond it.
func (q *Quota) SetLimit(limit int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limit = limit
}

// Used returns the bytes counted.
func (q *Quota) Used() int64 {
	if q == nil {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.used
}

// Left returns the bytes that still fit.
func (q *Quota) Left() int64 {
	if q == nil {
		return math.MaxInt64
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return max(0, q.limit-q.used)
}

// Grow counts n bytes that are about to be written, all or none of them:
// ErrQuota where they do not fit.
func (q *Quota) Grow(n int64) error {
	if q == nil || n <= 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if n > q.limit-q.used {
		return ErrQuota
	}
	q.used += n
	return nil
}

// Shrink takes back n bytes that are gone.
func (q *Quota) Shrink(n int64) {
	if q == nil || n <= 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.used -= n
}

// Free runs a change that removes or replaces a file and, if it succeeds,
// takes back the bytes it freed. Changes under one quota run one at a time, so that two of them
// never count the same old file.
func (q *Quota) Free(change func() (freed int64, err error)) error {
	if q == nil {
		_, err := change()
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	freed, err := change()
	if err == nil {
		q.used -= freed
	}
	return err
}
