package limit

import (
	"context"
	"sync"
	"time"
)

// Rate lets through so many bytes a second. It is a token bucket that may be
// shared by several connections and changed while they wait. The bucket holds
// a tenth of a second's worth, so that a pause is not followed by a flood.
type Rate struct {
	mu      sync.Mutex
	perSec  float64       // bytes a second; 0 is no limit
	asked   float64       // bytes asked for since the beginning
	earned  float64       // bytes that time has paid for, never more than asked
	at      time.Time     // when earned was brought up to date
	changed chan struct{} // closed by Set, to wake those who wait
}

// NewRate returns a limit of bytesPerSecond; 0 or less is no limit.
func NewRate(bytesPerSecond int64) *Rate {
	return &Rate{
		perSec:  float64(max(bytesPerSecond, 0)),
		at:      time.Now(),
		changed: make(chan struct{}),
	}
}

// Set changes the limit, also for those who wait at this moment.
func (r *Rate) Set(bytesPerSecond int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.catchUp()
	r.perSec = float64(max(bytesPerSecond, 0))
	close(r.changed)
	r.changed = make(chan struct{})
}

// Wait returns when n more bytes may pass, or with the error of ctx when that
// ends first; those bytes then count as not asked for. n may be more than the
// bucket holds.
func (r *Rate) Wait(ctx context.Context, n int) error {
	r.mu.Lock()
	r.catchUp()
	r.asked += float64(n)
	mine := r.asked // who asks first is served first
	for {
		r.catchUp()
		missing := mine - r.earned - r.perSec/10
		if r.perSec == 0 || missing <= 0 {
			r.mu.Unlock()
			return nil
		}
		wait := time.Duration(missing / r.perSec * float64(time.Second))
		changed := r.changed
		r.mu.Unlock()

		timer := time.NewTimer(max(wait, time.Microsecond))
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
			timer.Stop()
			r.mu.Lock()
			// Those behind already hold their places; paying for these
			// bytes moves them all forward by as much.
			r.earned = min(r.earned+float64(n), r.asked)
			r.mu.Unlock()
			return ctx.Err()
		}
		timer.Stop()
		r.mu.Lock()
	}
}

// catchUp credits the time since the last call. The caller holds the lock.
func (r *Rate) catchUp() {
	now := time.Now()
	if r.perSec == 0 {
		r.earned = r.asked
	} else {
		r.earned = min(r.earned+now.Sub(r.at).Seconds()*r.perSec, r.asked)
	}
	r.at = now
}
