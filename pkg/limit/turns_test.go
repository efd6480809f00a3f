package limit

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestOneOfAnAddressAtATimeAndAddressesSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns()
		one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		release, err := turns.Acquire(t.Context(), one)
		if err != nil {
			t.Fatal(err)
		}
		second := make(chan func())
		go func() {
			release, _ := turns.Acquire(t.Context(), one)
			second <- release
		}()
		synctest.Wait()
		beside, err := turns.Acquire(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		beside()
		select {
		case <-second:
			t.Fatal("two of one address at once")
		case <-time.After(time.Hour):
		}
		release()
		release() // a second call does nothing
		(<-second)()
		if len(turns.lines) != 0 {
			t.Errorf("%d lines are left", len(turns.lines))
		}
	})
}

func TestATurnIsWaitedForNoLongerThanItsContext(t *testing.T) {
	turns := NewTurns()
	addr := netip.MustParseAddr("2001:db8::1")
	release, err := turns.Acquire(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// The same /64 stands in the same line.
	if _, err := turns.Acquire(ctx, netip.MustParseAddr("2001:db8::2")); !errors.Is(err, context.Canceled) {
		t.Errorf("Acquire: %v", err)
	}
	release()
	if len(turns.lines) != 0 {
		t.Errorf("%d lines are left", len(turns.lines))
	}
}
