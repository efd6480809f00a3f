package dataport

import (
	"net/netip"
	"slices"
	"time"

	"ftps/pkg/fault"
)

// This file decides whose a connection is. It knows no sockets: what it
// looks at is in the state that Ports.mu guards.

// place is where connections of one client address arrive. The address and
// the port say which promises a connection may be for, the ticket which of
// them it is.
type place struct {
	addr netip.Addr
	port int
}

// spot is what happens at a place.
type spot struct {
	waiting []*Promise   // without a connection yet
	open    []*candidate // connections whose fate is open, oldest first
	shadows []shadow     // of promises that ended unused
	timed   bool         // a timer will look after the shadows
	strays  int          // connections that came for nobody knows which promise
}

// shadow is the care that a promise leaves behind which ended before its
// connection came: that may still come, and must not take another session's
// promise.
type shadow struct {
	session *Session
	account string
	number  uint64 // the promise's
	until   time.Time
}

// at returns the spot of a place.
func (p *Ports) at(where place) *spot {
	sp := p.places[where]
	if sp == nil {
		sp = &spot{}
		p.places[where] = sp
	}
	return sp
}

// tidy drops what is over at a place, and the place with the last of it.
func (p *Ports) tidy(where place) {
	sp := p.places[where]
	if sp == nil {
		return
	}
	now := time.Now()
	sp.shadows = slices.DeleteFunc(sp.shadows, func(s shadow) bool { return !now.Before(s.until) })
	if len(sp.waiting)+len(sp.open)+len(sp.shadows) == 0 {
		delete(p.places, where)
	}
}

// shadow puts a place under quarantine after a promise, unless that one's
// connection has come.
func (p *Ports) shadow(pr *Promise) {
	sp := p.at(pr.place)
	switch {
	case pr.came:
	case sp.strays > 0:
		sp.strays-- // one of them was it
	default:
		sp.shadows = slices.DeleteFunc(sp.shadows, func(old shadow) bool { return old.session == pr.session })
		sp.shadows = append(sp.shadows, shadow{pr.session, pr.account, pr.number, time.Now().Add(p.cfg.Quarantine)})
		p.lift(pr.place, sp)
	}
}

// stray notes that a connection comes to nothing. Each client opens one for
// a promise; so this is the one that a promise waits for, or the one that a
// quarantine is about, which is then over. Without this, clients that share
// their tickets would shut each other out of a single port: each refusal
// would begin another quarantine.
func (p *Ports) stray(c *candidate) {
	sp := p.places[c.place]
	if c.noted || c.only != nil || sp == nil {
		return
	}
	c.noted = true
	account := ""
	if c.nominee != nil {
		account = c.nominee.account
	}
	i := slices.IndexFunc(sp.shadows, func(s shadow) bool {
		return c.nominee != nil && s.session == c.nominee && s.number < c.number
	})
	suitors := p.suitors(c)
	if i < 0 && account != "" {
		for _, pr := range suitors {
			if pr.account == account && !pr.came {
				pr.came = true
				return
			}
		}
	}
	if i < 0 {
		i = slices.IndexFunc(sp.shadows, func(s shadow) bool {
			return (account == "" || s.account == account) && s.number < c.number
		})
	}
	switch {
	case i >= 0:
		sp.shadows = slices.Delete(sp.shadows, i, i+1)
		p.grant()
	case account != "":
	case len(suitors) == 1:
		suitors[0].came = true
	case sp.strays < len(suitors):
		sp.strays++
	}
}

// expected reports whether a connection may be the one that a quarantine at
// its place is about: late, and no misdeed. Each quarantine excuses one (see
// stray). owner is whose ticket it has shown, or nil.
func (p *Ports) expected(c *candidate, owner *Session) bool {
	sp, now := p.places[c.place], time.Now()
	return sp != nil && slices.ContainsFunc(sp.shadows, func(s shadow) bool {
		return s.number < c.number && now.Before(s.until) && (owner == nil || s.session == owner)
	})
}

// lift sees to it that a place's quarantine is over in time.
func (p *Ports) lift(where place, sp *spot) {
	if sp.timed || len(sp.shadows) == 0 {
		return
	}
	sp.timed = true
	time.AfterFunc(time.Until(sp.shadows[0].until), func() {
		p.mu.Lock()
		defer p.unlock()
		sp.timed = false
		if p.tidy(where); p.places[where] == sp {
			p.lift(where, sp)
		}
		p.grant()
	})
}

// shadowed reports whether a connection may be on its way to a place for an
// ended promise of another session than s.
func (p *Ports) shadowed(where place, s *Session, now time.Time) bool {
	sp := p.places[where]
	return sp != nil && !p.policy.noShadow && slices.ContainsFunc(sp.shadows, func(sh shadow) bool {
		return sh.session != s && now.Before(sh.until)
	})
}

// leave takes a promise out of its place.
func (p *Ports) leave(pr *Promise) {
	if sp := p.places[pr.place]; sp != nil {
		sp.waiting = slices.DeleteFunc(sp.waiting, func(q *Promise) bool { return q == pr })
		p.tidy(pr.place)
	}
}

// enter lets a new connection in, or says why not.
func (p *Ports) enter(c *candidate) error {
	c.number = p.count()
	sp := p.places[c.place]
	switch {
	case p.closed:
		return fault.Wrap(ErrEnded, "data.ended")
	case sp == nil || len(sp.waiting) == 0:
		// It may be the one that a quarantine is about: a client's connection
		// is often accepted just after its command was refused.
		expected := p.expected(c, nil)
		p.stray(c)
		if expected {
			return fault.New("data.refused.late")
		}
		return fault.New("data.refused.unexpected")
	case p.candidates >= p.cfg.Connections:
		return fault.New("data.refused.full")
	}
	if len(sp.open) >= len(sp.waiting)+p.cfg.Spare {
		// One for each promise and a few. Whoever opens more pushes others
		// out and not the one that comes: a flood cannot keep out the
		// connection that is waited for.
		out := sp.least()
		out.drop()
		p.exit(out)
	}
	sp.open = append(sp.open, c)
	c.inside = true
	p.candidates++
	return nil
}

// least returns the connection that has to go first: the oldest that is
// refused, else that has said nothing, else the oldest.
func (sp *spot) least() *candidate {
	i := slices.IndexFunc(sp.open, func(c *candidate) bool { return c.refused })
	if i < 0 {
		i = slices.IndexFunc(sp.open, func(c *candidate) bool { return !c.spoke })
	}
	return sp.open[max(i, 0)]
}

// exit takes a connection out of the open ones.
func (p *Ports) exit(c *candidate) {
	if !c.inside {
		return
	}
	p.stray(c)
	c.inside = false
	p.candidates--
	sp := p.places[c.place]
	sp.open = slices.DeleteFunc(sp.open, func(o *candidate) bool { return o == c })
	p.tidy(c.place)
	p.pokeAll(c)
}

// suitors returns the promises that a connection may be for by its address,
// port and age.
func (p *Ports) suitors(c *candidate) []*Promise {
	if c.only != nil {
		if c.only.phase == waiting {
			return []*Promise{c.only}
		}
		return nil
	}
	sp := p.places[c.place]
	if sp == nil {
		return nil
	}
	var list []*Promise
	for _, pr := range sp.waiting {
		if c.kept && pr.foreign {
			continue
		}
		if pr.number < c.number || p.policy.noAge {
			list = append(list, pr)
		}
	}
	return list
}

// pokeAll makes the promises look again that a connection may be for.
func (p *Ports) pokeAll(c *candidate) {
	for _, pr := range p.suitors(c) {
		pr.poke()
	}
}

// abandon closes the connections at a place that no promise is left for.
func (p *Ports) abandon(where place) {
	sp := p.places[where]
	if sp == nil {
		return
	}
	for _, c := range sp.open {
		if !c.refused && len(p.suitors(c)) == 0 {
			c.noted = true
			c.drop()
		}
	}
}

// alone marks a promise that is about to end as served by the connections
// that are there for it and for no other.
func (p *Ports) alone(pr *Promise) {
	if sp := p.places[pr.place]; sp != nil {
		for _, c := range sp.open {
			if s := p.suitors(c); !c.refused && !c.noted && len(s) == 1 && s[0] == pr {
				c.noted, pr.came = true, true
			}
		}
	}
}

// hurry gives connections that wait for the command before they start TLS
// their time from now on.
func (p *Ports) hurry(pr *Promise) {
	if sp := p.places[pr.place]; sp != nil {
		for _, c := range sp.open {
			if !c.spoke {
				c.deadline(time.Now().Add(p.cfg.Handshake))
			}
		}
	}
}

// undecided reports whether a connection that may be for pr is still at its
// handshake.
func (p *Ports) undecided(pr *Promise) bool {
	if pr.dial.IsValid() {
		return false
	}
	sp := p.places[pr.place]
	return sp != nil && slices.ContainsFunc(sp.open, func(c *candidate) bool {
		return !c.refused && !c.dropped && pr.number < c.number
	})
}

// judge says whose a connection is after its handshake: the promise it may
// take and how it is bound, or why it is refused, or the session whose login
// has to be waited for.
func (p *Ports) judge(c *candidate, now time.Time) (pr *Promise, how string, pending *Session, refusal error) {
	suitors := p.suitors(c)
	if p.policy.anyAccount && len(suitors) > 0 {
		return suitors[0], None, nil, nil
	}
	if c.nominee == nil {
		pr, how, pending, refusal := judgeBare(suitors)
		if refusal != nil && p.expected(c, nil) {
			refusal = fault.New("data.refused.late")
		}
		return pr, how, pending, refusal
	}

	// The ticket has resumed: whoever is behind it has its secret, and the
	// stamp in it says whose session it is from.
	owner := p.stamps.find(c.nominee.stamp, now)
	switch {
	case owner == nil:
		return nil, "", nil, fault.New("data.refused.forgotten")
	case owner.account == "" && owner.closed:
		return nil, "", nil, fault.New("data.refused.forgotten")
	case owner.account == "":
		return nil, "", owner, nil
	}
	i := slices.IndexFunc(suitors, func(s *Promise) bool { return s.account == owner.account })
	if i < 0 && p.expected(c, owner) {
		return nil, "", nil, fault.New("data.refused.late")
	}
	if i < 0 {
		return nil, "", nil, fault.New("data.refused.account")
	}
	pr = suitors[i]
	s := pr.session
	switch {
	case owner == s:
		return pr, Own, nil, nil
	case p.shadowed(c.place, s, now):
		return nil, "", nil, fault.New("data.refused.late")
	case s.own && !s.shares && !p.policy.noShadow:
		// This client keeps its sessions apart, so a ticket of another one
		// is another client's, come late to this port.
		return nil, "", nil, fault.New("data.refused.sister")
	}
	return pr, Account, nil, nil
}

// judgeBare judges a connection that has shown no ticket.
func judgeBare(suitors []*Promise) (*Promise, string, *Session, error) {
	for _, pr := range suitors {
		// An exclusive promise is alone at its place, and came to one
		// without a quarantine: the address and port can only mean its
		// session.
		if pr.exclusive {
			return pr, None, nil, nil
		}
	}
	return nil, "", nil, fault.New("data.refused.bare")
}

// bind gives a connection to a promise.
func (p *Ports) bind(c *candidate, pr *Promise, how string, conn *Conn) {
	s := pr.session
	switch how {
	case Own:
		s.own = true
	case Account:
		s.shares, c.nominee.shares = true, true
	}
	if how != None {
		// A client that uses each ticket once may run out of them: PHP after
		// its first data connection, curl -Z whenever a sister was quicker.
		// Only one that shows a ticket again has it for ever, and must show
		// it from then on.
		s.again = s.again || c.shown == s.shown
		s.shown = c.shown
	}
	p.leave(pr)
	c.noted, pr.came = true, true
	p.tellOver(pr)
	pr.phase, pr.conn, pr.candidate = bound, conn, nil
	p.exit(c)
	pr.poke()
	// What else waits here for this promise waits in vain.
	p.abandon(pr.place)
	p.grant()
}

// refuse notes on every promise that a connection may have been for that it
// was refused, and returns them.
func (p *Ports) refuse(c *candidate, cause error) []*Promise {
	p.stray(c)
	c.refused = true
	suitors := p.suitors(c)
	for _, pr := range suitors {
		pr.refused = cause
		pr.poke()
	}
	return suitors
}
