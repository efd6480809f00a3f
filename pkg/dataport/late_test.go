package dataport

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/event"
)

func TestAFloodFromOneAddressShutsNobodyOut(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		noisy := r.client(mall, "eve", Require, nil)
		quiet := r.client(alice, "ana", Require, nil)
		promise := noisy.pasv()
		pr := quiet.pasv()
		var flood []net.Conn
		for range 2000 {
			flood = append(flood, r.open(mall, promise.Port()))
		}
		synctest.Wait()
		r.ports.mu.Lock()
		if n := r.ports.candidates; n > 9 {
			t.Errorf("%d silent connections of one address are kept", n)
		}
		r.ports.mu.Unlock()

		// Neither another address nor the flood's own is shut out.
		for _, c := range []*client{quiet, noisy} {
			p := pr
			if c == noisy {
				p = promise
			}
			got := take(p, event.Download)
			tc := c.mustDial(p.Port())
			res := <-got
			if res.err != nil {
				t.Errorf("%s: %v", c.name, res.err)
				continue
			}
			res.conn.Abort()
			tc.Close()
		}
		for _, raw := range flood {
			raw.Close()
		}
	})
}

func TestAcceptGoesOnWhenDescriptorsRunOut(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		pr := c.pasv()
		for range 3 {
			r.listen[pr.Port()].errs <- errors.New("accept4: too many open files")
		}
		got := take(pr, event.Download)
		tc := c.mustDial(pr.Port())
		res := <-got
		if res.err != nil {
			t.Fatal(res.err)
		}
		res.conn.Abort()
		tc.Close()
		trouble := 0
		r.mu.Lock()
		for _, e := range r.events {
			if _, ok := e.(event.Trouble); ok {
				trouble++
			}
		}
		r.mu.Unlock()
		if trouble != 3 {
			t.Errorf("%d events of trouble, want 3", trouble)
		}
	})
}

// A client connects late, when its promise is over and a sister session of
// its account waits on the same port.
func TestALateConnectionDoesNotTakeASistersPromise(t *testing.T) {
	attack := func(t *testing.T, policy func(*policy), ready, late time.Duration, early bool) (swapped bool) {
		inBubble(t, 1, nil, func(t *testing.T, r *rig) {
			if policy != nil {
				policy(&r.ports.policy)
			}
			first := r.client(alice, "ana", Require, nil)
			second := r.client(alice, "ana", Require, nil)
			if ready > 0 {
				// The second has shown its own tickets before.
				if err := second.download("x"); err != nil {
					t.Fatal(err)
				}
			}
			pr := first.pasv()
			port := pr.Port()
			var raw net.Conn
			if early {
				raw = r.open(alice, port)
				synctest.Wait()
			}
			pr.Cancel()
			synctest.Wait()
			time.Sleep(late)
			own := second.pasv()
			got := take(own, event.Download)
			if !early {
				raw = r.open(alice, port)
			}
			lost, err := handshake(raw, first.tls)
			synctest.Wait()
			select {
			case res := <-got:
				swapped = res.err == nil
				if swapped {
					res.conn.Abort()
				}
			default:
				tc := second.mustDial(port)
				res := <-got
				if res.err != nil || res.conn.Bound() != Own {
					t.Errorf("the sister's own connection: %v", res.err)
				} else {
					res.conn.Abort()
				}
				tc.Close()
			}
			if err == nil {
				lost.Close()
			}
			raw.Close()
		})
		return swapped
	}
	t.Run("within the quarantine", func(t *testing.T) {
		if attack(t, nil, 0, 20*time.Second, false) {
			t.Error("swapped")
		}
		if !attack(t, func(p *policy) { p.noShadow = true }, 0, 20*time.Second, false) {
			t.Error("with the defence off nothing was swapped: this test shows nothing")
		}
	})
	t.Run("after it, between sessions that keep apart", func(t *testing.T) {
		if attack(t, nil, 1, 40*time.Second, false) {
			t.Error("swapped")
		}
		if !attack(t, func(p *policy) { p.noShadow = true }, 1, 40*time.Second, false) {
			t.Error("with the defence off nothing was swapped: this test shows nothing")
		}
	})
	t.Run("connected before the promise was made", func(t *testing.T) {
		if attack(t, nil, 0, 40*time.Second, true) {
			t.Error("swapped")
		}
	})
}

// rclone connects, asks for a folder that is not there, and is refused before
// its connection was accepted. That one comes to a port where nobody waits
// any more, and it is the one that the quarantine is about: with the
// quarantine left behind, each sister's ticket was refused for 30 s, and each
// refusal began another one.
func TestAConnectionAcceptedJustAfterItsPromiseEndedLeavesNoQuarantine(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		first := r.client(alice, "ana", Require, nil)
		second := r.client(alice, "ana", Require, nil)
		pr := first.pasv()
		pr.Cancel()
		late := r.open(alice, pr.Port())
		synctest.Wait()
		late.Close()

		own := second.pasv()
		got := take(own, event.Download)
		tc, err := handshake(r.open(alice, own.Port()), first.tls)
		if err != nil {
			t.Fatal(err)
		}
		defer tc.Close()
		res := <-got
		if res.err != nil {
			t.Fatalf("a sister's ticket right after that: %v", res.err)
		}
		if res.conn.Bound() != Account {
			t.Errorf("bound by %q", res.conn.Bound())
		}
		res.conn.Abort()
	})
}

func TestAConnectionNeverTakesAPromiseYoungerThanItself(t *testing.T) {
	attack := func(t *testing.T, off bool) (swapped bool) {
		inBubble(t, 1, nil, func(t *testing.T, r *rig) {
			r.ports.policy.noAge = off
			// Another account's promise keeps the port open for the address.
			r.client(alice, "ben", Require, nil).pasv()
			c := r.client(alice, "ana", Require, nil)
			raw := r.open(alice, 5000)
			synctest.Wait()
			pr := c.pasv()
			got := take(pr, event.Download)
			old, err := handshake(raw, c.tls)
			synctest.Wait()
			select {
			case res := <-got:
				swapped = res.err == nil
			default:
				tc := c.mustDial(5000)
				if res := <-got; res.err != nil {
					t.Error(res.err)
				}
				tc.Close()
			}
			if err == nil {
				old.Close()
			}
			raw.Close()
		})
		return swapped
	}
	if attack(t, false) {
		t.Error("an old connection took a young promise")
	}
	if !attack(t, true) {
		t.Error("with the defence off it took nothing: this test shows nothing")
	}
}
