package ftpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/dataport"
	"ftps/pkg/event"
	"ftps/pkg/fault"
	"ftps/pkg/ftp"
	"ftps/pkg/layer"
	"ftps/pkg/vfs"
)

// Why a session, and with it a transfer, ends before its time.
var (
	errKicked      = errors.New("ftpserver: session ended by the administrator")
	errAborted     = errors.New("ftpserver: aborted by the client")
	errControlLost = errors.New("ftpserver: control connection lost")
	errIdle        = errors.New("ftpserver: idle for too long")
	errTooMany     = errors.New("ftpserver: too many failed logins")
	errCrowded     = errors.New("ftpserver: closed to make room for others")
	errShutdown    = errors.New("ftpserver: server shut down")
)

// Ends of a session, in event.Disconnected, that no honest client comes to.
var (
	ErrForeign  = errors.New("ftpserver: another protocol on the control port")
	ErrInjected = errors.New("ftpserver: bytes behind AUTH in the clear")
)

// session is one control connection and all that hangs on it. Its fields
// belong to the goroutine of serve; other goroutines read seen, add to
// transfer.bytes and send to exit.
type session struct {
	srv     *Server
	cfg     *Config // as it was when the session began
	info    event.Session
	started time.Time
	data    *dataport.Session

	// The state, a struct a concern, each reset whole.
	control  control
	login    loginState
	protect  protection
	params   parameters
	once     oneShots
	coming   coming
	port     portState
	folder   vfs.Name
	transfer *transfer // in progress, or nil

	// over says that the loop must end; cause why, nil after QUIT. leaving is
	// who waits for the transfer in progress before it does.
	over    bool
	cause   error
	leaving *farewell

	// deep is when the loop must go on elsewhere; zero is never.
	deep time.Time

	exit    chan farewell // from other goroutines; holds one
	alarm   alarm         // rung by them behind exit
	evicted atomic.Bool   // by another goroutine, which closed the connection
	seen    atomic.Pointer[Snapshot]
	now     atomic.Pointer[transfer] // what seen's Bytes are read from
}

// control is the control connection, which AUTH replaces.
type control struct {
	raw    net.Conn
	conn   net.Conn // raw, or tls over raw
	tls    *tls.Conn
	suite  string // version and cipher suite of tls
	lines  *reader
	lang   catalog.Lang
	unsent []byte // replies that wait for the one to a command that is here already
	held   *line  // what came while a command or a transfer was under way, and waits for its turn
	host   string // as HOST said
	bad    int    // commands in a row that made no sense

	refused int // commands that were refused before the login
}

// loginState is who is there.
type loginState struct {
	name     string    // as USER said, until PASS
	account  *Account  // nil before login
	failures int       // of this connection, which REIN does not forgive
	since    time.Time // when the clock for the login began
}

// protection is what PBSZ and PROT said (RFC 4217 §9).
type protection struct {
	pbsz bool
	prot bool
}

// parameters are those that stand until they are changed.
type parameters struct {
	ascii bool
	mode  *transferMode
	facts ftp.Facts
	hash  int           // of the server's algorithms
	idle  time.Duration // as SITE IDLE said
	ahead bool          // as OPTS STOR said: files come ahead of the 1yz
}

// oneShots serve the next command only.
type oneShots struct {
	rest   int64
	allo   int64 // -1 for none
	rang   ftp.Range
	rename *vfs.Name
	copy   *vfs.Name
}

// portState is the data connection to come, or the one that MODE B kept.
type portState struct {
	promise *dataport.Promise
	open    *dataport.Conn
	epsvAll bool // RFC 2428 §4: for the rest of the session
}

func (p *portState) drop() {
	p.dropOpen()
	if p.promise != nil {
		p.promise.Cancel()
		p.promise = nil
	}
}

func (p *portState) dropOpen() {
	if p.open != nil {
		p.open.Abort()
		p.open = nil
	}
}

// farewell is how somebody else asks a session to end.
type farewell struct {
	reply  reply
	reason string
	kicked bool
	wait   bool  // until the transfer in progress is over
	cause  error // of the end, if it is not the server's
}

func newSession(srv *Server, conn net.Conn, info event.Session) *session {
	cfg := srv.current()
	conn = layer.Direct(conn)
	s := &session{
		srv:     srv,
		cfg:     cfg,
		info:    info,
		started: time.Now(),
		exit:    make(chan farewell, 1),
		control: control{raw: conn, conn: conn, lang: cfg.Lang},
	}
	s.login.since = s.started
	s.params = s.freshParameters()
	s.once = freshOneShots()
	s.publish("")
	return s
}

// RFC 959 §5.1: TYPE ASCII and MODE stream are the defaults.
func (s *session) freshParameters() parameters {
	return parameters{ascii: true, mode: &modes[0], facts: knownFacts, idle: s.cfg.IdleTimeout}
}

func freshOneShots() oneShots { return oneShots{allo: -1, rang: ftp.WholeFile} }

// leave asks the session to end; the first to ask decides how, but a kick
// overrules a shutdown that waits.
func (s *session) leave(f farewell) {
	defer s.alarm.ring()
	for {
		select {
		case s.exit <- f:
			return
		default:
		}
		select {
		case old := <-s.exit:
			if old.kicked {
				f = old
			}
		default:
		}
	}
}

// serve runs the session to its end, and calls gone then.
func (s *session) serve(implicit bool, refused error, gone func()) {
	ctx, cancel := context.WithCancelCause(s.srv.ctx)
	s.stretch(func() { s.begin(ctx, cancel, implicit, refused) }, ctx, cancel, gone)
}

// deepWait is how long a session stays on the stack of its handshake.
const deepWait = 50 * time.Millisecond

// stretch does what a session does until it is over. A handshake takes a deep
// stack, which its goroutine would keep for as long as it waits for commands:
// a session that is still there a while behind one goes on in a goroutine of
// its own, and this one ends. Many are not: to go on elsewhere wakes a thread.
// To have another goroutine do the handshake would cost more: the two would
// wait for each other.
func (s *session) stretch(do func(), ctx context.Context, cancel context.CancelCauseFunc, gone func()) {
	moved := false
	err := guard(func() error {
		defer func() {
			if !moved {
				s.close(cancel)
			}
		}()
		do()
		moved = s.settles()
		return nil
	})
	if moved {
		s.deep = time.Time{}
		go s.stretch(func() { s.loop(ctx, cancel) }, ctx, cancel, gone)
		return
	}
	defer gone()
	cancel(nil)
	if err != nil {
		s.emit(event.Trouble{Where: "session " + s.info.ID, Err: err})
		s.control.raw.Close()
	}
}

// begin is a session's first stretch.
func (s *session) begin(ctx context.Context, cancel context.CancelCauseFunc, implicit bool, refused error) {
	s.emit(event.Connected{Session: s.info, Refused: refused})
	s.data = s.srv.cfg.Ports.Session(s.info)
	s.control.lines = newReader(s.control.conn, &s.alarm)

	if implicit {
		if err := s.secure(ctx); err != nil {
			s.end(err)
			return
		}
		// Implicit TLS is from before RFC 4217: its clients take the data
		// connection for protected without PROT.
		s.protect = protection{pbsz: true, prot: true}
	}
	if refused != nil {
		s.send(say("reply.connections"))
		s.end(refused)
		return
	}
	if s.cfg.Banner != "" {
		s.send(plain(220, splitLines(s.cfg.Banner)...))
	} else {
		s.send(say("reply.welcome"))
	}
	s.loop(ctx, cancel)
}

// loop hears one thing at a time: a line, the end of the transfer, the wish
// of somebody else, the clock.
func (s *session) loop(ctx context.Context, cancel context.CancelCauseFunc) {
	clock := time.NewTimer(s.patience())
	defer clock.Stop()
	if d := s.cfg.SessionTimeout; d > 0 {
		over := fault.Wrap(errIdle, "config.ended.session", d)
		whole := time.AfterFunc(d-time.Since(s.started), func() {
			s.leave(farewell{reply: say("reply.session"), wait: true, cause: over})
		})
		defer whole.Stop()
	}
	defer context.AfterFunc(ctx, s.alarm.ring)()
	elsewhere := func() bool {
		return len(s.exit) > 0 || ctx.Err() != nil || s.transfer != nil && len(s.transfer.done) > 0
	}
	for !s.over && !s.settles() {
		// A line is asked for only when it can be heard: while a serial
		// command waits for the transfer, the client's next line waits too.
		var waited chan line
		var until time.Time // the clock does not run while data flows
		if s.transfer == nil {
			until = time.Now().Add(s.patience())
		}
		if s.control.held == nil && !s.control.lines.asked {
			if !s.control.lines.more() {
				s.flush()
			}
			wake := until
			if s.transfer == nil && !s.deep.IsZero() && s.deep.Before(until) {
				wake = s.deep
			}
			l, ok := s.control.lines.here(wake, elsewhere)
			if ok {
				s.trace(l)
				s.hear(ctx, l)
				continue
			}
			if !elsewhere() && (s.transfer != nil || time.Now().Before(until)) {
				continue // rung for what has been seen to, or to settle
			}
		} else if l := s.control.held; l == nil {
			s.control.lines.ask()
		} else if s.transfer == nil || s.urgent(l) {
			waited = make(chan line, 1)
			waited <- *l
		}
		var done <-chan error
		var idle <-chan time.Time
		if s.transfer != nil {
			done = s.transfer.done
		} else {
			clock.Reset(time.Until(until))
			idle = clock.C
		}
		s.flush()
		select {
		case l := <-s.control.lines.out:
			s.control.lines.heard()
			s.trace(l)
			s.hear(ctx, l)
		case l := <-waited:
			s.control.held = nil
			s.hear(ctx, l)
		case err := <-done:
			s.settle(err)
			if s.leaving != nil {
				s.dismiss(*s.leaving)
			}
		case f := <-s.exit:
			if f.wait && s.transfer != nil {
				s.leaving = &f
				continue
			}
			s.stopTransfer(errKicked)
			s.dismiss(f)
		case <-idle:
			s.send(say("reply.idle"))
			s.end(s.outOfTime())
		case <-ctx.Done(): // Shutdown's patience is over
			s.stopTransfer(errShutdown)
			s.dismiss(farewell{reply: say("reply.shutdown")})
		}
	}
	if s.over {
		cancel(errControlLost)
	}
}

// settles reports whether the session is to go on with a small stack.
func (s *session) settles() bool {
	return !s.over && s.transfer == nil && !s.deep.IsZero() && !time.Now().Before(s.deep)
}

// patience is how long the next command may take.
func (s *session) patience() time.Duration {
	if s.login.account == nil {
		return max(0, s.cfg.LoginTimeout-time.Since(s.login.since))
	}
	return s.params.idle
}

// outOfTime is errIdle with the clock that ran out.
func (s *session) outOfTime() error {
	if s.login.account == nil {
		return fault.Wrap(errIdle, "config.ended.login", s.cfg.LoginTimeout)
	}
	return fault.Wrap(errIdle, "config.ended.idle", s.params.idle)
}

// evict closes the connection to make room for others. It is called by other
// goroutines.
func (s *session) evict() {
	s.evicted.Store(true)
	s.control.raw.Close()
}

// crowded is why it was closed then.
func (s *session) crowded() error {
	return fault.Wrap(errCrowded, "config.ended.crowded", s.srv.current().MaxBeforeLogin)
}

// dismiss says goodbye on behalf of f.
func (s *session) dismiss(f farewell) {
	if f.kicked {
		s.data.Forget() // its tickets are abroad, and good for the account's other sessions
	}
	s.send(f.reply)
	if f.kicked {
		s.emit(event.Kicked{Session: s.info, Reason: f.reason})
		s.end(errKicked)
		return
	}
	if f.cause != nil {
		s.end(f.cause)
	}
	s.end(errShutdown)
}

// end makes the loop stop; the first cause stays.
func (s *session) end(cause error) {
	if !s.over {
		s.over, s.cause = true, cause
	}
}

// closeGrace bounds how long the last reply may take to be read.
const closeGrace = 2 * time.Second

// close gives back all that the session held. The control connection ends in
// order, with close_notify and a FIN of its own before the socket is closed:
// a reset would take the last reply from the client.
func (s *session) close(cancel context.CancelCauseFunc) {
	s.srv.forget(s.info.Number)
	s.srv.early.remove(s)
	cancel(errControlLost)
	s.stopTransfer(errControlLost)
	s.port.drop()
	who := s.info // the last event tells who it was
	s.logout()
	s.data.Close()
	layer.Hold(s.control.raw) // the last reply and the end in one packet
	s.flush()
	if s.control.tls != nil {
		layer.End(s.control.tls, s.control.raw, closeGrace)
	} else {
		endPlain(s.control.raw, closeGrace)
	}
	s.control.lines.wait()
	if s.evicted.Load() {
		s.cause = s.crowded()
	}
	s.emit(event.Disconnected{Session: who, Duration: time.Since(s.started), Cause: s.cause})
}

// logout lets go of the account. Its tickets stand for nobody from here on.
func (s *session) logout() {
	if s.login.account == nil {
		return
	}
	s.login.account.Close()
	s.login.account = nil
	s.info.User = ""
}

// endPlain is the orderly end of a connection that never got to TLS.
func endPlain(conn net.Conn, grace time.Duration) {
	conn.SetDeadline(time.Now().Add(grace))
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		io.Copy(io.Discard, io.LimitReader(conn, maxLine))
	}
	conn.Close()
}

// secure puts TLS under the control connection.
func (s *session) secure(ctx context.Context) error {
	s.srv.early.step(s)
	s.control.lines.untime()
	conn := tls.Server(layer.StrictEOF(s.control.raw), s.withHost(s.data.ControlTLS()))
	s.control.raw.SetDeadline(time.Now().Add(s.cfg.HandshakeTimeout))
	stop := context.AfterFunc(ctx, func() { s.control.raw.Close() })
	layer.Deepen()
	// Not HandshakeContext, which takes a goroutine more to hear of its end.
	err := guard(conn.Handshake)
	stop()
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			s.control.raw.Close() // whoever said nothing so far is not waited for again
			err = fault.Wrap(err, "config.ended.handshake", s.cfg.HandshakeTimeout)
		}
		if s.evicted.Load() {
			err = s.crowded()
		}
		s.emit(event.HandshakeFailed{Session: s.info, Err: err})
		return err
	}
	s.deep = time.Now().Add(deepWait)
	s.srv.early.step(s)
	s.control.tls = conn
	s.control.conn = conn
	s.control.lines = newReader(conn, &s.alarm)
	s.control.lines.timed = true // the handshake's deadline stands
	state := conn.ConnectionState()
	s.control.suite = tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
	s.emit(event.Secured{Session: s.info, Version: state.Version, Cipher: state.CipherSuite, Resumed: state.DidResume})
	s.publish("AUTH")
	return nil
}

// send sends a reply, together with the next one where the command for that
// is here already: each of many small files in MODE B has three. The last
// reply of a session goes with its end.
func (s *session) send(r reply) {
	s.queue(r)
	if s.over {
		return // the last words go with the end
	}
	if !s.params.mode.stays || len(s.control.unsent) > maxUnsent || !s.control.lines.more() {
		s.flush()
	}
}

// maxUnsent bounds the replies that wait for others, in bytes.
const maxUnsent = 4 << 10

// queue puts a reply behind those that wait. Whoever calls it flushes before
// it waits for anything.
func (s *session) queue(r reply) {
	if s.control.conn == nil {
		return
	}
	before := len(s.control.unsent)
	s.control.unsent = r.wire(s.control.lang, s.info.ID).AppendTo(s.control.unsent)
	if s.cfg.Trace() {
		for l := range strings.Lines(string(s.control.unsent[before:])) {
			s.emit(event.Line{Session: s.info, Sent: true, Text: strings.TrimRight(l, "\r\n")})
		}
	}
}

// flush writes the replies that wait. A client that does not take them is
// gone.
func (s *session) flush() {
	if len(s.control.unsent) == 0 {
		return
	}
	s.control.conn.SetWriteDeadline(time.Now().Add(s.srv.cfg.ReplyTimeout))
	_, err := s.control.conn.Write(s.control.unsent)
	s.control.unsent = nil
	if err != nil {
		s.end(errControlLost)
	}
	// It was for these replies alone: what a later read has to write, to
	// answer a KeyUpdate, must not run into it.
	s.control.conn.SetWriteDeadline(time.Time{})
}

func (s *session) emit(e event.Event) { s.srv.cfg.Sink.Handle(e) }

// publish renews what others see of the session.
func (s *session) publish(verb string) {
	snap := Snapshot{
		Number:  s.info.Number,
		ID:      s.info.ID,
		User:    s.info.User,
		Remote:  s.info.Remote,
		Since:   s.started,
		Active:  time.Now(),
		Command: verb,
		Folder:  s.folder.String(),
	}
	if s.control.tls != nil {
		snap.Secure, snap.TLS = true, s.control.suite
	}
	s.now.Store(s.transfer)
	s.seen.Store(&snap)
}

// snapshot is called by other goroutines.
func (s *session) snapshot() Snapshot {
	snap := *s.seen.Load()
	if t := s.now.Load(); t != nil {
		snap.Transfer = t.name.String()
		snap.Upload = t.direction == event.Upload
		snap.Began = t.started
		snap.Bytes = t.bytes.Load()
		if bound := t.bound.Load(); bound != nil {
			snap.Bound = *bound
		}
	}
	return snap
}
