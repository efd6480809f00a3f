package ftpclient_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest"
	"ftps/pkg/ftptest/hostile"
)

// clear answers a client without TLS: what a man in the middle can do before
// the handshake. It plays one dialogue and hangs up.
func clear(t *testing.T, play func(say func(string), hear func() string)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := l.Accept()
		if err != nil {
			return
		}
		defer raw.Close()
		raw.SetDeadline(time.Now().Add(time.Minute))
		lines := ftp.NewLineReader(raw, 4096)
		play(func(s string) { io.WriteString(raw, s) },
			func() string { b, _ := lines.ReadLine(); return string(b) })
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func TestNothingIsSentToAServerThatHasNoTLS(t *testing.T) {
	heard := make(chan string, 1)
	addr := clear(t, func(say func(string), hear func() string) {
		say("220 hello\r\n")
		hear()
		say("502 what is AUTH?\r\n")
		heard <- hear()
	})
	_, err := ftpclient.Dial(within(t), ftpclient.Config{Address: addr})
	var tlsErr *ftpclient.TLSError
	if !errors.As(err, &tlsErr) || ftpclient.Class(err) != ftpclient.TLSFailed {
		t.Errorf("got %v (class %d)", err, ftpclient.Class(err))
	}
	if line := <-heard; line != "" {
		t.Errorf("the client went on with %q", line)
	}
}

func TestBytesBehindTheReplyToAUTHEndTheConnection(t *testing.T) {
	addr := clear(t, func(say func(string), hear func() string) {
		say("220 hello\r\n")
		hear()
		say("234 go\r\n230 you are logged in already\r\n")
		hear()
	})
	if _, err := ftpclient.Dial(within(t), ftpclient.Config{Address: addr}); !errors.Is(err, ftpclient.ErrInjected) {
		t.Errorf("got %v", err)
	}
}

func TestEndlessRepliesAreBounded(t *testing.T) {
	for name, flood := range map[string]string{
		"lines without an end":  strings.Repeat("x", 1<<20),
		"a reply of many lines": "220-hello\r\n" + strings.Repeat(" more\r\n", 100_000),
		"preliminary replies":   strings.Repeat("120 wait\r\n", 100_000),
		"not FTP":               "SSH-2.0-OpenSSH\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			addr := clear(t, func(say func(string), hear func() string) { say(flood) })
			_, err := ftpclient.Dial(within(t), ftpclient.Config{Address: addr})
			var protocol *ftpclient.ProtocolError
			if !errors.As(err, &protocol) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestASilentServerTimesOut(t *testing.T) {
	for name, say220 := range map[string]bool{"before the greeting": false, "after it": true} {
		t.Run(name, func(t *testing.T) {
			addr := clear(t, func(say func(string), hear func() string) {
				if say220 {
					say("220 hello\r\n")
				}
				hear()
				hear()
			})
			_, err := ftpclient.Dial(within(t), ftpclient.Config{Address: addr, Timeout: 200 * time.Millisecond})
			if ftpclient.Class(err) != ftpclient.TimedOut {
				t.Errorf("got %v (class %d)", err, ftpclient.Class(err))
			}
		})
	}
}

func TestNobodyListening(t *testing.T) {
	_, err := ftpclient.Dial(within(t), ftpclient.Config{Address: ftptest.Nobody(t)})
	if !errors.Is(err, ftpclient.ErrConnect) || ftpclient.Class(err) != ftpclient.CannotConnect {
		t.Errorf("got %v (class %d)", err, ftpclient.Class(err))
	}
}

func TestAnUnknownCertificateIsRefusedBeforeUSER(t *testing.T) {
	s := hostile.Start(t, hostile.Options{})
	_, err := ftpclient.Dial(within(t), config(s, func(cfg *ftpclient.Config) { cfg.TLS = nil }))
	if ftpclient.Class(err) != ftpclient.TLSFailed {
		t.Errorf("got %v (class %d)", err, ftpclient.Class(err))
	}
	if s.Count("USER") != 0 {
		t.Error("USER was sent")
	}
}

// pinned admits one key alone, as a pin does, and counts how often it is
// asked.
func pinned(s *hostile.Server, want *x509.Certificate, asked *int) *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			*asked++
			if string(cs.PeerCertificates[0].RawSubjectPublicKeyInfo) != string(want.RawSubjectPublicKeyInfo) {
				return errors.New("another key")
			}
			return nil
		},
	}
}

func TestASecondCertificateOnTheDataConnectionIsRefused(t *testing.T) {
	// Trusted by the client's roots, and yet not the control's key.
	other := hostile.Certificate(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s := hostile.Start(t, hostile.Options{MaxVersion: version, Hooks: hooks{"RETR": func(s *hostile.Session, _ string) bool {
			s.Reply(150, "go")
			raw, err := s.TCP()
			if err != nil {
				t.Error(err)
				return true
			}
			tc := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{other}, MaxVersion: version})
			tc.Write([]byte("not the file"))
			tc.Close()
			s.Reply(226, "done")
			return true
		}}})
		s.Roots.AddCert(other.Leaf)
		c := login(t, s, nil)
		b, err := get(t, c, "/f", 0)
		if !errors.Is(err, ftpclient.ErrOtherKey) || ftpclient.Class(err) != ftpclient.TLSFailed {
			t.Errorf("%s: got %q, %v (class %d)", tls.VersionName(version), b, err, ftpclient.Class(err))
		}
		inStep(t, c)
	}
}

func TestAPinIsAskedForOnceAndHoldsForDataToo(t *testing.T) {
	s := hostile.Start(t, hostile.Options{RequireReuse: true})
	s.Put("/f", content(10), time.Now())
	asked := 0
	leaf := certificateOf(t, s)
	c := login(t, s, func(cfg *ftpclient.Config) { cfg.TLS = pinned(s, leaf, &asked) })
	if _, err := get(t, c, "/f", 0); err != nil {
		t.Fatal(err)
	}
	if asked != 1 {
		t.Errorf("the pin was asked for %d times", asked)
	}
	_, err := ftpclient.Dial(within(t), config(s, func(cfg *ftpclient.Config) {
		cfg.TLS = pinned(s, hostile.Certificate(t).Leaf, &asked)
	}))
	if ftpclient.Class(err) != ftpclient.TLSFailed {
		t.Errorf("another pin: %v (class %d)", err, ftpclient.Class(err))
	}
}

func certificateOf(t *testing.T, s *hostile.Server) *x509.Certificate {
	c := dial(t, s, nil)
	return c.TLS().PeerCertificates[0]
}

func TestPASVToElsewhereIsNotFollowed(t *testing.T) {
	// The reply names an address that nobody should be sent to.
	s := hostile.Start(t, hostile.Options{Hooks: hooks{
		"EPSV": refuse("EPSV", 502)["EPSV"],
		"PASV": func(s *hostile.Session, _ string) bool {
			if err := s.Listen(); err != nil {
				t.Error(err)
			}
			s.Reply(227, fmt.Sprintf("Entering Passive Mode (192,0,2,1,%d,%d)", s.Port()>>8, s.Port()&0xff))
			return true
		},
	}})
	s.Put("/f", content(10), time.Now())
	var dialled []string
	c := login(t, s, func(cfg *ftpclient.Config) {
		cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled = append(dialled, address)
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}
	})
	if _, err := get(t, c, "/f", 0); err != nil {
		t.Errorf("get: %v", err)
	}
	for _, address := range dialled {
		if !strings.HasPrefix(address, "127.0.0.1:") {
			t.Errorf("dialled %s", address)
		}
	}
}

func TestAFilterThatBlocksEPSVIsLearnedOnce(t *testing.T) {
	s := hostile.Start(t, hostile.Options{})
	s.Put("/f", content(10), time.Now())
	first := true
	c := login(t, s, func(cfg *ftpclient.Config) {
		control := cfg.Address
		cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != control && first {
				first = false
				return nil, &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}
	})
	for range 3 {
		if _, err := get(t, c, "/f", 0); err != nil {
			t.Fatal(err)
		}
	}
	if epsv, pasv := s.Count("EPSV"), s.Count("PASV"); epsv != 1 || pasv != 3 {
		t.Errorf("%d EPSV and %d PASV, want 1 and 3", epsv, pasv)
	}
}

func TestAStrangerOnTheActivePortIsSentAway(t *testing.T) {
	stranger := make(chan error, 1)
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"EPRT": func(s *hostile.Session, arg string) bool {
		ap, err := ftp.ParseEPRT(arg)
		if err != nil {
			t.Error(err)
			return false
		}
		// Comes first, from another address of this machine.
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: 30 * time.Second}
		raw, err := d.Dial("tcp", ap.String())
		if err != nil {
			t.Error(err)
			return false
		}
		go func() {
			defer raw.Close()
			raw.SetDeadline(time.Now().Add(time.Minute))
			_, err := raw.Read(make([]byte, 1))
			stranger <- err
		}()
		return false
	}}})
	want := content(10)
	s.Put("/f", want, time.Now())
	c := login(t, s, func(cfg *ftpclient.Config) { cfg.Active = true })
	if got, err := get(t, c, "/f", 0); err != nil || string(got) != string(want) {
		t.Errorf("get: %v", err)
	}
	if err := <-stranger; err == nil {
		t.Error("the stranger got a byte")
	}
}

func TestA522AfterThe150IsToldAsSuch(t *testing.T) {
	// Data connections get a cache of their own here, as if reuse were off:
	// the server is asked to refuse every ticket.
	s := hostile.Start(t, hostile.Options{RequireReuse: true})
	s.Put("/f", content(10), time.Now())
	c := login(t, s, func(cfg *ftpclient.Config) { cfg.TLS.SessionTicketsDisabled = true })
	_, err := get(t, c, "/f", 0)
	var reply *ftpclient.ReplyError
	if !errors.As(err, &reply) || reply.Reply.Code != 522 {
		t.Errorf("got %v (class %d)", err, ftpclient.Class(err))
	}
	inStep(t, c)
}

func TestALoginThatIsRefusedKeepsThePasswordOutOfEverything(t *testing.T) {
	var trace []string
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"PASS": func(s *hostile.Session, arg string) bool {
		s.Reply(530, "no such password: "+arg)
		return true
	}}})
	c := dial(t, s, func(cfg *ftpclient.Config) {
		cfg.Trace = func(_ bool, line string) { trace = append(trace, line) }
		cfg.OnReply = func(r ftp.Reply) { trace = append(trace, r.Text()) }
	})
	err := c.Login(within(t), hostile.User, "hunter22")
	if ftpclient.Class(err) != ftpclient.LoginRefused {
		t.Errorf("got %v (class %d)", err, ftpclient.Class(err))
	}
	trace = append(trace, err.Error())
	err = c.Login(within(t), hostile.User, "hunter22\r\nDELE keep")
	trace = append(trace, err.Error())
	if all := strings.Join(trace, "\n"); strings.Contains(all, "hunter22") {
		t.Errorf("the password is in:\n%s", all)
	}
	if s.Count("DELE") != 0 {
		t.Error("a password with a line break became a command")
	}
}

func TestTooManyConnections(t *testing.T) {
	s := hostile.Start(t, hostile.Options{MaxSessions: 1})
	login(t, s, nil)
	_, err := ftpclient.Dial(within(t), config(s, nil))
	var reply *ftpclient.ReplyError
	if !errors.As(err, &reply) || reply.Reply.Code != 421 || ftpclient.Class(err) != ftpclient.CannotConnect {
		t.Errorf("got %v (class %d)", err, ftpclient.Class(err))
	}
}
