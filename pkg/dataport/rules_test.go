package dataport

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/layer"
)

func TestPromisesRotateOverThePorts(t *testing.T) {
	inBubble(t, 4, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		seen := make(map[int]bool)
		for range 4 {
			pr := c.pasv()
			seen[pr.Port()] = true
			tc := c.mustDial(pr.Port())
			res := <-take(pr, event.Download)
			if res.err != nil {
				t.Fatal(res.err)
			}
			res.conn.Abort()
			tc.Close()
		}
		if len(seen) != 4 {
			t.Errorf("4 transfers used the ports %v", seen)
		}
	})
}

func TestOnePromiseForEachAccountAddressAndPort(t *testing.T) {
	inBubble(t, 2, nil, func(t *testing.T, r *rig) {
		a := r.client(alice, "ana", Require, nil).pasv()
		b := r.client(alice, "ana", Require, nil).pasv()
		if a.Port() == b.Port() {
			t.Error("two sessions of an account wait on one port")
		}
		// Another account, and another address, have room.
		begin := time.Now()
		r.client(alice, "ben", Require, nil).pasv()
		r.client(mall, "ana", Require, nil).pasv()
		if d := time.Since(begin); d > 0 {
			t.Errorf("they waited %v", d)
		}
	})
}

func TestWithoutAPlaceASessionWaitsItsTurn(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		first := r.client(alice, "ana", Require, nil)
		second := r.client(alice, "ana", Require, nil)
		pr := first.pasv()
		take(pr, event.Download) // in use: it makes no room by itself
		begin := time.Now()
		granted := make(chan *Promise)
		go func() { granted <- second.pasv() }()
		synctest.Wait()
		time.Sleep(3 * time.Second)
		tc := first.mustDial(pr.Port())
		synctest.Wait()
		next := <-granted
		if d := time.Since(begin); d != 3*time.Second {
			t.Errorf("the turn came after %v, want 3s", d)
		}
		next.Cancel()
		tc.Close()
	})
}

func TestATurnThatDoesNotComeIsGivenUp(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		first := r.client(alice, "ana", Require, nil)
		second := r.client(alice, "ana", Require, nil)
		got := take(first.pasv(), event.Download)
		begin := time.Now()
		_, err := second.s.Promise(t.Context())
		if !errors.Is(err, ErrBusy) || time.Since(begin) != 15*time.Second {
			t.Errorf("%v after %v, want ErrBusy after 15s", err, time.Since(begin))
		}
		expect(t, <-got, ErrNoConnection, 30*time.Second)
	})
}

// PASV and EPSV are tried like this before anything waits for them.
func TestAPromiseThatMustNotWaitIsHadOrRefusedAtOnce(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		over, end := context.WithCancel(t.Context())
		end()
		first := r.client(alice, "ana", Require, nil)
		second := r.client(alice, "ana", Require, nil)
		begin := time.Now()
		pr, err := first.s.Promise(over)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := second.s.Promise(over); !errors.Is(err, ErrBusy) {
			t.Errorf("%v, want ErrBusy", err)
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("it took %v", d)
		}
		pr.Cancel()
	})
}

func TestAPromiseThatNobodyUsesMakesRoomWhenSomebodyHasWaitedTenSeconds(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		first := r.client(alice, "ana", Require, nil)
		second := r.client(alice, "ana", Require, nil)
		old := first.pasv()
		begin := time.Now()
		pr := second.pasv()
		if d := time.Since(begin); d != 10*time.Second {
			t.Errorf("room after %v, want 10s", d)
		}
		if _, err := old.Take(t.Context(), event.Download); !errors.Is(err, ErrEnded) {
			t.Errorf("the old promise: %v, want ErrEnded", err)
		}
		pr.Cancel()
	})
}

func TestANewPromiseEndsTheOldOneAndClosesWhatWaitsForIt(t *testing.T) {
	inBubble(t, 2, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		old := c.pasv()
		tc := c.mustDial(old.Port())
		silent := r.open(alice, old.Port())
		synctest.Wait()
		pr := c.pasv()
		closedInOrder(t, tc)
		if _, err := silent.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("the silent connection: %v, want it closed", err)
		}
		if _, err := old.Take(t.Context(), event.Download); !errors.Is(err, ErrEnded) {
			t.Errorf("the old promise: %v, want ErrEnded", err)
		}
		pr.Cancel()
	})
}

func TestAPromiseIsTakenOnce(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		pr := c.pasv()
		tc := c.mustDial(pr.Port())
		res := <-take(pr, event.Download)
		if res.err != nil {
			t.Fatal(res.err)
		}
		if _, err := pr.Take(t.Context(), event.Download); !errors.Is(err, ErrEnded) {
			t.Errorf("a second Take: %v, want ErrEnded", err)
		}
		pr.Cancel()
		// Cancel leaves the transfer alone.
		go res.conn.Finish()
		closedInOrder(t, tc)
		tc.Close()
	})
}

func TestTakeEndsWithItsContext(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		_, err := c.pasv().Take(ctx, event.Download)
		if !errors.Is(err, ErrEnded) || time.Since(begin) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

func TestNobodyComes(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		expect(t, <-take(c.pasv(), event.Download), ErrNoConnection, 30*time.Second)
	})
}

func TestAStampOutlivesItsSessionForAnHour(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		for _, test := range []struct {
			after time.Duration
			want  error
		}{{59 * time.Minute, nil}, {60 * time.Minute, ErrNotProven}} {
			old := r.client(alice, "ana", Require, nil)
			old.s.Close()
			time.Sleep(test.after)
			c := r.client(alice, "ana", Require, nil)
			pr := c.pasv()
			tc := old.mustDial(pr.Port())
			res := <-take(pr, event.Download)
			if !errors.Is(res.err, test.want) {
				t.Errorf("after %v: %v, want %v", test.after, res.err, test.want)
			}
			if res.err == nil {
				res.conn.Abort()
			}
			tc.Close()
			c.s.Close()
			time.Sleep(time.Minute)
		}
	})
}

func TestStampsOfEndedSessionsAreBounded(t *testing.T) {
	inBubble(t, 1, func(c *Config) { c.Stamps = 10 }, func(t *testing.T, r *rig) {
		for range 50 {
			s := r.ports.Session(event.Session{Remote: netip.AddrPortFrom(alice, 1)})
			s.LoggedIn("ana", Require)
			s.Close()
			r.ports.Session(event.Session{}).Close() // never logged in
		}
		if n := len(r.ports.stamps.byStamp) + len(r.ports.stamps.ended); n != 10 || len(r.ports.stamps.order) != 10 {
			t.Errorf("%d stamps are kept, want 10", n)
		}
	})
}

func TestNothingIsLeftBehind(t *testing.T) {
	inBubble(t, 2, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		for range 20 {
			if err := errors.Join(c.download("down"), c.upload("up")); err != nil {
				t.Fatal(err)
			}
			c.pasv()
		}
		c.s.Close()
		time.Sleep(time.Minute)
		r.ports.mu.Lock()
		defer r.ports.mu.Unlock()
		if len(r.ports.places) > 0 || r.ports.candidates > 0 || len(r.ports.queue) > 0 {
			t.Errorf("left: %d places, %d candidates, %d waiting", len(r.ports.places), r.ports.candidates, len(r.ports.queue))
		}
	})
}

func TestCloseEndsEverythingThatIsNotATransfer(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		pr := c.pasv()
		tc := c.mustDial(pr.Port())
		res := <-take(pr, event.Download)
		waiting := take(r.client(alice, "ben", Require, nil).pasv(), event.Download)
		queued := make(chan error)
		pia := r.client(alice, "pia", Prefer, nil)
		go func() {
			_, err := pia.s.Promise(context.Background())
			queued <- err
		}()
		synctest.Wait()
		r.stop()
		if got := <-waiting; !errors.Is(got.err, ErrEnded) {
			t.Errorf("a waiting promise: %v", got.err)
		}
		if err := <-queued; !errors.Is(err, ErrEnded) {
			t.Errorf("a waiting PASV: %v", err)
		}
		go res.conn.Finish()
		closedInOrder(t, tc)
		tc.Close()
	})
}

func TestAnUploadWithoutCloseNotifyIsTruncated(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		pr := c.pasv()
		raw := r.open(alice, pr.Port())
		tc, err := handshake(raw, c.tls)
		if err != nil {
			t.Fatal(err)
		}
		res := <-take(pr, event.Upload)
		tc.Write([]byte("half a file"))
		raw.(*memConn).CloseWrite()
		buf := make([]byte, 64)
		n, err := res.conn.Read(buf)
		if err != nil || string(buf[:n]) != "half a file" {
			t.Fatalf("%q, %v", buf[:n], err)
		}
		if _, err := res.conn.Read(buf); err != layer.ErrTruncated {
			t.Errorf("the end: %v, want ErrTruncated", err)
		}
		res.conn.Abort()
	})
}

func TestAbortSaysCloseNotify(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		pr := c.pasv()
		tc := c.mustDial(pr.Port())
		res := <-take(pr, event.Upload)
		reading := make(chan error)
		go func() {
			_, err := res.conn.Read(make([]byte, 1))
			reading <- err
		}()
		synctest.Wait()
		res.conn.Abort()
		closedInOrder(t, tc)
		if err := <-reading; err == nil {
			t.Error("the Read under way did not fail")
		}
		tc.Close()
	})
}
