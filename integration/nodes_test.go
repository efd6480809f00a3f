package integration

import (
	"crypto/tls"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"ftps/pkg/ftptest"
)

// turnKeys has the command put a new key into a file.
func turnKeys(t *testing.T, dir string, words ...string) {
	t.Helper()
	if _, errs, code := run(t, dir, "", append([]string{"cert", "ticket-keys"}, words...)...); code != 0 || !strings.Contains(errs, "keys: ") {
		t.Fatalf("cert ticket-keys: exit %d: %s", code, errs)
	}
}

// arrive logs in with tickets that may be another server's, and says whether
// the session went on.
func (a *administered) arrive(t *testing.T, name string, cache tls.ClientSessionCache) (c *ftptest.Conn, resumed bool) {
	t.Helper()
	c = a.dial(t)
	c.TLS.ServerName, c.TLS.ClientSessionCache = "localhost", cache
	return c, c.Enter(name, "a password")
}

func TestNodesWithOneFileOfTicketKeysResumeEachOthersSessions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ticket.keys")
	turnKeys(t, t.TempDir(), file)
	settings := "ticket_keys: " + file + "\n"
	one, two, lone := startAdministered(t, settings), startAdministered(t, settings), startAdministered(t, "")

	cache := tls.NewLRUClientSessionCache(1)
	moves, _ := one.arrive(t, "diego", cache)
	if code := moves.Upload([]byte("x"), "STOR f"); code != 226 {
		t.Fatal(code)
	}
	moved, resumed := two.arrive(t, "diego", cache)
	if !resumed {
		t.Error("a full handshake at the second")
	}
	if code := moved.Upload([]byte("x"), "STOR f"); code != 226 {
		t.Errorf("there: %d", code)
	}
	if c, resumed := lone.arrive(t, "diego", cache); resumed {
		t.Error("a server with keys of its own resumed it")
	} else if code := c.Upload([]byte("x"), "STOR f"); code != 226 {
		t.Errorf("at the one with keys of its own: %d", code)
	}

	// A new file in the place of the old one, behind the wall as well.
	before := tls.NewLRUClientSessionCache(1)
	one.arrive(t, "eva", before)
	stays, _ := one.arrive(t, "diego", tls.NewLRUClientSessionCache(1))
	turnKeys(t, one.dir) // the one that its settings name
	for _, a := range []*administered{one, two} {
		a.out.wait(t, `"ticket-keys-changed".*"keys":2`)
	}
	if _, resumed := two.arrive(t, "eva", before); !resumed {
		t.Error("what the older key sealed opens no more")
	}
	if code := stays.Upload([]byte("y"), "STOR f"); code != 226 {
		t.Errorf("who was there all the time: %d", code)
	}
}

// Somebody behind the same address, with a session and a ticket of his own at
// another node, is nobody here.
func TestAttackTicketOfAnotherNode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ticket.keys")
	turnKeys(t, t.TempDir(), file)
	settings := "ticket_keys: " + file + "\n"
	one, two := startAdministered(t, settings), startAdministered(t, settings)

	thief, _ := one.arrive(t, "eva", tls.NewLRUClientSessionCache(1))
	thief.Cmd(200, "NOOP") // the tickets have been read
	victim, _ := two.arrive(t, "diego", tls.NewLRUClientSessionCache(1))
	if code := victim.Upload([]byte("secret"), "STOR f"); code != 226 {
		t.Fatal(code)
	}
	port := victim.Passive()
	stolen := thief.Secure(two.dial(t).OpenData(port))
	if err := stolen.Handshake(); err != nil {
		t.Fatal(err)
	}
	if stolen.ConnectionState().DidResume {
		t.Error("the other node's session went on at a data port")
	}
	victim.Send("RETR f")
	victim.Expect(150)
	own := victim.Secure(victim.OpenData(port))
	if got, err := io.ReadAll(own); err != nil || string(got) != "secret" {
		t.Errorf("the victim has %q, %v", got, err)
	}
	own.Close()
	victim.Expect(226)
	if got, err := io.ReadAll(stolen); err != nil || len(got) > 0 {
		t.Errorf("the thief has %q, %v", got, err)
	}
}

// A session carries the certificate that its client began with. A node goes
// on with it only where its own authorities vouch for that certificate.
func TestAttackCertificateOfAnotherNodesAuthority(t *testing.T) {
	dir := t.TempDir()
	ca, caKey := issue(t, dir, "ca", nil, nil)
	own, _ := issue(t, dir, "own", ca, caKey)
	issue(t, dir, "elsewhere", nil, nil)
	turnKeys(t, dir, "ticket.keys")
	if _, errs, code := run(t, dir, "secreto\n", "useradd", "bound", "--password-stdin", "--cost", "4"); code != 0 {
		t.Fatal(errs)
	}
	bind(t, dir, own)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "own.crt"), filepath.Join(dir, "own.key"))
	if err != nil {
		t.Fatal(err)
	}
	cache := tls.NewLRUClientSessionCache(1)
	visit := func(s *server, certs ...tls.Certificate) (c *ftptest.Conn, resumed bool) {
		c = (&administered{server: s}).dial(t)
		c.TLS.ServerName, c.TLS.ClientSessionCache, c.TLS.Certificates = "localhost", cache, certs
		c.Expect(220)
		c.Cmd(234, "AUTH TLS")
		c.StartTLS()
		return c, c.Raw().(*tls.Conn).ConnectionState().DidResume
	}
	node := func(ca string) *server {
		return serveIn(t, dir, "--admin-socket", "off", "--client-ca", ca, "--ticket-keys", "ticket.keys")
	}
	one, alike, other := node("ca.crt"), node("ca.crt"), node("elsewhere.crt")
	c, _ := visit(one, pair)
	c.Cmd(232, "USER bound")
	// The session alone, without key and certificate.
	c, resumed := visit(alike)
	if c.Cmd(232, "USER bound"); !resumed {
		t.Error("a node with the same authorities did not go on with it: this shows nothing")
	}
	c, resumed = visit(other)
	if c.Cmd(331, "USER bound"); resumed {
		t.Error("it went on with the certificate of an authority that it does not know")
	}
	c.Cmd(530, "PASS secreto")
}

func TestAnUpgradeKeepsTheKeysThatNodesShare(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ticket.keys")
	turnKeys(t, t.TempDir(), file)
	u := startUpgradable(t, "ticket_keys: "+file+"\n")
	cache := tls.NewLRUClientSessionCache(1)
	stays, _ := u.arrive(t, "diego", cache)
	u.upgrade(t)
	turnKeys(t, u.dir)
	fresh, resumed := u.arrive(t, "diego", cache)
	if !resumed {
		t.Error("a full handshake at the successor")
	}
	for _, c := range []*ftptest.Conn{stays, fresh} {
		if code := c.Upload([]byte("x"), "STOR f"); code != 226 {
			t.Errorf("while both are there: %d", code)
		}
	}
	stays.Cmd(221, "QUIT")
	u.out.wait(t, `"old-server-gone"`)
	if code := fresh.Upload([]byte("y"), "STOR f"); code != 226 {
		t.Errorf("with the file's keys: %d", code)
	}
	if _, resumed := u.arrive(t, "diego", cache); !resumed {
		t.Error("a full handshake once the old server is gone")
	}
}
