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
	ended    []*Session // in the order in which they ended
}

func (r *registry) add(s *Session) { r.byStamp[s.stamp] = s }

// find returns the session of a stamp, or nil.
func (r *registry) find(id stamp, now time.Time) *Session {
	r.expire(now)
	return r.byStamp[id]
}

// end says that a session has ended. A stamp that stands for no account has
// nothing to be remembered for.
func (r *registry) end(s *Session, now time.Time) {
	r.expire(now)
	if s.account == "" {
		delete(r.byStamp, s.stamp)
		return
	}
	s.endedAt = now
	r.ended = append(r.ended, s)
	if len(r.ended) > r.most {
		r.drop()
	}
}

// expire drops what has been remembered long enough.
func (r *registry) expire(now time.Time) {
	for len(r.ended) > 0 && now.Sub(r.ended[0].endedAt) >= r.remember {
		r.drop()
	}
}

// drop forgets the session that ended first.
func (r *registry) drop() {
	delete(r.byStamp, r.ended[0].stamp)
	r.ended[0] = nil
	r.ended = r.ended[1:]
}
