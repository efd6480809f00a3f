//go:build unix

package daemon

import (
	"crypto/tls"
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"ftps/pkg/dataport"
	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
	"ftps/pkg/handover"
	"ftps/pkg/pki"
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
	case <-time.After(ftptest.Patience):
		t.Fatal("nothing was granted")
	}
	h.login(d, "diego")
	if s := d.Sessions(); len(s) != 1 || s[0].Number != 40 {
		t.Errorf("numbered %+v", s)
	}
}

// elder plays an old server that hands over with a session, and answers
// questions by reply, until the test ends.
func elder(t *testing.T, h *host, reply func(question) *answer) {
	t.Helper()
	old, young, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { old.Cut(); <-ended })
	h.cfg.Elder = young
	go func() {
		defer close(ended)
		old.Send(sayHello, helloBody{Keys: [][]byte{make([]byte, 32)}})
		if m, err := old.Receive(); err != nil || m.Kind != sayReady {
			t.Errorf("%s, %v", m.Kind, err)
			return
		}
		old.Send(sayGo, goBody{Next: 40})
		for {
			m, err := old.Receive()
			if err != nil {
				return
			}
			var q question
			if m.Kind == sayAsk && m.Into(&q) == nil {
				if a := reply(q); a != nil {
					a.ID = q.ID
					old.Send(sayTell, a)
				}
			}
			m.Close()
		}
	}()
}

func TestWhoIsConnectedToTheOldServerIsAskedOfIt(t *testing.T) {
	h := newHost(t, account("diego"))
	there := []ftpserver.Snapshot{
		{Number: 3, User: "diego", Remote: netip.MustParseAddrPort("192.0.2.7:4000")},
		{Number: 5, User: "eva", Remote: netip.MustParseAddrPort("192.0.2.8:4000")},
	}
	elder(t, h, func(q question) *answer {
		if q.Kick == nil {
			return &answer{Sessions: there}
		}
		return &answer{Kicked: *q.Kick == 3 && q.Reason != ""}
	})
	d, _ := h.start()
	h.login(d, "diego")
	s := d.Sessions()
	if len(s) != 3 || s[0].Number != 3 || !s[0].Old || s[1].User != "eva" || s[2].Number != 40 || s[2].Old {
		t.Fatalf("%+v", s)
	}
	if !d.Kick(3, "enough") || d.Kick(5, "enough") || d.Kick(77, "enough") {
		t.Error("what the old server says of a kick is not told")
	}
	if n := d.Ban(netip.MustParseAddr("192.0.2.7"), 0); n != 1 {
		t.Errorf("a ban ended %d sessions of the old server, want 1", n)
	}
}

// A build from before there were questions says nothing to them.
func TestAnOldServerThatDoesNotAnswerIsNotWaitedForForLong(t *testing.T) {
	h := newHost(t, account("diego"))
	elder(t, h, func(question) *answer { return nil })
	d, _ := h.start()
	h.login(d, "diego")
	if s := d.Sessions(); len(s) != 1 || s[0].Number != 40 {
		t.Errorf("%+v", s)
	}
	if d.Kick(3, "") {
		t.Error("a kick that nobody confirmed")
	}
}

// During an upgrade both servers must open what either of them seals: until
// the old one has gone neither takes new keys. What an old server sealed with
// keys of its own opens afterwards as well, until the file changes.
func TestASuccessorTakesTheKeysOfTheFileOnceTheOldServerIsGone(t *testing.T) {
	t.Run("which had an older file", func(t *testing.T) { succeedAnOldServer(t, false) })
	t.Run("which had keys of its own", func(t *testing.T) { succeedAnOldServer(t, true) })
}

func succeedAnOldServer(t *testing.T, own bool) {
	all := newHost(t)
	file := all.at("ticket.keys")
	turnKeys(t, file, false)
	before, err := pki.LoadTicketKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	h := all.node(t, file)
	old, young, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer old.Cut()
	h.cfg.Elder = young
	taken := make(chan error, 1)
	go func() {
		old.Send(sayHello, helloBody{Keys: [][]byte{before[0][:]}, OwnKeys: own})
		_, err := old.Receive()
		if err == nil {
			err = old.Send(sayGo, json.RawMessage(`{}`))
		}
		taken <- err
	}()
	turnKeys(t, file, true)
	d, _ := h.start()
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	h.log.wait(t, "took-over")
	cache := tls.NewLRUClientSessionCache(1)
	h.arrive(d, "diego", cache)
	if keys := d.ring.freeze(true); keys[0] != before[0] {
		t.Error("it seals with a key that the old server has not")
	}
	old.Cut()
	h.log.wait(t, "old-server-gone")
	after, err := pki.LoadTicketKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	if keys := d.ring.freeze(false); keys[0] != after[0] {
		t.Error("the file's keys are not in use")
	}
	if _, resumed := h.arrive(d, "diego", cache); resumed != own {
		t.Errorf("what was sealed meanwhile opens: %v", resumed)
	}
	if err := d.rereadKeys(); err != nil {
		t.Fatal(err)
	}
	if keys := d.ring.freeze(false); len(keys) != 1 {
		t.Errorf("%d keys, and the file has one", len(keys))
	}
}

// An idle server ended so soon after its word to go that the word was lost,
// and with it both servers. Here the successor reads nothing until the old
// one has begun to end, with as much before the word as no socket holds.
func TestTheWordToGoReachesTheSuccessorOfAServerThatEndsAtOnce(t *testing.T) {
	h := newHost(t)
	d, err := New(h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { h.run(d)() }()
	old, young, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer young.Cut()
	old.Send("before it", make([]byte, 1<<20))
	d.handOver(handing{link: old})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		old.Shut() // as Run does when the last session is gone
		d.heedHeir(old)
	}()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	late := time.After(ftptest.Patience)
	for old.Send("behind it", nil) == nil { // it has not begun to end
		select {
		case <-look.C:
		case <-late:
			t.Fatal("the old server does not end")
		}
	}
	for told := ""; told != sayGo; {
		m, err := young.Receive()
		if err != nil {
			t.Fatalf("behind %q: %v", told, err)
		}
		told = m.Kind
		m.Close()
	}
	for err == nil {
		_, err = young.Receive()
	}
	<-ended
}
