package daemon

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/fault"
)

// When a public name is looked up: the first time before the server listens
// to anybody, for a moment only; then for as long as it runs.
const (
	publicFirst = 3 * time.Second  // that a start waits for the name
	publicLimit = 10 * time.Second // for one look-up later on
	publicEvery = 5 * time.Minute  // after one that found an address
	publicRetry = 30 * time.Second // after one that failed
)

// public is the address to tell in PASV. Where a name was given it is looked
// up beside the sessions; PASV reads the last address found and never waits.
type public struct {
	name   string // "" where nothing was given, or an address
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
	addr   atomic.Pointer[netip.Addr]
	failed bool // of the goroutine that looks up: the last time
}

func newPublic(nameOrAddr string) *public {
	p := &public{lookup: net.DefaultResolver.LookupNetIP}
	if addr, err := netip.ParseAddr(nameOrAddr); err == nil {
		p.addr.Store(&addr)
	} else {
		p.name = nameOrAddr
	}
	return p
}

// now returns the address, or the zero Addr as long as none is known.
func (p *public) now() netip.Addr {
	if addr := p.addr.Load(); addr != nil {
		return *addr
	}
	return netip.Addr{}
}

// find looks the name up once and returns an address to tell. Of several the
// one that is told already stays, so that a name with many does not have
// them told in turn.
func (p *public) find(ctx context.Context, limit time.Duration) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	// PASV has room for IPv4 alone (RFC 959 §4.1.2).
	found, err := p.lookup(ctx, "ip4", p.name)
	if err != nil {
		return netip.Addr{}, fault.Wrap(err, "cli.server.public.lookup", p.name, err)
	}
	var usable []netip.Addr
	for _, addr := range found {
		// A machine's own name often leads to 127.0.1.1, which is of no use
		// to anybody else.
		if addr = addr.Unmap(); addr.Is4() && !addr.IsUnspecified() && !addr.IsLoopback() && !addr.IsMulticast() {
			usable = append(usable, addr)
		}
	}
	switch {
	case len(usable) == 0:
		return netip.Addr{}, fault.New("cli.server.public.none", p.name)
	case slices.Contains(usable, p.now()):
		return p.now(), nil
	}
	return slices.MinFunc(usable, netip.Addr.Compare), nil
}

// renewPublic looks the name up and puts what it finds in force; a failure
// leaves the last good address. It returns when to come back.
func (d *Daemon) renewPublic(ctx context.Context, limit time.Duration) time.Duration {
	p := d.public
	addr, err := p.find(ctx, limit)
	if err != nil {
		if !p.failed && ctx.Err() == nil { // once, not every time
			d.log.Warn("public-ip-kept", "name", p.name, "address", p.text(), "cause", catalog.Explain(d.lang(), err))
		}
		p.failed = true
		return publicRetry
	}
	if before := p.now(); p.failed || before != addr {
		was := p.text()
		p.addr.Store(&addr)
		d.log.Info("public-ip", "name", p.name, "address", addr.String(), "before", was)
	}
	p.failed = false
	return publicEvery
}

// text is the address for the log.
func (p *public) text() string {
	if addr := p.now(); addr.IsValid() {
		return addr.String()
	}
	return ""
}

// followPublic keeps the address of a name up to date until ctx ends.
func (d *Daemon) followPublic(ctx context.Context) {
	if d.public.name == "" {
		return
	}
	next := publicEvery
	if d.public.failed {
		next = publicRetry
	}
	for {
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			next = d.renewPublic(ctx, publicLimit)
		}
	}
}
