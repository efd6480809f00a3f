package integration

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// descriptors returns how many files the server has open.
func (s *server) descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		t.Skip("this machine does not tell what is open: ", err)
	}
	return len(entries)
}

// Sessions and transfers that are begun in every way and ended in none leave
// nothing open behind.
func TestAttackAbandonedConnections(t *testing.T) {
	s := startServer(t, []string{"diego", "secreto"})
	s.plant(t, "diego", "f", strings.Repeat("x", 8<<20))
	s.serves(t, "diego", "secreto")
	s.out.wait(t, `"msg":"disconnected"`)
	before := s.descriptors(t)
	var left []io.Closer
	for i := range 4 { // as many as there are data ports
		half := s.greeted(t, "")
		half.Cmd(234, "AUTH TLS")
		half.Write("\x16\x03\x01\x02") // of a hello
		left = append(left, half.Raw())

		c := s.enter(t, "", "diego", "secreto")
		left = append(left, c.Raw())
		raw := c.OpenData(c.Passive())
		left = append(left, raw)
		switch i {
		case 0: // a promise and a connection, and no command
		case 1: // a command and no handshake
			c.Send("RETR f")
			c.Expect(150)
		case 2: // a download that is not read
			c.Send("RETR f")
			c.Expect(150)
			if err := c.Secure(raw).Handshake(); err != nil {
				t.Fatal(err)
			}
		case 3: // an upload that does not go on
			c.Send("STOR up%d", i)
			c.Expect(150)
			if _, err := c.Secure(raw).Write(make([]byte, 100<<10)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if open := s.descriptors(t); open < before+len(left) {
		t.Fatalf("%d open with %d connections, %d before: this shows nothing", open, len(left), before)
	}
	for _, c := range left {
		switch c := c.(type) {
		case *tls.Conn:
			c.NetConn().(*net.TCPConn).SetLinger(0)
			c.NetConn().Close()
		case *net.TCPConn:
			c.SetLinger(0)
			c.Close()
		}
	}
	open := s.descriptors(t)
	for end := time.Now().Add(patience); open > before && time.Now().Before(end); open = s.descriptors(t) {
		time.Sleep(20 * time.Millisecond)
	}
	if open > before {
		t.Errorf("%d files are open, %d before", open, before)
	}
	s.serves(t, "diego", "secreto")
}
