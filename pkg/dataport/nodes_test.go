package dataport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"ftps/pkg/event"
)

// Servers that share the keys of their tickets open each other's. What a
// stamp in them stands for only the server knows that made it.

// sealing gives a rig the keys that others have as well.
func sealing(keys ...[32]byte) func(*Config) {
	return func(c *Config) { c.TLS.SetSessionTicketKeys(keys) }
}

var (
	commonKey = [32]byte{1}
	otherKey  = [32]byte{2}
	versions  = []uint16{tls.VersionTLS12, tls.VersionTLS13}
)

// onTwoNodes runs a story on two servers; the second has the given keys.
func onTwoNodes(t *testing.T, story func(a, b *rig), keys ...[32]byte) {
	t.Helper()
	inBubble(t, 1, sealing(commonKey), func(t *testing.T, a *rig) {
		b := newRig(t, 1, sealing(keys...))
		defer b.stop()
		story(a, b)
	})
}

func TestATicketOfAnotherNodeTakesNothing(t *testing.T) {
	attack := func(t *testing.T, version uint16, account string, blind bool) (stolen bool) {
		onTwoNodes(t, func(a, b *rig) {
			b.ports.policy.anyAccount = blind
			thief := a.connectAs(alice, nil, &tls.Config{MaxVersion: version})
			thief.login(account, Require)
			victim := b.client(alice, "ana", Require, nil)
			pr := victim.pasv()
			got := take(pr, event.Download)
			tc, err := handshake(b.open(alice, pr.Port()), thief.tls)
			if err != nil {
				t.Fatal(err)
			}
			if tc.ConnectionState().DidResume {
				t.Error("the other node's session went on at a data port")
			}
			synctest.Wait()
			if blind {
				res := <-got
				if stolen = res.err == nil; stolen {
					res.conn.Abort()
				}
				tc.Close()
				return
			}
			good := victim.mustDial(pr.Port())
			res := <-got
			if res.err != nil {
				t.Errorf("the session's own connection behind the thief's: %v", res.err)
			} else {
				stolen = res.conn.Bound() != Own
				res.conn.Abort()
			}
			closedInOrder(t, tc)
			good.Close()
			if keys := b.refusals(); !slices.Contains(keys, "data.refused.bare") {
				t.Errorf("refusals %q", keys)
			}
		}, commonKey)
		return stolen
	}
	for _, version := range versions {
		// A stranger's, and one that names the victim's own account there: this
		// node has only the other one's word for neither.
		for _, account := range []string{"eve", "ana"} {
			if attack(t, version, account, false) {
				t.Errorf("%s: a ticket of %s from the other node took the transfer", tls.VersionName(version), account)
			}
		}
		if !attack(t, version, "eve", true) {
			t.Error("with the defence off the thief got nothing: this test shows nothing")
		}
	}
}

// A client that comes from another node, its cache full of that one's
// tickets, resumes its control connection; by the time it opens a data
// connection it has tickets of this node.
func TestAClientThatMovesToAnotherNodeIsBoundByTheTicketsItGetsThere(t *testing.T) {
	for _, version := range versions {
		for _, once := range []bool{false, true} {
			for _, c := range []struct {
				keys   [][32]byte
				resume bool
			}{{[][32]byte{commonKey}, true}, {[][32]byte{otherKey, commonKey}, true}, {[][32]byte{otherKey}, false}} {
				t.Run(fmt.Sprint(tls.VersionName(version), once, c.resume), func(t *testing.T) {
					onTwoNodes(t, func(a, b *rig) {
						cache := tls.NewLRUClientSessionCache(1)
						if once {
							cache = onceCache{cache}
						}
						resumed := false
						cfg := &tls.Config{MaxVersion: version, VerifyConnection: func(cs tls.ConnectionState) error {
							resumed = cs.DidResume
							return nil
						}}
						here := a.connectAs(alice, cache, cfg)
						here.login("ana", Require)
						if err := here.download("at the first"); err != nil {
							t.Fatal(err)
						}
						there := b.connectAs(alice, cache, cfg)
						if resumed != c.resume {
							t.Errorf("the control connection resumed: %v", resumed)
						}
						there.login("ana", Require)
						for i := range 3 {
							if err := there.download(fmt.Sprint("at the second", i)); err != nil {
								t.Errorf("%d: %v", i, err)
							}
						}
						if there.s.shares {
							t.Error("a session that this node does not know counts as a sister")
						}
					}, c.keys...)
				})
			}
		}
	}
}

// That its control connection resumed by a ticket of the other node does not
// make that ticket good for data: it may stem from another account's session.
func TestTheTicketAControlConnectionCameWithIsNoneForItsData(t *testing.T) {
	for _, version := range versions {
		onTwoNodes(t, func(a, b *rig) {
			old := a.connectAs(alice, nil, &tls.Config{MaxVersion: version})
			old.login("eve", Require)
			brought, ok := old.tls.ClientSessionCache.Get("ftp.test")
			if !ok {
				t.Fatal("no ticket")
			}
			there := b.connectAs(alice, old.tls.ClientSessionCache, &tls.Config{MaxVersion: version})
			there.login("ana", Require)
			pr := there.pasv()
			got := take(pr, event.Download)
			there.tls.ClientSessionCache.Put("ftp.test", brought)
			tc := there.mustDial(pr.Port())
			if res := <-got; !errors.Is(res.err, ErrNotProven) {
				t.Errorf("%s: %v", tls.VersionName(version), res.err)
			}
			closedInOrder(t, tc)
		}, commonKey)
	}
}
