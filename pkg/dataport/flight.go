package dataport

import "context"

// AwaitFlight waits until the ClientHellos are answered that are there
// already, and a moment for the end of their handshakes. It is called before
// the 150 of an upload.
//
// A 150 may overtake the answer, for they go by two connections. To a client
// that began TLS before it sent its command, as Node's basic-ftp does, the 150
// is leave to send, and where the session is resumed it cannot tell that its
// handshake still lasts. An empty file then ends the connection before that is
// over, without close_notify, and nobody can tell it from one that was cut.
//
// The moment is for packets that overtake each other on their way. To wait
// for the handshake's end however long it takes would cost a round trip a
// file. A client that begins TLS after the 150 is not waited for.
func (pr *Promise) AwaitFlight(ctx context.Context) {
	p := pr.ports
	if p.policy.noFlight || pr.dial.IsValid() { // which is dialled after the 150
		return
	}
	under, all := p.underWay(pr)
	if !all {
		// Not accepted yet, perhaps.
		p.catchUp(pr.place.port)
		under, _ = p.underWay(pr)
	}
	if len(under) == 0 {
		return
	}
	limit, stop := context.WithTimeout(ctx, p.cfg.flight)
	defer stop()
	for _, c := range under {
		c.until(limit, c.flew)
	}
	limit, stop = context.WithTimeout(ctx, p.cfg.rejoinder)
	defer stop()
	for _, c := range under {
		c.until(limit, c.over)
	}
}

// until waits until something has come of a connection's handshake, or that
// or ctx is over.
func (c *candidate) until(ctx context.Context, done <-chan struct{}) {
	select {
	case <-done:
	case <-c.over:
	case <-c.gone:
	case <-ctx.Done():
	}
}

// underWay returns the connections that may be for pr and whose handshake the
// client has begun and not ended, and reports whether that is all: see begun.
// There is none for a promise that has its own.
func (p *Ports) underWay(pr *Promise) (under []*candidate, all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pr.phase != waiting || pr.given || p.left() {
		return nil, true
	}
	all = p.begun(pr, func(c *candidate) {
		if c.nominee != nil && c.nominee != pr.session {
			return // it is somebody else's
		}
		select {
		case <-c.over:
		default:
			under = append(under, c)
		}
	})
	return under, all
}
