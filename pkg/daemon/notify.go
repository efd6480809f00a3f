package daemon

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	manager "github.com/coreos/go-systemd/v22/daemon"

	"ftps/pkg/event"
)

// notify tells the service manager how we are (sd_notify(3)); where there is
// none it does nothing.
func (d *Daemon) notify(state string) {
	if _, err := manager.SdNotify(false, state); err != nil {
		d.log.Debug("notify", "cause", err.Error())
	}
}

// notifyReloading says that a reload begins; READY says that it is over.
func (d *Daemon) notifyReloading() {
	d.notify(manager.SdNotifyReloading + "\n" + manager.SdNotifyMonotonicUsec())
}

func (d *Daemon) notifyStatus() {
	d.notify("STATUS=" + d.text("service.status", d.Control().String(), len(d.server.Sessions())))
}

// pulse proves that what the server stands on is alive: each loop that
// accepts connections beats when it comes round, and the pump of events when
// it carries an event through. The service manager hears from us only while
// all of them do.
type pulse struct {
	limit time.Duration // a loop that has not beaten for so long is dead

	mu    sync.Mutex
	beats map[string]*atomic.Int64
}

// newPulse returns nil where no service manager watches.
func newPulse() *pulse {
	limit, err := manager.SdWatchdogEnabled(false)
	if err != nil || limit <= 0 {
		return nil
	}
	return &pulse{limit: limit / 2, beats: make(map[string]*atomic.Int64)}
}

func (p *pulse) beat(name string) *atomic.Int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.beats[name] == nil {
		p.beats[name] = new(atomic.Int64)
		p.beats[name].Store(time.Now().UnixNano())
	}
	return p.beats[name]
}

// silent returns a loop that has not beaten in time, or "".
func (p *pulse) silent(now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, beat := range p.beats {
		if now.Sub(time.Unix(0, beat.Load())) > p.limit {
			return name
		}
	}
	return ""
}

// listen has a listener beat. It wakes up in between, for a port on which
// nobody calls is as alive as any.
func (p *pulse) listen(name string, l net.Listener) net.Listener {
	tcp, ok := l.(*net.TCPListener)
	if p == nil || !ok {
		return l
	}
	return &beating{tcp, p.beat(name), p.limit / 4}
}

type beating struct {
	*net.TCPListener
	beat  *atomic.Int64
	every time.Duration
}

func (b *beating) Accept() (net.Conn, error) {
	for {
		b.beat.Store(time.Now().UnixNano())
		b.SetDeadline(time.Now().Add(b.every))
		conn, err := b.TCPListener.Accept()
		if err, ok := err.(net.Error); ok && err.Timeout() {
			continue
		}
		return conn, err
	}
}

// pumped is what goes through the pump to show that it runs.
type pumped struct {
	event.Event
	beat *atomic.Int64
}

// guard tells the service manager that we live, as long as we do.
func (d *Daemon) guard(ctx context.Context) {
	if d.pulse == nil {
		return
	}
	pump := d.pulse.beat("events")
	tick := time.NewTicker(d.pulse.limit / 4)
	defer tick.Stop()
	dead := ""
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			d.queue.Handle(pumped{beat: pump})
			switch silent := d.pulse.silent(now); {
			case silent == "":
				d.notify(manager.SdNotifyWatchdog)
				dead = ""
			case silent != dead:
				dead = silent
				d.log.Error("watchdog", "where", silent)
			}
		}
	}
}
