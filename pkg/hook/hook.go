// Package hook tells others what happened: a webhook ([Webhook]) over https,
// a program ([Program]) without any shell. Both are sinks of events; what they
// are told is a [Note]. They never keep a session waiting: each has a queue
// of its own, and what does not fit is counted and lost.
package hook

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"

	"ftps/pkg/event"
)

// Note is an event as others are told it. Names come from the net: they are
// paths in the account's tree, which begin with a slash.
type Note struct {
	ID      string    `json:"id"` // random; the same when it is told again
	Time    time.Time `json:"time"`
	Event   string    `json:"event"` // login, upload, download, changed or kicked
	Session string    `json:"session"`
	Remote  string    `json:"remote"` // the client's address
	User    string    `json:"user"`
	Verb    string    `json:"verb,omitempty"`
	Name    string    `json:"name,omitempty"`
	To      string    `json:"to,omitempty"` // a renamed file's new name
	Bytes   int64     `json:"bytes"`
	Seconds float64   `json:"seconds"`
	Code    int       `json:"code,omitempty"` // of the final reply
	Whole   bool      `json:"whole"`          // a transfer that was answered 226 or 250
	Reason  string    `json:"reason,omitempty"`
}

// noteOf returns what others are told of an event, and whether they are.
func noteOf(e event.Event) (n Note, told bool) {
	var s event.Session
	switch e := e.(type) {
	case event.LoggedIn:
		s, n.Event = e.Session, "login"
	case event.TransferDone:
		if e.Direction == event.Listing {
			return n, false
		}
		s, n.Event = e.Session, e.Direction.String()
		n.Verb, n.Name, n.Bytes, n.Code = e.Verb, e.Name, e.Bytes, e.Code
		n.Seconds, n.Whole = e.Duration.Seconds(), e.Code < 400
	case event.Changed:
		s, n.Event, n.Verb, n.Name, n.To = e.Session, "changed", e.Verb, e.Name, e.To
	case event.Kicked:
		s, n.Event, n.Reason = e.Session, "kicked", e.Reason
	default:
		return n, false
	}
	var id [8]byte
	rand.Read(id[:])
	n.ID, n.Time = hex.EncodeToString(id[:]), time.Now().UTC()
	n.Session, n.User, n.Remote = s.ID, s.User, s.Remote.Addr().String()
	return n, true
}

// Counts are what became of notes.
type Counts struct {
	Delivered int64
	Failed    int64 // given up after the last try, or the program said no
	Lost      int64 // the queue was full, or the end came first
}

// counts are the numbers behind [Counts].
type counts struct{ delivered, failed, lost atomic.Int64 }

// Counts returns the numbers so far.
func (c *counts) Counts() Counts {
	return Counts{c.delivered.Load(), c.failed.Load(), c.lost.Load()}
}

// queueLength is how many notes may wait.
const queueLength = 1024

// queue holds notes for some workers.
type queue struct {
	counts
	notes chan Note
	done  sync.WaitGroup

	mu     sync.RWMutex // held for writing while closing
	closed bool

	cancel context.CancelFunc // ends what is under way
}

// begin sets the workers going, each of which does one note after the other.
func (q *queue) begin(workers int, length int, do func(ctx context.Context, n Note) error) {
	ctx, cancel := context.WithCancel(context.Background())
	q.notes, q.cancel = make(chan Note, length), cancel
	for range workers {
		q.done.Go(func() {
			for n := range q.notes {
				switch {
				case ctx.Err() != nil:
					q.lost.Add(1)
				case do(ctx, n) == nil:
					q.delivered.Add(1)
				case ctx.Err() != nil:
					q.lost.Add(1)
				default:
					q.failed.Add(1)
				}
			}
		})
	}
}

// Handle implements [event.Sink].
func (q *queue) Handle(e event.Event) {
	n, told := noteOf(e)
	if !told {
		return
	}
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		q.lost.Add(1)
		return
	}
	select {
	case q.notes <- n:
	default:
		q.lost.Add(1)
	}
}

// Close lets what waits be told, until ctx ends; the rest is lost.
func (q *queue) Close(ctx context.Context) {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.notes)
	}
	q.mu.Unlock()
	stop := context.AfterFunc(ctx, q.cancel)
	defer stop()
	q.done.Wait()
	q.cancel()
}
