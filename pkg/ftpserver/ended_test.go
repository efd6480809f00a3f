package ftpserver_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
)

// A client that has a file's last bytes in its kernel's buffers and does not
// read them keeps the transfer at its end: that end is bounded, but a kick
// does not wait for it.
func TestAKickDoesNotWaitForTheEndOfATransfer(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	if code := c.Upload(noise(1<<20), "STOR f"); code != 226 {
		t.Fatal(code)
	}
	raw := c.OpenData(c.Passive())
	c.Send("RETR f")
	c.Expect(150)
	conn := c.Secure(raw)
	if _, err := io.ReadFull(conn, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	for s.FTP.Sessions()[0].Bytes < 1<<20 {
		time.Sleep(time.Millisecond) // all of it is on its way
	}
	kicked := time.Now()
	s.FTP.Kick(0, "testing")
	c.Expect(426)
	c.Expect(421)
	if took := time.Since(kicked); took > 3*time.Second {
		t.Errorf("the kick took %v", took)
	}
}

// Tickets of a session that was ended are good for nothing: the account's
// other sessions take tickets of each other.
func TestTicketsOfAKickedSessionAreWorthless(t *testing.T) {
	for _, kick := range []bool{true, false} {
		s := ftptest.Start(t, ftptest.Options{})
		first := s.Login(t, "diego", "secreto")
		if code := first.Upload([]byte("secret"), "STOR f"); code != 226 {
			t.Fatal(code)
		}
		if kick {
			s.FTP.Kick(0, "testing")
			first.Expect(421)
		} else {
			first.Cmd(221, "QUIT") // the control: leaving is no reason
		}
		first.ExpectClosed()

		c := s.Login(t, "diego", "secreto")
		port := c.Passive()
		old := first.Secure(c.OpenData(port))
		if err := old.Handshake(); err != nil {
			t.Fatal(err)
		}
		c.Send("RETR f")
		c.Expect(150)
		if !kick {
			if got, err := io.ReadAll(old); string(got) != "secret" {
				t.Errorf("the control: the old ticket got %q, %v: this shows nothing", got, err)
			}
			old.Close()
			c.Expect(226)
			continue
		}
		c.Expect(522)
		if got, _ := io.ReadAll(old); len(got) > 0 {
			t.Errorf("the ticket of a session that was ended got %q", got)
		}
	}
}

// Who is not admitted is counted by no limit but this one.
func TestARefusedFloodHoldsAFewDescriptorsOnly(t *testing.T) {
	full := errors.New("full")
	s := ftptest.Start(t, ftptest.Options{Implicit: true, Server: func(c *ftpserver.Config) {
		c.Admit = func(netip.Addr) (func(), error) { return nil, full }
		c.HandshakeTimeout = ftptest.Patience
	}})
	const flood = ftpserver.MaxRefusing + 50
	closed := make(chan error, flood)
	for range flood {
		conn, err := net.Dial("tcp", s.Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() { // says nothing
			conn.SetReadDeadline(time.Now().Add(2 * time.Second))
			_, err := conn.Read(make([]byte, 1))
			closed <- err
		}()
	}
	shut := 0
	for range flood {
		if err := <-closed; !errors.Is(err, os.ErrDeadlineExceeded) {
			shut++
		}
	}
	if shut != 50 {
		t.Errorf("%d were shut out at once, want 50", shut)
	}
}
