package dataport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/fault"
	"ftps/pkg/layer"
)

// Ports are the shared data ports.
//
// One mutex guards all that decides who gets which connection: the stamps,
// the promises, the candidates, the queue. Nothing under it blocks; events
// and closings that might are put off until it is released, by [Ports.later]
// and [Ports.unlock].
type Ports struct {
	cfg     Config
	hello   *tls.Config // of every data connection, until its ClientHello is read
	numbers []int       // of the ports, as the listeners stand
	stop    chan struct{}
	live    sync.WaitGroup // connections that are not yet transfers
	policy  policy

	mu         sync.Mutex
	closed     bool
	counter    uint64 // of promises and connections, in the order of their age
	next       int    // where the rotation goes on
	stamps     registry
	places     map[place]*spot
	queue      []*waiter
	granting   bool
	want       spell                   // how long anybody has waited for a port
	looks      int                     // how often somebody's place was looked for
	candidates int                     // in all places
	other      shared                  // with an old server or a successor
	postponed  []func()                // to run when mu is released
	asking     map[int][]chan struct{} // by port: who waits until what has come there is let in
	held       map[int]bool            // by port: Accept is not to be brought back, something waits for it
}

// policy has the defences that a test switches off to see the attack succeed.
type policy struct {
	anyAccount bool // a connection goes to whoever waits at its place
	noAge      bool // a connection may take a promise that is younger
	noShadow   bool // no care after a promise that ended unused
	ticketsUp  bool // a ticket on every upload
	noLatch    bool // none on an upload, whoever reads
	noCatchUp  bool // what has come and is not accepted yet is not looked for
	noFlight   bool // a 150 does not wait for the answer to a ClientHello
}

// New returns the ports of a configuration. Nothing is accepted before Serve.
func New(cfg Config) *Ports {
	cfg.defaults()
	p := &Ports{
		cfg:    cfg,
		stop:   make(chan struct{}),
		places: make(map[place]*spot),
		asking: make(map[int][]chan struct{}),
		held:   make(map[int]bool),
		stamps: newRegistry(cfg.Remember, cfg.Stamps),
	}
	for _, l := range cfg.Listeners {
		p.numbers = append(p.numbers, int(addrPort(l.Addr()).Port()))
	}
	p.hello = cfg.TLS.Clone()
	p.hello.GetConfigForClient = configFor
	return p
}

// Numbers returns the numbers of the data ports.
func (p *Ports) Numbers() []int { return append([]int(nil), p.numbers...) }

// Serve accepts data connections until ctx ends or Close is called, and
// returns nil then. It returns when its goroutines have ended; connections
// that were taken are their owners'.
func (p *Ports) Serve(ctx context.Context) error {
	defer context.AfterFunc(ctx, p.Close)()
	var accepting sync.WaitGroup
	for i, l := range p.cfg.Listeners {
		accepting.Go(func() { p.accept(l, p.numbers[i]) })
	}
	accepting.Wait()
	p.mu.Lock()
	left := p.left()
	p.mu.Unlock()
	if left { // its connections are given to it
		<-p.stop
	}
	p.live.Wait()
	return nil
}

// Close closes the listeners and every connection that is not yet a transfer.
func (p *Ports) Close() {
	p.mu.Lock()
	defer p.unlock()
	if p.closed {
		return
	}
	p.closed = true
	close(p.stop)
	for _, l := range p.cfg.Listeners {
		l.Close()
	}
	for _, s := range p.stamps.byStamp {
		if s.promise != nil {
			p.end(s.promise, fault.Wrap(ErrEnded, "data.ended"))
		}
	}
	for _, sp := range p.places {
		for _, c := range sp.open {
			c.drop()
		}
	}
	p.grant()
}

// How long an Accept rests that failed for lack of descriptors or memory:
// such things pass, and a listener that gave up would not come back.
const (
	shortPause = 5 * time.Millisecond
	longPause  = time.Second
)

func (p *Ports) accept(l net.Listener, port int) {
	pause := shortPause
	held := false
	for {
		raw, err := l.Accept()
		if err == nil {
			pause = shortPause
			p.admit(raw, port)
		}
		if held {
			held = false
			p.letBack(l, port)
		}
		if err == nil {
			continue
		}
		select {
		case <-p.stop:
			return
		default:
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			held = p.caughtUp(l, port)
			continue
		}
		p.cfg.Sink.Handle(event.Trouble{Where: "data port", Err: err})
		timer := time.NewTimer(pause)
		select {
		case <-p.stop:
			timer.Stop()
			return
		case <-timer.C:
		}
		pause = min(2*pause, longPause)
	}
}

// catchUp waits until every connection that has come to a port is let in, or
// for a bounded time. Accept says nothing of where it stands, and what it has
// taken may be on its way to us; but a deadline that is over brings it back
// as soon as that is done.
func (p *Ports) catchUp(port int) {
	i := slices.Index(p.numbers, port)
	if i < 0 || p.policy.noCatchUp {
		return
	}
	l, ok := p.cfg.Listeners[i].(recallable)
	if !ok {
		return
	}
	limit := time.NewTimer(p.cfg.catchUp)
	defer limit.Stop()
	for waitingAt(l) {
		look := time.NewTimer(time.Millisecond)
		select {
		case <-look.C:
		case <-p.stop:
			return
		case <-limit.C:
			return
		}
	}
	back := p.recall(l, port)
	select {
	case <-back:
	case <-p.stop:
	case <-limit.C:
	}
}

// recallable is a listener of the system's.
type recallable interface {
	net.Listener
	SetDeadline(time.Time) error
}

// recall brings Accept back and returns what tells that it was.
func (p *Ports) recall(l recallable, port int) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	back := make(chan struct{})
	p.asking[port] = append(p.asking[port], back)
	if len(p.asking[port]) == 1 && !p.held[port] {
		l.SetDeadline(time.Unix(1, 0))
	}
	return back
}

// caughtUp tells those who asked that Accept has come back. Where something
// waits for it, it is held: it takes that before it is brought back again, or
// sessions that ask without end would close the port.
func (p *Ports) caughtUp(l net.Listener, port int) (held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.(recallable).SetDeadline(time.Time{})
	for _, back := range p.asking[port] {
		close(back)
	}
	delete(p.asking, port)
	held = waitingAt(l)
	p.held[port] = held
	return held
}

// letBack ends what caughtUp held.
func (p *Ports) letBack(l net.Listener, port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held[port] = false
	if len(p.asking[port]) > 0 {
		l.(recallable).SetDeadline(time.Unix(1, 0))
	}
}

// admit begins the life of a connection, or ends it where nobody waits for
// one from its address.
func (p *Ports) admit(raw net.Conn, port int) {
	peer := addrPort(raw.RemoteAddr())
	c := newCandidate(p, raw, peer, place{peer.Addr(), port})
	p.mu.Lock()
	cause := p.enter(c)
	p.unlock()
	if cause != nil {
		// A stranger's connection that is let in,
		// even to a handshake, can stop the one that is waited for.
		raw.Close()
		p.cfg.Sink.Handle(event.DataRefused{Peer: peer, Cause: cause})
		return
	}
	p.live.Go(func() {
		layer.Deepen()
		if !p.passOn(c) {
			p.examine(c)
		}
	})
}

// count returns the next number: what has a smaller one is older.
func (p *Ports) count() uint64 {
	p.counter++
	return p.counter
}

// later runs f when mu is released.
func (p *Ports) later(f func()) { p.postponed = append(p.postponed, f) }

// unlock releases mu and does what was put off.
func (p *Ports) unlock() {
	todo := p.postponed
	p.postponed = nil
	p.mu.Unlock()
	for _, f := range todo {
		f()
	}
}

// addrPort returns a TCP address in its canonical form: IPv4 that came
// through a dual-stack socket is IPv4.
func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
