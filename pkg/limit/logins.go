package limit

import (
	"container/list"
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"ftps/pkg/fault"
)

// ErrTooManyFailures is what [Logins.Wait] answers when the wait would be
// longer than anyone should keep a connection open for.
var ErrTooManyFailures = errors.New("limit: too many failed logins")

// LoginPolicy is how failures are answered. Zero fields take the defaults.
type LoginPolicy struct {
	Free    int           // failures without a delay; 3
	First   time.Duration // the delay after one more; it doubles with each further; 500 ms
	Most    time.Duration // the longest delay between two attempts; 10 s
	Queue   time.Duration // the longest wait for one's turn; 30 s
	Forget  time.Duration // one failure is forgotten in this time; 1 min
	Entries int           // addresses remembered; 4096
}

func (p LoginPolicy) withDefaults() LoginPolicy {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&p.First, 500*time.Millisecond)
	set(&p.Most, 10*time.Second)
	set(&p.Queue, 30*time.Second)
	set(&p.Forget, time.Minute)
	if p.Free <= 0 {
		p.Free = 3
	}
	if p.Entries <= 0 {
		p.Entries = 4096
	}
	return p
}

// Logins slows down an address that fails to log in. Attempts from it get
// turns, further apart with each failure; parallel connections share them. A
// login that succeeds does not lessen the delay, or the owner of one account
// could guess at the others for nothing: only time does.
type Logins struct {
	policy LoginPolicy

	mu      sync.Mutex
	entries map[netip.Addr]*list.Element
	order   *list.List // of *failures, the longest quiet in front
}

// failures of one address. A score that bans counts here as well, beside
// the failures, and is forgotten in the same way.
type failures struct {
	addr  netip.Addr
	count int
	since time.Time // when the count last changed
	next  time.Time // when the next attempt has its turn
}

// mostFailures bounds what stands against an address: the delay grows no
// further long before, and who comes to a used address later should not wait
// for days.
const mostFailures = 30

// NewLogins returns an empty record.
func NewLogins(policy LoginPolicy) *Logins {
	return &Logins{
		policy:  policy.withDefaults(),
		entries: make(map[netip.Addr]*list.Element),
		order:   list.New(),
	}
}

// Wait returns when an attempt from addr has its turn: at once for an address
// without failures. It fails with ErrTooManyFailures where too many are
// waiting already, and with the error of ctx.
func (l *Logins) Wait(ctx context.Context, addr netip.Addr) error {
	wait, err := l.turn(Network(addr))
	if err != nil || wait <= 0 {
		return err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err() // the turn is lost: leaving the queue must not speed it up
	}
}

// turn takes the next turn of addr and says how far away it is.
func (l *Logins) turn(addr netip.Addr) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.lookup(addr)
	if f == nil {
		return 0, nil
	}
	delay := l.delay(f.count)
	if delay == 0 {
		return 0, nil
	}
	now := time.Now()
	at := f.next
	if at.Before(now) {
		at = now
	}
	if at.Sub(now) > l.policy.Queue {
		return 0, fault.Wrap(ErrTooManyFailures, "users.login.slowed")
	}
	f.next = at.Add(delay)
	return at.Sub(now), nil
}

// Failed notes a failed login from addr and returns how many stand against
// it.
func (l *Logins) Failed(addr netip.Addr) int {
	addr = Network(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	f := l.lookup(addr)
	if f == nil {
		if len(l.entries) >= l.policy.Entries {
			l.remove(l.order.Front())
		}
		f = &failures{addr: addr}
		l.entries[addr] = l.order.PushBack(f)
	} else {
		l.order.MoveToBack(l.entries[addr])
	}
	f.count = min(f.count+1, mostFailures)
	f.since = now
	if next := now.Add(l.delay(f.count)); next.After(f.next) {
		f.next = next
	}
	return f.count
}

// Failures returns how many stand against addr.
func (l *Logins) Failures(addr netip.Addr) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.lookup(Network(addr)); f != nil {
		return f.count
	}
	return 0
}

// lookup returns what is known of addr, less what time has forgotten. The
// caller holds the lock.
func (l *Logins) lookup(addr netip.Addr) *failures {
	e := l.entries[addr]
	if e == nil {
		return nil
	}
	f := e.Value.(*failures)
	forgotten := int(time.Since(f.since) / l.policy.Forget)
	if forgotten >= f.count {
		l.remove(e)
		return nil
	}
	f.count -= forgotten
	f.since = f.since.Add(time.Duration(forgotten) * l.policy.Forget)
	return f
}

func (l *Logins) remove(e *list.Element) {
	delete(l.entries, e.Value.(*failures).addr)
	l.order.Remove(e)
}

// delay between two attempts of an address with so many failures.
func (l *Logins) delay(count int) time.Duration {
	beyond := count - l.policy.Free
	if beyond <= 0 {
		return 0
	}
	d := l.policy.First
	for range beyond - 1 {
		if d *= 2; d >= l.policy.Most {
			return l.policy.Most
		}
	}
	return min(d, l.policy.Most)
}
