package dataport

import (
	"context"
	"net"
	"net/netip"

	"ftps/pkg/fault"
)

// Dial is Promise for active mode: Take will connect to the address. The
// same rules decide whether what answers belongs to the account. Which
// addresses may be dialled is the caller's to check.
func (s *Session) Dial(_ context.Context, to netip.AddrPort) (*Promise, error) {
	p := s.ports
	p.mu.Lock()
	defer p.unlock()
	if s.closed || s.account == "" || p.closed {
		return nil, fault.Wrap(ErrEnded, "data.ended")
	}
	if s.promise != nil {
		p.end(s.promise, fault.Wrap(ErrEnded, "data.ended"))
	}
	pr := &Promise{
		ports:     p,
		session:   s,
		account:   s.account,
		place:     place{addr: to.Addr().Unmap()},
		number:    p.count(),
		exclusive: s.reuse == Prefer && !s.again,
		dial:      to,
		known:     make(chan struct{}),
		wake:      make(chan struct{}, 1),
	}
	s.promise = pr
	return pr, nil
}

// connect opens the connection of an active promise and examines it. In
// active mode too the client is TLS's client (RFC 4217 §7).
func (p *Ports) connect(ctx context.Context, pr *Promise) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Connect)
	defer cancel()
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", pr.dial.String())
	p.mu.Lock()
	if err != nil || p.closed || pr.phase != waiting {
		if err != nil {
			pr.unreached = true
			pr.poke()
		}
		p.unlock()
		if raw != nil {
			raw.Close()
		}
		return
	}
	c := newCandidate(p, raw, pr.dial, pr.place)
	c.only, c.number = pr, p.count()
	pr.candidate = c
	p.live.Add(1)
	p.unlock()
	defer p.live.Done()
	p.examine(c)
}
