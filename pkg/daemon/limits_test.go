package daemon

import (
	"net/netip"
	"strings"
	"testing"

	"ftps/pkg/ftptest"
)

// full waits for the line about a connection that was not admitted.
func (h *host) full(t *testing.T, setting string) {
	t.Helper()
	line := h.log.wait(t, "turned-away")
	if why, _ := line["cause"].(string); !strings.Contains(why, setting) {
		t.Errorf("the log says %q, which does not name %s", why, setting)
	}
}

func TestNConnectionsAndNotOneMore(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.MaxConnections = 3
	d, _ := h.start()
	for range 3 {
		h.dial(d).Expect(220)
	}
	h.dial(d).Expect(421)
	h.full(t, "--max-connections")
}

func TestNConnectionsOfAnAddressAndNotOneMore(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.MaxPerAddress = 2
	d, _ := h.start()
	h.dial(d).Expect(220)
	h.dial(d).Expect(220)
	h.dial(d).Expect(421)
	h.full(t, "--max-connections-per-address")
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), d.Control().Port())
	c := ftptest.ConnectFrom(t, "127.0.0.2", to, h.dial(d).TLS)
	c.Expect(220) // another address is not shut out
}

func TestARefusedConnectionTakesNoRoom(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.MaxConnections = 1
	d, _ := h.start()
	h.login(d, "diego")
	for range 20 {
		h.dial(d).Expect(421)
	}
	if n := d.conns.Open(); n != 1 {
		t.Errorf("%d connections are counted, want 1", n)
	}
}
