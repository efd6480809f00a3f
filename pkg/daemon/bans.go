package daemon

import (
	"cmp"
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
	for _, s := range d.Sessions() {
		if limit.Network(s.Remote.Addr()) == limit.Network(addr) && d.Kick(s.Number, d.text("console.reason.banned")) {
			kicked++
		}
	}
	return kicked
}

// Unban implements [admin.Server].
//
// What stood against the address is forgiven as well, or its next slip would
// ban it for twice as long.
func (d *Daemon) Unban(addr netip.Addr) bool {
	d.scores.Forget(addr)
	return d.bans.remove(addr)
}

// Bans implements [admin.Server].
func (d *Daemon) Bans() []admin.Ban { return d.bans.all() }

// bans are addresses that may not connect, IPv6 ones by their /64.
type bans struct {
	mu        sync.Mutex
	of        map[netip.Addr]ban
	automatic int // of them
	most      int // of those; 0 is mostAutomatic
}

type ban struct {
	until     time.Time // zero is for good
	automatic bool      // by the score, not by the administrator
}

// mostAutomatic bounds the bans that nobody asked for: whoever has a million
// addresses must not have the server remember them all.
const mostAutomatic = 16384

// add bans an address for the administrator.
func (b *bans) add(addr netip.Addr, span time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var end time.Time
	if span > 0 {
		end = time.Now().Add(span)
	}
	b.put(limit.Network(addr), ban{until: end})
}

// addAutomatic bans an address for its score. What the administrator said
// stays.
func (b *bans) addAutomatic(addr netip.Addr, span time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	addr = limit.Network(addr)
	if old, ok := b.of[addr]; ok && !old.automatic && !over(old.until) {
		return
	}
	most := cmp.Or(b.most, mostAutomatic)
	if b.automatic >= most {
		b.forget()
	}
	if b.automatic >= most {
		for other, old := range b.of {
			if old.automatic {
				b.drop(other)
				break
			}
		}
	}
	b.put(addr, ban{until: time.Now().Add(span), automatic: true})
}

// put and drop keep the count. The caller holds the lock.
func (b *bans) put(addr netip.Addr, one ban) {
	if b.of == nil {
		b.of = make(map[netip.Addr]ban)
	}
	b.drop(addr)
	b.of[addr] = one
	if one.automatic {
		b.automatic++
	}
}

func (b *bans) drop(addr netip.Addr) {
	if b.of[addr].automatic {
		b.automatic--
	}
	delete(b.of, addr)
}

func (b *bans) remove(addr netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget()
	_, ok := b.of[limit.Network(addr)]
	b.drop(limit.Network(addr))
	return ok
}

func (b *bans) has(addr netip.Addr) bool {
	banned, _ := b.find(addr)
	return banned
}

// find reports as well whether it was the score that banned.
func (b *bans) find(addr netip.Addr) (banned, automatic bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	addr = limit.Network(addr)
	one, ok := b.of[addr]
	if ok && over(one.until) {
		b.drop(addr)
		return false, false
	}
	return ok, one.automatic
}

// all returns the bans that hold now, by address.
func (b *bans) all() []admin.Ban {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget()
	var all []admin.Ban
	for _, addr := range slices.SortedFunc(maps.Keys(b.of), netip.Addr.Compare) {
		one := admin.BanOf(addr, b.of[addr].until)
		one.Automatic = b.of[addr].automatic
		all = append(all, one)
	}
	return all
}

// forget drops what is over. The caller holds the lock.
func (b *bans) forget() {
	for addr, one := range b.of {
		if over(one.until) {
			b.drop(addr)
		}
	}
}

func over(end time.Time) bool { return !end.IsZero() && time.Now().After(end) }

// give returns the bans for a successor, and take puts one in force there.
func (b *bans) give() (all []banBody) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget()
	for addr, one := range b.of {
		all = append(all, banBody{addr, one.until, one.automatic})
	}
	return all
}

func (b *bans) take(one banBody) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(limit.Network(one.Addr), ban{until: one.Until, automatic: one.Automatic})
}
