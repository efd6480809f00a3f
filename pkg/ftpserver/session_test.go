package ftpserver_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/event"
	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
)

// secured returns a connection that has said AUTH TLS and nothing else.
func secured(t *testing.T, s *ftptest.Server) *ftptest.Conn {
	t.Helper()
	c := s.Dial(t)
	c.Expect(220)
	c.Cmd(234, "AUTH TLS")
	c.StartTLS()
	return c
}

func TestTheOriginalSessionInSpanish(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Lang: catalog.Spanish})
	c := s.Dial(t)
	expect := func(want, got string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	expect("Bienvenido al servidor FTP", c.Expect(220))
	c.Cmd(234, "AUTH TLS")
	c.StartTLS()
	expect("Usuario correcto, ingrese la clave", c.Cmd(331, "USER diego"))
	expect("Login exitoso", c.Cmd(230, "PASS secreto"))
	expect("Acceso denegado", c.Cmd(550, "CWD .."))
	expect("Acceso denegado", c.Cmd(550, "CDUP"))
	c.Cmd(550, "CWD /etc")
	c.Cmd(257, "MKD docs")
	expect("Directorio cambiado correctamente", c.Cmd(250, "CWD docs"))
	expect(`"/docs"`, c.Cmd(257, "PWD"))
	c.Cmd(250, "CDUP")
	c.Cmd(200, "PBSZ 0")
	c.Cmd(200, "PROT P")
	if code := c.Upload([]byte("hola"), "STOR nota"); code != 226 {
		t.Fatalf("STOR: %d", code)
	}
	expect("No es directorio", c.Cmd(550, "CWD nota"))
	expect("Cerrando conexión", c.Cmd(221, "QUIT"))
	c.ExpectClosed()
}

func TestBeforeTLSNothingIsTold(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Dial(t)
	c.Expect(220)
	for _, cmd := range ftpserver.Commands() {
		switch cmd.Verb {
		case "AUTH", "QUIT", "LANG", "FEAT", "HELP", "NOOP", "CLNT", "OPTS",
			"PBSZ", "PROT", "HOST", "CCC", "MIC", "CONF", "ENC", "ADAT", "CSID":
			continue
		}
		if text := c.Cmd(530, "%s diego", cmd.Verb); !strings.Contains(text, "AUTH TLS") {
			t.Errorf("%s before TLS: %q does not name AUTH TLS", cmd.Verb, text)
		}
	}
	c.Cmd(200, "NOOP")
	c.Cmd(211, "FEAT")
	c.Cmd(214, "HELP")
	c.Cmd(503, "PBSZ 0")
	c.Cmd(503, "PROT P")
	c.Cmd(504, "AUTH KERBEROS_V4")
	c.Cmd(221, "QUIT")
}

func TestBeforeLoginNothingIsGranted(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := secured(t, s)
	for _, line := range []string{
		"CWD /", "PWD", "TYPE I", "PASV", "EPSV", "LIST", "RETR x", "STOR x", "DELE x",
		"RNFR x", "SIZE x", "MLST", "STAT", "SITE HELP", "ABOR",
	} {
		c.Cmd(530, "%s", line)
	}
	c.Cmd(503, "PASS secreto")
	c.Cmd(503, "AUTH TLS")
}

func TestBadLinesGetTheirReply(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	for line, code := range map[string]int{
		"WHAT":                         500,
		"WHAT is this":                 500,
		"PWD now":                      501,
		"CWD":                          501,
		"RETR":                         501,
		"REST x":                       501,
		"REST -1":                      501,
		"REST +1":                      501,
		"REST 99999999999999999999999": 501,
		"PBSZ x":                       501,
		"TYPE E":                       504,
		"MODE C":                       504,
		"STRU R":                       504,
		"PROT C":                       534,
		"PROT S":                       536,
		"PROT X":                       504,
		"CCC":                          534,
		"LANG xx":                      504,
		"RNTO x":                       503,
		"MDTM missing":                 550,
		"SIZE missing":                 550,
		"DELE missing":                 550,
		"CWD missing":                  550,
		"MLST missing":                 550,
		"RETR nul\x00byte":             501,
		"SITE EXEC ls":                 504,
		"ALLO many":                    501,
		"MFMT yesterday x":             501,
		"USER other":                   503,
	} {
		c.Cmd(code, "%s", line)
	}
	c.Cmd(200, "NOOP")
}

func TestThreeWrongPasswordsCloseTheConnection(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := secured(t, s)
	for _, code := range []int{530, 530, 421} {
		c.Cmd(331, "USER diego")
		c.Cmd(code, "PASS wrong")
	}
	c.ExpectClosed()
}

func TestALineWithoutEndIsRefusedInBoundedMemory(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Write("STOR " + strings.Repeat("x", 100<<10) + "\r\n")
	c.Expect(500)
	c.Cmd(200, "NOOP")
	c.Write("STOR " + strings.Repeat("x", 1<<20))
	c.Expect(500)
	c.ExpectClosed()
}

func TestBytesBehindAUTHNeverRun(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Dial(t)
	c.Expect(220)
	c.Write("AUTH TLS\r\nUSER diego\r\nPASS secreto\r\n")
	c.Expect(503)
	if codes := c.ExpectClosed(); len(codes) != 0 {
		t.Errorf("the injected commands were answered: %v", codes)
	}
}

func TestAnotherProtocolIsShownTheDoor(t *testing.T) {
	for _, line := range []string{"GET / HTTP/1.1", "POST /<script>alert(1)</script> HTTP/1.1", "EHLO example.org", "\x16\x03\x01"} {
		s := ftptest.Start(t, ftptest.Options{})
		c := s.Dial(t)
		c.Expect(220)
		c.Send("%s", line)
		for range 30 {
			code, lines, err := c.Read()
			if err != nil {
				break
			}
			if strings.Contains(strings.Join(lines, ""), "script") {
				t.Errorf("the reply reflects what was sent: %q", lines)
			}
			if code == 421 {
				break
			}
			c.Send("%s", line)
		}
		c.ExpectClosed()
	}
}

func TestRepliesAreInTheLanguageAskedFor(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := secured(t, s)
	if got := c.Cmd(530, "PWD"); !strings.Contains(got, "Log in") {
		t.Errorf("English: %q", got)
	}
	c.Cmd(200, "LANG es-AR")
	if got := c.Cmd(530, "PWD"); !strings.Contains(got, "Identifíquese") {
		t.Errorf("Spanish: %q", got)
	}
	if got := c.Cmd(211, "FEAT"); !strings.Contains(got, "LANG EN;ES*") {
		t.Errorf("FEAT does not star the language in use: %q", got)
	}
	c.Cmd(200, "LANG")
	if got := c.Cmd(530, "PWD"); !strings.Contains(got, "Log in") {
		t.Errorf("back to the server's own: %q", got)
	}
}

func TestReinForgetsEverythingButTLS(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{
		{Name: "diego", Password: "secreto"}, {Name: "ana", Password: "otra"},
	}})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(257, "MKD docs")
	c.Cmd(250, "CWD docs")
	c.Cmd(220, "REIN")
	c.Cmd(530, "PWD")
	c.Cmd(331, "USER ana")
	c.Cmd(530, "PASS otra") // another account needs a new TLS session
	c.Cmd(331, "USER diego")
	c.Cmd(230, "PASS secreto")
	if got := c.Cmd(257, "PWD"); got != `"/"` {
		t.Errorf("folder after REIN: %s", got)
	}
	c.Cmd(521, "EPSV") // PROT is to be said anew
	c.Cmd(200, "PBSZ 0")
	c.Cmd(200, "PROT P")
	c.Cmd(200, "TYPE I")
	if code := c.Upload([]byte("again"), "STOR file"); code != 226 {
		t.Errorf("upload after REIN: %d", code)
	}
}

func TestImplicitTLSNeedsNoAUTH(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Implicit: true})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(503, "AUTH TLS")
	if code := c.Upload([]byte("x"), "STOR file"); code != 226 {
		t.Errorf("upload: %d", code)
	}
}

func TestSilenceIsEndedByTheClock(t *testing.T) {
	t.Run("before login", func(t *testing.T) {
		s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) { c.LoginTimeout = 50 * time.Millisecond }})
		c := s.Dial(t)
		c.Expect(220)
		c.Expect(421)
		c.ExpectClosed()
	})
	t.Run("between commands", func(t *testing.T) {
		s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) { c.IdleTimeout = 50 * time.Millisecond }})
		c := secured(t, s)
		c.Cmd(331, "USER diego")
		c.Cmd(230, "PASS secreto") // from here on its clock runs
		c.Expect(421)
		c.ExpectClosed()
	})
	t.Run("in the handshake", func(t *testing.T) {
		s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) { c.HandshakeTimeout = 50 * time.Millisecond }})
		c := s.Dial(t)
		c.Expect(220)
		c.Cmd(234, "AUTH TLS")
		if codes := c.ExpectClosed(); len(codes) != 0 {
			t.Errorf("replies into an unfinished handshake: %v", codes)
		}
	})
}

func TestKickEndsOneSessionAndTellsIt(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	a := s.Login(t, "diego", "secreto")
	b := s.Login(t, "diego", "secreto")
	list := s.FTP.Sessions()
	if len(list) != 2 || list[0].Number != 0 || list[1].Number != 1 || list[0].User != "diego" {
		t.Fatalf("sessions: %+v", list)
	}
	if !s.FTP.Kick(0, "testing") {
		t.Fatal("nobody was kicked")
	}
	a.Expect(421)
	a.ExpectClosed()
	b.Cmd(200, "NOOP")
	if s.FTP.Kick(7, "testing") {
		t.Error("a session that is not there was kicked")
	}
	s.Events.Wait(t, "the kick", func(e event.Event) bool { k, ok := e.(event.Kicked); return ok && k.Number == 0 })
	c := s.Login(t, "diego", "secreto")
	c.Cmd(200, "NOOP")
	if got := s.FTP.Sessions(); got[len(got)-1].Number != 2 {
		t.Errorf("a number was used twice: %+v", got)
	}
	if n := s.FTP.KickAccount("diego", "removed"); n != 2 {
		t.Errorf("KickAccount ended %d sessions, want 2", n)
	}
	b.Expect(421)
	c.Expect(421)
}

func TestShutdownLetsATransferFinish(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	idle := s.Login(t, "diego", "secreto")
	busy := s.Login(t, "diego", "secreto")
	raw := busy.OpenData(busy.Passive())
	busy.Send("STOR file")
	busy.Expect(150)
	conn := busy.Secure(raw)
	if _, err := conn.Write(bytes.Repeat([]byte("x"), 100_000)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), ftptest.Patience)
		defer cancel()
		ended <- s.FTP.Shutdown(ctx)
	}()
	idle.Expect(421)
	if _, err := conn.Write([]byte("the end")); err != nil {
		t.Fatal(err)
	}
	conn.CloseWrite()
	io.Copy(io.Discard, conn)
	conn.Close()
	busy.Expect(226)
	busy.Expect(421)
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestShutdownCutsATransferWhenPatienceEnds(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	raw := c.OpenData(c.Passive())
	c.Send("STOR file")
	c.Expect(150)
	conn := c.Secure(raw)
	if _, err := conn.Write([]byte("begun")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.FTP.Shutdown(ctx); err == nil {
		t.Error("Shutdown says that nothing was cut")
	}
	if codes := c.ExpectClosed(); !slices.Equal(codes, []int{426, 421}) {
		t.Errorf("replies: %v", codes)
	}
}

// broken is a backend with a mistake in it.
type broken struct{ ftpserver.Backend }

func (broken) Login(context.Context, ftpserver.Attempt) (*ftpserver.Account, error) {
	panic("a mistake")
}

func TestAMistakeInOneSessionLeavesTheOthersAlone(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) { c.Backend = broken{c.Backend} }})
	other := secured(t, s)
	c := secured(t, s)
	c.Cmd(331, "USER diego")
	if text := c.Cmd(451, "PASS secreto"); strings.Contains(text, "mistake") {
		t.Errorf("the client is told of it: %q", text)
	}
	c.Cmd(530, "PWD")
	other.Cmd(200, "NOOP")
	s.Events.Wait(t, "the mistake, with its stack, for the log", func(e event.Event) bool {
		f, ok := e.(event.CommandRefused)
		return ok && f.Cause != nil && strings.Contains(f.Cause.Error(), "a mistake") && strings.Contains(f.Cause.Error(), "session_test.go")
	})
}
