package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// names is a name server that a test moves.
type names struct {
	mu    sync.Mutex
	asked int
	addrs []netip.Addr
	err   error
	block bool
}

func (n *names) lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	n.asked++
	found, err, block := n.addrs, n.err, n.block
	n.mu.Unlock()
	if network != "ip4" || host != "ftp.example.org" {
		return nil, errors.New("asked for something else")
	}
	if block {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return found, err
}

// move changes what the name server says.
func (n *names) move(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

func (n *names) times() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

func addrs(words ...string) (list []netip.Addr) {
	for _, w := range words {
		list = append(list, netip.MustParseAddr(w))
	}
	return list
}

// followed is a daemon that does nothing but follow a name.
func followed(t *testing.T, server *names) (*Daemon, *book) {
	log := &book{more: make(chan struct{}, 1)}
	d := &Daemon{log: slog.New(slog.NewJSONHandler(log, nil)), public: newPublic("ftp.example.org")}
	d.public.lookup = server.lookup
	d.renewPublic(t.Context(), publicFirst)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.followPublic(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return d, log
}

func count(log *book, message string) (n int) {
	for _, line := range log.lines() {
		if line["msg"] == message {
			n++
		}
	}
	return n
}

func TestThePublicNameIsLookedUpAgainAndAChangeIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &names{addrs: addrs("192.0.2.1")}
		d, log := followed(t, server)
		if d.public.now() != addrs("192.0.2.1")[0] || server.times() != 1 {
			t.Fatalf("at the start: %v, asked %d times", d.public.now(), server.times())
		}
		time.Sleep(publicEvery + time.Second)
		if server.times() != 2 || count(log, "public-ip") != 1 {
			t.Errorf("unchanged: asked %d times, %d lines", server.times(), count(log, "public-ip"))
		}
		server.move(func() { server.addrs = addrs("192.0.2.2") })
		time.Sleep(publicEvery)
		if d.public.now() != addrs("192.0.2.2")[0] || count(log, "public-ip") != 2 {
			t.Errorf("after the change: %v\n%v", d.public.now(), log.lines())
		}
		if last := log.lines()[1]; last["address"] != "192.0.2.2" || last["before"] != "192.0.2.1" {
			t.Errorf("the log says %v", last)
		}
	})
}

func TestTheLastGoodAddressStaysWhileTheNameFailsAndIsAskedForSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &names{addrs: addrs("192.0.2.1")}
		d, log := followed(t, server)
		server.move(func() { server.err = &net.DNSError{Err: "no such host", Name: "ftp.example.org", IsNotFound: true} })
		time.Sleep(publicEvery + 10*publicRetry + time.Second)
		if d.public.now() != addrs("192.0.2.1")[0] || server.times() != 12 || count(log, "public-ip-kept") != 1 {
			t.Errorf("%v, asked %d times, %d lines", d.public.now(), server.times(), count(log, "public-ip-kept"))
		}
		server.move(func() { server.err = nil })
		time.Sleep(publicRetry)
		if count(log, "public-ip") != 2 {
			t.Error("that it is well again is not said")
		}
	})
}

func TestANameServerThatDoesNotAnswerHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &names{block: true}
		start := time.Now()
		d, _ := followed(t, server)
		if took := time.Since(start); took > publicFirst {
			t.Errorf("the start waited %v", took)
		}
		if d.public.now().IsValid() {
			t.Error("an address from nowhere")
		}
		server.move(func() { server.block, server.addrs = false, addrs("192.0.2.1") })
		time.Sleep(publicRetry + time.Second)
		server.move(func() { server.block = true })
		time.Sleep(publicEvery) // a look-up is under way
		before := time.Now()
		if d.public.now() != addrs("192.0.2.1")[0] || time.Since(before) != 0 {
			t.Errorf("%v after %v", d.public.now(), time.Since(before))
		}
	})
}

func TestOfSeveralAddressesTheOneThatIsToldStays(t *testing.T) {
	p := newPublic("ftp.example.org")
	server := &names{addrs: addrs("192.0.2.9", "127.0.1.1", "192.0.2.3", "0.0.0.0", "224.0.0.1")}
	p.lookup = server.lookup
	first, err := p.find(t.Context(), publicLimit)
	if err != nil || first != addrs("192.0.2.3")[0] {
		t.Fatal(first, err)
	}
	p.addr.Store(&addrs("192.0.2.9")[0])
	if again, err := p.find(t.Context(), publicLimit); err != nil || again != addrs("192.0.2.9")[0] {
		t.Errorf("%v, %v: changed without need", again, err)
	}
	server.addrs = addrs("127.0.1.1")
	if addr, err := p.find(t.Context(), publicLimit); err == nil {
		t.Errorf("took %v, where no client can go", addr)
	}
}

func TestCheckSaysThatThePublicNameIsUnknown(t *testing.T) {
	h := newHost(t)
	h.cfg.PublicIP = "no-such-host.invalid"
	wrong, _ := Check(h.cfg)
	if len(wrong) != 1 || !strings.Contains(wrong[0].Error(), "no-such-host.invalid") {
		t.Errorf("%v", wrong)
	}
}
