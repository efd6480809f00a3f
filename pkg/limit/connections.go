package limit

import (
	"errors"
	"net/netip"
	"sync"

	"ftps/pkg/fault"
)

// ErrFull is what every refusal of [Connections] is.
var ErrFull = errors.New("limit: too many connections")

// Connections counts what is open, in all, by address and by account. A
// limit of n admits n and refuses the next; 0 is no limit.
type Connections struct {
	total      int
	perAddress int

	mu        sync.Mutex
	open      int
	addresses map[netip.Addr]int
	accounts  map[string]int
}

// NewConnections returns a counter with a limit for all connections and one
// for those of a single address (IPv6: of a /64).
func NewConnections(total, perAddress int) *Connections {
	return &Connections{
		total:      total,
		perAddress: perAddress,
		addresses:  make(map[netip.Addr]int),
		accounts:   make(map[string]int),
	}
}

// Limit changes the limits. Connections beyond them stay; new ones wait for
// their end.
func (c *Connections) Limit(total, perAddress int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total, c.perAddress = total, perAddress
}

// Admit counts a connection from addr, or refuses it with an error that is
// ErrFull. The connection's end calls release; a second call does nothing.
func (c *Connections) Admit(addr netip.Addr) (release func(), err error) {
	addr = Network(addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.total > 0 && c.open >= c.total {
		return nil, fault.Wrap(ErrFull, "users.full.server", c.total)
	}
	if c.perAddress > 0 && c.addresses[addr] >= c.perAddress {
		return nil, fault.Wrap(ErrFull, "users.full.address", c.perAddress)
	}
	c.open++
	c.addresses[addr]++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.open--
		decrease(c.addresses, addr)
	}), nil
}

// Account counts a session of the account name, of which most may be open,
// or refuses it with an error that is ErrFull. The limit is an argument
// because it belongs to the account and may change while sessions are open.
func (c *Connections) Account(name string, most int) (release func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if most > 0 && c.accounts[name] >= most {
		return nil, fault.Wrap(ErrFull, "users.full.account", most)
	}
	c.accounts[name]++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		decrease(c.accounts, name)
	}), nil
}

// Open returns the number of connections that are counted now.
func (c *Connections) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// decrease forgets what has fallen to zero: the maps are bounded by what is
// open, not by everyone who ever came.
func decrease[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}
