package daemon

import (
	"sync"
	"time"

	"ftps/pkg/ftpserver"
)

// After an upgrade the administrator talks to the new server alone, and means
// the old one's sessions as well. So it asks that one.

// question asks the old server who is connected, or to end a session.
type question struct {
	ID     uint64
	Kick   *int `json:",omitempty"` // the session's number; nil asks for all
	Reason string
}

// answer is what it says.
type answer struct {
	ID       uint64
	Sessions []ftpserver.Snapshot
	Kicked   bool
}

// answer answers as the old server.
func (d *Daemon) answer(q question) answer {
	if q.Kick != nil {
		return answer{ID: q.ID, Kicked: d.server.Kick(*q.Kick, q.Reason)}
	}
	return answer{ID: q.ID, Sessions: d.server.Sessions()}
}

// answerLimit is how long to wait for an old server that may be a build which
// knows no questions.
const answerLimit = 2 * time.Second

// askElder asks as the new one. Where there is no old server, or it does not
// answer, the answer is empty.
func (d *Daemon) askElder(q question) answer {
	if !d.elder.Load() {
		return answer{}
	}
	heard := d.asked.put(&q)
	if heard == nil || d.born.link.Send(sayAsk, q) != nil {
		return answer{}
	}
	limit := time.NewTimer(answerLimit)
	defer limit.Stop()
	select {
	case a := <-heard:
		return a
	case <-limit.C:
		d.asked.answered(answer{ID: q.ID})
		return answer{}
	}
}

// questions are those that wait for their answers.
type questions struct {
	mu   sync.Mutex
	last uint64
	open map[uint64]chan answer
	over bool
}

// put numbers a question; nil says that nobody will answer.
func (q *questions) put(one *question) <-chan answer {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over {
		return nil
	}
	q.last++
	one.ID = q.last
	if q.open == nil {
		q.open = make(map[uint64]chan answer)
	}
	heard := make(chan answer, 1)
	q.open[one.ID] = heard
	return heard
}

// answered gives an answer to who asked, once.
func (q *questions) answered(a answer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if heard := q.open[a.ID]; heard != nil {
		delete(q.open, a.ID)
		heard <- a
	}
}

// end answers all that is open with nothing: the old server is gone.
func (q *questions) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	for id, heard := range q.open {
		delete(q.open, id)
		heard <- answer{}
	}
}
