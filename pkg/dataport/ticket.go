package dataport

import (
	"crypto/tls"
	"errors"
	"slices"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/layer"
)

// This file is what a data connection's handshake looks like: which tickets
// are looked at, which are given, and which groups are offered.

// Extensions of a ClientHello.
const (
	extSessionTicket = 35 // RFC 5077 §3.2
	extPreSharedKey  = 41 // RFC 8446 §4.2.11
)

// classical are the groups for a handshake that resumes: its secret stems
// from the control connection's exchange, post-quantum where that was, and
// needs no second one. It costs a third less.
var classical = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}

// configFor returns the configuration of one data connection, now that its
// ClientHello is known.
func configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	w, ok := hello.Conn.(*wire)
	if !ok {
		return nil, errors.New("dataport: not a data connection")
	}
	c := w.c
	ring := c.ports.cfg.TLS
	cfg := ring.Clone()
	c.config = cfg

	tls13 := slices.Contains(hello.SupportedVersions, tls.VersionTLS13) &&
		(ring.MaxVersion == 0 || ring.MaxVersion >= tls.VersionTLS13)
	offers := slices.Contains(hello.Extensions, extSessionTicket)
	if tls13 {
		offers = slices.Contains(hello.Extensions, extPreSharedKey)
	}

	// A connection that has not proven whose it is gets no ticket: that would
	// carry the account's stamp to whoever came first.
	cfg.SessionTicketsDisabled = !offers
	if offers && tls13 {
		cfg.CurvePreferences = groups(ring.CurvePreferences, hello.SupportedCurves)
	}
	// Both mean FTP to FTP; a client with one configuration for both kinds
	// of connection offers "ftp" here too. None is demanded.
	cfg.NextProtos = []string{"ftp-data", "ftp"}
	cfg.GetConfigForClient = nil
	cfg.UnwrapSession = c.unwrap
	cfg.WrapSession = c.wrap
	cfg.Certificates = nil
	cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if tls13 {
			// Asked for in TLS 1.3 only where no ticket was good for
			// anything, such as one that is too old: the connection is
			// unproven after all.
			cfg.SessionTicketsDisabled = true
		}
		return certificate(ring, hello)
	}
	return cfg, nil
}

// groups returns the groups for a ClientHello that resumes: the classical
// ones, unless the client offers none of them.
func groups(ours, theirs []tls.CurveID) []tls.CurveID {
	var list []tls.CurveID
	for _, g := range classical {
		if len(ours) == 0 || slices.Contains(ours, g) {
			list = append(list, g)
		}
	}
	if !slices.ContainsFunc(list, func(g tls.CurveID) bool { return slices.Contains(theirs, g) }) {
		return ours
	}
	return list
}

// certificate chooses the ring's certificate as crypto/tls would.
func certificate(ring *tls.Config, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if ring.GetCertificate != nil && (len(ring.Certificates) == 0 || hello.ServerName != "") {
		if cert, err := ring.GetCertificate(hello); cert != nil || err != nil {
			return cert, err
		}
	}
	for i := range ring.Certificates {
		if hello.SupportsCertificate(&ring.Certificates[i]) == nil {
			return &ring.Certificates[i], nil
		}
	}
	if len(ring.Certificates) > 0 {
		return &ring.Certificates[0], nil
	}
	return nil, errors.New("dataport: no certificate")
}

// seal is the end of a ticket, its authentication code: no two are alike.
type seal [16]byte

func sealOf(ticket []byte) (s seal) {
	copy(s[:], ticket[max(0, len(ticket)-len(s)):])
	return s
}

// unwrap looks at a ticket that the client shows. It only nominates: the
// ticket can be read off any ClientHello, and that the client has its secret
// is known when the handshake is over.
//
// TLS 1.2 comes here with an empty ticket where the client shows none, TLS
// 1.3 once for each ticket shown.
func (c *candidate) unwrap(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
	p := c.ports
	state, err := p.cfg.TLS.DecryptTicket(ticket, cs)
	var owner *Session
	if state != nil && err == nil {
		if id, ok := stampOf(state); ok {
			p.mu.Lock()
			owner = p.stamps.find(id, time.Now())
			c.nominee, c.shown = owner, sealOf(ticket)
			p.mu.Unlock()
		}
	}
	if owner == nil {
		// An error here would end the handshake without an alert.
		c.config.SessionTicketsDisabled = true
		return nil, nil
	}
	// In TLS 1.2 the ticket is part of the handshake, which every client
	// reads to its end, and one that resumes gets one in any case.
	c.config.SessionTicketsDisabled = cs.Version >= tls.VersionTLS13 && !p.givesTicket(c, owner)
	return state, nil
}

// wrap makes the ticket that the client gets: it carries the stamp of the
// session that the connection is about to belong to, so that the next data
// connection can show it.
func (c *candidate) wrap(cs tls.ConnectionState, state *tls.SessionState) ([]byte, error) {
	p := c.ports
	p.mu.Lock()
	var id stamp
	proven := cs.DidResume && c.nominee != nil
	if proven {
		id = c.nominee.stamp
		if pr := p.meant(c, c.nominee); pr != nil {
			id = pr.session.stamp
		}
	}
	p.mu.Unlock()
	if !proven {
		// RFC 5077 §3.3: an empty ticket is none. Only TLS 1.2 comes here,
		// with a ticket of ours whose cipher suite the client has given up.
		return nil, nil
	}
	id.put(state)
	return p.cfg.TLS.EncryptTicket(cs, state)
}

// meant returns the promise that a connection is for if its ticket is good,
// or nil.
func (p *Ports) meant(c *candidate, owner *Session) *Promise {
	for _, pr := range p.suitors(c) {
		if owner.account != "" && pr.account == owner.account {
			return pr
		}
	}
	return nil
}

// givesTicket decides whether a TLS 1.3 connection that resumes gets a new
// ticket, which the server sends unasked behind its handshake.
//
// For a download or a listing it does: the client reads anyway. On an upload
// most clients never read; their close then answers the unread ticket with a
// reset, and the tail of the file is lost. But a client that uses each ticket
// once, as RFC 8446 §C.4 wants it, cannot upload a second file without one.
//
// Clients that begin TLS before they send the command (curl) are the ones that
// look after both connections at once, and read. So a session is taken to
// read once its ClientHello was there and its command was not: another
// command, as curl's TYPE, was read in between, or a short time has passed in
// which a command sent before the ClientHello would have arrived.
func (p *Ports) givesTicket(c *candidate, owner *Session) bool {
	if p.policy.ticketsUp {
		return true
	}
	p.mu.Lock()
	pr := p.meant(c, owner)
	p.mu.Unlock()
	if pr == nil {
		return false // refused, or its session logs in just now
	}
	timer := time.NewTimer(p.cfg.hold)
	defer timer.Stop()
	for late := false; ; {
		p.mu.Lock()
		s := pr.session
		if slices.Contains(c.early, s) || late && !pr.announced {
			s.reads = !p.policy.noLatch
		}
		reads, known, upload := s.reads, pr.announced, pr.direction == event.Upload
		p.mu.Unlock()
		switch {
		case reads:
			return true
		case known:
			return !upload
		case late:
			return false
		}
		select {
		case <-pr.known:
		case <-c.hint:
		case <-c.gone:
			late = true
		case <-timer.C:
			late = true
		}
	}
}

// Heard says that a command was read that is no transfer's. Connections whose
// ClientHello is there already came before their command: see givesTicket. One
// that the kernel has and nobody has accepted yet, on a machine with much to
// do, is waited for: the client has no answer yet, so its transfer's command
// cannot come meanwhile.
func (s *Session) Heard() {
	p := s.ports
	p.mu.Lock()
	defer p.mu.Unlock()
	pr := s.promise
	if pr == nil || s.hears(pr) || p.left() {
		return
	}
	p.mu.Unlock()
	p.catchUp(pr.place.port)
	p.mu.Lock()
	if s.promise == pr {
		s.hears(pr)
	}
}

// hears notes the connections whose ClientHello is there, and reports whether
// that is all: there is one for each promise, or nothing to be noted.
func (s *Session) hears(pr *Promise) (all bool) {
	if s.reads || pr.announced || pr.dial.IsValid() {
		return true
	}
	return s.ports.begun(pr, func(c *candidate) {
		if !slices.Contains(c.early, s) {
			c.early = append(c.early, s)
			select {
			case c.hint <- struct{}{}:
			default:
			}
		}
	})
}

// begun calls do for each connection that may be for pr and whose ClientHello
// is there, and reports whether no more are to come: there is a connection for
// each promise of the place. mu is held.
func (p *Ports) begun(pr *Promise, do func(*candidate)) (all bool) {
	sp := p.places[pr.place]
	if sp == nil {
		return false
	}
	here := 0
	for _, c := range sp.open {
		if c.number < pr.number || c.refused {
			continue
		}
		here++
		if c.spoke || layer.Queued(c.raw) > 0 {
			do(c)
		}
	}
	return here >= len(sp.waiting)
}
