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
	defer h.run(d)()
	first := make(chan error, 1)
	go func() { _, _, err := d.Upgrade(); first <- err }()
	next := <-d.handing // the run would give the ports away now
	defer next.link.Cut()
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
