package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"time"

	"ftps/pkg/dataport"
	"ftps/pkg/fault"
	"ftps/pkg/handover"
	"ftps/pkg/wall"
)

// An upgrade: the running server starts the program anew, from the path that
// it was started from itself, and gives it what it stands on: the listening
// sockets and the keys of tickets, over a socket that only the two of them
// have. The new server says that it is ready before anything changes; only
// then the old one stops accepting, tells it of its sessions and promises,
// and goes on for as long as it has sessions. From then on the new server
// accepts on the data ports for both (see dataport.Ports.Leave).

// What is said over the socket.
const (
	sayHello = "hello" // old: keys, bans, level; sockets come before it
	saySock  = "socket"
	sayReady = "ready" // new: may take over
	sayFail  = "fail"  // new: cannot, and why
	sayGo    = "go"    // old: has stopped accepting
	sayNote  = "note"  // both: of the data ports
	sayConn  = "conn"  // new: a data connection for the old one
	sayAsk   = "ask"   // new: a question about the old one's sessions
	sayTell  = "tell"  // old: the answer
)

type helloBody struct {
	Keys    [][]byte
	OwnKeys bool // they are those of no file
	Level   slog.Level
	Bans    []banBody

	// The wall round the old server, which is the new one's as well.
	WallABI int
	Wall    []wall.Folder
}

type banBody struct {
	Addr      netip.Addr
	Until     time.Time
	Automatic bool
}

type sockBody struct{ Purpose, Asked string }

type readyBody struct {
	Version string
	PID     int
}

type goBody struct {
	Next  int // number of the next session
	Notes []dataport.Note
}

// upgradeLimit is how long a new server may take until it is ready.
const upgradeLimit = 30 * time.Second

// birth is what a successor is given at its start.
type birth struct {
	link  *handover.Link
	hello helloBody
	sockets
}

// findSockets finds those that were open when the program started.
func (d *Daemon) findSockets() (err error) {
	if d.cfg.Elder == nil {
		d.sockets, err = activated()
		return err
	}
	if d.born, err = hearElder(d.cfg.Elder); err == nil {
		d.sockets = &d.born.sockets
	}
	return err
}

// hearElder reads what the old server gives before it waits for us.
func hearElder(link *handover.Link) (*birth, error) {
	b := &birth{link: link}
	for {
		m, err := link.Receive()
		if err != nil {
			b.close()
			return nil, fault.Wrap(err, "service.upgrade.elder", err)
		}
		switch m.Kind {
		case saySock:
			var about sockBody
			err := m.Into(&about)
			if err == nil && len(m.Files) == 1 {
				var l net.Listener
				if l, err = fromFile(m.Files[0]); err == nil {
					b.waiting = append(b.waiting, opened{about.Purpose, about.Asked, l})
				}
			}
			if err != nil {
				m.Close()
				b.close()
				return nil, fault.Wrap(err, "service.upgrade.elder", err)
			}
		case sayHello:
			if err := m.Into(&b.hello); err != nil {
				b.close()
				return nil, fault.Wrap(err, "service.upgrade.elder", err)
			}
			return b, nil
		default:
			m.Close()
		}
	}
}

func (b *birth) keys() (keys [][32]byte) {
	for _, key := range b.hello.Keys {
		if len(key) == 32 {
			keys = append(keys, [32]byte(key))
		}
	}
	return keys
}

// takeOver puts what the old server gave in force.
func (d *Daemon) takeOver(b *birth) {
	d.cfg.Level.Set(b.hello.Level)
	for _, one := range b.hello.Bans {
		if !one.Until.IsZero() && !time.Now().Before(one.Until) {
			continue
		}
		d.bans.take(one)
	}
	b.close() // ports that are in the settings no more
}

// Fail tells the old server why its successor does not come up.
func Fail(link *handover.Link, cause string) {
	if link != nil {
		_ = link.Send(sayFail, cause)
		link.Close()
	}
}

// succeed waits until the old server has stopped accepting, and takes its
// place. It is called before anything is served.
func (d *Daemon) succeed(ctx context.Context) error {
	link := d.born.link
	defer context.AfterFunc(ctx, link.Shut)()
	if err := link.Send(sayReady, readyBody{d.cfg.Version, os.Getpid()}); err != nil {
		return fault.Wrap(err, "service.upgrade.elder", err)
	}
	var early []dataport.Note // said after the state was taken, and on its way before it
	for {
		m, err := link.Receive()
		if err != nil {
			return fault.Wrap(err, "service.upgrade.elder", err)
		}
		if m.Kind != sayGo {
			var note dataport.Note
			if m.Kind == sayNote && m.Into(&note) == nil {
				early = append(early, note)
			}
			m.Close()
			continue
		}
		var body goBody
		if err := m.Into(&body); err != nil {
			return fault.Wrap(err, "service.upgrade.elder", err)
		}
		d.server.Number(body.Next)
		d.ports.Inherit(append(body.Notes, early...), func(n dataport.Note, conn net.Conn) {
			if conn != nil {
				_ = link.Give(sayConn, n, conn)
			} else {
				_ = link.Send(sayNote, n)
			}
		})
		d.elder.Store(true)
		d.log.Info("took-over", "version", d.cfg.Version)
		return nil
	}
}

// heedElder hears the old server until it ends.
func (d *Daemon) heedElder() {
	link := d.born.link
	for {
		m, err := link.Receive()
		if err != nil {
			break
		}
		var note dataport.Note
		var a answer
		switch {
		case m.Kind == sayNote && m.Into(&note) == nil:
			d.ports.Told(note)
		case m.Kind == sayTell && m.Into(&a) == nil:
			d.asked.answered(a)
		}
		m.Close()
	}
	d.asked.end()
	d.ports.Alone()
	d.ring.freeze(false)
	d.elder.Store(false)
	link.Cut()
	d.log.Info("old-server-gone")
}

// Upgrade implements [admin.Server]: it returns once the new server is
// ready, or with the reason why this one goes on.
func (d *Daemon) Upgrade() (version string, pid int, err error) {
	defer func() {
		if err != nil {
			d.log.Error("upgrade-failed", "cause", d.cause(err))
		}
	}()
	switch {
	case d.cfg.Program == "":
		return "", 0, fault.New("service.upgrade.unsupported")
	case d.left.Load():
		return "", 0, fault.New("service.upgrade.left")
	case !d.upgrading.TryLock():
		return "", 0, fault.New("service.upgrade.busy")
	}
	defer func() {
		if err != nil { // else a successor has the ports, or is about to: there is never a second
			d.upgrading.Unlock()
		}
	}()
	switch {
	case d.elder.Load():
		return "", 0, fault.New("service.upgrade.elder.there")
	case d.draining.Load():
		return "", 0, errDraining
	}
	d.log.Info("upgrade", "program", d.cfg.Program)
	link, cmd, err := handover.Start(d.cfg.Program, d.cfg.Args)
	if err != nil {
		return "", 0, fault.Wrap(err, "service.upgrade.start", d.cfg.Program, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // while this server lives it is a child, or else the service manager's
	ready, err := d.raise(link, cmd, ended)
	if err != nil {
		d.ring.freeze(false)
		link.Cut()
		return "", 0, err
	}
	select {
	case d.handing <- handing{link, ready}:
	case <-d.over:
		link.Cut()
		return "", 0, errDraining
	}
	return ready.Version, ready.PID, nil
}

// raise gives the new server what it needs and waits until it is ready. One
// that does not get there is ended.
func (d *Daemon) raise(link *handover.Link, cmd *exec.Cmd, ended <-chan error) (readyBody, error) {
	for _, o := range d.sockets.taken {
		socket, ok := o.l.(handover.Socket)
		if !ok {
			continue
		}
		if err := link.Send(saySock, sockBody{o.purpose, o.asked}, socket); err != nil {
			return readyBody{}, err
		}
	}
	hello := helloBody{Level: d.Level(), Bans: d.bans.give(), OwnKeys: d.cfg.TicketKeys == ""}
	if d.wall != nil {
		hello.WallABI, hello.Wall = d.wall.ABI, d.wall.Folders
	}
	for _, key := range d.ring.freeze(true) {
		hello.Keys = append(hello.Keys, key[:])
	}
	if err := link.Send(sayHello, hello); err != nil {
		return readyBody{}, err
	}
	type outcome struct {
		ready readyBody
		err   error
	}
	answered := make(chan outcome, 1)
	go func() {
		m, err := link.Receive()
		if err != nil {
			answered <- outcome{err: err}
			return
		}
		defer m.Close()
		var a outcome
		var why string
		switch {
		case m.Kind == sayReady:
			a.err = m.Into(&a.ready)
		case m.Kind == sayFail && m.Into(&why) == nil:
			a.err = fault.New("service.upgrade.refused", why)
		default:
			a.err = errors.New(m.Kind)
		}
		answered <- a
	}()
	limit := time.NewTimer(d.cfg.UpgradeLimit)
	defer limit.Stop()
	var failed error
	select {
	case a := <-answered:
		if a.err == nil {
			return a.ready, nil
		}
		failed = a.err
		if errors.Is(failed, io.EOF) { // it has ended, or is about to
			failed = fault.New("service.upgrade.died", d.cfg.Program)
		}
	case <-limit.C:
		failed = fault.New("service.upgrade.slow", d.cfg.UpgradeLimit)
	}
	cmd.Process.Kill()
	<-ended
	return readyBody{}, failed
}

// handing is a successor that is ready.
type handing struct {
	link  *handover.Link
	ready readyBody
}

// handOver makes this the old server. The loops that accept control
// connections have ended: what they accepted is here, and numbered.
func (d *Daemon) handOver(h handing) {
	if d.socket != nil {
		d.socket.Keep()
	}
	d.left.Store(true)
	notes := d.ports.Leave(func(n dataport.Note) { _ = h.link.Send(sayNote, n) })
	d.notify("MAINPID=" + strconv.Itoa(h.ready.PID))
	_ = h.link.Send(sayGo, goBody{Next: d.server.Next(), Notes: notes})
	d.log.Info("handed-over", "version", h.ready.Version, "pid", h.ready.PID, "sessions", d.conns.Open())
}

// heedHeir hears the successor until it ends, which ends this server as well.
func (d *Daemon) heedHeir(link *handover.Link) {
	for {
		m, err := link.Receive()
		if err != nil {
			break
		}
		var note dataport.Note
		var q question
		switch {
		case m.Kind == sayAsk && m.Into(&q) == nil:
			_ = link.Send(sayTell, d.answer(q))
		case m.Kind == sayNote && m.Into(&note) == nil:
			d.ports.Answered(note)
		case m.Kind == sayConn && m.Into(&note) == nil && len(m.Files) == 1:
			if conn, err := net.FileConn(m.Files[0]); err == nil {
				d.ports.Adopt(withAddresses(conn, note.Remote, note.Local), note)
			}
		}
		m.Close()
	}
	d.ports.Orphaned()
	// Not cut: a server without sessions ends at once, and the word to go may
	// still be on its way to the successor.
	link.Close()
}

// withAddresses gives a connection the addresses that a proxy told of it.
func withAddresses(conn net.Conn, remote, local netip.AddrPort) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok || tcpAddrPort(conn.RemoteAddr()) == remote && tcpAddrPort(conn.LocalAddr()) == local {
		return conn
	}
	return &proxied{TCPConn: tcp, remote: net.TCPAddrFromAddrPort(remote), local: net.TCPAddrFromAddrPort(local)}
}
