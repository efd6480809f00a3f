package daemon

import (
	"context"
	"net"
	"sync"
	"time"

	manager "github.com/coreos/go-systemd/v22/daemon"

	"ftps/pkg/catalog"
	"ftps/pkg/watch"
)

// Run serves until ctx ends or [Daemon.Stop]; then every session is told 421,
// and running transfers may finish for the grace period, or until now ends
// it. Everything is closed when it returns. It is called once.
func (d *Daemon) Run(ctx context.Context, now <-chan struct{}) error {
	defer close(d.over)
	serving, endServing := context.WithCancel(ctx)
	defer endServing()
	carrying, endCarrying := context.WithCancel(context.Background())
	defer endCarrying()
	// What one server alone may do, as against its successor.
	leading, endLeading := context.WithCancel(serving)
	defer endLeading()

	var all, front sync.WaitGroup
	if d.xferlog != nil {
		defer d.xferlog.Close()
	}
	defer d.closeHooks()
	defer d.queue.close() // last: it tells what the others do
	defer all.Wait()
	defer endCarrying()
	if d.born != nil {
		if err := d.succeed(ctx); err != nil {
			d.listeners.close()
			d.ports.Close()
			if d.socket != nil {
				d.socket.Keep() // it is the old server's
				d.socket.Close()
			}
			if d.metrics != nil {
				d.metrics.l.Close()
			}
			return err
		}
		all.Go(func() {
			defer context.AfterFunc(carrying, d.born.link.Shut)()
			d.heedElder()
		})
	}
	all.Go(func() { d.report("data", d.ports.Serve(carrying)) })
	front.Go(func() { d.report("control", d.server.Serve(serving, d.listeners.control, false)) })
	if l := d.listeners.implicit; l != nil {
		front.Go(func() { d.report("implicit", d.server.Serve(serving, l, true)) })
	}
	defer front.Wait()
	all.Go(func() { d.turnKeys(leading) })
	all.Go(func() { d.guard(leading) })
	all.Go(func() { d.keeper.Watch(serving) })
	if d.issuer != nil {
		all.Go(func() { d.issuer.Run(leading) })
		for _, l := range d.listeners.acme {
			all.Go(func() { d.report("acme", d.issuer.Serve(leading, l)) })
		}
	}
	all.Go(func() { _ = watch.File(serving, d.cfg.Users, watch.Stamp{}, d.rereadUsers) })
	if file := d.cfg.Settings; file != "" && d.cfg.Reread != nil {
		all.Go(func() { _ = watch.File(serving, file, d.settingsRead, func() { _, _ = d.Reload() }) }) // told to the log
	}
	all.Go(func() { d.sweep(serving) })
	if d.backend.store != nil {
		defer d.backend.store.Close()
		all.Go(func() { d.tendStore(serving) })
	}
	all.Go(func() { d.housekeeping(serving) })
	all.Go(func() { d.followPublic(serving) })
	if d.socket != nil {
		all.Go(func() { d.socket.Serve(leading, d, d.commanded) })
	}
	if d.metrics != nil {
		scraped, endScraped := context.WithCancel(carrying)
		defer endScraped()
		defer context.AfterFunc(leading, func() {
			if d.left.Load() {
				endScraped() // the successor is asked from now on
			}
		})()
		all.Go(func() { d.report("metrics", d.metrics.serve(scraped)) })
	}
	d.notify(manager.SdNotifyReady)
	d.notifyStatus()

	span := d.cfg.Grace
	if next := d.wait(ctx); next != nil {
		// Nothing that has come is lost: the loops end when what they have
		// accepted is here.
		retire(d.listeners.control)
		if d.listeners.implicit != nil {
			retire(d.listeners.implicit)
		}
		front.Wait()
		d.handOver(*next)
		endLeading()
		alone := make(chan struct{})
		all.Go(func() {
			defer context.AfterFunc(carrying, next.link.Shut)()
			d.heedHeir(next.link)
			close(alone)
		})
		span = d.waitForSessions(ctx, alone)
	} else {
		d.notify(manager.SdNotifyStopping)
	}
	endServing()
	d.log.Info("stopping")
	grace, cancel := context.WithTimeout(context.Background(), span)
	defer cancel()
	if now != nil {
		go func() {
			select {
			case <-now:
				cancel()
			case <-grace.Done():
			}
		}()
	}
	if err := d.server.Shutdown(grace); err != nil {
		d.log.Warn("cut", "cause", catalog.Explain(d.lang(), err))
	}
	d.ports.Close()
	return nil
}

// retire closes a port without cutting what has come to it.
func retire(l net.Listener) {
	if r, ok := l.(interface{ Retire() }); ok {
		r.Retire()
		return
	}
	l.Close()
}

// waitForSessions returns when an old server is to end, and how long
// transfers that are still running may take then.
func (d *Daemon) waitForSessions(ctx context.Context, alone <-chan struct{}) time.Duration {
	limit := time.NewTimer(d.cfg.DrainTimeout)
	defer limit.Stop()
	began := time.Now()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for d.conns.Open() > 0 {
		select {
		case <-ctx.Done():
			return d.cfg.Grace
		case <-d.stop:
			return d.cfg.Grace
		case <-limit.C:
			return d.cfg.Grace
		case <-alone: // no data connection comes any more
			return max(d.cfg.DrainTimeout-time.Since(began), d.cfg.Grace)
		case <-look.C:
		}
	}
	return d.cfg.Grace
}

// wait returns when the run is to end, or with the successor that is ready.
func (d *Daemon) wait(ctx context.Context) *handing {
	select {
	case <-ctx.Done():
		return nil
	case <-d.stop:
		return nil
	case next := <-d.handing:
		return &next
	case <-d.drain:
	}
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for d.conns.Open() > 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-d.stop:
			return nil
		case <-look.C:
		}
	}
	return nil
}

func (d *Daemon) report(where string, err error) {
	if err != nil {
		d.log.Error("listener", "where", where, "cause", catalog.Explain(d.lang(), err))
	}
}

// housekeeping ends the sessions of accounts that expire while it runs, and
// warns of certificates that do, once a day.
func (d *Daemon) housekeeping(ctx context.Context) {
	var warned time.Time
	var memory memory
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	often := time.NewTicker(2 * time.Second)
	defer often.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-often.C:
			memory.glance()
		case now := <-tick.C:
			d.expire(now)
			memory.look()
			if now.Sub(warned) >= 24*time.Hour {
				warned = now
				d.warnExpiring(now)
			}
			if !d.left.Load() {
				d.notifyStatus()
			}
		}
	}
}

func (d *Daemon) expire(now time.Time) {
	for u := range d.backend.verifier.List().All {
		if u.Expired(now) {
			d.server.KickAccount(u.Name, d.text("console.reason.expired"))
		}
	}
}
