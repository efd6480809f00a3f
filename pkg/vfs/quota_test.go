package vfs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestQuotaGivesOutEveryByteOnce(t *testing.T) {
	const limit = 10_000
	q := NewQuota(limit)
	var granted atomic.Int64
	var running sync.WaitGroup
	for w := range 8 {
		running.Go(func() {
			for i := range 1000 {
				n := int64(1 + (i+w)%7)
				if q.Grow(n) == nil {
					granted.Add(n)
				}
				if i%5 == 0 && q.Grow(1) == nil {
					q.Shrink(1)
				}
			}
		})
	}
	running.Wait()
	for q.Grow(1) == nil {
		granted.Add(1)
	}
	if granted.Load() != limit || q.Used() != limit || q.Left() != 0 {
		t.Errorf("granted %d, used %d, left %d of %d", granted.Load(), q.Used(), q.Left(), limit)
	}
	if err := q.Grow(1); !errors.Is(err, ErrQuota) {
		t.Errorf("one byte more: %v", err)
	}
	q.Shrink(1)
	if err := q.Grow(1); err != nil {
		t.Errorf("the byte that was freed: %v", err)
	}
}

func TestQuotaSurvivesHugeAndNegativeAmounts(t *testing.T) {
	q := NewQuota(10)
	if err := q.Grow(1<<63 - 1); !errors.Is(err, ErrQuota) {
		t.Errorf("the greatest amount: %v", err)
	}
	if err := q.Grow(-5); err != nil || q.Used() != 0 {
		t.Errorf("a negative amount: %v, used %d", err, q.Used())
	}
	q.Shrink(-5)
	if q.Used() != 0 {
		t.Errorf("shrunk by a negative amount: used %d", q.Used())
	}
}

func TestALowerLimitKeepsWhatIsThere(t *testing.T) {
	q := NewQuota(10)
	if err := q.Grow(8); err != nil {
		t.Fatal(err)
	}
	q.SetLimit(5)
	if q.Left() != 0 || q.Used() != 8 || q.Grow(1) == nil {
		t.Errorf("left %d, used %d", q.Left(), q.Used())
	}
	q.SetLimit(9)
	if q.Grow(1) != nil || q.Grow(1) == nil {
		t.Error("the limit was not raised to 9")
	}
}

func TestAChangeThatFailsFreesNothing(t *testing.T) {
	q := NewQuota(10)
	_ = q.Grow(8)
	broken := errors.New("broken")
	if err := q.Free(func() (int64, error) { return 8, broken }); err != broken || q.Used() != 8 {
		t.Errorf("%v, used %d", err, q.Used())
	}
	if err := q.Free(func() (int64, error) { return 8, nil }); err != nil || q.Used() != 0 {
		t.Errorf("%v, used %d", err, q.Used())
	}
}

func TestNoQuotaHasNoLimit(t *testing.T) {
	var q *Quota
	if q.Grow(1<<62) != nil || q.Left() <= 0 || q.Free(func() (int64, error) { return 1, nil }) != nil {
		t.Error("a nil quota refused something")
	}
}

// counter is a tree that only counts how often it was counted.
type counter struct {
	FS
	counts  atomic.Int32
	waiting chan struct{}
	twice   bool
	err     error
}

func (c *counter) Used(ctx context.Context) (int64, error) {
	c.counts.Add(1)
	<-c.waiting
	if c.twice {
		<-c.waiting
	}
	return 7, c.err
}

func (c *counter) Metered(*Quota) FS { return c }

func TestATreeIsCountedOnceForAllSessions(t *testing.T) {
	tree := &counter{waiting: make(chan struct{})}
	q := NewQuota(10)
	var running sync.WaitGroup
	for range 5 {
		running.Go(func() {
			if _, err := Limit(t.Context(), tree, q); err != nil {
				t.Error(err)
			}
			if q.Used() != 7 {
				t.Errorf("a session began with %d bytes counted", q.Used())
			}
		})
	}
	close(tree.waiting)
	running.Wait()
	if n := tree.counts.Load(); n != 1 {
		t.Errorf("counted %d times", n)
	}
}

func TestACountThatFailedIsTriedAgain(t *testing.T) {
	tree := &counter{waiting: make(chan struct{}), err: io.ErrClosedPipe}
	close(tree.waiting)
	q := NewQuota(10)
	if _, err := Limit(t.Context(), tree, q); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
	tree.err = nil
	if _, err := Limit(t.Context(), tree, q); err != nil || q.Used() != 7 {
		t.Errorf("%v, used %d", err, q.Used())
	}
}

func TestWaitingForACountEndsWithTheContext(t *testing.T) {
	tree := &counter{waiting: make(chan struct{}), twice: true}
	q := NewQuota(10)
	first := make(chan error, 1)
	go func() {
		_, err := Limit(context.Background(), tree, q)
		first <- err
	}()
	tree.waiting <- struct{}{} // blocks until the count has begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Limit(ctx, &counter{}, q); !errors.Is(err, context.Canceled) {
		t.Errorf("second: %v", err)
	}
	close(tree.waiting)
	if err := <-first; err != nil {
		t.Errorf("first: %v", err)
	}
}

func TestCopyRange(t *testing.T) {
	long := strings.Repeat("0123456789", 100_000)
	for _, c := range []struct {
		offset, n int64
		want      string
		err       error
	}{
		{0, -1, long, nil},
		{0, 0, "", nil},
		{10, 300_000, long[:300_000], nil},
		{999_995, 5, "56789", nil},
		{999_995, 6, "56789", io.ErrUnexpectedEOF},
		{1_000_000, -1, "", nil},
		{2_000_000, 1, "", io.ErrUnexpectedEOF},
	} {
		var got bytes.Buffer
		n, err := CopyRange(t.Context(), &got, strings.NewReader(long), c.offset, c.n)
		if got.String() != c.want || n != int64(len(c.want)) || !errors.Is(err, c.err) {
			t.Errorf("%d from %d: %d bytes, %v", c.n, c.offset, n, err)
		}
	}
}

func TestCopyRangeStopsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	written := 0
	n, err := CopyRange(ctx, writerFunc(func(b []byte) (int, error) {
		written += len(b)
		cancel()
		return len(b), nil
	}), endless{}, 0, -1)
	if !errors.Is(err, context.Canceled) || n != int64(written) || written > 1<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(b []byte) (int, error) { return w(b) }

type endless struct{}

func (endless) ReadAt(b []byte, _ int64) (int, error) { return len(b), nil }
