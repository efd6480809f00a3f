package daemon

import (
	"io"
	"net"
	"testing"
	"time"

	"ftps/pkg/ftptest"
)

func TestAFloodAtThePortOfMetricsHoldsNoMoreConnectionsThanItHasPlacesFor(t *testing.T) {
	h := newHost(t)
	h.cfg.Metrics = "127.0.0.1:0"
	d, _ := h.start()
	held := scrapers(t, d)
	if len(held) > scrapersMost {
		t.Errorf("%d are held", len(held))
	}
	for _, conn := range held {
		conn.Close()
	}
	eventually(t, "room", func() bool {
		conn, err := net.Dial("tcp", d.metrics.l.Addr().String())
		if err != nil {
			return false
		}
		defer conn.Close()
		io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
		conn.SetReadDeadline(time.Now().Add(ftptest.Patience))
		n, _ := conn.Read(make([]byte, 1))
		return n > 0
	})
}

// The negative control.
func TestWithoutABoundAFloodAtThePortOfMetricsIsHeldWhole(t *testing.T) {
	h := newHost(t)
	h.cfg.Metrics = "127.0.0.1:0"
	d, _ := h.startWith(func(d *Daemon) { d.metrics.most = 10 * scrapersMost })
	if held := scrapers(t, d); len(held) != scrapersMost+20 {
		t.Errorf("%d are held: this shows nothing", len(held))
	}
}

// scrapers are the connections that stay, of 20 more than there should be
// places for.
func scrapers(t *testing.T, d *Daemon) (held []net.Conn) {
	for range scrapersMost + 20 {
		conn, err := net.Dial("tcp", d.metrics.l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		// A request, after which the connection may stay for the next one.
		if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			continue
		}
		conn.SetReadDeadline(time.Now().Add(ftptest.Patience))
		if n, _ := conn.Read(make([]byte, 1)); n == 0 {
			continue
		}
		held = append(held, conn)
	}
	return held
}
