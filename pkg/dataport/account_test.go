package dataport

import (
	"crypto/tls"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/event"
)

// rclone has one cache for its sessions and shows the ticket of one that is
// still logging in.
func TestATicketOfASisterThatLogsInIsWaitedFor(t *testing.T) {
	for name, test := range map[string]struct {
		then func(sister *client)
		want error
	}{
		"she logs in":       {func(s *client) { s.login("ana", Require) }, nil},
		"as somebody else":  {func(s *client) { s.login("eve", Require) }, ErrNotProven},
		"she gives up":      {func(s *client) { s.s.Close() }, ErrNotProven},
		"she never does so": {func(s *client) {}, ErrNotProven},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, nil, func(t *testing.T, r *rig) {
				cache := tls.NewLRUClientSessionCache(1)
				c := r.client(alice, "ana", Require, cache)
				sister := r.connect(alice, cache)
				pr := c.pasv()
				tc := c.mustDial(pr.Port())
				got := take(pr, event.Download)
				synctest.Wait()
				time.Sleep(time.Second)
				test.then(sister)
				res := <-got
				if !errors.Is(res.err, test.want) {
					t.Errorf("Take: %v, want %v", res.err, test.want)
				}
				if res.err == nil {
					if res.conn.Bound() != Account {
						t.Errorf("bound by %q, want %q", res.conn.Bound(), Account)
					}
					res.conn.Abort()
				}
				tc.Close()
			})
		})
	}
}

func TestSessionsThatShareACacheMayShowEachOthersTickets(t *testing.T) {
	inBubble(t, 2, nil, func(t *testing.T, r *rig) {
		cache := tls.NewLRUClientSessionCache(1)
		first := r.client(alice, "ana", Require, cache)
		if err := first.download("list"); err != nil {
			t.Fatal(err)
		}
		second := r.client(alice, "ana", Require, cache)
		done := make(chan error)
		for _, c := range []*client{first, second} {
			go func() {
				for range 50 {
					if err := errors.Join(c.download("down"), c.upload("up")); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// Clients such as rclone open the connection, send the command, and close it
// where that was refused. On a single port this must not begin a quarantine,
// which would refuse the tickets that its sessions share, and so on.
func TestRefusedCommandsDoNotShutOutSessionsThatShareTickets(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		begin := time.Now()
		done := make(chan error)
		for _, account := range []string{"ana", "ben"} {
			cache := tls.NewLRUClientSessionCache(1)
			for range 4 {
				c := r.client(alice, account, Require, cache)
				go func() {
					for range 20 {
						pr := c.pasv()
						r.open(alice, pr.Port()).Close() // LIST of a missing folder
						time.Sleep(time.Millisecond)     // the way of the next command
						if err := c.download("down"); err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
		}
		for range 8 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if d := time.Since(begin); d > time.Minute {
			t.Errorf("it took %v", d)
		}
	})
}

// frozen is a session cache that never learns: who has it shows the same
// ticket again and again.
type frozen struct{ tls.ClientSessionCache }

func (frozen) Put(string, *tls.ClientSessionState) {}

func TestPreferTakesAConnectionWithoutATicketUntilOneTicketResumedTwice(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Prefer, nil)
		cache := c.tls.ClientSessionCache
		transfer := func(with tls.ClientSessionCache) (string, error) {
			c.tls.ClientSessionCache = with
			pr := c.pasv()
			tc := c.mustDial(pr.Port())
			defer tc.Close()
			res := <-take(pr, event.Download)
			if res.err != nil {
				return "", res.err
			}
			go res.conn.Finish()
			closedInOrder(t, tc)
			return res.conn.Bound(), nil
		}
		empty := tls.NewLRUClientSessionCache(1)
		if how, err := transfer(empty); err != nil || how != None {
			t.Fatalf("without a ticket: %q, %v", how, err)
		}
		if _, got := empty.Get("ftp.test"); got {
			t.Error("a connection that proved nothing got a ticket")
		}
		if how, err := transfer(frozen{cache}); err != nil || how != Own {
			t.Fatalf("with one: %q, %v", how, err)
		}
		// PHP and curl -Z use a ticket once and may then have none.
		if how, err := transfer(tls.NewLRUClientSessionCache(1)); err != nil || how != None {
			t.Fatalf("without one after that: %q, %v", how, err)
		}
		if how, err := transfer(frozen{cache}); err != nil || how != Own {
			t.Fatalf("with the same one again: %q, %v", how, err)
		}
		if _, err := transfer(tls.NewLRUClientSessionCache(1)); !errors.Is(err, ErrNotProven) {
			t.Errorf("without one after that: %v, want ErrNotProven", err)
		}
	})
}

func TestAPlaceWhereNoTicketIsNeededIsSharedWithNobody(t *testing.T) {
	inBubble(t, 2, nil, func(t *testing.T, r *rig) {
		bare := r.client(alice, "pia", Prefer, nil)
		pr := bare.pasv()
		take(pr, event.Download)
		for _, name := range []string{"ana", "ben"} {
			if other := r.client(alice, name, Require, nil).pasv(); other.Port() == pr.Port() {
				t.Errorf("%s waits at the port of pia", name)
			}
		}
		begin := time.Now()
		_, err := r.client(alice, "leo", Prefer, nil).s.Promise(t.Context())
		if !errors.Is(err, ErrBusy) {
			t.Errorf("leo, who needs a port for himself: %v after %v", err, time.Since(begin))
		}
	})
}

func TestAConnectionThatShowsAnotherAccountsTicketIsNotTakenForOneWithout(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		bare := r.client(alice, "pia", Prefer, nil)
		eve := r.client(alice, "eve", Require, nil)
		pr := bare.pasv()
		tc := eve.mustDial(pr.Port())
		expect(t, <-take(pr, event.Download), ErrNotProven, 2*time.Second)
		tc.Close()
	})
}

func TestWithoutATicketNobodyComesNearAQuarantinedPlace(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		r.client(alice, "ana", Require, nil).pasv().Cancel()
		time.Sleep(20 * time.Second)
		begin := time.Now()
		r.client(alice, "pia", Prefer, nil).pasv()
		if d := time.Since(begin); d != 10*time.Second {
			t.Errorf("the port came after %v, want 10s", d)
		}
	})
}

func TestForgetMakesTicketsWorthless(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		old := r.client(alice, "ana", Require, nil)
		pr := old.pasv()
		old.s.Forget()
		if _, err := pr.Take(t.Context(), event.Download); !errors.Is(err, ErrEnded) {
			t.Errorf("its promise: %v, want ErrEnded", err)
		}
		if _, err := old.s.Promise(t.Context()); !errors.Is(err, ErrEnded) {
			t.Errorf("a new promise: %v, want ErrEnded", err)
		}

		fresh := r.client(alice, "ana", Require, nil)
		pr = fresh.pasv()
		tc := old.mustDial(pr.Port())
		got := take(pr, event.Download)
		time.Sleep(6 * time.Second)
		expect(t, <-got, ErrNotProven, 5*time.Second)
		tc.Close()

		// The same account may log in again, another one may not.
		if err := old.s.LoggedIn("eve", Require); !errors.Is(err, ErrOtherAccount) {
			t.Errorf("another account: %v, want ErrOtherAccount", err)
		}
		if err := old.s.LoggedIn("ana", Require); err != nil {
			t.Errorf("the same account: %v", err)
		}
	})
}

func TestAChangedAccountForgetsEndedSessionsToo(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		cache := tls.NewLRUClientSessionCache(1)
		old := r.client(alice, "ana", Require, cache)
		old.s.Close()
		r.ports.ForgetAccount("ana")
		c := r.client(alice, "ana", Require, nil)
		pr := c.pasv()
		tc := old.mustDial(pr.Port())
		expect(t, <-take(pr, event.Download), ErrNotProven, 2*time.Second)
		tc.Close()
	})
}
