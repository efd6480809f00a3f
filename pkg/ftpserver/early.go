package ftpserver

import (
	linked "container/list"
	"sync"
)

// early are the connections that have not logged in. There is room for so
// many: one more, and the one that has stood still for the longest has to go.
// So nobody keeps others out by opening connections and saying nothing, from
// however many addresses: whoever means to log in takes the next step before
// his turn to go has come. Only the steps of a login count as such, each of
// which can be taken once or a few times.
//
// To make the address go that has the most connections would be wrong: in a
// flood from many addresses that is the one with a few honest clients.
type early struct {
	most int

	mu    sync.Mutex
	order linked.List // of *session: who stands still for the longest is first
	at    map[*session]*linked.Element
}

// add notes a new connection and returns the one that has to go, or nil.
func (e *early) add(s *session) (out *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.at[s] = e.order.PushBack(s)
	if e.order.Len() <= e.most {
		return nil
	}
	out = e.order.Front().Value.(*session)
	e.drop(out)
	return out
}

// limit changes how many there may be. It holds for who comes next.
func (e *early) limit(most int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.most = most
}

// step notes that a connection has taken a step of the login.
func (e *early) step(s *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at := e.at[s]; at != nil {
		e.order.MoveToBack(at)
	}
}

// remove notes that a connection has logged in, or is gone.
func (e *early) remove(s *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drop(s)
}

func (e *early) drop(s *session) {
	if at := e.at[s]; at != nil {
		e.order.Remove(at)
		delete(e.at, s)
	}
}
