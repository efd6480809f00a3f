package limit

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
)

func TestNPlacesAndTheNextWaitsForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFair(2)
		first, _ := f.Acquire(t.Context(), "a")
		second, _ := f.Acquire(t.Context(), "a")
		in := make(chan func(), 1)
		go func() {
			release, _ := f.Acquire(t.Context(), "a")
			in <- release
		}()
		synctest.Wait()
		if len(in) != 0 || f.Waiting() != 1 {
			t.Fatal("a third place was given")
		}
		first()
		first()
		synctest.Wait()
		if len(in) != 1 || f.Waiting() != 0 {
			t.Fatal("the place that was given back is lost")
		}
		(<-in)()
		second()
		if f.free != 2 {
			t.Errorf("%d places are free in the end", f.free)
		}
	})
}

func TestWhoAsksForALotDoesNotHoldUpWhoAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFair(1)
		release, _ := f.Acquire(t.Context(), "greedy")
		var order []string
		stand := func(key string) {
			go func() {
				release, err := f.Acquire(t.Context(), key)
				if err == nil {
					order = append(order, key)
					release()
				}
			}()
			synctest.Wait()
		}
		for range 5 {
			stand("greedy")
		}
		stand("modest")
		stand("third")
		release()
		synctest.Wait()
		if want := []string{"greedy", "modest", "third", "greedy", "greedy", "greedy", "greedy"}; !slices.Equal(order, want) {
			t.Errorf("served in the order %v", order)
		}
	})
}

func TestWhoLeavesTheLineTakesNoPlaceWithHim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFair(1)
		release, _ := f.Acquire(t.Context(), "a")
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		said := make(chan error, 1)
		go func() {
			_, err := f.Acquire(ctx, "b")
			said <- err
		}()
		synctest.Wait()
		cancel(gone)
		if err := <-said; !errors.Is(err, gone) || f.Waiting() != 0 {
			t.Errorf("left with %v, %d wait", err, f.Waiting())
		}
		release()
		if f.free != 1 {
			t.Error("the place is lost")
		}
		if _, err := f.Acquire(ctx, "b"); !errors.Is(err, gone) {
			t.Errorf("who is gone already: %v", err)
		}
	})
}
