package ftpclient_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
)

// The tests in this file are the other half of those about attacks: with one
// guard switched off, the attack must succeed. Otherwise the test of that
// guard would prove nothing.

func TestControlWithoutStrictEOFACutFilePasses(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"RETR": func(s *hostile.Session, _ string) bool {
		s.Reply(150, "go")
		tc, raw, _, err := s.Data()
		if err != nil {
			t.Error(err)
			return true
		}
		tc.Write(content(100))
		raw.(interface{ CloseWrite() error }).CloseWrite()
		io.Copy(io.Discard, raw)
		raw.Close()
		s.Reply(226, "all sent")
		return true
	}}})
	c := login(t, s, nil)
	c.WithoutStrictEOF()
	if _, err := get(t, c, "/f", 0); err != nil {
		t.Errorf("it was noticed: %v", err)
	}
}

func TestControlWithoutAnOrderlyEndTheTailIsLost(t *testing.T) {
	want := content(3 << 20)
	got := make(chan int, 1)
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"STOR": func(c *hostile.Session, _ string) bool {
		c.Reply(150, "go")
		tc, _, _, err := c.Data()
		if err != nil {
			t.Error(err)
			return true
		}
		var b bytes.Buffer
		for {
			time.Sleep(2 * time.Millisecond)
			if _, err = io.CopyN(&b, tc, 64<<10); err != nil {
				break
			}
		}
		tc.Close()
		got <- b.Len()
		c.Reply(226, "stored")
		return true
	}}})
	c := login(t, s, nil)
	c.WithoutOrderlyEnd()
	put(t, c, "/slow", want, ftpclient.StoreOptions{})
	if n := <-got; n == len(want) {
		t.Error("nothing was lost")
	}
}

func TestControlWithoutTheSameKeyASecondCertificatePasses(t *testing.T) {
	other := hostile.Certificate(t)
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"RETR": func(s *hostile.Session, _ string) bool {
		s.Reply(150, "go")
		raw, err := s.TCP()
		if err != nil {
			t.Error(err)
			return true
		}
		tc := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{other}})
		tc.Write([]byte("not the file"))
		tc.CloseWrite()
		io.Copy(io.Discard, tc)
		tc.Close()
		s.Reply(226, "done")
		return true
	}}})
	s.Roots.AddCert(other.Leaf)
	c := login(t, s, nil)
	c.WithoutSameKey()
	if b, err := get(t, c, "/f", 0); err != nil || string(b) != "not the file" {
		t.Errorf("it was noticed: %q, %v", b, err)
	}
}

func TestControlWithDataTicketsAStrictServerRefuses(t *testing.T) {
	s := hostile.Start(t, hostile.Options{RequireReuse: true})
	s.Put("/f", content(10), time.Now())
	c := login(t, s, nil)
	c.WithDataTickets()
	for range 3 {
		if _, err := get(t, c, "/f", 0); err != nil {
			return
		}
	}
	t.Error("the data connections' own tickets were accepted")
}
