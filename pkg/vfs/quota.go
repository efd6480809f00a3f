package vfs

import (
	"context"
	"math"
	"sync"
)

// Usage is the bytes that a folder holds. All who write below the folder
// share one, whatever their accounts. It is counted when the first of them
// comes and kept by the changes that go through [FS] from then on; what other
// programs do to the files is not seen.
type Usage struct {
	counting chan struct{} // holds one token while nobody counts

	mu      sync.Mutex
	used    int64
	counted bool
}

// NewUsage returns the usage of a folder that nobody has counted yet.
func NewUsage() *Usage {
	u := &Usage{counting: make(chan struct{}, 1)}
	u.counting <- struct{}{}
	return u
}

// Count counts what is below the folder, of which fsys is a view, unless
// somebody has. It is called before the first change.
func (u *Usage) Count(ctx context.Context, fsys FS) error {
	select {
	case <-u.counting:
		defer func() { u.counting <- struct{}{} }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if u.counted {
		return nil
	}
	used, err := fsys.Used(ctx)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.used, u.counted = used, true
	return nil
}

// Quota bounds the bytes of one account's tree: it refuses those beyond its
// limit. The sessions of an account share one. Accounts that share a home have
// each a limit and together a [Usage].
//
// An upload counts while it is written, so replacing a file needs room for
// both. All methods accept a nil Quota, which has no limit.
type Quota struct {
	home  *Usage
	above []*Usage // of folders that home lies in, the outermost first

	mu    sync.Mutex
	limit int64
}

// NewQuota returns a quota of limit bytes on a tree of its own.
func NewQuota(limit int64) *Quota { return NewSharedQuota(limit, NewUsage()) }

// NewSharedQuota returns a quota of limit bytes on a tree that others may
// write to as well. What it writes counts also in the folders above, the
// outermost first; their limits are not its own.
func NewSharedQuota(limit int64, home *Usage, above ...*Usage) *Quota {
	return &Quota{home: home, above: above, limit: limit}
}

// lock locks every usage that a change counts in, the outermost first, and
// returns what unlocks them.
func (q *Quota) lock() (unlock func()) {
	for _, u := range q.above {
		u.mu.Lock()
	}
	q.home.mu.Lock()
	return func() {
		q.home.mu.Unlock()
		for i := len(q.above) - 1; i >= 0; i-- {
			q.above[i].mu.Unlock()
		}
	}
}

// add counts n bytes, or takes them back. The usages are locked.
func (q *Quota) add(n int64) {
	q.home.used += n
	for _, u := range q.above {
		u.used += n
	}
}

func (q *Quota) bound() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.limit
}

// Limit returns a view of fsys that q counts and bounds, after counting what
// is there if nobody has yet. The view replaces fsys: closing it closes both.
func Limit(ctx context.Context, fsys FS, q *Quota) (FS, error) {
	if q == nil {
		return fsys, nil
	}
	if err := q.home.Count(ctx, fsys); err != nil {
		return nil, err
	}
	return fsys.Metered(q), nil
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
	q.home.mu.Lock()
	defer q.home.mu.Unlock()
	return q.home.used
}

// Left returns the bytes that still fit.
func (q *Quota) Left() int64 {
	if q == nil {
		return math.MaxInt64
	}
	return max(0, q.bound()-q.Used())
}

// Grow counts n bytes that are about to be written, all or none of them:
// ErrQuota where they do not fit.
func (q *Quota) Grow(n int64) error {
	if q == nil || n <= 0 {
		return nil
	}
	defer q.lock()()
	if n > q.bound()-q.home.used {
		return ErrQuota
	}
	q.add(n)
	return nil
}

// Shrink takes back n bytes that are gone.
func (q *Quota) Shrink(n int64) {
	if q == nil || n <= 0 {
		return
	}
	defer q.lock()()
	q.add(-n)
}

// Free runs a change that removes or replaces a file and, if it succeeds,
// takes back the bytes it freed. Changes in one folder run one at a time, so
// that two of them never count the same old file.
func (q *Quota) Free(change func() (freed int64, err error)) error {
	if q == nil {
		_, err := change()
		return err
	}
	defer q.lock()()
	freed, err := change()
	if err == nil {
		q.add(-freed)
	}
	return err
}
