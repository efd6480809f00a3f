//go:build interop

package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// gate stands between a client and a server, on an address of its own in
// 127.0.0.0/8: at the server's control port and at each of its data ports.
// EPSV names a port alone (RFC 2428 §3), so data connections come to the gate
// as well. It carries ciphertext, of which it sees where records end, and
// cuts where it is told to.
type gate struct {
	address   string // where it stands, and where its connections to the server come from
	control   int
	listeners []net.Listener

	mu    sync.Mutex
	plan  *cut
	acted bool
	links []*link // of the run under way, in order
}

// manner is how a stream ends.
type manner string

const (
	byFIN   manner = "cut (FIN)"
	byReset manner = "reset (RST)"
	byStall manner = "stalled"
)

// cut says when which stream ends, and how.
type cut struct {
	how     manner
	control bool // the control connection; else the one that is counted on
	at      spot
}

// spot is a place in one direction of one connection.
type spot struct {
	control bool  // on the first control connection
	data    int   // else on the data connection of this number
	up      bool  // towards the server
	record  int   // behind so many records, or
	byte    int64 // behind so many bytes, where record is negative
}

func (s spot) String() string {
	on, way, where := fmt.Sprintf("data connection %d", s.data), "down", fmt.Sprintf("record %d", s.record)
	if s.control {
		on = "control connection"
	}
	if s.up {
		way = "up"
	}
	if s.record < 0 {
		where = fmt.Sprintf("byte %d", s.byte)
	}
	return fmt.Sprintf("%s, %s, behind %s", on, way, where)
}

// link is one connection through the gate.
type link struct {
	client, server *net.TCPConn
	control        bool
	number         int // among its kind
	ways           [2]way
	pumps          sync.WaitGroup
	over           chan struct{} // closed when a stalled one may go on to its end

	mu    sync.Mutex
	ended manner
}

// way is what has passed in one direction.
type way struct {
	bytes   int64
	records records
}

// The directions.
const (
	down = iota
	up
)

// openGate listens until the test ends.
func openGate(t *testing.T, address string, control, first, last int) *gate {
	t.Helper()
	g := &gate{address: address, control: control}
	for _, port := range append([]int{control}, span(first, last)...) {
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address, port))
		must(t, err)
		g.listeners = append(g.listeners, l)
		go g.serve(l, port)
	}
	t.Cleanup(func() {
		for _, l := range g.listeners {
			l.Close()
		}
		g.reset()
	})
	return g
}

func span(first, last int) (list []int) {
	for p := first; p <= last; p++ {
		list = append(list, p)
	}
	return list
}

func (g *gate) serve(l net.Listener, port int) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(g.address)}, Timeout: patience}
		server, err := dialer.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			client.Close()
			continue
		}
		g.carry(&link{client: client.(*net.TCPConn), server: server.(*net.TCPConn), control: port == g.control, over: make(chan struct{})})
	}
}

func (g *gate) carry(l *link) {
	for i := range l.ways {
		l.ways[i].records.clear = l.control
	}
	g.mu.Lock()
	for _, other := range g.links {
		if other.control == l.control {
			l.number++
		}
	}
	g.links = append(g.links, l)
	l.pumps.Add(2)
	g.mu.Unlock()
	go g.pump(l, down, l.server, l.client)
	go g.pump(l, up, l.client, l.server)
}

// expect has the next run cut; nil lets all pass.
func (g *gate) expect(plan *cut) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.plan, g.acted = plan, false
}

// reset ends all that is left of a run and returns what passed. It waits for
// the server to end its side, so that the next run finds no session of the
// one before.
func (g *gate) reset() (links []*link, acted bool) {
	g.mu.Lock()
	links, acted = g.links, g.acted
	g.links, g.plan = nil, nil
	g.mu.Unlock()
	for _, l := range links {
		l.end(byFIN)
		l.server.SetReadDeadline(time.Now().Add(5 * time.Second))
		l.client.SetReadDeadline(time.Now().Add(time.Second))
	}
	for _, l := range links {
		l.pumps.Wait()
		l.client.Close()
		l.server.Close()
	}
	return links, acted
}

// end ends a link in the manner given. What is stalled can still end.
func (l *link) end(how manner) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case how == byStall && l.ended == "":
	case how != byStall && l.ended == byStall:
		close(l.over)
	case l.ended != "":
		return
	}
	l.ended = how
	switch how {
	case byFIN:
		l.client.CloseWrite()
		l.server.CloseWrite()
	case byReset:
		for _, c := range []*net.TCPConn{l.client, l.server} {
			c.SetLinger(0)
			c.Close()
		}
	}
}

func (l *link) state() manner {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

// pump carries one direction to its end.
func (g *gate) pump(l *link, dir int, from, to *net.TCPConn) {
	defer l.pumps.Done()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		b := buf[:n]
		for len(b) > 0 {
			if l.state() == byStall {
				<-l.over
			}
			k, plan := g.until(l, dir, b)
			if l.state() == "" {
				if _, err := to.Write(b[:k]); err != nil {
					l.end(byReset) // as the other side did
				}
			}
			b = b[k:]
			if plan != nil {
				g.act(l, plan)
			}
		}
		switch {
		case err == io.EOF && l.state() == "":
			to.CloseWrite()
			return
		case err == io.EOF:
			return
		case err != nil:
			if !errors.Is(err, net.ErrClosed) && l.state() == "" {
				l.end(byReset)
			}
			return
		}
	}
}

// until says how many bytes pass before the cut, and whether it is due then.
func (g *gate) until(l *link, dir int, b []byte) (n int, due *cut) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w, plan := &l.ways[dir], g.plan
	if g.acted || plan == nil || plan.at.control != l.control || plan.at.up != (dir == up) || !l.control && plan.at.data != l.number || l.control && l.number > 0 {
		plan = nil
	}
	for n < len(b) {
		if plan != nil && plan.at.record >= 0 && w.records.n >= plan.at.record && w.records.between() {
			g.acted = true
			return n, plan
		}
		k := w.records.take(b[n:])
		if plan != nil && plan.at.record < 0 && w.bytes+int64(k) >= plan.at.byte {
			k = int(plan.at.byte - w.bytes)
			w.bytes, n = plan.at.byte, n+k
			g.acted = true
			return n, plan
		}
		w.bytes += int64(k)
		n += k
	}
	return n, nil
}

func (g *gate) act(l *link, plan *cut) {
	if !plan.control {
		l.end(plan.how)
		return
	}
	g.mu.Lock()
	var control *link
	for _, other := range g.links {
		if other.control {
			control = other
			break
		}
	}
	g.mu.Unlock()
	control.end(plan.how)
}

// records follows the records of TLS: five bytes, of which the last two tell
// the length of what follows (RFC 8446 §5.1). A control connection begins in
// the clear, and each line counts as one, until AUTH is agreed on.
type records struct {
	clear  bool
	line   []byte
	header [5]byte
	have   int
	left   int
	n      int
}

// between reports whether the last byte that passed ended a record.
func (r *records) between() bool { return r.have == 0 && r.left == 0 && len(r.line) == 0 }

// take takes bytes, not beyond the end of a record, and returns how many.
func (r *records) take(b []byte) int {
	switch {
	case r.clear:
		k := bytes.IndexByte(b, '\n') + 1
		if k == 0 {
			k = len(b)
		}
		r.line = append(r.line, b[:k]...)
		if r.line[len(r.line)-1] == '\n' {
			r.clear = !bytes.HasPrefix(r.line, []byte("AUTH")) && !bytes.HasPrefix(r.line, []byte("234 "))
			r.line = nil
			r.n++
		}
		return k
	case r.left == 0:
		k := copy(r.header[r.have:], b)
		if r.have += k; r.have == len(r.header) {
			r.have, r.left = 0, int(r.header[3])<<8|int(r.header[4])
			if r.left == 0 {
				r.n++
			}
		}
		return k
	}
	k := min(r.left, len(b))
	if r.left -= k; r.left == 0 {
		r.n++
	}
	return k
}
