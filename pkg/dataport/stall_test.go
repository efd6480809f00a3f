package dataport

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/event"
)

// inLine puts a second session of the same account in line for the only port,
// which a first one was told of.
func inLine(t *testing.T, r *rig) (first *client, told *Promise, granted chan *Promise) {
	t.Helper()
	first = r.client(alice, "ana", Require, nil)
	second := r.client(alice, "ana", Require, nil)
	told = first.pasv()
	granted = make(chan *Promise, 1)
	go func() {
		pr, _ := second.s.Promise(t.Context())
		granted <- pr
	}()
	synctest.Wait()
	return first, told, granted
}

// A disk stood still for some seconds, and the processes with it. When they
// went on, the first look at the clock took ports from clients that had been
// told of them, whose connections and commands lay unread: 425.
func TestAStallTakesNoPortFromAClientThatWasToldOfIt(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		first, told, granted := inLine(t, r)
		r.ports.mu.Lock()
		r.ports.grantAt(time.Now().Add(time.Minute)) // nothing ran meanwhile
		r.ports.unlock()
		if told.phase == over {
			t.Fatal("the promise is gone")
		}
		tc := first.mustDial(told.Port())
		res := <-take(told, event.Download)
		if res.err != nil {
			t.Fatal(res.err)
		}
		go res.conn.Finish()
		tc.Read(make([]byte, 1))
		tc.Close()
		if pr := <-granted; pr == nil {
			t.Error("the other's turn did not come")
		}
	})
}

// A client on a slow machine had opened its connection, and sent its command
// seconds later.
func TestAPromiseWithAConnectionMakesNoRoomWhileThatHasItsTime(t *testing.T) {
	for name, opened := range map[string]bool{"opened": true, "control: nothing came": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, nil, func(t *testing.T, r *rig) {
				_, told, granted := inLine(t, r)
				if opened {
					defer r.open(alice, told.Port()).Close() // TLS comes after the 150
				}
				time.Sleep(14 * time.Second)
				synctest.Wait()
				if gone := told.phase == over; gone == opened {
					t.Errorf("gone: %v", gone)
				}
				told.Cancel()
				if pr := <-granted; pr == nil {
					t.Error("the other's turn did not come")
				}
			})
		})
	}
}

func TestATransferThatWaitsOutlivesAStall(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		pr := r.client(alice, "ana", Require, nil).pasv()
		waited := startSpell(takeEvery)
		if d := waited.pass(time.Now().Add(time.Hour)); d > 2*takeEvery {
			t.Errorf("a stall of an hour counts as %v", d)
		}
		if _, err := pr.verdict(waited.sum); err != nil {
			t.Errorf("after a stall: %v", err)
		}
		if _, err := pr.verdict(30 * time.Second); !errors.Is(err, ErrNoConnection) {
			t.Errorf("after its time: %v", err)
		}
		pr.Cancel()
	})
}
