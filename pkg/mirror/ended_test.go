package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
	"ftps/pkg/mirror"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/memfs"
)

// settled holds what was told and what is summed up against the plan: each
// file ends once, as done, as failed or as left.
func settled(t *testing.T, told *events, r mirror.Result) {
	t.Helper()
	ends := make(map[string]int)
	for _, e := range of[mirror.Done](told) {
		ends[e.Item.Remote]++
	}
	for _, e := range of[mirror.Failed](told) {
		if !e.Item.Folder {
			ends[e.Item.Remote]++
		}
	}
	for _, e := range of[mirror.Left](told) {
		ends[e.Item.Remote]++
		if e.Err == nil {
			t.Errorf("%s is left, and nothing says why", e.Item.Remote)
		}
	}
	plan := of[mirror.Planned](told)[0].Plan
	for _, item := range plan.Files {
		if ends[item.Remote] != 1 {
			t.Errorf("%s ended %d times", item.Remote, ends[item.Remote])
		}
	}
	if r.Files+len(r.Failed)+r.Left != len(plan.Files) {
		t.Errorf("%d done, %d failed, %d left, of %d", r.Files, len(r.Failed), r.Left, len(plan.Files))
	}
}

func smallFiles(t *testing.T, n, size int) (from string, want map[string]string) {
	from, want = t.TempDir(), make(map[string]string)
	for i := range n {
		name, b := fmt.Sprintf("%03d", i), content(size+i)
		write(t, filepath.Join(from, name), b, longAgo)
		want[name] = string(b)
	}
	return from, want
}

func TestAFileWhoseHashWasAwaitedWhenTheQuotaWasMetStillCounts(t *testing.T) {
	for _, jobs := range []int{1, 3} {
		tree, told := memfs.New(), &events{}
		from, want := smallFiles(t, 450, 5_000) // more than three batches: some are never sent
		tr := mirror.New(mirror.Config{Dial: over(t, tree.Metered(vfs.NewQuota(200_000))), Jobs: jobs, NoSync: true,
			Records: t.TempDir(), Progress: told.add})
		defer tr.Close()
		r, err := tr.Put(within(t), from, "/up", mirror.Options{Recursive: true})
		if ftpclient.Class(err) != ftpclient.NoSpace || len(r.Failed) == 0 || r.Left == 0 || jobs == 1 && r.Files != 39 {
			t.Errorf("%v, %+v", err, r)
		}
		settled(t, told, r)
		for _, d := range of[mirror.Done](told) {
			if name := strings.TrimPrefix(d.Item.Remote, "/up/"); stored(t, tree, name) != want[name] {
				t.Errorf("%s was told as done, and is not what it should be", name)
			}
		}
	}
}

func TestWhatAnInterruptionLeavesCounts(t *testing.T) {
	for _, up := range []bool{true, false} {
		tree, told := memfs.New(), &events{}
		from, _ := smallFiles(t, 90, 500)
		dial := over(t, tree)
		tr := mirror.New(mirror.Config{Dial: dial, Jobs: 2, NoSync: true, Records: t.TempDir()})
		defer tr.Close()
		if !up {
			if _, err := tr.Put(within(t), from, "/up", mirror.Options{Recursive: true}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithCancel(within(t))
		var done atomic.Int32
		again := mirror.New(mirror.Config{Dial: dial, Jobs: 2, NoSync: true, Records: t.TempDir(), Progress: func(e mirror.Event) {
			told.add(e)
			if _, ok := e.(mirror.Done); ok && done.Add(1) == 5 {
				stop()
			}
		}})
		defer again.Close()
		var r mirror.Result
		var err error
		if up {
			r, err = again.Put(ctx, from, "/up", mirror.Options{Recursive: true})
		} else {
			r, err = again.Get(ctx, "/up", filepath.Join(t.TempDir(), "down"), mirror.Options{Recursive: true})
		}
		if !errors.Is(err, context.Canceled) || r.Left == 0 {
			t.Errorf("up %v: %v, %+v", up, err, r)
		}
		settled(t, told, r)
	}
}

// breaker cuts one data connection after the other, each once so many bytes
// have gone up, until it has cut as many as it should.
func breaker(every int64, times int32) func(*ftpclient.Config) {
	left := new(atomic.Int32)
	left.Store(times)
	return func(cfg *ftpclient.Config) {
		cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err == nil && address != cfg.Address && left.Add(-1) >= 0 {
				budget := new(atomic.Int64)
				budget.Store(every)
				conn = &limited{conn, budget, false}
			}
			return conn, err
		}
	}
}

// The rest of a batch went file by file once its data connection was lost,
// each waiting for its 1yz and with a data connection of its own.
func TestWhatALostDataConnectionLeavesGoesOnAhead(t *testing.T) {
	const cuts = 3
	tree, told := memfs.New(), &events{}
	from, want := smallFiles(t, 120, 2_000)
	var ports atomic.Int32
	dial := over(t, tree, breaker(60_000, cuts), func(cfg *ftpclient.Config) {
		cfg.Trace = func(sent bool, line string) {
			if sent && (strings.HasPrefix(line, "EPSV") || strings.HasPrefix(line, "PASV")) {
				ports.Add(1)
			}
		}
	})
	tr := mirror.New(mirror.Config{Dial: dial, Jobs: 1, NoSync: true, Records: t.TempDir(), Progress: told.add, Retries: 2})
	defer tr.Close()
	r, err := tr.Put(within(t), from, "/up", mirror.Options{Recursive: true})
	if err != nil || r.Files != len(want) {
		t.Fatalf("%v, %+v", err, r)
	}
	settled(t, told, r)
	for name := range want {
		if stored(t, tree, name) != want[name] {
			t.Errorf("%s is not what it should be", name)
		}
	}
	// One for the listing and the first pipeline, and for each cut one for the
	// file that was lost and one for those behind it.
	if n := ports.Load(); n > 2+3*cuts {
		t.Errorf("%d data connections for %d files and %d cuts", n, len(want), cuts)
	}
}

// A server that never keeps a data connection for more than one file ends the
// batches, and not the run.
func TestABatchThatLosesEveryDataConnectionComesToAnEnd(t *testing.T) {
	told := &events{}
	from, want := smallFiles(t, 25, 4_000)
	tr := mirror.New(mirror.Config{Dial: over(t, memfs.New(), breaker(5_000, 1<<30)), Jobs: 1, NoSync: true, Records: t.TempDir(), Progress: told.add})
	defer tr.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := tr.Put(ctx, from, "/up", mirror.Options{Recursive: true})
	if ctx.Err() != nil || r.Files+len(r.Failed) != len(want) {
		t.Errorf("%v, %+v", err, r)
	}
	settled(t, told, r)
}
