package integration

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftptest"
)

func TestAttackUnknownCommand(t *testing.T) {
	s := startServer(t, []string{"diego", "secreto"})
	c := s.enter(t, "", "diego", "secreto")
	for _, line := range []string{"WHAT", "STORX f", "STOR\tf", "\xff\xfe\xfd", "%n%s", "", "226 Transfer complete", "'; DROP TABLE users; --"} {
		c.Cmd(500, "%s", line)
	}
	whole(t, c)
	// Who makes no sense at all is not heard for ever.
	c = s.greeted(t, "")
	for range 20 {
		c.Send("WHAT")
	}
	codes := c.ExpectClosed()
	if n := len(codes); n < 20 || n > 21 || codes[n-1] != 421 || codes[n-2] != 500 {
		t.Errorf("twenty unknown commands are answered %v", codes)
	}
	s.serves(t, "diego", "secreto")
}

func TestAttackBadArguments(t *testing.T) {
	s := startServer(t, []string{"diego", "secreto"})
	c := s.enter(t, "", "diego", "secreto")
	for _, line := range []string{
		"PWD now", "CDUP ..", "CWD", "RETR", "STOR", "DELE", "RMD", "MKD", "RNFR", "SIZE", "MDTM", "MFMT", "MFMT 2026",
		"MFMT 20261301000000 f", "REST", "REST x", "REST -1", "REST +1", "REST 0x10", "REST 9223372036854775808",
		"REST 18446744073709551616", "RANG 5 2", "RANG 0 9223372036854775807", "ALLO", "ALLO x", "ALLO 1 2 3", "PBSZ x", "PBSZ -1",
		"TYPE", "EPSV x", "PORT 127,0,0,1,200", "PORT 127,0,0,1,200,10,1", "PORT 127,0,0,1,256,1", "PORT 1277,0,0,1,4,1",
		"EPRT |1|127.0.0.1|65536|", "EPRT |1|127.0.0.1|0|", "EPRT x", "PASV now", "SITE CHMOD", "SITE CHMOD 9 f",
		"SITE IDLE 0", "SITE IDLE 99999999999", "OPTS nonsense", "ABOR now",
	} {
		c.Cmd(501, "%s", line)
	}
	for line, code := range map[string]int{
		"TYPE E": 504, "TYPE L 7": 504, "MODE C": 504, "STRU R": 504, "PROT X": 504, "PROT C": 534, "PROT S": 536,
		"LANG xx": 504, "EPRT |3|127.0.0.1|50000|": 522, "EPSV 3": 522, "SITE EXEC id": 504, "RNTO x": 503,
	} {
		c.Cmd(code, "%s", line)
	}
	whole(t, c)
}

func TestAttackBeforeLogin(t *testing.T) {
	s := startServer(t, []string{"diego", "secreto"})
	s.plant(t, "diego", "f", "content")
	c := s.secured(t, "")
	for _, line := range []string{
		"CWD /", "PWD", "TYPE I", "PASV", "EPSV", "PORT 127,0,0,1,200,10", "LIST", "NLST", "MLSD", "MLST f", "RETR f", "STOR f", "APPE f",
		"STOU", "DELE f", "RNFR f", "RNTO g", "MKD d", "RMD d", "RMDA d", "SIZE f", "MDTM f", "MFMT 20260101000000 f", "HASH f", "XCRC f",
		"STAT", "STAT /", "SITE CHMOD 777 f", "SITE CPFR f", "AVBL", "ABOR", "ALLO 1", "REST 1",
	} {
		c.Cmd(530, "%s", line)
	}
	c.Cmd(503, "PASS secreto")
	// A name alone is no login, nor is a refused password.
	c.Cmd(331, "USER diego")
	c.Cmd(530, "RETR f")
	c.Cmd(530, "PASS wrong")
	c.Cmd(530, "RETR f")
	c.Login("diego", "secreto")
	if got, code := c.Download("RETR f"); code != 226 || string(got) != "content" {
		t.Errorf("after the login: %d %q", code, got)
	}
	// And after a logout nothing is left of one.
	c.Cmd(220, "REIN")
	c.Cmd(530, "RETR f")
}

func TestAttackBeforeTLS(t *testing.T) {
	s := startServer(t, []string{"diego", "secreto"})
	c := s.greeted(t, "")
	for _, line := range []string{"USER diego", "PASS the-password-in-clear", "ACCT x", "REIN", "SYST", "STAT", "PWD", "LIST", "RETR f", "STOR f", "EPSV"} {
		if text := c.Cmd(530, "%s", line); !strings.Contains(text, "AUTH TLS") {
			t.Errorf("%s before TLS: %q does not say what to do", line, text)
		}
	}
	c.Cmd(503, "PBSZ 0")
	c.Cmd(503, "PROT P")
	c.Cmd(504, "AUTH NONE")
	c.Cmd(234, "AUTH TLS")
	c.StartTLS()
	c.Cmd(503, "AUTH TLS") // one layer
	c.Login("diego", "secreto")
	c.Cmd(534, "CCC") // and no way back
	whole(t, c)
	s.never(t, "the-password-in-clear")
}

func TestAttackThreeWrongPasswords(t *testing.T) {
	s := startServer(t, []string{"diego", "secreto"})
	c := s.secured(t, "")
	for _, code := range []int{530, 530, 421} {
		c.Cmd(331, "USER diego")
		c.Cmd(code, "PASS guessed-wrong")
	}
	if codes := c.ExpectClosed(); len(codes) > 0 {
		t.Errorf("heard after the 421: %v", codes)
	}
	s.out.wait(t, `login-refused`)
	s.never(t, "guessed-wrong", "secreto")
	s.serves(t, "diego", "secreto")
}

func TestAttackALineWithoutAnEnd(t *testing.T) {
	s := startServer(t, []string{"diego", "secreto"})
	for name, c := range map[string]*ftptest.Conn{
		"in clear":  s.greeted(t, ""),
		"under TLS": s.secured(t, ""),
		"logged in": s.enter(t, "", "diego", "secreto"),
	} {
		// The server closes before it has read all of it, so sending may fail.
		endless := strings.NewReader("STOR " + strings.Repeat("x", 1<<20))
		go io.Copy(c.Raw(), endless)
		c.Expect(500)
		if codes := c.ExpectClosed(); len(codes) > 0 {
			t.Errorf("%s: heard after the 500: %v", name, codes)
		}
	}
	// A long line that does end costs only itself.
	c := s.enter(t, "", "diego", "secreto")
	c.Cmd(500, "STOR %s", strings.Repeat("x", 64<<10))
	whole(t, c)
}

func TestAttackBytesBehindAUTH(t *testing.T) {
	s := startServer(t, []string{"diego", "secreto"})
	c := s.greeted(t, "")
	c.Write("AUTH TLS\r\nUSER diego\r\nPASS secreto\r\nDELE f\r\n")
	c.Expect(503)
	if codes := c.ExpectClosed(); len(codes) > 0 {
		t.Errorf("the injected commands were answered: %v", codes)
	}
	// Those that come once the 234 is out are taken for a handshake, and are none.
	c = s.greeted(t, "")
	c.Cmd(234, "AUTH TLS")
	c.Write("USER diego\r\nPASS secreto\r\n")
	c.Raw().SetReadDeadline(time.Now().Add(patience))
	if got, _ := io.ReadAll(c.Raw()); replied(string(got), 331, 230) {
		t.Errorf("the injected commands were answered: %q", got)
	}
	s.never(t, `"msg":"login"`)
	s.serves(t, "diego", "secreto")
}

// A browser that a hostile page leads here sends a form whose body is FTP
// (ALPACA: the certificate is good for this host, whatever the port). Nothing
// of it may run and nothing may be sent back.
func TestAttackHTTPOnControl(t *testing.T) {
	implicit := freePorts(t, 1)[0]
	s := startServer(t, []string{"diego", "secreto"}, "--implicit-port", fmt.Sprint(implicit))
	s.plant(t, "diego", "keep", "content")
	body := "USER diego\r\nPASS secreto\r\nDELE keep\r\n"
	for _, request := range []string{
		"POST /<script>alert(1)</script> HTTP/1.1\r\nHost: ftps.test\r\n\r\n" + body,
		"GET /?<script>alert(1)</script> HTTP/1.1\r\nHost: ftps.test\r\n\r\n" + body,
		"EHLO ftps.test\r\nMAIL FROM:<a@b>\r\n" + body,
	} {
		for name, c := range map[string]*ftptest.Conn{"clear": s.greeted(t, ""), "TLS": s.secured(t, "")} {
			c.Write(request)
			code, lines, err := c.Read()
			if err != nil || code != 421 {
				t.Errorf("%s: %.20q got %d, %v", name, request, code, err)
			}
			if strings.Contains(strings.Join(lines, " "), "script") {
				t.Errorf("%s: the reply reflects what was sent: %q", name, lines)
			}
			if codes := c.ExpectClosed(); len(codes) > 0 {
				t.Errorf("%s: %.20q went on: %v", name, request, codes)
			}
		}
		said := s.overTLS(t, implicit, request)
		if !strings.HasPrefix(said, "220 ") || strings.Contains(said, "script") || replied(said, 331) {
			t.Errorf("implicit TLS: %.20q got %q", request, said)
		}
	}
	c := s.enter(t, "", "diego", "secreto")
	if got, code := c.Download("RETR keep"); code != 226 || string(got) != "content" {
		t.Errorf("the file: %d %q", code, got)
	}
}
