package daemon

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"ftps/pkg/admin"
	"ftps/pkg/limit"
)

// Ban implements [admin.Server].
func (d *Daemon) Ban(addr netip.Addr, span time.Duration) (kicked int) {
	d.bans.add(addr, span)
	for _, s := range d.server.Sessions() {
		if limit.Network(s.Remote.Addr()) == limit.Network(addr) && d.server.Kick(s.Number, d.text("console.reason.banned")) {
			kicked++
		}
	}
	return kicked
}

// Unban implements [admin.Server].
func (d *Daemon) Unban(addr netip.Addr) bool { return d.bans.remove(addr) }

// Bans implements [admin.Server].
func (d *Daemon) Bans() []admin.Ban { return d.bans.all() }

// bans are addresses that may not connect, IPv6 ones by their /64, and until
// when; zero is for good.
type bans struct {
	mu    sync.Mutex
	until map[netip.Addr]time.Time
}

func (b *bans) add(addr netip.Addr, span time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until == nil {
		b.until = make(map[netip.Addr]time.Time)
	}
	var end time.Time
	if span > 0 {
		end = time.Now().Add(span)
	}
	b.until[limit.Network(addr)] = end
}

func (b *bans) remove(addr netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget()
	_, ok := b.until[limit.Network(addr)]
	delete(b.until, limit.Network(addr))
	return ok
}

func (b *bans) has(addr netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	addr = limit.Network(addr)
	end, ok := b.until[addr]
	if ok && over(end) {
		delete(b.until, addr)
		return false
	}
	return ok
}

// all returns the bans that hold now, by address.
func (b *bans) all() []admin.Ban {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget()
	var all []admin.Ban
	for _, addr := range slices.SortedFunc(maps.Keys(b.until), netip.Addr.Compare) {
		all = append(all, admin.BanOf(addr, b.until[addr]))
	}
	return all
}

// forget drops what is over. The caller holds the lock.
func (b *bans) forget() {
	maps.DeleteFunc(b.until, func(_ netip.Addr, end time.Time) bool { return over(end) })
}

func over(end time.Time) bool { return !end.IsZero() && time.Now().After(end) }
