package ftpserver

import (
	"cmp"
	linked "container/list"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/dataport"
	"ftps/pkg/event"
	"ftps/pkg/limit"
)

// Config says how to serve. Backend and Ports are required.
type Config struct {
	Backend Backend
	Ports   *dataport.Ports
	Sink    event.Sink
	Lang    catalog.Lang // of replies until LANG chooses
	Version string       // told by CSID
	Banner  string       // replaces the greeting's text

	// PublicIP returns the IPv4 address to tell in PASV, or the zero Addr to
	// tell the control connection's own.
	PublicIP func() netip.Addr

	// KnowsHost reports whether HOST may name that host; nil knows none.
	KnowsHost func(name string) bool

	// Admit decides whether an address may connect; release is called when
	// its connection is gone. A refusal is answered with 421; one that is
	// ErrBanned costs as little as can be.
	Admit func(netip.Addr) (release func(), err error)

	// Trace reports whether every line of the dialogue is to be told to the
	// sink; nil is never.
	Trace func() bool

	// MaxBeforeLogin is how many connections may be there that have not
	// logged in; 1000. One more closes the one that has stood still for the
	// longest.
	MaxBeforeLogin int

	// How long to wait: zero means the default. Idle does not run while data
	// flows.
	HandshakeTimeout time.Duration // for TLS after AUTH; 10 s
	LoginTimeout     time.Duration // from the connection to the login; 60 s
	IdleTimeout      time.Duration // between commands; 5 min
	StallTimeout     time.Duration // without a byte on a data connection; 60 s
	ReplyTimeout     time.Duration // for a reply to be taken; 30 s

	// SessionTimeout is how long a session may last in all; 0 is no limit. A
	// transfer in progress is not cut.
	SessionTimeout time.Duration

	// MinRate is how many bytes a second a data connection must move at
	// least, over each minute that the client is waited for; 0 is no limit.
	MinRate int64

	// Hashes is how many files are hashed at once, shared evenly among the
	// accounts that ask; half of the cores.
	Hashes int

	// SumsKept says that homes keep the SHA-256 of their files: HASH offers
	// nothing quicker then, for it would have to read them.
	SumsKept bool

	// LoginAttempts is how many wrong passwords a connection may try; 3.
	LoginAttempts int

	// window is what MinRate is held against; 1 min.
	window time.Duration

	// weaken is set by tests alone: it switches a defence off, to see the
	// attack succeed that it stops.
	weaken func(*Server)
}

func (c *Config) defaults() {
	if c.Sink == nil {
		c.Sink = event.Discard
	}
	c.MaxBeforeLogin = cmp.Or(c.MaxBeforeLogin, 1000)
	c.HandshakeTimeout = cmp.Or(c.HandshakeTimeout, 10*time.Second)
	c.LoginTimeout = cmp.Or(c.LoginTimeout, time.Minute)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 5*time.Minute)
	c.StallTimeout = cmp.Or(c.StallTimeout, time.Minute)
	c.ReplyTimeout = cmp.Or(c.ReplyTimeout, 30*time.Second)
	c.window = cmp.Or(c.window, time.Minute)
	c.LoginAttempts = cmp.Or(c.LoginAttempts, 3)
	if c.PublicIP == nil {
		c.PublicIP = func() netip.Addr { return netip.Addr{} }
	}
	if c.KnowsHost == nil {
		c.KnowsHost = func(string) bool { return false }
	}
	if c.Trace == nil {
		c.Trace = func() bool { return false }
	}
	if c.Admit == nil {
		c.Admit = func(netip.Addr) (func(), error) { return func() {}, nil }
	}
}

// Server serves control connections.
type Server struct {
	cfg   Config                 // as it was at the start
	fresh atomic.Pointer[Config] // as it is for new sessions; nil is cfg
	table map[string]*row
	next  atomic.Int64 // the next session's number
	early early

	unheard atomic.Int64 // connections that were not admitted since the last event
	told    atomic.Int64 // when that was, in Unix seconds

	hashing    *limit.Fair // HASH and its sisters, by account
	algorithms []algorithm // of HASH

	refusing atomic.Int64 // sessions that only tell that there are too many
	most     bounds
	trusting trusting

	ctx    context.Context // of every session; ends when Shutdown loses patience
	cancel context.CancelFunc
	over   context.Context // has ended: for what must not wait

	mu       sync.Mutex
	closing  bool
	sessions map[int]*session
	live     sync.WaitGroup // sessions
}

// bounds are what nobody sets, but the tests that lift them.
type bounds struct{ refused, refusing int }

// New returns a server.
func New(cfg Config) *Server {
	cfg.defaults()
	// Half of the cores stay free for who transfers.
	hashing := limit.NewFair(cmp.Or(cfg.Hashes, max(1, runtime.GOMAXPROCS(0)/2)))
	s := &Server{cfg: cfg, hashing: hashing, algorithms: algorithmsHere(&cfg), table: make(map[string]*row), sessions: make(map[int]*session), most: bounds{maxRefused, maxRefusing}}
	for _, r := range commands() {
		s.table[r.verb] = &r
	}
	s.early = early{most: cfg.MaxBeforeLogin, at: make(map[*session]*linked.Element)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	over, end := context.WithCancel(s.ctx)
	end()
	s.over = over
	if cfg.weaken != nil {
		cfg.weaken(s)
	}
	return s
}

// current is the configuration for a new session.
func (s *Server) current() *Config {
	if fresh := s.fresh.Load(); fresh != nil {
		return fresh
	}
	return &s.cfg
}

// Change gives new sessions another language, banner, other timeouts and
// another bound on those before their login; sessions that are there keep what
// they began with. Other fields do not change while the server runs.
func (s *Server) Change(change func(*Config)) {
	cfg := s.cfg
	change(&cfg)
	cfg.defaults()
	s.fresh.Store(&cfg)
	s.early.limit(cfg.MaxBeforeLogin)
}

// acceptPause is how long an Accept that failed for lack of descriptors, or
// of anything else that may come back, rests before it goes on.
const acceptPause = 50 * time.Millisecond

// Serve accepts control connections until ctx ends or the listener is
// closed; then it closes the listener and returns nil. Sessions go on: it is
// [Server.Shutdown] that ends them. With implicit, TLS begins with the first
// byte (RFC 4217 §3's deprecated form, which old clients still need).
func (s *Server) Serve(ctx context.Context, l net.Listener, implicit bool) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer l.Close()
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			s.begin(conn, implicit)
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		default:
			// Out of descriptors is no reason to stop listening.
			s.cfg.Sink.Handle(event.Trouble{Where: "accept", Err: err})
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
		}
	}
}

// maxRefusing bounds how many of those who are not admitted are told so at
// the same time. No other limit counts them, and each holds a descriptor
// until its client has read the reply.
const maxRefusing = 64

// turnAway tells the sink of connections that were not admitted, at
// most once a second.
func (s *Server) turnAway(remote netip.AddrPort, cause error) {
	s.unheard.Add(1)
	now, last := time.Now().Unix(), s.told.Load()
	if now != last && s.told.CompareAndSwap(last, now) {
		s.cfg.Sink.Handle(event.TurnedAway{Remote: remote, Number: s.unheard.Swap(0), Cause: cause})
	}
}

// ErrBanned is what Admit returns for an address that may not connect for
// what it did.
var ErrBanned = errors.New("ftpserver: address banned")

// sayNo answers a connection that is not admitted before any TLS, at the
// price of one system call and no goroutine: nothing was sent yet, so that the
// reply does not block. Whoever must not be here gets no handshake.
func (s *Server) sayNo(conn net.Conn, remote netip.AddrPort, implicit bool, refused error) {
	defer conn.Close()
	s.turnAway(remote, refused)
	if implicit {
		return
	}
	no := say("reply.connections")
	if errors.Is(refused, ErrBanned) {
		no = say("reply.banned")
	}
	conn.SetWriteDeadline(time.Now().Add(time.Second))
	conn.Write(no.wire(s.current().Lang, "").AppendTo(nil))
}

// begin starts a session on a new control connection.
func (s *Server) begin(conn net.Conn, implicit bool) {
	remote := addrPort(conn.RemoteAddr())
	release, refused := s.cfg.Admit(remote.Addr())
	if refused != nil && (!implicit || errors.Is(refused, ErrBanned)) {
		s.sayNo(conn, remote, implicit, refused)
		return
	}
	if refused != nil {
		if s.refusing.Add(1) > int64(s.most.refusing) {
			s.refusing.Add(-1)
			conn.Close()
			s.turnAway(remote, refused)
			return
		}
		release = func() { s.refusing.Add(-1) }
	}
	ses := newSession(s, conn, event.Session{
		ID:     newID(),
		Number: int(s.next.Add(1) - 1),
		Remote: remote,
	})
	s.mu.Lock()
	closing := s.closing
	if !closing {
		s.sessions[ses.info.Number] = ses
		s.live.Add(1)
	}
	s.mu.Unlock()
	if closing {
		release()
		conn.Close()
		return
	}
	if refused == nil {
		if out := s.early.add(ses); out != nil {
			out.evict()
		}
	}
	go ses.serve(implicit, refused, func() {
		release()
		s.live.Done()
	})
}

// Number has the sessions that are to come numbered from next on.
func (s *Server) Number(next int) { s.next.Store(int64(next)) }

// Next returns the number of the next session.
func (s *Server) Next() int { return int(s.next.Load()) }

// forget takes a session off the list of those who are there.
func (s *Server) forget(number int) {
	s.mu.Lock()
	delete(s.sessions, number)
	s.mu.Unlock()
}

// Shutdown ends every session: the idle ones are told 421 at once, a running
// transfer may finish until ctx ends. It returns when the last session is
// gone; ctx's error says that transfers had to be cut.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for _, ses := range s.sessions {
		ses.leave(farewell{reply: say("reply.shutdown"), wait: true})
	}
	s.mu.Unlock()

	gone := make(chan struct{})
	go func() { s.live.Wait(); close(gone) }()
	select {
	case <-gone:
		s.cancel()
		return nil
	case <-ctx.Done():
		s.cancel()
		<-gone
		return ctx.Err()
	}
}

// Snapshot is what others may see of a session.
type Snapshot struct {
	Number   int
	ID       string
	User     string // "" before login
	Remote   netip.AddrPort
	Secure   bool   // TLS is up
	TLS      string // version and cipher suite
	Since    time.Time
	Active   time.Time // of the last command
	Command  string    // the last verb
	Folder   string
	Transfer string // rooted path being transferred, or ""
	Upload   bool
	Began    time.Time // that transfer
	Bytes    int64     // of that transfer, so far
	Bound    string
}

// Sessions lists who is connected, by number.
func (s *Server) Sessions() []Snapshot {
	s.mu.Lock()
	list := make([]Snapshot, 0, len(s.sessions))
	for _, ses := range s.sessions {
		list = append(list, ses.snapshot())
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b Snapshot) int { return cmp.Compare(a.Number, b.Number) })
	return list
}

// Kick ends one session with 421; a transfer in progress is cut. It reports
// whether there was such a session.
func (s *Server) Kick(number int, reason string) bool {
	return s.dismiss(number, farewell{reply: say("reply.kicked"), reason: reason, kicked: true})
}

// Expel is Kick for a session whose address has been banned.
func (s *Server) Expel(number int, reason string) bool {
	return s.dismiss(number, farewell{reply: say("reply.banned"), reason: reason, kicked: true})
}

func (s *Server) dismiss(number int, f farewell) bool {
	s.mu.Lock()
	ses, ok := s.sessions[number]
	s.mu.Unlock()
	if ok {
		ses.leave(f)
	}
	return ok
}

// KickAccount ends every session of an account, as after a change of its
// rights, and returns how many there were.
func (s *Server) KickAccount(name, reason string) int {
	n := 0
	for _, snap := range s.Sessions() {
		if snap.User == name && s.Kick(snap.Number, reason) {
			n++
		}
	}
	return n
}

// newID returns a session's log id. It names the session in the log and in
// replies; nothing is granted for knowing it.
func newID() string {
	var b [4]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// addrPort returns a TCP address in its canonical form: IPv4 that came
// through a dual-stack socket is IPv4.
func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
