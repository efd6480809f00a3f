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
	var held []net.Conn
	for range scrapersMost + 20 {
		conn, err := net.Dial("tcp", d.metrics.l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
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
