package dataport

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"time"
)

// stamp is the random id that a session writes into its TLS tickets. It
// grants nothing by being known: only the ticket around it, which resumes,
// proves anything.
type stamp [16]byte

func newStamp() (s stamp) {
	rand.Read(s[:])
	return s
}

// stampMark begins the stamp's entry in SessionState.Extra, as crypto/tls
// asks of entries there.
var stampMark = []byte("ftps stamp 1:")

// put adds the stamp to a session that is about to become a ticket.
func (s stamp) put(state *tls.SessionState) {
	entry := make([]byte, 0, len(stampMark)+len(s))
	entry = append(append(entry, stampMark...), s[:]...)
	state.Extra = append(state.Extra, entry)
}

// stampOf returns the stamp that a ticket carries.
func stampOf(state *tls.SessionState) (s stamp, ok bool) {
	for _, entry := range state.Extra {
		if rest, found := bytes.CutPrefix(entry, stampMark); found && len(rest) == len(s) {
			return stamp(rest), true
		}
	}
	return s, false
}

// registry knows the session behind each stamp: those of living sessions,
// and for a while and in bounded number those of sessions that have ended,
// because another session of the same client may still show their tickets.
// It is guarded by Ports.mu.
type registry struct {
	remember time.Duration
	most     int // of the ended
	byStamp  map[stamp]*Session
	ended    map[stamp]endedSession
	order    []stamp // of the ended, in the order in which they ended
}

// endedSession is what is left of a session: there may be tens of thousands
// of them.
type endedSession struct {
	account string // "" where it has been forgotten since
	at      int64  // Unix time, in ns
}

func newRegistry(remember time.Duration, most int) registry {
	return registry{
		remember: remember, most: most,
		byStamp: make(map[stamp]*Session), ended: make(map[stamp]endedSession),
	}
}

func (r *registry) add(s *Session) { r.byStamp[s.stamp] = s }

// find returns the session of a stamp, or nil. One that has ended has its
// stamp and its account, and nothing else.
func (r *registry) find(id stamp, now time.Time) *Session {
	r.expire(now)
	if s := r.byStamp[id]; s != nil {
		return s
	}
	old, ok := r.ended[id]
	if !ok {
		return nil
	}
	s := &Session{stamp: id, account: old.account, closed: true}
	s.info.User = old.account
	return s
}

// end says that a session has ended. A stamp that stands for no account has
// nothing to be remembered for.
func (r *registry) end(s *Session, now time.Time) {
	r.expire(now)
	delete(r.byStamp, s.stamp)
	if s.account == "" {
		return
	}
	r.ended[s.stamp] = endedSession{s.account, now.UnixNano()}
	r.order = append(r.order, s.stamp)
	if len(r.order) > r.most {
		r.drop()
	}
}

// forget makes the stamps of an account's ended sessions worthless.
func (r *registry) forget(account string) {
	for id, old := range r.ended {
		if old.account == account {
			r.ended[id] = endedSession{at: old.at}
		}
	}
}

// expire drops what has been remembered long enough.
func (r *registry) expire(now time.Time) {
	for len(r.order) > 0 && now.UnixNano()-r.ended[r.order[0]].at >= int64(r.remember) {
		r.drop()
	}
	if len(r.order) == 0 {
		r.order = nil
	}
}

// drop forgets the session that ended first.
func (r *registry) drop() {
	delete(r.ended, r.order[0])
	r.order = r.order[1:]
}
