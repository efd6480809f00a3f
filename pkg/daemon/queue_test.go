package daemon

import (
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/event"
)

// stuck is a queue whose far end hears nothing until it is let go.
func stuck() (q *queue, heard *[]event.Event, told *lost, letGo chan struct{}) {
	letGo, heard, told = make(chan struct{}), new([]event.Event), new(lost)
	q = newQueue(func(e event.Event, gone lost) {
		<-letGo
		*heard = append(*heard, e)
		told.chatter += gone.chatter
		told.audit += gone.audit
	})
	q.Handle(event.Trouble{})
	time.Sleep(together)
	synctest.Wait() // it holds that now
	return q, heard, told, letGo
}

func TestAFloodOfEventsPushesOutNoLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, heard, told, letGo := stuck()
		for range mostChatter {
			q.Handle(event.Connected{})
		}
		if q.missed() != (lost{}) {
			t.Errorf("lost with a full queue: %+v", q.missed())
		}
		q.Handle(event.Connected{})
		q.Handle(event.CommandRefused{})
		for _, e := range []event.Event{event.LoggedIn{}, event.LoginFailed{}, event.Banned{}, event.Kicked{}, event.TransferDone{}, event.Changed{}} {
			q.Handle(e)
		}
		close(letGo)
		q.close()
		q.Handle(event.LoggedIn{}) // after the end: nothing happens
		if len(*heard) != 1+mostChatter+6 {
			t.Errorf("%d events were heard", len(*heard))
		}
		if *told != (lost{chatter: 2}) || q.missed() != *told {
			t.Errorf("told of %+v, counted %+v", *told, q.missed())
		}
	})
}

// The negative control: where a login is chatter like the rest, it is lost in
// a flood.
func TestWhereALoginIsChatterAFloodPushesItOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, heard, _, letGo := stuck()
		q.need = func(event.Event) bool { return false }
		for range mostChatter {
			q.Handle(event.Connected{})
		}
		q.Handle(event.LoggedIn{})
		close(letGo)
		q.close()
		if len(*heard) != 1+mostChatter || q.missed() != (lost{chatter: 1}) {
			t.Errorf("%d were heard, %+v lost: this shows nothing", len(*heard), q.missed())
		}
	})
}

func TestWhatAnAuditNeedsWaitsForRoomAndNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, heard, _, letGo := stuck()
		for range mostAudit {
			q.Handle(event.LoggedIn{})
		}
		began := time.Now()
		q.Handle(event.LoggedIn{}) // nobody makes room
		if time.Since(began) != auditWait || q.missed() != (lost{audit: 1}) {
			t.Errorf("after %v: %+v", time.Since(began), q.missed())
		}
		waited := make(chan struct{})
		go func() {
			q.Handle(event.LoggedIn{})
			close(waited)
		}()
		synctest.Wait()
		close(letGo)
		<-waited
		q.close()
		if len(*heard) != 1+mostAudit+1 || q.missed().audit != 1 {
			t.Errorf("%d were heard, lost %+v", len(*heard), q.missed())
		}
	})
}

// A connection's lines are written together, a moment later.
func TestWhatHappensTogetherIsToldTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan time.Time, 9)
		q := newQueue(func(event.Event, lost) { told <- time.Now() })
		synctest.Wait()
		began := time.Now()
		q.Handle(event.Connected{})
		time.Sleep(together / 2)
		q.Handle(event.Secured{})
		if len(told) > 0 {
			t.Error("the first was told by itself")
		}
		for range 2 {
			if late := (<-told).Sub(began); late != together {
				t.Errorf("told after %v", late)
			}
		}
		q.Handle(event.Disconnected{})
		q.close() // waits for nothing
		if len(told) != 1 || time.Since(began) != together {
			t.Errorf("%d told at the end, after %v", len(told), time.Since(began))
		}
	})
}

// The beginning of a transfer is for those who follow the server or trace it;
// where there is nobody, it does not wake the log for nothing.
func TestTheBeginningOfATransferIsToldToWhoeverListens(t *testing.T) {
	for _, c := range []struct {
		name   string
		level  slog.Level
		events bool
		told   int
	}{
		{"nobody", slog.LevelInfo, false, 0},
		{"a listener", slog.LevelInfo, true, 1},
		{"a trace", slog.LevelDebug, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var heard []event.Event
			d := &Daemon{log: slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: c.level}))}
			if c.events {
				d.cfg.Events = event.Discard
			}
			d.queue = newQueue(func(e event.Event, _ lost) { heard = append(heard, e) })
			d.enqueue(event.TransferStarted{})
			d.enqueue(event.TransferDone{})
			d.queue.close()
			if len(heard) != 1+c.told {
				t.Errorf("heard %d events: %v", len(heard), heard)
			}
		})
	}
}
