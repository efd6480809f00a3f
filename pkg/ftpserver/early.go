package ftpserver

import (
	"net/netip"
	"slices"
	"sync"

	"ftps/pkg/limit"
)

// early are the connections that have not logged in. There is room for so
// many: one more, and the oldest connection of the address that has the most
// of them has to go. So nobody keeps others out by opening connections and
// saying nothing: neither from one address nor from many, since whoever
// means to log in does so before his turn to go has come.
type early struct {
	most int

	mu        sync.Mutex
	total     int
	addresses map[netip.Addr][]*session // oldest first; IPv6 by its /64
}

// add notes a new connection and returns the one that has to go, or nil.
func (e *early) add(s *session) (out *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	addr := limit.Network(s.info.Remote.Addr())
	e.addresses[addr] = append(e.addresses[addr], s)
	if e.total++; e.total <= e.most {
		return nil
	}
	for _, list := range e.addresses {
		if out == nil || len(list) > len(e.addresses[limit.Network(out.info.Remote.Addr())]) ||
			len(list) == len(e.addresses[limit.Network(out.info.Remote.Addr())]) && list[0].info.Number < out.info.Number {
			out = list[0]
		}
	}
	e.drop(out)
	return out
}

// remove notes that a connection has logged in, or is gone.
func (e *early) remove(s *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drop(s)
}

func (e *early) drop(s *session) {
	addr := limit.Network(s.info.Remote.Addr())
	list := e.addresses[addr]
	i := slices.Index(list, s)
	if i < 0 {
		return
	}
	e.total--
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(e.addresses, addr)
		return
	}
	e.addresses[addr] = list
}
