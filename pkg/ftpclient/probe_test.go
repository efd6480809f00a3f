package ftpclient_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest"
	"ftps/pkg/ftptest/hostile"
)

func TestTheDataPortsThatAServerTellsAreReturnedAndReached(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: map[string]func(*hostile.Session, string) bool{
		"PASV": func(s *hostile.Session, _ string) bool {
			s.Listen()
			s.Reply(227, "Entering Passive Mode (10,0,0,7,1,2)")
			return true
		},
	}})
	c := login(t, s, nil)
	told, err := c.Passive(within(t), "PASV")
	if err != nil || told.String() != "10.0.0.7:258" {
		t.Errorf("PASV: %v, %v", told, err)
	}
	told, err = c.Passive(within(t), "EPSV")
	if err != nil || told.Addr().String() != "127.0.0.1" || told.Port() == 0 {
		t.Fatalf("EPSV: %v, %v", told, err)
	}
	if err := c.Reach(within(t), told.Port()); err != nil {
		t.Errorf("Reach: %v", err)
	}
	if err := c.Reach(within(t), netip.MustParseAddrPort(ftptest.Nobody(t)).Port()); !errors.Is(err, ftpclient.ErrConnect) {
		t.Errorf("a closed port: %v", err)
	}
	if _, err := c.Passive(within(t), "REIN"); !errors.Is(err, ftpclient.ErrLineRefused) {
		t.Errorf("REIN: %v", err)
	}
	inStep(t, c)
	if err := put(t, c, "/after", content(1000), ftpclient.StoreOptions{}); err != nil {
		t.Errorf("a transfer behind it: %v", err)
	}
}

func TestAFreshDataConnectionResumesNothing(t *testing.T) {
	s := hostile.Start(t, hostile.Options{RequireReuse: true})
	c := login(t, s, func(cfg *ftpclient.Config) { cfg.Fresh = true })
	err := put(t, c, "/x", content(10), ftpclient.StoreOptions{})
	var reply *ftpclient.ReplyError
	if !errors.As(err, &reply) || reply.Reply.Code != 522 {
		t.Errorf("%v, want 522", err)
	}
	inStep(t, c)
}

// A drop is what a cut connection looks like; our own server refuses it.
func TestADroppedUploadIsNotWhole(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := real(t, s, nil)
	u, err := c.Store(within(t), "/half", ftpclient.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(content(100_000)); err != nil {
		t.Fatal(err)
	}
	var reply *ftpclient.ReplyError
	if err := u.Drop(); !errors.As(err, &reply) || reply.Reply.Code != 426 {
		t.Errorf("%v, want 426", err)
	}
	if err := u.Close(); !errors.As(err, &reply) {
		t.Errorf("Close behind it: %v", err)
	}
	inStep(t, c)
}

// crypto/tls drops a session whose certificate is over. A server known by its
// key alone was then of no use if it wanted sessions resumed.
func TestASessionIsResumedThoughThePinnedKeysCertificateIsOver(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cert := hostile.Certificate(t, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
		})
		s := hostile.Start(t, hostile.Options{RequireReuse: true, Certificate: &cert, MaxVersion: version})
		c := login(t, s, func(cfg *ftpclient.Config) {
			cfg.TLS = &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error { return nil }}
		})
		for _, name := range []string{"/a", "/b"} {
			if err := put(t, c, name, content(1000), ftpclient.StoreOptions{}); err != nil {
				t.Errorf("%s: %v", tls.VersionName(version), err)
			}
		}
		// Where the dates do count they count as before.
		if _, err := ftpclient.Dial(within(t), config(s, nil)); ftpclient.Class(err) != ftpclient.TLSFailed {
			t.Errorf("an expired certificate, not pinned: %v", err)
		}
	}
}
