package dataport

import (
	"context"
	"net/netip"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/fault"
)

// Promise is one data connection to come: the first that arrives at its
// place after it was made and that belongs to its account.
type Promise struct {
	ports     *Ports
	session   *Session
	account   string
	place     place
	number    uint64         // older than every connection with a greater one
	wanted    time.Duration  // Ports.want when it was made
	exclusive bool           // no other promise at this place, whoever's
	foreign   bool           // the old server's, which has its own of it
	seq       uint64         // its number in the old server
	dial      netip.AddrPort // active mode: where to connect to

	known chan struct{} // closed when the command is announced, or never will be
	wake  chan struct{} // holds one token when Take should look again

	// Guarded by ports.mu.
	phase     phase
	announced bool
	taken     bool
	given     bool // its connection was given to the old server, whose it is
	direction event.Direction
	conn      *Conn      // when bound, until taken
	candidate *candidate // in active mode, what answered
	refused   error      // a connection was refused, and why
	died      error      // a connection did not get through its handshake
	unreached bool       // in active mode, nobody answered
	told      bool       // the other server knows that it is over
	came      bool       // its connection has come, whatever became of it
	why       error      // it is over, and why
}

type phase uint8

const (
	waiting phase = iota // for its connection
	bound                // has its connection
	over                 // taken, cancelled or out of time
)

// Port returns the port to tell the client; 0 in active mode.
func (pr *Promise) Port() int { return pr.place.port }

// Take waits for the promise's connection. It is called once, after the 150
// was sent: clients may start TLS only after it.
//
// A connection that was refused does not end the wait at once, for it may
// have been a stranger's: a good one may still come within the grace, and
// any whose handshake is under way is waited for.
func (pr *Promise) Take(ctx context.Context, d event.Direction) (*Conn, error) {
	p := pr.ports
	p.mu.Lock()
	if pr.taken || pr.phase == over { // once
		why := pr.why
		p.mu.Unlock()
		if why == nil {
			why = fault.Wrap(ErrEnded, "data.ended")
		}
		return nil, why
	}
	pr.taken = true
	pr.announce(d)
	p.hurry(pr)
	p.mu.Unlock()

	if pr.dial.IsValid() {
		dial, cancel := context.WithCancel(ctx)
		defer cancel()
		go p.connect(dial, pr)
	}

	waited := startSpell(takeEvery)
	timer := time.NewTimer(takeEvery)
	defer timer.Stop()
	for {
		p.mu.Lock()
		if pr.phase == bound {
			conn := pr.conn
			pr.conn = nil
			p.finish(pr)
			p.unlock()
			return conn, nil
		}
		again, verdict := pr.verdict(waited.pass(time.Now()))
		if verdict == nil && ctx.Err() != nil {
			verdict = fault.Wrap(ErrEnded, "data.ended")
		}
		if verdict != nil {
			p.end(pr, verdict)
			verdict = pr.why
			p.unlock()
			return nil, verdict
		}
		p.mu.Unlock()

		timer.Reset(min(again, takeEvery))
		select {
		case <-pr.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// Announce says which way the transfer will go, as soon as its command is
// read and before the 150 is sent. A ClientHello may be on its way already,
// and what it gets depends on the command. Without it Take says so; it may
// be called again where the command came to nothing.
func (pr *Promise) Announce(d event.Direction) {
	pr.ports.mu.Lock()
	defer pr.ports.mu.Unlock()
	pr.announce(d)
}

func (pr *Promise) announce(d event.Direction) {
	pr.direction = d
	if !pr.announced {
		pr.announced = true
		if pr.phase != over && !pr.foreign && pr.seq != 0 {
			pr.ports.tell(Note{Kind: noteAnnounced, Seq: pr.seq})
		}
		close(pr.known)
	}
}

// takeEvery is how often a Take looks at the clock.
const takeEvery = time.Second

// verdict says how a Take ends that has waited so long and has no connection
// yet, or after how long to ask again.
func (pr *Promise) verdict(waited time.Duration) (again time.Duration, err error) {
	if pr.phase == over {
		return 0, pr.why
	}
	p := pr.ports
	if pr.unreached {
		return 0, fault.Wrap(ErrNoConnection, "data.none")
	}
	patience := p.cfg.Connect
	switch {
	case pr.refused == nil && pr.died == nil:
	case pr.dial.IsValid():
		patience = 0 // there is no other to come
	case !p.undecided(pr):
		patience = min(patience, p.cfg.Grace)
	}
	again = patience - waited
	if again > 0 {
		return again, nil
	}
	switch {
	case pr.refused != nil:
		return 0, fault.Wrap(ErrNotProven, "data.unproven")
	case pr.died != nil:
		return 0, fault.Wrap(ErrHandshake, "data.handshake", pr.died)
	}
	return 0, fault.Wrap(ErrNoConnection, "data.none")
}

// Cancel ends a promise that was not taken, or whose Take is under way, and
// closes what waits for it. After the connection is taken it does nothing.
func (pr *Promise) Cancel() {
	p := pr.ports
	p.mu.Lock()
	defer p.unlock()
	p.end(pr, fault.Wrap(ErrEnded, "data.ended"))
}

// poke makes Take look again.
func (pr *Promise) poke() {
	select {
	case pr.wake <- struct{}{}:
	default:
	}
}

// end ends a promise without a transfer: what waits for it is closed. If
// nothing does, its place is under quarantine, for its connection may still be
// on its way.
func (p *Ports) end(pr *Promise, why error) {
	if pr.phase == over {
		return
	}
	pr.why = why
	p.alone(pr)
	if pr.conn != nil {
		p.later(pr.conn.Abort)
		pr.conn = nil
	}
	p.finish(pr)
	if pr.candidate != nil {
		pr.candidate.drop()
	}
	if !pr.dial.IsValid() {
		p.shadow(pr)
		p.abandon(pr.place)
	}
	p.grant()
}

// finish takes a promise out of the state.
func (p *Ports) finish(pr *Promise) {
	p.leave(pr)
	p.tellOver(pr)
	pr.phase = over
	pr.announce(event.Download) // for those who wait to know
	if pr.session.promise == pr {
		pr.session.promise = nil
	}
	pr.poke()
}

// tellOver tells the other server, once, that a promise is over that it knows
// of.
func (p *Ports) tellOver(pr *Promise) {
	if pr.seq == 0 || pr.told {
		return
	}
	pr.told = true
	switch {
	case pr.foreign && p.other.toElder != nil:
		p.other.toElder(Note{Kind: noteEnd, Seq: pr.seq}, nil)
	case !pr.foreign:
		p.tell(Note{Kind: noteOver, Seq: pr.seq, Came: pr.came})
	}
	delete(p.other.promise, pr.seq)
}
