package ftpserver_test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
	"ftps/pkg/vfs/memfs"
)

// The tests in this file are negative controls: in each a defence is switched
// off, and the attack that it stops succeeds. Else the test of the defence
// would show nothing.

// weak starts a server without one of its defences.
func weak(t *testing.T, off func(*ftpserver.Config), accounts ...ftptest.Account) *ftptest.Server {
	t.Helper()
	return ftptest.Start(t, ftptest.Options{Server: off, Accounts: accounts})
}

func TestWithoutNeedsAPasswordGoesInTheClear(t *testing.T) {
	s := weak(t, (*ftpserver.Config).WithoutNeeds)
	c := s.Dial(t)
	c.Expect(220)
	c.Cmd(215, "SYST")
	c.Cmd(257, "PWD") // before any login
	c.Cmd(200, "TYPE I")
	c.Cmd(331, "USER diego")
	c.Cmd(230, "PASS secreto")
	c.Cmd(257, "MKD d")
	c.Passive() // without PROT P
}

func TestWithoutArgumentChecksNonsenseIsObeyed(t *testing.T) {
	s := weak(t, (*ftpserver.Config).WithoutArguments)
	c := s.Login(t, "diego", "secreto")
	c.Cmd(257, "PWD now")
	c.Cmd(350, "REST x")
	c.Cmd(250, "CWD")
}

func TestAServerThatKnowsEveryWordIsTalkedToForEver(t *testing.T) {
	s := weak(t, func(c *ftpserver.Config) { c.AnsweringEverything("WHAT") })
	c := s.Dial(t)
	c.Expect(220)
	for range 50 {
		c.Cmd(200, "WHAT")
	}
}

func TestWithoutALimitPasswordsAreGuessedForEver(t *testing.T) {
	s := weak(t, func(c *ftpserver.Config) { c.LoginAttempts = 1000 })
	c := secured(t, s)
	for i := range 50 {
		c.Cmd(331, "USER diego")
		c.Cmd(530, "PASS guess%d", i)
	}
	c.Cmd(331, "USER diego")
	c.Cmd(230, "PASS secreto")
}

// Who sits on the wire logs the client in to an account of his own, and gets
// the client's next upload.
func TestAServerThatKeepsBytesBehindAUTHIsTakenOver(t *testing.T) {
	loot := memfs.New()
	s := weak(t, (*ftpserver.Config).KeepingBytesBehindAUTH,
		ftptest.Account{Name: "diego", Password: "secreto"}, ftptest.Account{Name: "eve", Password: "malicia", FS: loot})
	c := s.Dial(t)
	c.Expect(220)
	c.Write("AUTH TLS\r\nUSER eve\r\nPASS malicia\r\n") // all but the first line the attacker's
	c.Expect(234)
	c.StartTLS()
	c.Expect(331) // to what the client never said
	c.Expect(230)
	c.Cmd(200, "PBSZ 0")
	c.Cmd(200, "PROT P")
	if code := c.Upload([]byte("the client's secret"), "STOR f"); code != 226 {
		t.Fatalf("STOR: %d", code)
	}
	thief := s.Login(t, "eve", "malicia")
	if got, _ := thief.Download("RETR f"); string(got) != "the client's secret" {
		t.Errorf("the attacker has %q", got)
	}
}

// A form that a hostile page has the browser send here.
func TestAServerThatHearsHTTPIsDrivenByAPage(t *testing.T) {
	ftpserver.HearOtherProtocols(t)
	s := ftptest.Start(t, ftptest.Options{})
	c := secured(t, s)
	c.Write("POST / HTTP/1.1\r\nHost: ftp.test\r\nContent-Length: 999\r\n\r\nUSER diego\r\nPASS secreto\r\nMKD owned\r\n")
	var codes []int
	for range 7 {
		code, _, err := c.Read()
		if err != nil {
			t.Fatal(err)
		}
		codes = append(codes, code)
	}
	if fmt.Sprint(codes) != "[500 500 500 500 331 230 257]" {
		t.Errorf("answered %v", codes)
	}
}

func TestAServerThatListsEveryNameShowsForgedLines(t *testing.T) {
	ftpserver.ListEveryName(t)
	s := weak(t, nil, ftptest.Account{Name: "diego", Password: "secreto", FS: hostile{memfs.New()}})
	c := s.Login(t, "diego", "secreto")
	got, code := c.Download("NLST")
	if code != 226 || !strings.Contains(string(got), "\r\nforged\r\n") {
		t.Errorf("NLST: %d %q", code, got)
	}
}

func TestAServerThatTakesEveryEndForAGoodOneKeepsHalfAFile(t *testing.T) {
	s := weak(t, (*ftpserver.Config).TakingCutsForEnds)
	c := s.Login(t, "diego", "secreto")
	c.Upload([]byte("old"), "STOR f")
	raw := c.OpenData(c.Passive())
	c.Send("STOR f")
	c.Expect(150)
	conn := c.Secure(raw)
	half := noise(1 << 14)
	if _, err := conn.Write(half); err != nil {
		t.Fatal(err)
	}
	raw.(*net.TCPConn).CloseWrite() // no close_notify
	c.Expect(226)
	if got, _ := c.Download("RETR f"); !bytes.Equal(got, half) {
		t.Errorf("the file has %d bytes", len(got))
	}
}

func TestAServerThatConnectsAnywhereAttacksForItsClient(t *testing.T) {
	victim, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer victim.Close()
	s := weak(t, (*ftpserver.Config).ConnectingAnywhere)
	c := s.Login(t, "diego", "secreto")
	c.Upload([]byte("x"), "STOR f")
	to := victim.Addr().(*net.TCPAddr).AddrPort()
	c.Cmd(200, "EPRT |1|%s|%d|", to.Addr(), to.Port())
	c.Send("RETR f")
	c.Expect(150)
	victim.(*net.TCPListener).SetDeadline(time.Now().Add(ftptest.Patience))
	conn, err := victim.Accept()
	if err != nil {
		t.Fatalf("nobody came to the victim: %v", err)
	}
	conn.Close()
	c.Expect(425)
}
