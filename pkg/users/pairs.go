package users

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"
)

// How long a good pair is remembered, and how many are.
const (
	pairAge = 15 * time.Minute
	pairMax = 1024
)

// pairs remembers logins that were good, so that a client with eight
// connections does not pay for eight bcrypt checks. What is kept is a MAC
// under a key that this process made and nobody else has; it is never
// written anywhere. A hit replaces the comparison, and nothing but that:
// whether the account may log in is asked before.
type pairs struct {
	key [32]byte

	mu      sync.Mutex
	entries map[pairID]*list.Element
	order   *list.List // of *pair, the oldest in front
}

type pairID struct {
	name string
	from netip.Addr
}

type pair struct {
	id    pairID
	mac   [sha256.Size]byte
	until time.Time
}

func newPairs() *pairs {
	p := &pairs{entries: make(map[pairID]*list.Element), order: list.New()}
	_, _ = rand.Read(p.key[:])
	return p
}

// network is what stands for an address here: IPv4 as it is, IPv6 its /64.
func network(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if !addr.Is6() {
		return addr
	}
	prefix, _ := addr.Prefix(64)
	return prefix.Addr()
}

// mac covers the bcrypt line as well: a changed password forgets the old one.
func (p *pairs) mac(u *User, password string, from netip.Addr) (mac [sha256.Size]byte) {
	h := hmac.New(sha256.New, p.key[:])
	for _, part := range []string{u.Name, u.Hash, password, from.String()} {
		// The length first, or "ab" "c" would be "a" "bc".
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	h.Sum(mac[:0])
	return mac
}

// known reports whether this very pair was good from this address of late.
func (p *pairs) known(u *User, password string, addr netip.Addr) bool {
	id := pairID{u.Name, network(addr)}
	mac := p.mac(u, password, id.from)
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.entries[id]
	if e == nil {
		return false
	}
	known := e.Value.(*pair)
	if !time.Now().Before(known.until) {
		p.remove(e)
		return false
	}
	return hmac.Equal(known.mac[:], mac[:])
}

// remember notes a pair that bcrypt found good.
func (p *pairs) remember(u *User, password string, addr netip.Addr) {
	id := pairID{u.Name, network(addr)}
	fresh := &pair{id, p.mac(u, password, id.from), time.Now().Add(pairAge)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.entries[id]; e != nil {
		p.remove(e)
	}
	if len(p.entries) >= pairMax {
		p.remove(p.order.Front())
	}
	p.entries[id] = p.order.PushBack(fresh)
}

func (p *pairs) remove(e *list.Element) {
	delete(p.entries, e.Value.(*pair).id)
	p.order.Remove(e)
}
