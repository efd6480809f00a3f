package daemon

import (
	"net"
	"sync"
)

// scrapersMost is how many connections the port of /metrics and /healthz has
// at once: it must not use up the descriptors that clients need.
const scrapersMost = 64

// few is a listener whose connections are so many at once; what comes beyond
// is closed. A place is held until its connection is closed.
type few struct {
	net.Listener
	room chan struct{}
}

func newFew(l net.Listener, most int) *few { return &few{l, make(chan struct{}, most)} }

func (f *few) Accept() (net.Conn, error) {
	for {
		conn, err := f.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case f.room <- struct{}{}:
			return &placed{Conn: conn, leave: sync.OnceFunc(func() { <-f.room })}, nil
		default:
			conn.Close()
		}
	}
}

type placed struct {
	net.Conn
	leave func()
}

func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}
