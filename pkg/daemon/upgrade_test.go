package daemon

import (
	"os"
	"testing"
	"time"

	"ftps/pkg/ftptest"
	"ftps/pkg/handover"
)

// comeUp is a successor that is ready and then waits until nobody needs it.
func comeUp(link *handover.Link) {
	if b, err := hearElder(link); err == nil {
		_ = link.Send(sayReady, readyBody{"next", os.Getpid()})
		_, _ = link.Receive()
		b.close()
		link.Cut()
	}
}

// Two signals in a row must not leave a second successor that holds the ports
// and answers nobody.
func TestASecondUpgradeBeforeTheFirstHasTakenOverStartsNobody(t *testing.T) {
	h := newHost(t)
	h.cfg.Program = os.Args[0]
	d, err := New(h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	// The run, which would give the ports away at once, comes last and closes
	// what is open.
	defer func() { h.run(d)() }()
	first := make(chan error, 1)
	go func() { _, _, err := d.Upgrade(); first <- err }()
	select {
	case next := <-d.handing:
		defer next.link.Cut()
	case err := <-first:
		t.Fatal(err)
	case <-time.After(ftptest.Patience):
		t.Fatal("no successor")
	}
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() { _, _, err := d.Upgrade(); second <- err }()
	select {
	case err := <-second:
		if err == nil {
			t.Error("there are two successors")
		}
	case another := <-d.handing:
		another.link.Cut()
		t.Error("there are two successors")
	case <-time.After(ftptest.Patience):
		t.Error("no answer")
	}
}
