package watch

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
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// disk is a file that is watched in fake time: its size is what it holds.
type disk struct{ atomic.Int64 }

func (d *disk) look() Stamp { return Stamp{seen: true, size: d.Load()} }

// holding returns a disk whose file holds version.
func holding(version int64) *disk {
	d := new(disk)
	d.Store(version)
	return d
}

// report is one call: what the file held, and when.
type report struct {
	version int64
	after   time.Duration
}

type reports struct {
	mu  sync.Mutex
	all []report
}

// watched runs a watch over d in a synctest bubble.
func watched(t *testing.T, d *disk, read Stamp) (events chan fsnotify.Event, got *reports) {
	events = make(chan fsnotify.Event)
	got = new(reports)
	start := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	w := watch{look: d.look, changed: func() {
		got.mu.Lock()
		defer got.mu.Unlock()
		got.all = append(got.all, report{d.Load(), time.Since(start)})
	}}
	done := make(chan error)
	go func() { done <- w.run(ctx, read, events) }()
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
	if !slices.Equal(got, want) {
		t.Fatalf("reports %v, want %v", got, want)
	}
}

const ms = time.Millisecond

func TestAChangeIsToldOnceTheFileIsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := holding(1)
		events, got := watched(t, d, d.look())
		for range 5 { // an editor that writes in steps
			time.Sleep(200 * ms)
			d.Add(1)
			events <- fsnotify.Event{}
		}
		time.Sleep(299 * ms)
		expect(t, got)
		time.Sleep(2 * ms)
		expect(t, got, report{6, 1300 * ms})
	})
}

func TestAChangeSinceTheFileWasReadIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := holding(2)
		_, got := watched(t, d, Stamp{seen: true, size: 1})
		time.Sleep(time.Second)
		expect(t, got, report{2, 300 * ms})
	})
	synctest.Test(t, func(t *testing.T) { // who never read it
		d := holding(0)
		_, got := watched(t, d, Stamp{})
		expect(t, got, report{0, 0})
	})
}

func TestAWriteThatNobodyAnnouncedPutsTheTellingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := holding(1)
		events, got := watched(t, d, d.look())
		d.Store(2)
		events <- fsnotify.Event{}
		time.Sleep(200 * ms)
		d.Store(3)
		time.Sleep(time.Second)
		expect(t, got, report{3, 600 * ms})
	})
}

func TestEventsOfOtherFilesAreNoReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := holding(1)
		events, got := watched(t, d, d.look())
		d.Store(2)
		for range 100 { // the file is still while its neighbours are not
			events <- fsnotify.Event{}
			time.Sleep(10 * ms)
		}
		time.Sleep(time.Minute)
		expect(t, got, report{2, 300 * ms})
	})
}

func TestAChangeWithoutAnEventIsFoundByLooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := holding(1)
		_, got := watched(t, d, d.look())
		time.Sleep(time.Second)
		d.Store(2)
		time.Sleep(20 * time.Second)
		expect(t, got, report{2, lookEvery + stillFor})
	})
}

func TestWatchingARealFile(t *testing.T) {
	told := make(chan Stamp, 10)
	path := filepath.Join(t.TempDir(), "users.yaml")
	next := func(what string) {
		t.Helper()
		now := Look(path)
		for {
			select {
			case got := <-told:
				if got == now { // a step on the way may be told too
					return
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("%s: nobody was told", what)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- File(ctx, path, Stamp{}, func() { told <- Look(path) }) }()
	defer func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}()
	next("before there is a file")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(path, []byte("users: []\n"), 0o600))
	next("made")
	must(os.Chmod(path, 0o640))
	next("another mode")
	must(os.WriteFile(path+".new", []byte("users: []\n"), 0o640))
	must(os.Rename(path+".new", path))
	next("replaced")
	must(os.Remove(path))
	next("removed")
}
