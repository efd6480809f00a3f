package limit

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func within(t *testing.T, what string, got, want, slack time.Duration) {
	t.Helper()
	if got < want-slack || got > want+slack {
		t.Errorf("%s took %v, want %v", what, got, want)
	}
}

func TestRateLetsThroughSoManyBytesASecond(t *testing.T) {
	for _, chunk := range []int{1000, 32 << 10, 1 << 20} {
		synctest.Test(t, func(t *testing.T) {
			r := NewRate(1 << 20)
			start := time.Now()
			for range 10 << 20 / chunk {
				if err := r.Wait(t.Context(), chunk); err != nil {
					t.Fatal(err)
				}
			}
			// The bucket is empty at the start; it gives a tenth in advance.
			within(t, "10 MiB", time.Since(start), 9900*time.Millisecond, 50*time.Millisecond)
		})
	}
}

func TestRateIsSharedByConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRate(1000)
		start := time.Now()
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range 10 {
					_ = r.Wait(t.Context(), 100)
				}
			})
		}
		group.Wait()
		within(t, "4000 bytes", time.Since(start), 3900*time.Millisecond, 10*time.Millisecond)
	})
}

func TestRateChangesForThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRate(10)
		done := make(chan time.Duration)
		start := time.Now()
		go func() {
			_ = r.Wait(t.Context(), 1001) // 100 s at this rate
			done <- time.Since(start)
		}()
		time.Sleep(10 * time.Second) // 100 are paid for
		r.Set(300)                   // 901 are left, 30 of them in advance
		within(t, "the rest", <-done, 12903*time.Millisecond, 10*time.Millisecond)

		go func() {
			start := time.Now()
			_ = r.Wait(t.Context(), 1_000_000)
			done <- time.Since(start)
		}()
		time.Sleep(time.Second)
		r.Set(0)
		within(t, "lifting the limit", <-done, time.Second, 0)
	})
}

func TestRateAfterAPauseIsNoFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRate(1000)
		_ = r.Wait(t.Context(), 1)
		time.Sleep(time.Hour)
		start := time.Now()
		for range 20 {
			_ = r.Wait(t.Context(), 100)
		}
		within(t, "2000 bytes after an hour", time.Since(start), 1900*time.Millisecond, 10*time.Millisecond)
	})
}

func TestRateGivesBackWhatWasNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRate(100)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Wait(ctx, 1_000_000); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		start := time.Now()
		if err := r.Wait(t.Context(), 110); err != nil {
			t.Fatal(err)
		}
		within(t, "the next", time.Since(start), time.Second, 20*time.Millisecond)
	})
}

func TestNoRateNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRate(0)
		start := time.Now()
		for range 1000 {
			_ = r.Wait(t.Context(), 1<<20)
		}
		within(t, "1000 MiB without a limit", time.Since(start), 0, 0)
	})
}
