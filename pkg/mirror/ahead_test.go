package mirror_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
	"ftps/pkg/mirror"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/memfs"
)

// spent breaks the first connection of one kind after so many bytes one way.
type spent struct {
	data bool // data connections are meant, else control connections
	in   bool
	left atomic.Int64
	made atomic.Bool
}

func (s *spent) config(cfg *ftpclient.Config) {
	cfg.Timeout, cfg.FinalTimeout = 30*time.Second, 30*time.Second
	cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil && (address != cfg.Address) == s.data && !s.made.Swap(true) {
			conn = &limited{conn, &s.left, s.in}
		}
		return conn, err
	}
}

// Between a command, its blocks and its reply, on either connection and in
// either direction: what was told as done is there, what is there is what it
// should be, and a second run has it all.
func TestASmallFileThatIsCutOffOnItsWayWithItsCommandIsNeverAnothers(t *testing.T) {
	from := filepath.Join(t.TempDir(), "up")
	want := make(map[string]string)
	for i := range 40 {
		name, b := fmt.Sprintf("%02d", i), content(i*37)
		write(t, filepath.Join(from, name), b, longAgo)
		want[name] = string(b)
	}
	for _, kind := range []struct {
		what         string
		data, in     bool
		total, every int64
	}{
		{"data up", true, false, 36_000, 3301},
		{"data down", true, true, 2_000, 211},
		{"control up", false, false, 6_000, 571},
		{"control down", false, true, 10_000, 911},
	} {
		var cuts sync.WaitGroup
		for at := int64(1); at < kind.total; at += kind.every {
			cuts.Go(func() {
				tree := memfs.New()
				s := &spent{data: kind.data, in: kind.in}
				s.left.Store(at)
				told := &events{}
				dial, records := over(t, tree, s.config), t.TempDir()
				tr := mirror.New(mirror.Config{Dial: dial, Jobs: 2, NoSync: true, Records: records, Progress: told.add})
				_, err := tr.Put(within(t), from, "/", mirror.Options{Recursive: true})
				for _, d := range of[mirror.Done](told) {
					if name := strings.TrimPrefix(d.Item.Remote, "/up/"); stored(t, tree, name) != want[name] {
						t.Errorf("%s cut after %d: %s was told as done, and is not what it should be", kind.what, at, name)
					}
				}
				for name := range want {
					if got := stored(t, tree, name); got != "" && got != want[name] {
						t.Errorf("%s cut after %d: %s holds something else: %d bytes, not %d", kind.what, at, name, len(got), len(want[name]))
					}
				}
				tr.Close()
				tr = mirror.New(mirror.Config{Dial: dial, Jobs: 2, NoSync: true, Records: records})
				defer tr.Close()
				if r, again := tr.Put(within(t), from, "/", mirror.Options{Recursive: true}); again != nil {
					t.Errorf("%s cut after %d: %v; again %v %+v", kind.what, at, err, again, r)
				}
				for name := range want {
					if stored(t, tree, name) != want[name] {
						t.Errorf("%s cut after %d: %s is lost", kind.what, at, name)
					}
				}
			})
		}
		cuts.Wait()
	}
}

// stored is what the server has under a name, and "" for nothing.
func stored(t *testing.T, tree vfs.FS, name string) string {
	n, err := vfs.Resolve(vfs.Name{}, "up/"+name)
	if err != nil {
		t.Error(err)
		return ""
	}
	f, err := tree.Open(context.Background(), n)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, f.Info().Size)
	f.ReadAt(b, 0)
	return string(b)
}

// A quota that is met in the middle of many: what is there is what it should
// be, and no more than fits.
func TestAQuotaThatIsMetAmongFilesThatGoWithTheirCommandsMixesNothingUp(t *testing.T) {
	tree := memfs.New()
	quota := vfs.NewQuota(200_000)
	from := t.TempDir()
	want := make(map[string]string)
	for i := range 60 {
		name, b := fmt.Sprintf("%02d", i), content(10_000+i)
		write(t, filepath.Join(from, name), b, longAgo)
		want[name] = string(b)
	}
	tr := mirror.New(mirror.Config{Dial: over(t, tree.Metered(quota)), Jobs: 1, NoSync: true, Records: t.TempDir()})
	defer tr.Close()
	if r, err := tr.Put(within(t), from, "/up", mirror.Options{Recursive: true}); err == nil || len(r.Failed) == 0 {
		t.Errorf("%v, %+v", err, r)
	}
	there := 0
	for name := range want {
		if got := stored(t, tree, name); got != "" {
			there++
			if got != want[name] {
				t.Errorf("%s holds something else", name)
			}
		}
	}
	if there != 19 {
		t.Errorf("%d are there", there)
	}
}
