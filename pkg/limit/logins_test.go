package limit

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// waits makes one attempt that fails and returns how long its turn took.
func waits(t *testing.T, l *Logins, a netip.Addr) time.Duration {
	t.Helper()
	start := time.Now()
	if err := l.Wait(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	l.Failed(a)
	return time.Since(start)
}

func TestFailedLoginsAreDelayedMoreAndMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLogins(LoginPolicy{Free: 3, First: time.Second, Most: 5 * time.Second})
		for i, want := range []time.Duration{0, 0, 0, 0, 1, 2, 4, 5, 5} {
			if got := waits(t, l, addr("192.0.2.1")); got != want*time.Second {
				t.Errorf("attempt %d waited %v, want %v", i+1, got, want*time.Second)
			}
		}
		if err := l.Wait(t.Context(), addr("192.0.2.2")); err != nil || l.Failures(addr("192.0.2.2")) != 0 {
			t.Errorf("another address pays for it: %v", err)
		}
	})
}

func TestFailuresAreForgottenWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLogins(LoginPolicy{Free: 2, First: time.Second, Forget: time.Minute})
		a := addr("192.0.2.1")
		for range 4 {
			l.Failed(a)
		}
		for _, want := range []int{3, 2, 1, 0} {
			time.Sleep(time.Minute)
			if got := l.Failures(a); got != want {
				t.Errorf("%d failures, want %d", got, want)
			}
		}
		if len(l.entries) != 0 || l.order.Len() != 0 {
			t.Error("an entry without failures stays")
		}
	})
}

func TestALongAttackIsForgottenWithinTheHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLogins(LoginPolicy{})
		for range 10_000 {
			l.Failed(addr("192.0.2.1"))
		}
		time.Sleep(time.Hour)
		if got := l.Failures(addr("192.0.2.1")); got != 0 {
			t.Errorf("%d failures", got)
		}
	})
}

// One household holds a /64 at least: trying from another of its addresses
// must not begin anew.
func TestFailuresCountByIPv6Network(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLogins(LoginPolicy{Free: 1, First: time.Second})
		l.Failed(addr("2001:db8::1"))
		l.Failed(addr("2001:db8::2"))
		if got := waits(t, l, addr("2001:db8::3")); got != time.Second {
			t.Errorf("the next address of the /64 waited %v", got)
		}
		if got := waits(t, l, addr("2001:db8:0:1::3")); got != 0 {
			t.Errorf("the next /64 waited %v", got)
		}
	})
}

// Parallel connections must not multiply the guesses.
func TestParallelAttemptsShareTheirTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLogins(LoginPolicy{Free: 1, First: time.Second, Most: time.Second, Queue: 5 * time.Second})
		a := addr("192.0.2.1")
		l.Failed(a)
		l.Failed(a)
		start := time.Now()
		results := make(chan error, 20)
		for range 20 {
			go func() { results <- l.Wait(t.Context(), a) }()
		}
		admitted, refused := 0, 0
		for range 20 {
			switch err := <-results; {
			case err == nil:
				admitted++
			case errors.Is(err, ErrTooManyFailures):
				refused++
			default:
				t.Error(err)
			}
		}
		if admitted != 5 || refused != 15 {
			t.Errorf("%d admitted in %v, %d refused; want 5 and 15", admitted, time.Since(start), refused)
		}
	})
}

func TestLeavingTheQueueDoesNotSpeedItUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLogins(LoginPolicy{Free: 1, First: time.Second, Most: time.Second})
		a := addr("192.0.2.1")
		l.Failed(a)
		l.Failed(a)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.Wait(ctx, a); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		start := time.Now()
		if err := l.Wait(t.Context(), a); err != nil || time.Since(start) != 2*time.Second {
			t.Errorf("waited %v, %v", time.Since(start), err)
		}
	})
}

func TestFailuresOfManyAddressesStayBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLogins(LoginPolicy{Entries: 100})
		for i := range uint32(1000) {
			var a [4]byte
			binary.BigEndian.PutUint32(a[:], i)
			l.Failed(netip.AddrFrom4(a))
		}
		if len(l.entries) != 100 || l.order.Len() != 100 {
			t.Errorf("%d entries, %d in order", len(l.entries), l.order.Len())
		}
		if l.Failures(netip.AddrFrom4([4]byte{0, 0, 3, 231})) != 1 {
			t.Error("the latest was forgotten")
		}
	})
}
