package dataport

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/event"
)

func TestATicketThatIsTooOldProvesNothingAndBringsNoNewOne(t *testing.T) {
	var ahead atomic.Int64 // how far the server's clock is
	tune := func(c *Config) {
		c.TLS.SetSessionTicketKeys([][32]byte{{1}}) // or age alone would hide it
		c.TLS.Time = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		inBubble(t, 1, tune, func(t *testing.T, r *rig) {
			ahead.Store(0)
			cache := onceCache{tls.NewLRUClientSessionCache(1)}
			c := r.connectAs(alice, cache, &tls.Config{MaxVersion: version})
			c.login("ana", Prefer)
			ahead.Store(int64(8 * 24 * time.Hour))
			pr := c.pasv()
			tc := c.mustDial(pr.Port())
			res := <-take(pr, event.Download)
			if res.err != nil {
				t.Fatal(res.err)
			}
			if res.conn.Bound() != None {
				t.Errorf("%s: bound by %q, want %q", tls.VersionName(version), res.conn.Bound(), None)
			}
			go res.conn.Finish()
			closedInOrder(t, tc)
			tc.Close()
			if state, got := cache.ClientSessionCache.Get("ftp.test"); got {
				// In TLS 1.2 an empty one means none.
				if ticket, _, _ := state.ResumptionState(); len(ticket) > 0 {
					t.Errorf("%s: it brought a ticket", tls.VersionName(version))
				}
			}
		})
	}
}

// ftplib connects, sends the command and begins TLS after the 150. A refusal
// meanwhile must not end its wait.
func TestAConnectionThatIsAlreadyThereIsWaitedForBeyondTheGrace(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		thief := r.client(alice, "eve", Require, nil)
		pr := c.pasv()
		raw := r.open(alice, pr.Port())
		got := take(pr, event.Download)
		bad := thief.mustDial(pr.Port())
		time.Sleep(5 * time.Second)
		good, err := handshake(raw, c.tls)
		if err != nil {
			t.Fatal(err)
		}
		res := <-got
		if res.err != nil {
			t.Fatalf("after 5s: %v", res.err)
		}
		res.conn.Abort()
		good.Close()
		bad.Close()
	})
}

func TestAConnectionOfTheAccountBringsATicketOfItsNewSession(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		old := r.client(alice, "ana", Require, nil)
		old.s.Close()
		c := r.client(alice, "ana", Require, nil)
		c.tls = old.tls // another session's ticket
		for _, want := range []string{Account, Own} {
			pr := c.pasv()
			tc := c.mustDial(pr.Port())
			res := <-take(pr, event.Download)
			if res.err != nil {
				t.Fatal(res.err)
			}
			if res.conn.Bound() != want {
				t.Errorf("bound by %q, want %q", res.conn.Bound(), want)
			}
			go res.conn.Finish()
			closedInOrder(t, tc)
			tc.Close()
		}
	})
}

func TestWhoNeedsAPlaceForItselfIsNotOvertakenForEver(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		ana := r.client(alice, "ana", Require, nil)
		ben := r.client(alice, "ben", Require, nil)
		pia := r.client(alice, "pia", Prefer, nil)
		first := ana.pasv()
		got := take(first, event.Download)
		granted := make(chan string, 2)
		var asking sync.WaitGroup
		defer asking.Wait()
		ask := func(c *client) {
			asking.Go(func() {
				pr, err := c.s.Promise(context.Background())
				if err != nil {
					t.Errorf("%s: %v", c.name, err)
					return
				}
				granted <- c.name
				tc := c.mustDial(pr.Port())
				res := <-take(pr, event.Download)
				if res.err != nil {
					t.Errorf("%s: %v", c.name, res.err)
					return
				}
				res.conn.Abort()
				tc.Close()
			})
			synctest.Wait()
		}
		ask(pia)
		ask(ben) // could share the place with ana, but pia was first
		tc := ana.mustDial(first.Port())
		(<-got).conn.Abort()
		tc.Close()
		if order := []string{<-granted, <-granted}; !slices.Equal(order, []string{"pia", "ben"}) {
			t.Errorf("granted to %v", order)
		}
	})
}

func TestConnectionsThatWaitAreBoundedInAll(t *testing.T) {
	inBubble(t, 4, func(c *Config) { c.Connections = 5 }, func(t *testing.T, r *rig) {
		for range 4 {
			c := r.client(alice, "ana", Require, nil)
			pr := c.pasv()
			for range 3 {
				defer r.open(alice, pr.Port()).Close()
			}
		}
		synctest.Wait()
		r.ports.mu.Lock()
		n := r.ports.candidates
		r.ports.mu.Unlock()
		full := 0
		for _, key := range r.refusals() {
			if key == "data.refused.full" {
				full++
			}
		}
		if n != 5 || full != 7 {
			t.Errorf("%d wait and %d were refused, want 5 and 7", n, full)
		}
	})
}

func TestAClientThatWaitsForTheReplyBeforeItClosesIsNoError(t *testing.T) {
	r := onLoopback(t, 1, func(c *Config) { c.Rest = 50 * time.Millisecond })
	c := r.client(home, "ana", Require, nil)
	defer c.s.Close()
	pr := c.pasv()
	tc := c.mustDial(pr.Port())
	defer tc.Close()
	res := <-take(pr, event.Download)
	if res.err != nil {
		t.Fatal(res.err)
	}
	if _, err := res.conn.Write([]byte("all there is")); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := res.conn.Finish(); err != nil || time.Since(begin) > 5*time.Second {
		t.Errorf("%v after %v, want nil soon", err, time.Since(begin))
	}
}

func TestFlushSendsWhatIsGathered(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		pr := c.pasv()
		tc := c.mustDial(pr.Port())
		res := <-take(pr, event.Download)
		if res.err != nil {
			t.Fatal(res.err)
		}
		defer res.conn.Abort()
		res.conn.Write([]byte("block"))
		tc.SetReadDeadline(time.Now().Add(time.Second))
		b := make([]byte, 5)
		if _, err := tc.Read(b); !isTimeout(err) {
			t.Errorf("before Flush: %q, %v", b, err)
		}
		if err := res.conn.Flush(); err != nil {
			t.Fatal(err)
		}
		tc.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := tc.Read(b); err != nil || string(b) != "block" {
			t.Errorf("after Flush: %q, %v", b, err)
		}
		tc.Close()
	})
}

func TestASessionThatIsClosedCannotLogIn(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.connect(alice, nil)
		c.s.Close()
		c.s.Close()
		if err := c.s.LoggedIn("ana", Require); !errors.Is(err, ErrEnded) {
			t.Errorf("%v, want ErrEnded", err)
		}
	})
}
