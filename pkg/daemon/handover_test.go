//go:build unix

package daemon

import (
	"net/netip"
	"testing"
	"time"

	"ftps/pkg/dataport"
	"ftps/pkg/handover"
)

// What the old server asks for between the moment at which it takes stock
// and the message that carries the stock was lost once: whoever had waited
// for a data port then waited in vain.
func TestWhatTheOldServerSaysWhileItHandsOverIsHeard(t *testing.T) {
	h := newHost(t, account("diego"))
	old, young, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer old.Cut()
	h.cfg.Elder = young
	stamp := make([]byte, 16)
	granted := make(chan error, 1)
	go func() {
		old.Send(sayHello, helloBody{Keys: [][]byte{make([]byte, 32)}})
		m, err := old.Receive()
		if err == nil && m.Kind == sayReady {
			old.Send(sayNote, dataport.Note{Kind: "ask", Seq: 7, Stamp: stamp, Account: "diego"})
			old.Send(sayGo, goBody{Next: 40, Notes: []dataport.Note{
				{Kind: "session", Stamp: stamp, Account: "diego", Addr: netip.MustParseAddr("127.0.0.1")},
			}})
			m, err = old.Receive()
		}
		var note dataport.Note
		if err == nil {
			err = m.Into(&note)
		}
		if err == nil && (note.Kind != "grant" || note.Seq != 7) {
			t.Errorf("%s: %+v", m.Kind, note)
		}
		granted <- err
	}()
	d, _ := h.start()
	select {
	case err := <-granted:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was granted")
	}
	h.login(d, "diego")
	if s := d.Sessions(); len(s) != 1 || s[0].Number != 40 {
		t.Errorf("numbered %+v", s)
	}
}
