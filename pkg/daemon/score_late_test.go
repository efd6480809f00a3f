package daemon

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"ftps/pkg/ftptest"
)

// Through a slow proxy a data connection arrives when its command has been
// refused already, and nobody waits for it any more.
func TestFiftyMissingFilesThroughASlowProxyBanNobody(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.BanScore = 100
	d, _ := behind(h)
	const client = "203.0.113.77"
	c := h.loginThrough(d, header(client+":40000", front))
	late := func() {
		port := c.Passive()
		c.Cmd(550, "RETR missing")
		c.Cmd(226, "ABOR")
		c.Preface = says(header(client+":40001", front))
		conn := c.OpenData(port)
		conn.SetDeadline(time.Now().Add(ftptest.Patience))
		io.Copy(io.Discard, conn) // it is closed
		conn.Close()
	}
	for range 60 {
		late()
	}
	if n := d.scores.Points(netip.MustParseAddr(client)); n != 0 {
		t.Errorf("an honest client has %d points", n)
	}
	c.Cmd(257, "PWD")

	// One promise excuses one connection: the next one counts.
	port := c.Passive()
	c.Cmd(550, "RETR missing")
	c.Cmd(226, "ABOR")
	for range 2 {
		conn := c.OpenData(port)
		conn.SetDeadline(time.Now().Add(ftptest.Patience))
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	eventually(t, "points", func() bool { return d.scores.Points(netip.MustParseAddr(client)) > 0 })
}
