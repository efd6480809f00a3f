package daemon

import (
	"sync"
	"time"

	"ftps/pkg/event"
)

// queue hands events on, in order, on a goroutine of its own: whoever emits
// one does not wait for a terminal or a disk. When it is full, events are
// counted and lost. What an audit needs has a bound of its own, far above the
// others', so that no flood of chatter pushes it out; where that is reached
// too, whoever emits it waits, for a while.
//
// What is told a moment after something else is told with it: to wake a
// goroutine for each of a connection's three lines costs more than to write
// them.
type queue struct {
	hear func(e event.Event, lost lost)
	done chan struct{}
	wait time.Duration          // for room for what an audit needs
	need func(event.Event) bool // reports whether an audit needs it

	mu     sync.Mutex
	events []event.Event
	lost   lost          // since the last batch
	total  lost          // since the start
	more   *time.Timer   // runs out when there is something to take
	due    bool          // it has been set
	room   chan struct{} // closed, and replaced, when a batch was taken
	closed bool
}

// lost is how many events there was no room for.
type lost struct{ chatter, audit int64 }

const (
	mostChatter = 8192
	mostAudit   = 65536
	auditWait   = 5 * time.Second

	// together is how long what happened waits for what happens next.
	together = 5 * time.Millisecond
)

// audits reports whether an event is one that an audit needs: who came in,
// who tried to, who was thrown out, and what became of files.
func audits(e event.Event) bool {
	switch e.(type) {
	case event.LoggedIn, event.LoginFailed, event.Banned, event.Kicked, event.TransferDone, event.Changed:
		return true
	}
	return false
}

func newQueue(hear func(e event.Event, lost lost)) *queue {
	q := &queue{hear: hear, done: make(chan struct{}), wait: auditWait, need: audits, more: time.NewTimer(time.Hour), room: make(chan struct{})}
	q.more.Stop()
	go q.run()
	return q
}

func (q *queue) run() {
	defer close(q.done)
	for {
		q.mu.Lock()
		batch, gone, closed := q.events, q.lost, q.closed
		q.events, q.lost, q.due = nil, lost{}, false
		close(q.room)
		q.room = make(chan struct{})
		q.mu.Unlock()
		for _, e := range batch {
			q.hear(e, gone)
			gone = lost{}
		}
		if closed {
			return
		}
		<-q.more.C
	}
}

// Handle implements [event.Sink].
func (q *queue) Handle(e event.Event) {
	most, audit := mostChatter, q.need(e)
	if audit {
		most = mostAudit
	}
	var patience <-chan time.Time
	for {
		q.mu.Lock()
		switch {
		case q.closed:
			q.mu.Unlock()
			return
		case len(q.events) < most:
			q.events = append(q.events, e)
			if !q.due {
				q.due = true
				q.more.Reset(together)
			}
			q.mu.Unlock()
			return
		case !audit:
			q.lost.chatter++
			q.total.chatter++
			q.mu.Unlock()
			return
		}
		room := q.room
		q.mu.Unlock()
		if patience == nil {
			timer := time.NewTimer(q.wait)
			defer timer.Stop()
			patience = timer.C
		}
		select {
		case <-room:
		case <-patience:
			q.mu.Lock()
			q.lost.audit++
			q.total.audit++
			q.mu.Unlock()
			return
		}
	}
}

// missed returns how many events were lost since the start.
func (q *queue) missed() lost {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total
}

// close tells what is left and ends the goroutine.
func (q *queue) close() {
	q.mu.Lock()
	q.closed, q.due = true, true
	q.more.Reset(0)
	q.mu.Unlock()
	<-q.done
}
