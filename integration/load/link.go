package load

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Link is a wide area network between one client and a server: it listens on
// another address at the server's own ports, so that the numbers that EPSV
// tells hold on both sides, and passes everything on later.
//
// A connection costs its round trip as TCP has it: the first bytes of the
// client come one and a half after its connect, the server's greeting two.
// Slow start and loss are not played.
//
// It counts the round trips that depend on each other: what a side sends is
// half a round trip deeper than all that it had received by then. A slow
// machine takes longer over them, but it needs no more.
type Link struct {
	delay  time.Duration // one way
	lanes  [2]lane       // to the server, to the client
	depth  [2]atomic.Int64
	conns  atomic.Int64
	bytes  [2]atomic.Int64
	mu     sync.Mutex
	open   map[net.Conn]bool
	listen []net.Listener
	ended  sync.WaitGroup
	closed bool
}

// lane is one direction, which all connections share.
type lane struct {
	rate float64 // bytes a second; 0 is no limit
	mu   sync.Mutex
	free time.Time // when the last byte has left
}

const (
	up   = 0
	down = 1
	// window bounds what one connection has on its way in one direction, as
	// TCP's does.
	window = 4 << 20
)

// NewLink listens on addr at each of ports and passes on to the same ports of
// to. The round trip takes roundTrip; rate is in bytes a second each way, 0
// for no limit.
func NewLink(addr, to string, ports []string, roundTrip time.Duration, rate float64) (*Link, error) {
	l := &Link{delay: roundTrip / 2, open: map[net.Conn]bool{}}
	l.lanes[up].rate, l.lanes[down].rate = rate, rate
	for _, port := range ports {
		ln, err := net.Listen("tcp", net.JoinHostPort(addr, port))
		if err != nil {
			l.Close()
			return nil, err
		}
		l.listen = append(l.listen, ln)
		l.ended.Go(func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				l.ended.Go(func() { l.carry(c, net.JoinHostPort(to, port)) })
			}
		})
	}
	return l, nil
}

// RoundTrips returns how many round trips depended on each other so far.
func (l *Link) RoundTrips() float64 { return float64(l.depth[down].Load()) / 2 }

// Connections returns how many there were.
func (l *Link) Connections() int64 { return l.conns.Load() }

// Close ends everything.
func (l *Link) Close() {
	l.mu.Lock()
	l.closed = true
	for _, ln := range l.listen {
		ln.Close()
	}
	for c := range l.open {
		c.Close()
	}
	l.mu.Unlock()
	l.ended.Wait()
}

// hold remembers a connection for Close; false where that has been.
func (l *Link) hold(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c] = true
	return !l.closed
}

func (l *Link) drop(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
	c.Close()
}

func (l *Link) carry(client net.Conn, to string) {
	defer l.drop(client)
	if !l.hold(client) {
		return
	}
	l.conns.Add(1)
	born := time.Now()
	// What the client says on it is a round trip later than its connect.
	base := l.depth[down].Load() + 2
	sent := make(chan piece, 1<<14)
	room := newRoom()
	l.ended.Go(func() { l.read(client, up, base, born.Add(2*l.delay), sent, room) })
	defer room.end()

	time.Sleep(time.Until(born.Add(3 * l.delay))) // SYN, SYN ACK, ACK
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer l.drop(server)
	if !l.hold(server) {
		return
	}
	raise(&l.depth[up], base+1)
	back := make(chan piece, 1<<14)
	backRoom := newRoom()
	var both sync.WaitGroup
	both.Go(func() { l.write(server, client, up, sent, room) })
	both.Go(func() { l.read(server, down, 0, time.Time{}, back, backRoom) })
	both.Go(func() { l.write(client, server, down, back, backRoom) })
	both.Wait()
}

// piece is what was read, and when it is due on the other side.
type piece struct {
	data  []byte // empty for the end of the stream
	due   time.Time
	depth int64
}

// room counts the bytes on their way.
type room struct {
	mu   sync.Mutex
	cond *sync.Cond
	used int
	dead bool
}

func newRoom() *room {
	r := &room{}
	r.cond = sync.NewCond(&r.mu)
	return r
}

func (r *room) take(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.used > 0 && r.used+n > window && !r.dead {
		r.cond.Wait()
	}
	r.used += n
	return !r.dead
}

func (r *room) give(n int) {
	r.mu.Lock()
	r.used -= n
	r.mu.Unlock()
	r.cond.Signal()
}

func (r *room) end() {
	r.mu.Lock()
	r.dead = true
	r.mu.Unlock()
	r.cond.Signal()
}

// read takes what comes from c and gives each piece its hour. Its depth is
// one more than all that came to this side, the sender's, before.
func (l *Link) read(c net.Conn, way int, base int64, earliest time.Time, out chan<- piece, room *room) {
	defer close(out)
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		now := time.Now()
		if now.Before(earliest) {
			now = earliest
		}
		depth := max(base, l.depth[1-way].Load()) + 1
		if n > 0 {
			l.bytes[way].Add(int64(n))
			if !room.take(n) {
				return
			}
			out <- piece{append([]byte(nil), buf[:n]...), l.lanes[way].pass(now, n).Add(l.delay), depth}
		}
		if err != nil {
			if err == io.EOF {
				out <- piece{due: l.lanes[way].pass(now, 0).Add(l.delay), depth: depth}
			}
			return
		}
	}
}

// pass returns when n bytes that came now have left.
func (l *lane) pass(now time.Time, n int) time.Time {
	if l.rate == 0 {
		return now
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.After(l.free) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
	return l.free
}

// write hands over what is due.
func (l *Link) write(to, from net.Conn, way int, in <-chan piece, room *room) {
	ended := false
	for p := range in {
		time.Sleep(time.Until(p.due))
		raise(&l.depth[way], p.depth)
		if len(p.data) == 0 {
			to.(*net.TCPConn).CloseWrite()
			ended = true
			continue
		}
		_, err := to.Write(p.data)
		room.give(len(p.data))
		if err != nil {
			break
		}
	}
	if !ended {
		// Reset, or closed by Close: the other side learns of it.
		time.Sleep(l.delay)
		to.Close()
		from.Close()
	}
	room.end()
	for range in {
	}
}

func raise(v *atomic.Int64, to int64) {
	for {
		now := v.Load()
		if to <= now || v.CompareAndSwap(now, to) {
			return
		}
	}
}
