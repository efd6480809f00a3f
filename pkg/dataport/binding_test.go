package dataport

import (
	"crypto/tls"
	"fmt"
	"testing"

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
	swapped := func(t *testing.T, blind bool) (wrong int) {
		inBubble(t, 1, nil, func(t *testing.T, r *rig) {
			r.ports.policy.anyAccount = blind
			results := make(chan error)
			for _, name := range []string{"ana", "ben"} {
				c := r.client(alice, name, Require, nil)
				go func() {
					for i := range 200 {
						results <- c.download(fmt.Sprintf("%s %d", name, i))
					}
				}()
			}
			for range 400 {
				if err := <-results; err != nil {
					wrong++
				}
			}
		})
		return wrong
	}
	if n := swapped(t, false); n > 0 {
		t.Errorf("%d of 400 transfers went wrong", n)
	}
	if n := swapped(t, true); n == 0 {
		t.Error("with routing by address alone nothing went wrong: this test shows nothing")
	}
}
