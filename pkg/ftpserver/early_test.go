package ftpserver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/event"
	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
)

// cause waits for the end of the session behind a local address and returns
// what the log is told of it.
func cause(t *testing.T, s *ftptest.Server, remote string) string {
	t.Helper()
	e := s.Events.Wait(t, "the end of "+remote, func(e event.Event) bool {
		end, ok := e.(event.Disconnected)
		return ok && end.Remote.String() == remote
	})
	return catalog.Explain(catalog.English, e.(event.Disconnected).Cause)
}

func TestNConnectionsMayBeSilentAndOneMoreClosesTheOldest(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) { c.MaxBeforeLogin = 3 }})
	in := s.Login(t, "diego", "secreto") // counts no more once it has logged in
	var silent []*ftptest.Conn
	for range 3 {
		c := s.Dial(t)
		c.Expect(220)
		silent = append(silent, c)
	}
	for _, c := range silent {
		c.Cmd(214, "HELP NOOP") // three are allowed
	}
	fourth := s.Dial(t)
	fourth.Expect(220)
	silent[0].ExpectClosed()
	if why := cause(t, s, silent[0].Raw().LocalAddr().String()); !strings.Contains(why, "--max-before-login") {
		t.Errorf("the log says %q", why)
	}
	silent[1].Cmd(214, "HELP NOOP")
	silent[2].Cmd(214, "HELP NOOP")
	fourth.Cmd(214, "HELP NOOP")
	in.Cmd(200, "NOOP")
}

func TestAFloodFromManyAddressesKeepsNobodyOutWhoLogsIn(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) { c.MaxBeforeLogin = 8 }})
	next := 0
	flood := func() { // fewer than there is room for between two steps
		for range 4 {
			next++
			s.DialFrom(t, fmt.Sprintf("127.0.1.%d", next)).Expect(220)
		}
	}
	// The honest ones share an address, which has more connections than any.
	var honest [3]*ftptest.Conn
	for i := range honest {
		honest[i] = s.Dial(t)
		honest[i].Expect(220)
	}
	flood()
	for _, c := range honest {
		c.Cmd(234, "AUTH TLS")
		c.StartTLS()
	}
	flood()
	for _, c := range honest {
		c.Login("diego", "secreto")
	}
	flood()
	for _, c := range honest {
		c.Cmd(200, "NOOP")
	}
}

func TestAHalfHandshakeMakesRoomToo(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) {
		c.MaxBeforeLogin, c.HandshakeTimeout = 1, time.Hour
	}})
	half := s.Dial(t)
	half.Expect(220)
	half.Cmd(234, "AUTH TLS")
	half.Write("\x16\x03\x01") // and no more of the hello
	s.Dial(t).Expect(220)
	half.ExpectClosed()
}

func TestEachClockNamesItsSettingInTheLog(t *testing.T) {
	t.Run("login", func(t *testing.T) {
		s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) { c.LoginTimeout = 50 * time.Millisecond }})
		c := s.Dial(t)
		c.ExpectClosed()
		if why := cause(t, s, c.Raw().LocalAddr().String()); !strings.Contains(why, "--login-timeout") {
			t.Errorf("the log says %q", why)
		}
	})
	t.Run("idle", func(t *testing.T) {
		s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) { c.IdleTimeout = 50 * time.Millisecond }})
		c := s.Dial(t)
		c.Expect(220)
		local := c.Raw().LocalAddr().String()
		c.Cmd(234, "AUTH TLS")
		c.StartTLS()
		c.Cmd(331, "USER diego")
		c.Cmd(230, "PASS secreto")
		c.ExpectClosed()
		if why := cause(t, s, local); !strings.Contains(why, "--idle-timeout") {
			t.Errorf("the log says %q", why)
		}
	})
	t.Run("handshake", func(t *testing.T) {
		s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) { c.HandshakeTimeout = 50 * time.Millisecond }})
		c := s.Dial(t)
		c.Expect(220)
		c.Cmd(234, "AUTH TLS")
		c.ExpectClosed()
		if why := cause(t, s, c.Raw().LocalAddr().String()); !strings.Contains(why, "--handshake-timeout") {
			t.Errorf("the log says %q", why)
		}
	})
	t.Run("stall", func(t *testing.T) {
		s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) { c.StallTimeout = 50 * time.Millisecond }})
		c := s.Login(t, "diego", "secreto")
		raw := c.OpenData(c.Passive())
		c.Send("STOR slow")
		c.Expect(150)
		if err := c.Secure(raw).Handshake(); err != nil {
			t.Fatal(err)
		}
		c.Expect(426)
		e := s.Events.Wait(t, "the transfer's end", func(e event.Event) bool { _, ok := e.(event.TransferDone); return ok })
		if why := catalog.Explain(catalog.English, e.(event.TransferDone).Cause); !strings.Contains(why, "--stall-timeout") {
			t.Errorf("the log says %q", why)
		}
	})
}

func TestREINGivesTimeToLogInAgainToWhoHadLoggedInOnly(t *testing.T) {
	t.Parallel()
	const limit = 1500 * time.Millisecond
	s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) { c.LoginTimeout = limit }})

	in := s.Login(t, "diego", "secreto")
	begun := time.Now()
	beat := time.NewTicker(50 * time.Millisecond)
	defer beat.Stop()
	for time.Since(begun) < limit { // its clock has run out long ago, and does not count
		<-beat.C
		in.Cmd(200, "NOOP")
	}
	in.Cmd(220, "REIN")
	in.Cmd(331, "USER diego")
	in.Cmd(230, "PASS secreto")

	out := s.Dial(t)
	out.Expect(220)
	out.Cmd(234, "AUTH TLS")
	out.StartTLS()
	begun = time.Now()
	for {
		<-beat.C
		out.Send("REIN")
		code, _, err := out.Read()
		if err != nil || code == 421 {
			break
		}
		if time.Since(begun) > ftptest.Patience/2 {
			t.Fatal("REIN keeps a session alive that never logs in")
		}
	}
}
