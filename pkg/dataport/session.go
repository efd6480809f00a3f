package dataport

import (
	"context"
	"crypto/tls"
	"net/netip"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/fault"
)

// Session is one control connection's share of the data ports. Its methods
// may be called from any goroutine.
type Session struct {
	ports *Ports
	stamp stamp
	addr  netip.Addr

	// Guarded by ports.mu.
	info    event.Session
	foreign bool   // it lives in the other server
	account string // what the stamp stands for; "" before login and after Forget
	former  string // the first account it ever stood for
	reuse   Reuse
	promise *Promise      // the one that is not over, or nil
	changed chan struct{} // closed, and replaced, when account changes or the session ends
	closed  bool

	own    bool // a data connection has shown a ticket of this session
	shares bool // the client shows tickets across its sessions
	shown  seal // the end of the last ticket that a data connection of this session resumed by
	again  bool // the client has resumed by one ticket twice: it always can
	reads  bool // the client starts TLS before the command, and so reads tickets
}

// Session registers a control connection and gives it a new stamp.
func (p *Ports) Session(info event.Session) *Session {
	s := &Session{
		ports:   p,
		stamp:   newStamp(),
		addr:    info.Remote.Addr().Unmap(),
		info:    info,
		changed: make(chan struct{}),
	}
	p.mu.Lock()
	p.stamps.add(s)
	p.tellSession(s)
	p.mu.Unlock()
	return s
}

// ControlTLS returns the configuration for the control connection's
// tls.Server: its tickets carry the session's stamp.
//
// That a control connection itself resumed proves nothing: the ticket may
// stem from another account's session in the same client's cache.
func (s *Session) ControlTLS() *tls.Config {
	cfg := s.ports.cfg.TLS.Clone()
	cfg.GetConfigForClient = nil
	cfg.SessionTicketsDisabled = false
	cfg.NextProtos = []string{"ftp"}
	var shown stamp // by the ticket that is being tried
	cfg.UnwrapSession = func(identity []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		state, err := s.ports.cfg.TLS.DecryptTicket(identity, cs)
		if state != nil {
			shown, _ = stampOf(state)
		}
		return state, err
	}
	cfg.WrapSession = func(cs tls.ConnectionState, state *tls.SessionState) ([]byte, error) {
		if cs.DidResume {
			s.ports.shared(s, shown)
		}
		s.stamp.put(state)
		return s.ports.cfg.TLS.EncryptTicket(cs, state)
	}
	return cfg
}

// shared notes that a control connection resumed with another session's
// ticket: the client has one cache for both, and will show the tickets of
// each on the data connections of the other. It widens nothing but the rule
// for sessions of one account.
func (p *Ports) shared(s *Session, shown stamp) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if other := p.stamps.find(shown, time.Now()); other != nil && other != s {
		s.shares, other.shares = true, true
	}
}

// LoggedIn says that the session's stamp stands for an account from now on.
// It fails with ErrOtherAccount when it has stood for another one: tickets of
// that one are abroad, and another account needs a new TLS session.
func (s *Session) LoggedIn(account string, reuse Reuse) error {
	s.ports.mu.Lock()
	defer s.ports.mu.Unlock()
	if s.closed {
		return fault.Wrap(ErrEnded, "data.ended")
	}
	if s.former != "" && s.former != account {
		return fault.Wrap(ErrOtherAccount, "data.account.other")
	}
	s.account, s.former, s.reuse = account, account, reuse
	s.info.User = account
	s.change()
	return nil
}

// change tells those who wait for the stamp's account to look again.
func (s *Session) change() {
	close(s.changed)
	s.changed = make(chan struct{})
	s.ports.tellSession(s)
}

// Forget ends what LoggedIn began, and the session's promise: REIN, a kick,
// a change of the account. Running transfers are the caller's.
func (s *Session) Forget() {
	p := s.ports
	p.mu.Lock()
	defer p.unlock()
	p.forget(s)
}

func (p *Ports) forget(s *Session) {
	s.account, s.info.User = "", ""
	s.own, s.shown, s.again = false, seal{}, false
	if s.promise != nil {
		p.end(s.promise, fault.Wrap(ErrEnded, "data.ended"))
	}
	s.change()
}

// ForgetAccount makes every ticket of an account worthless, those of ended
// sessions too. It is for a changed password or a removed account.
func (p *Ports) ForgetAccount(account string) {
	p.mu.Lock()
	defer p.unlock()
	for _, s := range p.stamps.byStamp {
		if s.account == account {
			p.forget(s)
		}
	}
	p.stamps.forget(account)
}

// Close ends the session and its promise. Its stamp is remembered for a
// while, because another session of the same client may show it.
func (s *Session) Close() {
	p := s.ports
	p.mu.Lock()
	defer p.unlock()
	if s.closed {
		return
	}
	s.closed = true
	if s.promise != nil {
		p.end(s.promise, fault.Wrap(ErrEnded, "data.ended"))
	}
	s.change()
	p.stamps.end(s, time.Now())
}

// Promise reserves one connection on one of the ports, for PASV and EPSV. It
// ends the session's earlier promise, and waits its turn where every port is
// taken. Where ctx is over already it takes what is free and does not wait.
func (s *Session) Promise(ctx context.Context) (*Promise, error) {
	return s.ports.turn(ctx, s)
}
