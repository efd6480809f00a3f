package dataport

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/event"
)

// expect checks what a Take came to.
func expect(t *testing.T, res result, want error, at time.Duration) {
	t.Helper()
	if !errors.Is(res.err, want) {
		t.Errorf("Take: %v, want %v", res.err, want)
	}
	if res.at != at {
		t.Errorf("Take ended after %v, want %v", res.at, at)
	}
}

// closed reads to the end and fails unless it is close_notify.
func closedInOrder(t *testing.T, tc *tls.Conn) {
	t.Helper()
	tc.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.Copy(io.Discard, tc); err != nil {
		t.Errorf("the connection ended with %v, want close_notify", err)
	}
}

func TestATicketOfAnotherAccountTakesNothing(t *testing.T) {
	attack := func(t *testing.T, blind bool) (stolen bool) {
		inBubble(t, 1, nil, func(t *testing.T, r *rig) {
			r.ports.policy.anyAccount = blind
			victim := r.client(alice, "ana", Require, nil)
			thief := r.client(alice, "eve", Require, nil)
			pr := victim.pasv()
			got := take(pr, event.Download)
			tc := thief.mustDial(pr.Port())
			synctest.Wait()
			if blind {
				stolen = (<-got).err == nil
				return
			}
			good := victim.mustDial(pr.Port())
			res := <-got
			if res.err != nil {
				t.Errorf("the account's own connection behind the thief's: %v", res.err)
			} else if res.conn.RemoteAddr() == nil || res.conn.Bound() != Own {
				stolen = true
			}
			closedInOrder(t, tc)
			good.Close()
			res.conn.Abort()
			if keys := r.refusals(); !slices.Contains(keys, "data.refused.account") {
				t.Errorf("refusals %q", keys)
			}
		})
		return stolen
	}
	if attack(t, false) {
		t.Error("the thief took the transfer")
	}
	if !attack(t, true) {
		t.Error("with the defence off the thief got nothing: this test shows nothing")
	}
}

func TestAConnectionWithoutATicketIsToldSoInOrder(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		c.tls.ClientSessionCache = nil
		pr := c.pasv()
		tc := c.mustDial(pr.Port())

		// Before the command nothing is closed: the client would not ask why.
		tc.SetReadDeadline(time.Now().Add(3 * time.Second))
		if _, err := tc.Read(make([]byte, 1)); !isTimeout(err) {
			t.Fatalf("before the command: %v, want silence", err)
		}
		got := take(pr, event.Listing)
		closedInOrder(t, tc)
		expect(t, <-got, ErrNotProven, 2*time.Second)
	})
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

// recorder keeps what a client sends.
type recorder struct {
	net.Conn
	mu   sync.Mutex
	sent []byte
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	r.sent = append(r.sent, b...)
	r.mu.Unlock()
	return r.Conn.Write(b)
}

func TestAReplayedHelloTakesNothing(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			inBubble(t, 1, nil, func(t *testing.T, r *rig) {
				c := r.connectAs(alice, nil, &tls.Config{MaxVersion: version})
				c.login("ana", Require)

				// A listener on the wire keeps the hello with its ticket.
				pr := c.pasv()
				wire := &recorder{Conn: r.open(alice, pr.Port())}
				tc, err := handshake(wire, c.tls)
				if err != nil {
					t.Fatal(err)
				}
				(<-take(pr, event.Download)).conn.Abort()
				tc.Close()

				pr = c.pasv()
				got := take(pr, event.Download)
				replay := r.open(alice, pr.Port())
				replay.Write(wire.sent)
				synctest.Wait()
				good := c.mustDial(pr.Port())
				res := <-got
				if res.err != nil {
					t.Fatalf("the real connection: %v", res.err)
				}
				go res.conn.Write([]byte("secret"))
				go res.conn.Finish()
				if b, err := io.ReadAll(good); err != nil || string(b) != "secret" && string(b) != "" {
					t.Errorf("the real connection read %q, %v", b, err)
				}
				good.Close()
				replay.Close()
			})
		})
	}
}

func TestAStolenTicketWithoutItsSecretTakesNothing(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		thief := r.client(alice, "eve", Require, nil)
		// The ticket as it is read off the wire, with a secret of the thief's.
		stolen, _ := c.tls.ClientSessionCache.Get("ftp.test")
		ticket, _, err := stolen.ResumptionState()
		if err != nil {
			t.Fatal(err)
		}
		own, _ := thief.tls.ClientSessionCache.Get("ftp.test")
		_, state, err := own.ResumptionState()
		if err != nil {
			t.Fatal(err)
		}
		forged, err := tls.NewResumptionState(ticket, state)
		if err != nil {
			t.Fatal(err)
		}
		thief.tls.ClientSessionCache.Put("ftp.test", forged)

		pr := c.pasv()
		got := take(pr, event.Download)
		if _, err := thief.dial(pr.Port()); err == nil {
			t.Error("the handshake with a stolen ticket succeeded")
		}
		good := c.mustDial(pr.Port())
		res := <-got
		if res.err != nil {
			t.Fatalf("the real connection: %v", res.err)
		}
		res.conn.Abort()
		good.Close()
	})
}

func TestStallsGarbageSilenceAndPlaintextDoNotStopTheRealConnection(t *testing.T) {
	for name, attack := range map[string]func(raw net.Conn){
		"silence":   func(net.Conn) {},
		"garbage":   func(raw net.Conn) { raw.Write([]byte("\x00\xff garbage \r\n\r\n")) },
		"plaintext": func(raw net.Conn) { raw.Write([]byte("hello, this is my file\n")) },
		"half a hello": func(raw net.Conn) {
			raw.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3})
		},
		"gone": func(raw net.Conn) { raw.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, nil, func(t *testing.T, r *rig) {
				c := r.client(alice, "ana", Require, nil)
				pr := c.pasv()
				bad := r.open(alice, pr.Port())
				attack(bad)
				synctest.Wait()
				got := take(pr, event.Download)
				time.Sleep(1500 * time.Millisecond)
				good := c.mustDial(pr.Port())
				res := <-got
				if res.err != nil {
					t.Fatalf("the real connection: %v", res.err)
				}
				res.conn.Abort()
				good.Close()
				bad.Close()
			})
		})
	}
}

func TestAStalledHandshakeEndsTheWaitWithItsOwnVerdict(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		pr := c.pasv()
		bad := r.open(alice, pr.Port())
		bad.Write([]byte{22, 3, 1})
		synctest.Wait()
		got := take(pr, event.Download)
		expect(t, <-got, ErrHandshake, 10*time.Second)
		bad.Close()
	})
}

func TestASilentConnectionHasItsTimeFromTheCommandOn(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		pr := c.pasv()
		silent := r.open(alice, pr.Port())
		time.Sleep(20 * time.Second)
		got := take(pr, event.Download)
		expect(t, <-got, ErrHandshake, 10*time.Second)
		silent.Close()
	})
}

func TestAPlaintextConnectionAloneIs425WithinTheGrace(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		pr := c.pasv()
		got := take(pr, event.Upload)
		bad := r.open(alice, pr.Port())
		bad.Write([]byte("plain data, no TLS at all"))
		expect(t, <-got, ErrHandshake, 2*time.Second)
		bad.Close()
	})
}

func TestAnotherAddressIsClosedBeforeAnyHandshake(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		c := r.client(alice, "ana", Require, nil)
		pr := c.pasv()
		got := take(pr, event.Download)
		stranger := r.open(mall, pr.Port())
		if n, err := stranger.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the stranger read %d bytes, %v; want an end at once", n, err)
		}
		good := c.mustDial(pr.Port())
		res := <-got
		if res.err != nil || res.at != 0 {
			t.Fatalf("the real connection: %v after %v", res.err, res.at)
		}
		res.conn.Abort()
		good.Close()
		if keys := r.refusals(); !slices.Equal(keys, []string{"data.refused.unexpected"}) {
			t.Errorf("refusals %q", keys)
		}
	})
}
