package dataport

import (
	"crypto/tls"
	"slices"
	"time"
)

// passOn gives a connection to the old server if it is for one of that one's
// promises, before a byte of it is read. Which promise that is the ticket in
// the ClientHello says, as it does to this server's own handshakes; that the
// client has the ticket's secret is for the old server to find out.
func (p *Ports) passOn(c *candidate) bool {
	p.mu.Lock()
	if !slices.ContainsFunc(p.suitors(c), func(pr *Promise) bool { return pr.foreign }) {
		c.kept = true
		p.mu.Unlock()
		return false
	}
	p.await(c)
	p.mu.Unlock()

	tickets, ok := ticketsIn(c.raw, c.hear)
	if !ok {
		p.mu.Lock()
		c.kept = len(p.suitors(c)) > p.foreigners(c) // garbage, silence or a peer that is gone
		kept := c.kept
		p.mu.Unlock()
		if kept {
			return false
		}
	}
	owner := p.ownerOf(tickets)
	p.waitForLogin(c, owner)

	p.mu.Lock()
	defer p.unlock()
	c.spoke = ok
	pr, foreign := p.promiser(c, owner)
	if c.dropped || !foreign || p.other.toElder == nil {
		c.kept = true
		return false
	}
	note := Note{Port: c.place.port, Remote: c.peer, Local: addrPort(c.raw.LocalAddr())}
	if owner != nil {
		note.Stamp, note.Account, note.Addr = owner.stamp[:], owner.account, owner.addr
		note.ID, note.Number = owner.info.ID, owner.info.Number
	}
	if pr != nil {
		note.Seq = pr.seq
		pr.given = true
		note.Shares = pr.session.shares
	}
	c.noted = true // what comes of it the old server will say
	p.exit(c)
	c.raw.SetDeadline(time.Time{})
	p.other.toElder(note, c.raw)
	return true
}

// foreigners counts the old server's promises that a connection may be for.
func (p *Ports) foreigners(c *candidate) (n int) {
	for _, pr := range p.suitors(c) {
		if pr.foreign {
			n++
		}
	}
	return n
}

// ownerOf returns the session that the first good ticket is from.
func (p *Ports) ownerOf(tickets [][]byte) *Session {
	for _, ticket := range tickets {
		state, err := p.cfg.TLS.DecryptTicket(ticket, tls.ConnectionState{})
		if err != nil || state == nil {
			continue
		}
		if id, ok := stampOf(state); ok {
			p.mu.Lock()
			owner := p.stamps.find(id, time.Now())
			p.mu.Unlock()
			if owner != nil {
				return owner
			}
		}
	}
	return nil
}

// waitForLogin waits, as settle does, until it is known whose the ticket is.
func (p *Ports) waitForLogin(c *candidate, owner *Session) {
	timer := time.NewTimer(p.cfg.Pending)
	defer timer.Stop()
	for owner != nil {
		p.mu.Lock()
		pending := owner.account == "" && !owner.closed
		changed := owner.changed
		p.mu.Unlock()
		if !pending {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		case <-c.gone:
			return
		}
	}
}

// promiser finds the promise that a connection is for, if its ticket is good,
// and says whether the old server made it. One that shows none can only be
// for an exclusive promise, and where it is for nobody's, its refusal is said
// by whoever waits here.
func (p *Ports) promiser(c *candidate, owner *Session) (pr *Promise, foreign bool) {
	suitors := p.suitors(c)
	if owner != nil {
		pr = p.meant(c, owner)
	} else if i := slices.IndexFunc(suitors, func(pr *Promise) bool { return pr.exclusive }); i >= 0 {
		pr = suitors[i]
	}
	if pr == nil && len(suitors) > 0 && len(suitors) == p.foreigners(c) {
		pr = suitors[0]
	}
	return pr, pr != nil && pr.foreign
}
