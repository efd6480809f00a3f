package users

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// disk is a file that is watched in fake time: version is what it holds, a
// negative one has mistakes.
type disk struct{ atomic.Int64 }

func (d *disk) load() (*List, error) {
	version := d.Load()
	if version < 0 {
		return nil, ErrInvalid
	}
	return NewList(make([]User, version)...), nil
}

// holding returns a disk whose file holds version.
func holding(version int64) *disk {
	d := new(disk)
	d.Store(version)
	return d
}

type report struct {
	accounts int
	err      error
	after    time.Duration
}

// reports are what a watch has handed on so far.
type reports struct {
	mu  sync.Mutex
	all []report
}

// watched runs a watch over d in a synctest bubble.
func watched(t *testing.T, d *disk) (events chan fsnotify.Event, got *reports) {
	events = make(chan fsnotify.Event)
	got = new(reports)
	start := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	w := watch{load: d.load, look: func() any { return d.Load() }, changed: func(l *List, err error) {
		got.mu.Lock()
		defer got.mu.Unlock()
		got.all = append(got.all, report{l.Len(), err, time.Since(start)})
	}}
	done := make(chan error)
	go func() { done <- w.run(ctx, events) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	synctest.Wait()
	return events, got
}

func expect(t *testing.T, r *reports, want ...report) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	got := slices.Clone(r.all)
	r.mu.Unlock()
	if len(got) != len(want) {
		t.Fatalf("%d reports %v, want %v", len(got), got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("report %d is %v, want %v", i, got[i], want[i])
		}
	}
}

const ms = time.Millisecond

func TestTheFileIsReadOnceItIsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := holding(1)
		events, got := watched(t, d)
		for range 5 { // an editor that writes in steps
			time.Sleep(200 * ms)
			d.Add(1)
			events <- fsnotify.Event{}
		}
		time.Sleep(299 * ms)
		expect(t, got, report{1, nil, 0})
		time.Sleep(2 * ms)
		expect(t, got, report{1, nil, 0}, report{6, nil, 1300 * ms})
	})
}

func TestAWriteThatNobodyAnnouncedPutsTheReadingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := holding(1)
		events, got := watched(t, d)
		d.Store(2)
		events <- fsnotify.Event{}
		time.Sleep(200 * ms)
		d.Store(3)
		time.Sleep(time.Second)
		expect(t, got, report{1, nil, 0}, report{3, nil, 600 * ms})
	})
}

func TestEventsOfOtherFilesAreNoReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := holding(1)
		events, got := watched(t, d)
		d.Store(2)
		for range 100 { // the file is still while its neighbours are not
			events <- fsnotify.Event{}
			time.Sleep(10 * ms)
		}
		time.Sleep(time.Minute)
		expect(t, got, report{1, nil, 0}, report{2, nil, 300 * ms})
	})
}

func TestAChangeWithoutAnEventIsFoundByLooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := holding(1)
		_, got := watched(t, d)
		time.Sleep(time.Second)
		d.Store(2)
		time.Sleep(20 * time.Second)
		expect(t, got, report{1, nil, 0}, report{2, nil, lookEvery + stillFor})
	})
}

func TestTheLastGoodListIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := holding(3)
		events, got := watched(t, d)
		for i, version := range []int64{-1, -2, 4} {
			d.Store(version)
			events <- fsnotify.Event{}
			time.Sleep(time.Second)
			want := []report{{3, nil, 0}, {3, ErrInvalid, 300 * ms}, {3, ErrInvalid, 1300 * ms}, {4, nil, 2300 * ms}}
			expect(t, got, want[:i+2]...)
		}
	})
}

func TestWatchingARealFile(t *testing.T) {
	type answer struct {
		list *List
		err  error
	}
	answers := make(chan answer, 10)
	next := func() answer {
		t.Helper()
		select {
		case a := <-answers:
			return a
		case <-time.After(30 * time.Second):
			t.Fatal("no answer")
			panic("not reached")
		}
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "users.yaml")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Watch(ctx, path, func(l *List, err error) { answers <- answer{l, err} }) }()
	defer func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}()

	if a := next(); !errors.Is(a.err, os.ErrNotExist) || a.list.Len() != 0 {
		t.Fatalf("before there is a file: %v", a.err)
	}
	if _, err := (File{Path: path}).Add(t.Context(), somebody("ana")); err != nil {
		t.Fatal(err)
	}
	if a := next(); a.err != nil || a.list.Len() != 1 {
		t.Fatalf("after the first account: %v", a.err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if a := next(); !errors.Is(a.err, ErrWritable) || a.list.Len() != 1 {
		t.Fatalf("writable by all: %v", a.err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if a := next(); a.err != nil || a.list.Len() != 1 {
		t.Fatalf("mended: %v", a.err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if a := next(); !errors.Is(a.err, os.ErrNotExist) || a.list.Len() != 1 {
		t.Fatalf("removed: %v", a.err)
	}
}
