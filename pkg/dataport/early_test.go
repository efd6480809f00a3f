//go:build linux

package dataport

import (
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/layer"
)

// preempted is a data port whose thread is taken from it just after it has
// accepted a connection, until it may go on.
type preempted struct {
	*net.TCPListener
	taken, goOn, asked chan struct{}
	once               sync.Once
}

func (l *preempted) Accept() (net.Conn, error) {
	conn, err := l.TCPListener.Accept()
	if err == nil {
		l.taken <- struct{}{}
		<-l.goOn
	}
	return conn, err
}

func (l *preempted) SetDeadline(at time.Time) error {
	l.once.Do(func() { close(l.asked) })
	return l.TCPListener.SetDeadline(at)
}

// sending tells when the first bytes have gone.
type sending struct {
	net.Conn
	sent func()
}

func (s *sending) Write(b []byte) (int, error) {
	n, err := s.Conn.Write(b)
	s.sent()
	return n, err
}

// On a machine with far more to do than it can, curl's connection and its
// ClientHello were there, but the server had not come to them when it read
// curl's TYPE and STOR. It took curl for a client that does not read, gave it
// no ticket, and refused its second upload.
func TestAHelloThatIsNotAcceptedYetWhenAnotherCommandIsReadIsASignOfReading(t *testing.T) {
	second := func(off bool) error {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := &preempted{TCPListener: l.(*net.TCPListener),
			taken: make(chan struct{}), goOn: make(chan struct{}), asked: make(chan struct{})}
		r := onLoopback(t, 0, func(c *Config) {
			c.Listeners, c.hold, c.catchUp, c.Grace = []net.Listener{port}, time.Hour, time.Hour, 50*time.Millisecond
		})
		r.ports.policy.noCatchUp = off
		c := r.client(loopback, "ana", Require, onceCache{tls.NewLRUClientSessionCache(1)})

		upload := func(first bool) error {
			pr := c.pasv()
			sent := make(chan struct{})
			raw := &sending{Conn: r.open(loopback, pr.Port()), sent: sync.OnceFunc(func() { close(sent) })}
			shaken := c.shakes(raw)
			<-sent
			<-port.taken
			heard := make(chan struct{})
			go func() {
				defer close(heard)
				if first {
					c.s.Heard() // TYPE I
				}
				pr.Announce(event.Upload)
			}()
			select {
			case <-heard: // it did not look
			case <-port.asked:
			case <-time.After(time.Minute):
				t.Fatal("the command is not heard")
			}
			if first {
				port.goOn <- struct{}{}
				<-heard
			} else {
				<-heard
				port.goOn <- struct{}{}
			}
			return c.storing(take(pr, event.Upload), <-shaken, "file")
		}
		if err := upload(true); err != nil {
			t.Fatal(err)
		}
		return upload(false)
	}
	if err := second(false); err != nil {
		t.Error(err)
	}
	if second(true) == nil {
		t.Error("it is not refused where nobody looks either: this test shows nothing")
	}
}

// Between the byte's leaving the kernel and its being known to have come there
// was a moment at which a command that was read saw neither.
func TestAFirstByteIsKnownToHaveComeBeforeItIsTaken(t *testing.T) {
	near, far := tcpPair(t)
	far.SetDeadline(time.Now().Add(time.Minute))
	left := -1
	e := &ear{Conn: layer.Direct(far), raw: far, heard: func() { left = layer.Queued(far) }}
	near.Write([]byte("x"))
	if n, err := e.Read(make([]byte, 10)); n != 1 || err != nil || left != 1 {
		t.Errorf("read %d bytes, %v; when it was told %d were left to take, want 1", n, err, left)
	}
}

// stormed is a data port where somebody asks for Accept to come back whenever
// it is about to begin.
type stormed struct {
	*net.TCPListener
	ask func()
}

func (l *stormed) Accept() (net.Conn, error) {
	l.ask()
	return l.TCPListener.Accept()
}

func TestSessionsThatAskWithoutEndDoNotCloseAPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	began := make(chan struct{})
	port := &stormed{TCPListener: l.(*net.TCPListener)}
	number := l.Addr().(*net.TCPAddr).Port
	var r *rig
	port.ask = func() {
		<-began
		r.ports.recall(port, number)
	}
	r = onLoopback(t, 0, func(c *Config) { c.Listeners = []net.Listener{port} })
	close(began)
	c := r.client(loopback, "ana", Require, nil)
	for range 3 {
		done := make(chan error, 1)
		go func() { done <- c.upload("file") }()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("nobody is let in")
		}
	}
}

// A port where nothing comes does not hold anybody up.
func TestACommandIsNotHeldUpWhereNoConnectionIsOnItsWay(t *testing.T) {
	r := onLoopback(t, 1, nil)
	c := r.client(loopback, "ana", Require, nil)
	c.pasv()
	begin := time.Now()
	for range 1000 {
		c.s.Heard()
	}
	if took := time.Since(begin); took >= 1000*r.ports.cfg.catchUp/2 {
		t.Errorf("1000 commands took %v", took)
	} else {
		t.Logf("%v a command", took/1000)
	}
}
