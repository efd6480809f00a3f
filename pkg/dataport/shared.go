package dataport

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/fault"
)

// For as long as an old server and its successor both live, they share the
// data ports, and one of them decides who gets which connection: the
// successor, which accepts. It knows the sessions and the promises of the old
// one as its own, though they are marked foreign; so the rules of this
// package hold across both. The old server asks it for every promise
// ([Ports.Leave]), and is given the connections that are for it, unread
// ([Ports.Inherit], [Ports.Adopt]).

// Note is what one server tells the other, or asks of it.
type Note struct {
	Kind  string `json:"kind"`
	Seq   uint64 `json:"seq,omitempty"`   // of the promise, in the old server's count
	Stamp []byte `json:"stamp,omitempty"` // of the session

	// Of a session.
	Account string         `json:"account,omitempty"`
	Former  string         `json:"former,omitempty"`
	ID      string         `json:"id,omitempty"`
	Number  int            `json:"number,omitempty"`
	Remote  netip.AddrPort `json:"remote,omitzero"`
	Shares  bool           `json:"shares,omitempty"`
	Closed  bool           `json:"closed,omitempty"`
	Ended   time.Time      `json:"ended,omitzero"`

	// Of a promise or a connection.
	Addr      netip.Addr     `json:"addr,omitzero"`
	Port      int            `json:"port,omitempty"`
	Exclusive bool           `json:"exclusive,omitempty"`
	Announced bool           `json:"announced,omitempty"`
	Came      bool           `json:"came,omitempty"`
	Until     time.Time      `json:"until,omitzero"`
	Local     netip.AddrPort `json:"local,omitzero"`
}

// The kinds of notes. The old server says the first ones, the successor the
// last.
const (
	noteSession   = "session"   // it is there, logged in, out or gone
	notePromise   = "promise"   // was made before the ports were shared
	noteShadow    = "shadow"    // likewise, and ended unused
	noteAsk       = "ask"       // for a promise
	noteWithdraw  = "withdraw"  // nobody wants it any more
	noteLook      = "look"      // age may have freed a place
	noteAnnounced = "announced" // its command was read
	noteOver      = "over"      // the promise is over
	noteGrant     = "grant"     // the promise that was asked for
	noteDeny      = "deny"      // there is none for it
	noteEnd       = "end"       // the promise had to make room
)

// shared is what a server knows of the other one.
type shared struct {
	toHeir  func(Note)           // of the old server
	toElder func(Note, net.Conn) // of the successor; the connection is nil or given away
	asked   map[uint64]*waiter
	promise map[uint64]*Promise // of the old server, by their number there
}

// noteOf describes a session.
func noteOf(s *Session) Note {
	return Note{
		Kind: noteSession, Stamp: s.stamp[:], Account: s.account, Former: s.former, Addr: s.addr,
		ID: s.info.ID, Number: s.info.Number, Remote: s.info.Remote,
		Shares: s.shares, Closed: s.closed,
	}
}

// Leave makes this the old server: nothing is accepted here from now on, and
// every promise is asked of the successor, by tell, which must neither wait
// nor call back. It returns what the successor has to know at its start.
func (p *Ports) Leave(tell func(Note)) (state []Note) {
	p.mu.Lock()
	defer p.unlock()
	p.other = shared{toHeir: tell, asked: make(map[uint64]*waiter), promise: make(map[uint64]*Promise)}
	for _, l := range p.cfg.Listeners {
		retire(l)
	}
	for _, id := range p.stamps.order { // first, in the order of their end
		old := p.stamps.ended[id]
		state = append(state, Note{Kind: noteSession, Stamp: id[:], Account: old.account, Closed: true, Ended: time.Unix(0, old.at)})
	}
	for _, s := range p.stamps.byStamp {
		if !s.closed {
			state = append(state, noteOf(s))
		}
	}
	for where, sp := range p.places {
		for _, pr := range sp.waiting {
			pr.seq = pr.number
			p.other.promise[pr.seq] = pr
			state = append(state, Note{
				Kind: notePromise, Seq: pr.seq, Stamp: pr.session.stamp[:], Account: pr.account,
				Port: where.port, Exclusive: pr.exclusive, Announced: pr.announced,
			})
		}
		for _, sh := range sp.shadows {
			state = append(state, Note{Kind: noteShadow, Stamp: sh.session.stamp[:], Account: sh.account,
				Addr: where.addr, Port: where.port, Until: sh.until})
		}
	}
	for _, w := range p.queue {
		p.ask(w)
	}
	p.queue = nil
	return state
}

// retire closes a port without cutting what it has accepted.
func retire(l net.Listener) {
	if r, ok := l.(interface{ Retire() }); ok {
		r.Retire()
		return
	}
	l.Close()
}

// left reports whether this is the old server.
func (p *Ports) left() bool { return p.other.toHeir != nil }

// tell says something to the successor, if there is one.
func (p *Ports) tell(n Note) {
	if p.other.toHeir != nil {
		p.other.toHeir(n)
	}
}

// tellSession says how a session is, unless it is the other's own.
func (p *Ports) tellSession(s *Session) {
	if p.left() && !s.foreign {
		p.tell(noteOf(s))
	}
}

// ask has the successor find a place.
func (p *Ports) ask(w *waiter) {
	w.seq = p.count()
	p.other.asked[w.seq] = w
	p.tell(Note{Kind: noteAsk, Seq: w.seq, Stamp: w.session.stamp[:], Account: w.account, Exclusive: w.exclusive})
}

// unask takes an ask back.
func (p *Ports) unask(w *waiter) {
	if _, ok := p.other.asked[w.seq]; ok && w.seq != 0 {
		delete(p.other.asked, w.seq)
		p.tell(Note{Kind: noteWithdraw, Seq: w.seq})
	}
}

// Answered is what the successor says to the old server.
func (p *Ports) Answered(n Note) {
	p.mu.Lock()
	defer p.unlock()
	switch n.Kind {
	case noteGrant:
		w := p.other.asked[n.Seq]
		delete(p.other.asked, n.Seq)
		if w == nil || w.session.closed || w.session.account != w.account || p.closed {
			if w != nil {
				close(w.granted)
			}
			p.tell(Note{Kind: noteOver, Seq: n.Seq, Came: true}) // nobody was told of it
			return
		}
		w.granted <- p.promise(w, n.Port)
	case noteDeny:
		if w := p.other.asked[n.Seq]; w != nil {
			delete(p.other.asked, n.Seq)
			close(w.granted)
		}
	case noteEnd:
		if pr := p.other.promise[n.Seq]; pr != nil {
			p.end(pr, fault.Wrap(ErrEnded, "data.ended"))
		}
	}
}

// Adopt takes a connection that the successor has accepted for this server.
// The note says whose ticket it shows, where that is another session's of
// the successor.
func (p *Ports) Adopt(raw net.Conn, n Note) {
	p.mu.Lock()
	if len(n.Stamp) == len(stamp{}) && n.Account != "" {
		if p.stamps.find(stamp(n.Stamp), time.Now()) == nil {
			p.gone(p.standIn(n), time.Now()) // it lives, but its end will not be told here
		}
		if pr := p.other.promise[n.Seq]; pr != nil && n.Shares {
			pr.session.shares = true
		}
	}
	p.mu.Unlock()
	p.admit(raw, n.Port)
}

// Orphaned says that the successor is gone: there are no more promises.
func (p *Ports) Orphaned() {
	p.mu.Lock()
	defer p.unlock()
	for _, w := range p.other.asked {
		close(w.granted)
	}
	p.other.asked = make(map[uint64]*waiter)
}

// standIn makes a session that lives in the other server.
func (p *Ports) standIn(n Note) *Session {
	s := &Session{
		ports: p, stamp: stamp(n.Stamp), addr: n.Addr, foreign: true,
		info:    event.Session{ID: n.ID, Number: n.Number, Remote: n.Remote, User: n.Account},
		account: n.Account, former: n.Former, shares: n.Shares, changed: make(chan struct{}),
	}
	p.stamps.add(s)
	return s
}

// Inherit makes this the successor of a server whose ports these were, and
// puts what that one has told in force. It is called before Serve; tell
// gives the connection, if there is one, away.
func (p *Ports) Inherit(state []Note, tell func(Note, net.Conn)) {
	p.mu.Lock()
	defer p.unlock()
	p.other = shared{toElder: tell, asked: make(map[uint64]*waiter), promise: make(map[uint64]*Promise)}
	for _, n := range state {
		p.heed(n)
	}
}

// Told is what the old server says to its successor.
func (p *Ports) Told(n Note) {
	p.mu.Lock()
	defer p.unlock()
	if p.other.toElder != nil {
		p.heed(n)
	}
}

func (p *Ports) heed(n Note) {
	if n.Kind == noteSession {
		p.heedSession(n)
		return
	}
	s := p.sessionOf(n)
	pr := p.other.promise[n.Seq]
	switch {
	case n.Kind == noteLook:
		p.grant()
	case n.Kind == noteAsk && s == nil:
		p.other.toElder(Note{Kind: noteDeny, Seq: n.Seq}, nil)
	case n.Kind == noteAsk:
		w := &waiter{session: s, account: n.Account, exclusive: n.Exclusive, seq: n.Seq}
		p.other.asked[n.Seq] = w
		p.enqueue(w)
	case n.Kind == noteWithdraw:
		w := p.other.asked[n.Seq]
		delete(p.other.asked, n.Seq)
		p.queue = slices.DeleteFunc(p.queue, func(q *waiter) bool { return q == w })
		if pr != nil { // granted meanwhile, and nobody was told of it
			pr.came = true
			p.over(pr)
		}
		p.grant()
	case n.Kind == notePromise && s != nil:
		pr := p.foreign(&waiter{session: s, account: n.Account, exclusive: n.Exclusive, seq: n.Seq}, n.Port)
		if n.Announced {
			pr.announce(event.Download)
		}
	case n.Kind == noteShadow && s != nil:
		where := place{n.Addr, n.Port}
		sp := p.at(where)
		sp.shadows = append(sp.shadows, shadow{s, n.Account, 0, n.Until})
		p.lift(where, sp)
	case n.Kind == noteAnnounced && pr != nil:
		pr.announce(event.Download)
		p.hurry(pr)
	case n.Kind == noteOver && pr != nil:
		pr.came = pr.came || n.Came
		p.over(pr)
	}
}

// over ends a foreign promise that its server has ended.
func (p *Ports) over(pr *Promise) {
	pr.told = true
	delete(p.other.promise, pr.seq)
	p.end(pr, fault.Wrap(ErrEnded, "data.ended"))
}

func (p *Ports) sessionOf(n Note) *Session {
	if len(n.Stamp) != len(stamp{}) {
		return nil
	}
	return p.stamps.find(stamp(n.Stamp), time.Now())
}

// heedSession keeps a stand-in as its session is in the old server.
func (p *Ports) heedSession(n Note) {
	if len(n.Stamp) != len(stamp{}) {
		return
	}
	s := p.sessionOf(n)
	if s == nil {
		s = p.standIn(n)
	}
	if s.closed {
		return
	}
	if s.account != n.Account {
		s.account, s.former, s.info.User = n.Account, n.Former, n.Account
		s.change()
	}
	s.shares = s.shares || n.Shares
	if n.Closed {
		p.gone(s, n.Ended)
	}
}

// gone ends a stand-in.
func (p *Ports) gone(s *Session, at time.Time) {
	s.closed = true
	s.change()
	if at.IsZero() {
		at = time.Now()
	}
	p.stamps.end(s, at)
}

// foreign makes a promise of the old server's.
func (p *Ports) foreign(w *waiter, port int) *Promise {
	pr := p.promise(w, port)
	pr.foreign = true
	p.other.promise[w.seq] = pr
	return pr
}

// Alone says that the old server is gone. What it promised is over; the
// tickets of its sessions are good for as long as those of any that ended.
func (p *Ports) Alone() {
	p.mu.Lock()
	defer p.unlock()
	for _, pr := range p.other.promise {
		p.over(pr)
	}
	p.queue = slices.DeleteFunc(p.queue, func(w *waiter) bool { return w.session.foreign })
	for _, s := range p.stamps.byStamp {
		if s.foreign && !s.closed {
			p.gone(s, time.Time{})
		}
	}
	p.other = shared{}
	p.grant()
}
