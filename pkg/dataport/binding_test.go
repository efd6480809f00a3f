package dataport

import (
	"crypto/tls"
	"fmt"
	"testing"
	"testing/synctest"

	"ftps/pkg/event"
)

func TestEachTransferOfASessionIsBoundByItsOwnTicket(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			inBubble(t, 2, nil, func(t *testing.T, r *rig) {
				c := r.connectAs(alice, nil, &tls.Config{MaxVersion: version})
				c.login("ana", Require)
				for i := range 6 {
					pr := c.pasv()
					tc := c.mustDial(pr.Port())
					if !tc.ConnectionState().DidResume {
						t.Fatalf("transfer %d did not resume", i)
					}
					res := <-take(pr, event.Listing)
					if res.err != nil {
						t.Fatalf("transfer %d: %v", i, res.err)
					}
					if got := res.conn.Bound(); got != Own {
						t.Errorf("transfer %d is bound by %q, want %q", i, got, Own)
					}
					go res.conn.Finish()
					tc.Read(make([]byte, 1))
					tc.Close()
				}
			})
		})
	}
}

func TestFilesOfTwoAccountsBehindOneAddressOnOnePortAreNeverSwapped(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		results := make(chan error)
		for _, name := range []string{"ana", "ben"} {
			c := r.client(alice, name, Require, nil)
			go func() {
				for i := range 200 {
					results <- c.download(fmt.Sprintf("%s %d", name, i))
				}
			}()
		}
		wrong := 0
		for range 400 {
			if err := <-results; err != nil {
				wrong++
			}
		}
		if wrong > 0 {
			t.Errorf("%d of 400 transfers went wrong", wrong)
		}
	})
}

// Both wait at one port, and who was promised it later connects first: that
// order, which two clients come to by chance, swaps their files where an
// address is all that is looked at.
func TestWhoConnectsFirstDoesNotTakeWhatWasPromisedFirst(t *testing.T) {
	swapped := func(t *testing.T, blind bool) (swapped bool) {
		inBubble(t, 1, nil, func(t *testing.T, r *rig) {
			r.ports.policy.anyAccount = blind
			ana, ben := r.client(alice, "ana", Require, nil), r.client(alice, "ben", Require, nil)
			first, second := ana.pasv(), ben.pasv()
			of := [2]<-chan result{take(first, event.Download), take(second, event.Download)}
			synctest.Wait()
			tc := ben.mustDial(second.Port())
			synctest.Wait()
			swapped = len(of[0]) > 0
			first.Cancel()
			second.Cancel()
			for i, ch := range of {
				res := <-ch
				if res.err == nil {
					res.conn.Abort()
				} else if !swapped && i == 1 {
					t.Errorf("its own promise came to %v", res.err)
				}
			}
			tc.Close()
		})
		return swapped
	}
	if swapped(t, false) {
		t.Error("ben has what is ana's")
	}
	if !swapped(t, true) {
		t.Error("with routing by address alone nothing went wrong: this test shows nothing")
	}
}
