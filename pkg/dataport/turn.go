package dataport

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"ftps/pkg/fault"
)

// waiter is a PASV or EPSV that wants a port.
type waiter struct {
	session   *Session
	account   string
	exclusive bool
	granted   chan *Promise // holds the promise, or is closed when the session ended; nil is the old server's
	wanted    time.Duration // Ports.want when it came
	seq       uint64        // where it is asked of another server: the number of the promise to be
}

// turn gives the session a promise as soon as there is a place for it.
func (p *Ports) turn(ctx context.Context, s *Session) (*Promise, error) {
	p.mu.Lock()
	if s.closed || s.account == "" || p.closed {
		p.mu.Unlock()
		return nil, fault.Wrap(ErrEnded, "data.ended")
	}
	if s.promise != nil {
		p.end(s.promise, fault.Wrap(ErrEnded, "data.ended"))
	}
	w := &waiter{
		session:   s,
		account:   s.account,
		exclusive: s.reuse == Prefer && !s.again,
		granted:   make(chan *Promise, 1),
	}
	if p.left() {
		if ctx.Err() != nil { // the answer takes a while
			p.unlock()
			return nil, fault.Wrap(ErrBusy, "data.busy")
		}
		p.ask(w)
	} else {
		p.enqueue(w)
	}
	p.unlock()

	select {
	case pr := <-w.granted: // as a rule
		if pr == nil {
			return nil, fault.Wrap(ErrEnded, "data.ended")
		}
		return pr, nil
	default:
	}

	// Age alone may free a place: of a promise that nobody uses, or of a
	// quarantine. Looking four times a second is soon enough for that.
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for waited := startSpell(lookEvery); ; {
		select {
		case pr := <-w.granted:
			if pr == nil {
				return nil, fault.Wrap(ErrEnded, "data.ended")
			}
			return pr, nil
		case now := <-tick.C:
			if waited.pass(now) >= p.cfg.Turn {
				break
			}
			p.mu.Lock()
			p.tell(Note{Kind: noteLook})
			if len(p.queue) > 0 && p.queue[0] == w { // it looks for all
				p.grant()
			}
			p.unlock()
			continue
		case <-ctx.Done():
		}
		p.mu.Lock()
		p.queue = slices.DeleteFunc(p.queue, func(q *waiter) bool { return q == w })
		p.unask(w)
		p.grant() // who waited behind an exclusive one may go on
		p.unlock()
		select {
		case pr := <-w.granted: // in the very last moment
			if pr != nil {
				return pr, nil
			}
		default:
		}
		return nil, fault.Wrap(ErrBusy, "data.busy")
	}
}

// lookEvery is how often those who wait look whether age has freed a place.
const lookEvery = 250 * time.Millisecond

// enqueue puts one in line.
func (p *Ports) enqueue(w *waiter) {
	if len(p.queue) == 0 {
		p.want = spell{last: time.Now(), step: 2 * lookEvery, sum: p.want.sum}
	}
	w.wanted = p.want.sum
	p.queue = append(p.queue, w)
	p.grant()
}

// grant gives places to those who wait, in their order. One that nobody else
// may share a place with holds up those behind it from its address, or they
// would pass it for ever; the others only wait for what they need.
func (p *Ports) grant() { p.grantAt(time.Now()) }

func (p *Ports) grantAt(now time.Time) {
	if len(p.queue) == 0 || p.granting {
		return
	}
	p.granting = true // ending a promise to make room comes back here
	defer func() { p.granting = false }()

	p.want.pass(now)
	// Who shares a place with others finds one or not by address and account
	// alone: where one of them found none, the rest need not look. A thousand
	// in line would else look a million times.
	type pair struct {
		addr    netip.Addr
		account string
	}
	crowded := map[pair]bool{}
	held := map[netip.Addr]bool{} // behind an exclusive one
	var left []*waiter
	for _, w := range p.queue {
		s := w.session
		switch {
		case s.closed || s.account != w.account || p.closed:
			p.deny(w)
			continue
		case held[s.addr], !w.exclusive && crowded[pair{s.addr, w.account}]:
		default:
			if port, ok := p.choose(w, now); ok {
				p.give(w, port)
				continue
			}
			if w.exclusive {
				held[s.addr] = true
			} else {
				crowded[pair{s.addr, w.account}] = true
			}
		}
		left = append(left, w)
	}
	p.queue = left
}

// give makes the promise, for whom it is.
func (p *Ports) give(w *waiter, port int) {
	if w.granted != nil {
		w.granted <- p.promise(w, port)
		return
	}
	delete(p.other.asked, w.seq)
	p.foreign(w, port)
	p.other.toElder(Note{Kind: noteGrant, Seq: w.seq, Port: port}, nil)
}

// deny ends the wait of one whose session is not what it was.
func (p *Ports) deny(w *waiter) {
	if w.granted != nil {
		close(w.granted)
		return
	}
	delete(p.other.asked, w.seq)
	p.other.toElder(Note{Kind: noteDeny, Seq: w.seq}, nil)
}

// choose finds a port in rotation: one without a quarantine if there is, and
// only then one where unused promises have to make room.
func (p *Ports) choose(w *waiter, now time.Time) (port int, ok bool) {
	p.looks++
	type quality uint8
	const (
		none quality = iota
		crowded
		shadowed
		free
	)
	best, at := none, 0
	for i := range p.numbers {
		k := (p.next + i) % len(p.numbers)
		where := place{w.session.addr, p.numbers[k]}
		q := free
		if p.shadowed(where, w.session, now) {
			// Only an own ticket is taken here, which a client may not have
			// that needs the place for itself.
			if w.exclusive {
				continue
			}
			q = shadowed
		}
		switch rivals, stale := p.rivals(w, where); {
		case rivals == 0:
		case rivals == stale:
			q = crowded
		default:
			continue
		}
		if q > best {
			best, at = q, k
		}
	}
	if best == none {
		return 0, false
	}
	p.next = (at + 1) % len(p.numbers)
	where := place{w.session.addr, p.numbers[at]}
	if best == crowded {
		for _, pr := range slices.Clone(p.at(where).waiting) {
			if w.rival(pr) {
				p.end(pr, fault.Wrap(ErrEnded, "data.ended"))
			}
		}
		if w.exclusive {
			// The room just made is under quarantine.
			return 0, false
		}
	}
	return p.numbers[at], true
}

// rival reports whether a promise keeps w from its place.
func (w *waiter) rival(pr *Promise) bool {
	return w.exclusive || pr.exclusive || pr.account == w.account
}

// rivals counts the promises at a place that keep w from it, and those among
// them that nobody has used for so long that they must make room.
func (p *Ports) rivals(w *waiter, where place) (all, stale int) {
	sp := p.places[where]
	if sp == nil {
		return 0, 0
	}
	for _, pr := range sp.waiting {
		if w.rival(pr) {
			all++
			if p.stale(pr, w) {
				stale++
			}
		}
	}
	return all, stale
}

// stale reports whether a promise must make room for w. Its client has been
// told of it, so its connection may be anywhere on the way here: nothing is
// taken from it before w would have to be refused for want of ports, and once
// there is a connection that may be its own, it has that one's time.
func (p *Ports) stale(pr *Promise, w *waiter) bool {
	unused := p.want.sum - pr.wanted
	switch {
	case pr.announced:
		return false
	case pr.given || p.undecided(pr):
		return unused >= p.cfg.Connect
	}
	return unused >= p.cfg.Unused && p.want.sum-w.wanted >= p.cfg.Want
}

// promise makes the promise that was granted.
func (p *Ports) promise(w *waiter, port int) *Promise {
	pr := &Promise{
		ports:     p,
		session:   w.session,
		account:   w.account,
		place:     place{w.session.addr, port},
		number:    p.count(),
		wanted:    p.want.sum,
		exclusive: w.exclusive,
		known:     make(chan struct{}),
		wake:      make(chan struct{}, 1),
	}
	if pr.seq = w.seq; p.left() && pr.seq != 0 {
		p.other.promise[pr.seq] = pr
	}
	sp := p.at(pr.place)
	sp.waiting = append(sp.waiting, pr)
	w.session.promise = pr
	return pr
}
