package mirror

import (
	"context"
	"errors"
	"sync"

	"ftps/pkg/ftpclient"
)

// Pool has the connections of a transfer. It learns how many the server
// allows: one refused beside others that live is the limit, not a failure.
// Whoever holds a connection must not ask for a second one.
type Pool struct {
	dial  func(ctx context.Context) (*ftpclient.Conn, error)
	first *ftpclient.Conn // the caller's, not closed here

	mu      sync.Mutex
	idle    []*ftpclient.Conn
	open    int // idle, lent out, or being dialled
	limit   int
	closed  bool
	changed chan struct{} // closed and replaced whenever a waiter should look again
}

// NewPool returns a pool of at most max connections: first, if not nil, and
// those that dial makes.
func NewPool(first *ftpclient.Conn, dial func(ctx context.Context) (*ftpclient.Conn, error), max int) *Pool {
	p := &Pool{dial: dial, first: first, limit: max, changed: make(chan struct{})}
	if first != nil {
		p.idle, p.open = append(p.idle, first), 1
	}
	if dial == nil {
		p.limit = 1
	}
	return p
}

// Limit returns how many connections there may be, as far as is known.
func (p *Pool) Limit() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit
}

// Get lends a connection: an idle one, a new one, or the next that comes
// back.
func (p *Pool) Get(ctx context.Context) (*ftpclient.Conn, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c, dial, wait := p.take()
		switch {
		case c != nil:
			return c, nil
		case dial:
			c, again, err := p.connect(ctx)
			if err != nil && !again {
				return nil, err
			}
			if c != nil {
				return c, nil
			}
		case wait == nil:
			return nil, ftpclient.ErrClosed
		default:
			select {
			case <-wait:
			case <-ctx.Done():
			}
		}
	}
}

// More makes one more connection, for whoever asks next, if there may be one.
// Who takes work only afterwards leaves it meanwhile to those that have a
// connection: at a distance a login takes longer than many small files. Why
// none was made the next Get will find out for itself.
func (p *Pool) More(ctx context.Context) {
	p.mu.Lock()
	more := p.dial != nil && !p.closed && p.open < p.limit
	if more {
		p.open++
	}
	p.mu.Unlock()
	if !more {
		return
	}
	if c, _, err := p.connect(ctx); err == nil {
		p.Put(c)
	}
}

// take decides how a Get goes on: with a connection, by dialling, or by
// waiting.
func (p *Pool) take() (c *ftpclient.Conn, dial bool, wait <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if c.Usable() {
			return c, false, nil
		}
		p.open--
	}
	switch {
	case p.closed, p.dial == nil && p.open == 0:
		return nil, false, nil
	case p.dial != nil && p.open < p.limit:
		p.open++
		return nil, true, nil
	}
	return nil, false, p.changed
}

// connect dials into the place that take has kept. again means that the
// server has enough of us: the others go on without this one.
func (p *Pool) connect(ctx context.Context) (c *ftpclient.Conn, again bool, err error) {
	c, err = p.dial(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil && p.closed:
		c.Close()
		return nil, false, ftpclient.ErrClosed
	case err == nil:
		return c, false, nil
	}
	p.open--
	p.wake()
	if p.open > 0 && ctx.Err() == nil && enough(err) {
		p.limit = p.open
		return nil, true, err
	}
	return nil, false, err
}

// enough reports whether a server may have refused a connection for there
// being others: it says 421 or 530, or does not answer the door.
func enough(err error) bool {
	var reply *ftpclient.ReplyError
	if errors.As(err, &reply) {
		return reply.Reply.Code == 421 || reply.Reply.Code == 530
	}
	return errors.Is(err, ftpclient.ErrConnect) || errors.Is(err, ftpclient.ErrLost)
}

// Put takes a connection back.
func (p *Pool) Put(c *ftpclient.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !c.Usable():
		p.open--
	case p.closed && c != p.first:
		p.open--
		c.Close()
	default:
		p.idle = append(p.idle, c)
	}
	p.wake()
}

func (p *Pool) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Close closes what is idle, and the rest as it comes back.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		if c != p.first {
			c.Close()
		}
	}
	p.idle = nil
	p.wake()
}
