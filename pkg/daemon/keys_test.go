package daemon

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ftps/pkg/ftptest"
	"ftps/pkg/pki"
)

// node is a server of several with the same accounts, certificate and keys.
func (h *host) node(t *testing.T, keys string) *host {
	t.Helper()
	n := newHost(t, account("diego"), account("eva"))
	n.cfg.Certs, n.cfg.RootDir, n.cfg.TicketKeys = h.cfg.Certs, h.cfg.RootDir, keys
	return n
}

func turnKeys(t *testing.T, path string, forget bool) {
	t.Helper()
	if _, err := pki.TurnTicketKeys(path, forget); err != nil {
		t.Fatal(err)
	}
}

// arrive logs in with a cache that may hold tickets of another server, and
// says whether the session went on.
func (h *host) arrive(d *Daemon, name string, cache tls.ClientSessionCache) (c *ftptest.Conn, resumed bool) {
	h.t.Helper()
	c = h.dial(d)
	c.TLS.ClientSessionCache = cache
	return c, c.Enter(name, "secreto")
}

func TestServersWithTheSameKeysResumeEachOthersSessions(t *testing.T) {
	all := newHost(t)
	file := all.at("ticket.keys")
	turnKeys(t, file, false)
	one, two, lone := all.node(t, file), all.node(t, file), all.node(t, "")
	a, _ := one.start()
	b, _ := two.start()
	other, _ := lone.start()

	cache := tls.NewLRUClientSessionCache(1)
	c, _ := one.arrive(a, "diego", cache)
	if code := c.Upload([]byte("by way of the first"), "STOR f"); code != 226 {
		t.Fatal(code)
	}
	c, resumed := two.arrive(b, "diego", cache)
	if !resumed {
		t.Error("a full handshake at the second")
	}
	if got, code := c.Download("RETR f"); code != 226 || string(got) != "by way of the first" {
		t.Errorf("%d %q", code, got)
	}
	c, resumed = lone.arrive(other, "diego", cache)
	if resumed {
		t.Error("a server with keys of its own resumed it")
	}
	if _, code := c.Download("RETR f"); code != 226 {
		t.Errorf("there: %d", code)
	}
}

// The newest key seals, the others open: while a new file is on its way to
// the servers sessions go on, and who has been connected all the time has
// data connections.
func TestKeysAreTurnedUnderRunningSessions(t *testing.T) {
	all := newHost(t)
	file, late := all.at("ticket.keys"), all.at("late.keys")
	turnKeys(t, file, false)
	copyFile(t, file, late)
	one, two := all.node(t, file), all.node(t, late)
	a, _ := one.start()
	b, _ := two.start()
	there := tls.NewLRUClientSessionCache(1)
	stays, _ := one.arrive(a, "diego", tls.NewLRUClientSessionCache(1))
	two.arrive(b, "eva", there)

	turnKeys(t, file, false)
	one.log.wait(t, "ticket-keys-changed") // by itself
	if code := stays.Upload([]byte("x"), "STOR f"); code != 226 {
		t.Errorf("after the turn: %d", code)
	}
	if _, resumed := one.arrive(a, "eva", there); !resumed {
		t.Error("the older key opens no more")
	}
	copyFile(t, file, late)
	if _, err := b.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, resumed := two.arrive(b, "eva", there); !resumed {
		t.Error("what the newest key sealed at the first opens nowhere else")
	}

	turnKeys(t, file, true)
	if _, err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, resumed := one.arrive(a, "eva", there); resumed {
		t.Error("a forgotten key still opens")
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(to+".new", to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestKeysThatCannotBeReadStartNothingAndLeaveTheOldOnesInUse(t *testing.T) {
	all := newHost(t)
	file := all.at("ticket.keys")
	h := all.node(t, file)
	if said := h.refused(); !strings.Contains(said, "ftps cert ticket-keys "+file) {
		t.Errorf("without a file: %s", said)
	}
	turnKeys(t, file, false)
	open := func(mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	open(0o644)
	if said := h.refused(); !strings.Contains(said, "chmod 600 "+file) {
		t.Errorf("open to others: %s", said)
	}
	h.cfg.MakeCert = false // it is there by now
	if wrong, _ := Check(h.cfg); len(wrong) != 1 {
		t.Errorf("--check: %v", wrong)
	}
	open(0o600)
	if wrong, _ := Check(h.cfg); len(wrong) != 0 {
		t.Errorf("--check: %v", wrong)
	}
	d, _ := h.start()
	cache := tls.NewLRUClientSessionCache(1)
	h.arrive(d, "diego", cache)
	open(0o644)
	h.log.wait(t, "ticket-keys-kept")
	if _, err := d.Reload(); err == nil {
		t.Error("a reload says nothing of it")
	}
	if _, resumed := h.arrive(d, "diego", cache); !resumed {
		t.Error("the old keys are not in use")
	}
}

func TestTheFolderOfTheKeysStaysWithinReach(t *testing.T) {
	all := newHost(t)
	if err := os.Mkdir(all.at("keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(all.at("keys"), "ticket.keys")
	turnKeys(t, file, false)
	h := all.node(t, file)
	d, _ := h.start()
	for _, f := range d.folders(d.backend.verifier.List()) {
		if f.For == "ticket-keys" && f.Path == all.at("keys") {
			return
		}
	}
	t.Error("a file that is put in its place could not be read")
}
