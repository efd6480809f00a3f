package dataport

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/event"
)

// laboured is a connection of a machine with much to do: what it sends takes
// its time.
type laboured struct {
	net.Conn
	takes time.Duration
}

func (l laboured) Write(b []byte) (int, error) {
	time.Sleep(l.takes)
	return l.Conn.Write(b)
}

// distant is a client's end of a connection on which nothing arrives until the
// channel is closed.
type distant struct {
	net.Conn
	arrives chan struct{}
}

func (d distant) Read(b []byte) (int, error) {
	<-d.arrives
	return d.Conn.Read(b)
}

// Node's basic-ftp sends its ClientHello and then STOR, and takes the 150 for
// the leave to send. On each twentieth upload of an empty file the 150 was
// there before the server's part of the handshake, and Node ended a connection
// whose handshake still lasted, without close_notify: 426.
func TestA150DoesNotOvertakeTheAnswerToAClientHello(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		begins  bool          // the client begins TLS before its command
		takes   time.Duration // the server's part
		far     bool          // the answer is long on its way
		off     bool
		waiting time.Duration
	}{
		"the answer takes a while":              {begins: true, takes: 100 * ms, waiting: 100 * ms},
		"the client is far away":                {begins: true, takes: 100 * ms, far: true, waiting: 105 * ms},
		"the answer never comes":                {begins: true, takes: time.Hour, waiting: 255 * ms},
		"the client begins TLS after the 150":   {takes: 100 * ms},
		"control: nothing is waited for at all": {begins: true, takes: 100 * ms, off: true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, nil, func(t *testing.T, r *rig) {
				r.ports.policy.noFlight = c.off
				ana := r.client(alice, "ana", Require, nil)
				pr := ana.pasv()
				l := r.listen[pr.Port()]
				near, far := memPair(netip.AddrPortFrom(alice, 40000), l.addr)
				defer near.Close()
				l.conns <- laboured{far, c.takes}
				arrives := make(chan struct{})
				defer close(arrives)
				switch {
				case c.far:
					go handshake(distant{near, arrives}, ana.tls)
				case c.begins:
					go handshake(near, ana.tls)
				}
				synctest.Wait()
				pr.Announce(event.Upload)
				begin := time.Now()
				pr.AwaitFlight(t.Context())
				if took := time.Since(begin); took != c.waiting {
					t.Errorf("it took %v, want %v", took, c.waiting)
				}
				pr.Cancel()
			})
		})
	}
}

// A client whose data connection is bound already, or that has none yet, has
// its 150 at once.
func TestA150IsNotHeldUpWithoutAHandshake(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		ana := r.client(alice, "ana", Require, nil)
		for _, dials := range []bool{false, true} {
			pr := ana.pasv()
			if dials {
				defer ana.mustDial(pr.Port()).Close()
			}
			pr.Announce(event.Upload)
			synctest.Wait()
			begin := time.Now()
			pr.AwaitFlight(t.Context())
			if took := time.Since(begin); took != 0 {
				t.Errorf("with a connection: %t: it took %v", dials, took)
			}
			pr.Cancel()
		}
	})
}
