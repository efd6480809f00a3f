package limit

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestNetworkCountsIPv6By64AndIPv4Alone(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff:1:2:3", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	} {
		if got := Network(addr(c.a)) == Network(addr(c.b)); got != c.same {
			t.Errorf("%s and %s are the same: %v, want %v", c.a, c.b, got, c.same)
		}
	}
}

func TestConnectionsAdmitNAndRefuseTheNext(t *testing.T) {
	const n = 3
	cases := map[string]func(c *Connections, i int) (func(), error){
		"in all": func(c *Connections, i int) (func(), error) {
			return c.Admit(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
		},
		"by account": func(c *Connections, i int) (func(), error) { return c.Account("alice", n) },
	}
	for name, admit := range cases {
		t.Run(name, func(t *testing.T) { nThenNoMore(t, n, NewConnections(n, 0), admit) })
	}
	t.Run("by address", func(t *testing.T) {
		nThenNoMore(t, n, NewConnections(0, n), func(c *Connections, i int) (func(), error) {
			return c.Admit(addr("192.0.2.1"))
		})
	})
	t.Run("by IPv6 network", func(t *testing.T) {
		base := addr("2001:db8::").As16()
		nThenNoMore(t, n, NewConnections(0, n), func(c *Connections, i int) (func(), error) {
			base[15] = byte(i)
			return c.Admit(netip.AddrFrom16(base))
		})
	})
}

func nThenNoMore(t *testing.T, n int, c *Connections, admit func(*Connections, int) (func(), error)) {
	t.Helper()
	var releases []func()
	for i := range n {
		release, err := admit(c, i)
		if err != nil {
			t.Fatalf("number %d of %d: %v", i+1, n, err)
		}
		releases = append(releases, release)
	}
	if _, err := admit(c, n); !errors.Is(err, ErrFull) {
		t.Fatalf("number %d: %v, want ErrFull", n+1, err)
	}
	releases[0]()
	releases[0]() // must not free a second place
	if _, err := admit(c, n); err != nil {
		t.Fatalf("after one was released: %v", err)
	}
	if _, err := admit(c, n+1); !errors.Is(err, ErrFull) {
		t.Fatalf("a release called twice freed two places: %v", err)
	}
}

func TestConnectionsOfOneAddressLeaveRoomForOthers(t *testing.T) {
	c := NewConnections(10, 2)
	for range 5 {
		_, _ = c.Admit(addr("192.0.2.1"))
	}
	if _, err := c.Admit(addr("192.0.2.2")); err != nil {
		t.Fatal(err)
	}
	if got := c.Open(); got != 3 {
		t.Errorf("%d open, want 3: refused connections must not count", got)
	}
}

func TestConnectionsForgetWhoLeft(t *testing.T) {
	c := NewConnections(0, 1)
	for i := range 200 {
		release, err := c.Admit(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
		if err != nil {
			t.Fatal(err)
		}
		release()
	}
	if len(c.addresses) != 0 {
		t.Errorf("%d addresses are remembered", len(c.addresses))
	}
}

func TestNoLimitAdmitsEveryone(t *testing.T) {
	c := NewConnections(0, 0)
	for range 1000 {
		if _, err := c.Admit(addr("192.0.2.1")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Account("alice", 0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestChecksRunNAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewChecks(2)
		var mu sync.Mutex
		running, most, done := 0, 0, 0
		for range 10 {
			go func() {
				release, err := c.Acquire(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				time.Sleep(200 * time.Millisecond) // the check's work, in fake time
				mu.Lock()
				running--
				done++
				mu.Unlock()
				release()
				release()
			}()
		}
		start := time.Now()
		time.Sleep(time.Second)
		synctest.Wait()
		if most != 2 || done != 10 {
			t.Errorf("at most %d at once, %d done in %v; want 2 and 10", most, done, time.Since(start))
		}
	})
}

func TestChecksGiveUpWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewChecks(1)
		release, _ := c.Acquire(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second check: %v", err)
		}
		release()
		if _, err := c.Acquire(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := c.Acquire(ctx); err == nil {
			t.Error("an ended context got a place")
		}
	})
}
