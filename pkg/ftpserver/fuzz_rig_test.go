package ftpserver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ftps/pkg/dataport"
	"ftps/pkg/event"
	"ftps/pkg/ftp"
	"ftps/pkg/vfs"
)

// fuzzPatience is the deadline of every wait. Whoever does not answer within
// it does not answer.
const fuzzPatience = 10 * time.Second

// The client's address is one where nobody listens: PORT with a number that
// the fuzzer chose must reach no stranger.
var (
	fuzzServer = netip.MustParseAddrPort("127.0.0.1:21")
	fuzzClient = netip.MustParseAddrPort("127.250.113.7:40000")
)

// rig is the one server of a fuzz target, with a session that looks on.
// Control connections are pipes in memory; data connections are real.
type rig struct {
	srv      *Server
	cert     tls.Certificate
	watch    *watcher
	active   net.Listener  // where the client waits for PORT and EPRT
	patience time.Duration // of clients

	mu   sync.Mutex
	tree *watched // of the account diego
	perm vfs.Perm
	gate *gate

	other *speaker // a session of another account, which nothing may disturb
}

func newRig(f testing.TB) *rig {
	f.Helper()
	r := &rig{patience: fuzzPatience, cert: fuzzCertificate(f), watch: &watcher{ended: make(map[int]error)}}
	var listeners []net.Listener
	for range 2 {
		listeners = append(listeners, listen(f, "127.0.0.1:0"))
	}
	r.active = listen(f, netip.AddrPortFrom(fuzzClient.Addr(), 0).String())
	ports := dataport.New(dataport.Config{
		Listeners:  listeners,
		TLS:        &tls.Config{Certificates: []tls.Certificate{r.cert}, CurvePreferences: []tls.CurveID{tls.X25519}},
		Sink:       r.watch,
		Connect:    30 * time.Millisecond, // nobody who means to come needs longer on loopback
		Grace:      time.Millisecond,
		Quarantine: time.Nanosecond,
		Rest:       50 * time.Millisecond,
	})
	r.srv = New(Config{
		Backend: r, Ports: ports, Sink: r.watch,
		LoginTimeout: time.Hour, IdleTimeout: time.Hour, StallTimeout: 2 * time.Second,
		KnowsHost: func(name string) bool { return name == "ftp.test" },
	})
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { ports.Serve(ctx) })
	f.Cleanup(func() {
		r.other.conn.Close()
		over, cut := context.WithTimeout(context.Background(), fuzzPatience)
		defer cut()
		r.srv.Shutdown(over)
		ports.Close()
		r.active.Close()
		cancel()
		done.Wait()
	})

	conn := r.begin(false)
	r.other = &speaker{patience: fuzzPatience, conn: conn, in: bufio.NewReader(conn)}
	if code, text, err := r.other.read(); code != 220 || err != nil {
		f.Fatal(code, text, err)
	}
	return r
}

func listen(f testing.TB, address string) net.Listener {
	f.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		f.Fatal(err)
	}
	return l
}

// Login implements [Backend].
func (r *rig) Login(_ context.Context, a Attempt) (*Account, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.Name != "diego" || a.Password != "secreto" {
		return nil, ErrLogin
	}
	tree := r.tree
	tree.logins.Add(1)
	return &Account{
		Name: a.Name, FS: tree, Perm: r.perm, Reuse: dataport.Prefer, Down: r.gate,
		Close: func() { tree.logins.Add(-1) },
	}, nil
}

// LoginByCertificate implements [Backend].
func (r *rig) LoginByCertificate(context.Context, Attempt) (*Account, error) { return nil, nil }

// begin starts a session over a pipe and returns the client's end. With tls
// the session believes to be under TLS while it speaks in the clear, which
// spares a handshake for each input; all else is as in production.
func (r *rig) begin(secured bool) net.Conn {
	client, server := net.Pipe()
	conn := &addressed{Conn: server}
	if !secured {
		r.srv.begin(conn, false)
		return client
	}
	ses := newSession(r.srv, conn, event.Session{ID: newID(), Number: int(r.srv.next.Add(1) - 1), Remote: fuzzClient})
	stub := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{r.cert}})
	r.srv.mu.Lock()
	r.srv.sessions[ses.info.Number] = ses
	r.srv.live.Add(1)
	r.srv.mu.Unlock()
	go func() {
		defer r.srv.live.Done()
		err := guard(func() error {
			ctx, cancel := context.WithCancelCause(r.srv.ctx)
			defer cancel(nil)
			ses.data = r.srv.cfg.Ports.Session(ses.info)
			ses.control.tls = stub
			ses.control.lines = newReader(conn, &ses.alarm)
			defer func() {
				ses.control.tls = nil // there is no TLS to end
				ses.close(cancel)
			}()
			ses.send(say("reply.welcome"))
			ses.loop(ctx, cancel)
			return nil
		})
		if err != nil {
			r.watch.Handle(event.Trouble{Where: "session", Err: err})
			conn.Close()
		}
	}()
	return client
}

// addressed is a pipe that claims to be a TCP connection.
type addressed struct{ net.Conn }

func (*addressed) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(fuzzServer) }
func (*addressed) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(fuzzClient) }

// gate holds data back until it is opened.
type gate struct{ open chan struct{} }

func (g *gate) Wait(ctx context.Context, _ int) error {
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// watcher notes what no input may cause.
type watcher struct {
	mu    sync.Mutex
	bad   []string
	ended map[int]error // sessions that are gone, and why
}

func (w *watcher) Handle(e event.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var cause error
	switch e := e.(type) {
	case event.CommandRefused:
		cause = e.Cause
	case event.TransferDone:
		cause = e.Cause
	case event.Trouble:
		w.bad = append(w.bad, fmt.Sprintf("trouble: %s: %v", e.Where, e.Err))
	case event.Disconnected:
		cause = e.Cause
		w.ended[e.Number] = e.Cause
	}
	if p := (*panicked)(nil); errors.As(cause, &p) {
		w.bad = append(w.bad, p.Error())
	} else if _, closing := e.(event.Disconnected); !closing && cause != nil && answer(cause).key == "reply.internal" {
		w.bad = append(w.bad, fmt.Sprintf("an error that the table does not know: %#v: %v", e, cause))
	}
}

// take returns what was noted and why the session ended.
func (w *watcher) take(number int) (bad []string, cause error, ended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	bad, w.bad = w.bad, nil
	cause, ended = w.ended[number]
	delete(w.ended, number)
	return bad, cause, ended
}

// speaker is a client: it reads replies strictly, and opens the data
// connections that they ask for.
type speaker struct {
	t      testing.TB
	conn   net.Conn
	raw    net.Conn // what conn was made from; a TLS connection says goodbye when it is closed, and waits for it to be heard
	in     *bufio.Reader
	number int
	port   uint16 // of the last 227 or 229

	sends    []byte // on each data connection; nil to open none
	abrupt   bool   // end data connections without close_notify
	transfer sync.WaitGroup

	patience time.Duration

	found  []string // what must not be
	finals []int    // codes of the final replies so far
	starts int      // 1yz replies so far
	early  chan struct{}
}

// read reads one reply. It knows nothing of how the server writes them but
// RFC 959 §4.2.
func (s *speaker) read() (code int, lines []string, err error) {
	s.conn.SetDeadline(time.Now().Add(s.patience))
	for {
		text, err := s.in.ReadString('\n')
		if err != nil {
			if err == io.EOF && (text != "" || lines != nil) {
				err = fmt.Errorf("the connection ended in the middle of a reply: %q", lines)
			}
			return 0, nil, err
		}
		body, ok := strings.CutSuffix(text, "\r\n")
		if !ok || strings.ContainsAny(body, "\r\n\x00") {
			return 0, nil, fmt.Errorf("not a line of a reply: %q", text)
		}
		coded := len(body) >= 4 && '1' <= body[0] && body[0] <= '5' && '0' <= body[1] && body[1] <= '5' &&
			'0' <= body[2] && body[2] <= '9' && (body[3] == ' ' || body[3] == '-')
		if lines == nil {
			if !coded {
				return 0, nil, fmt.Errorf("a reply begins with %q", text)
			}
			code = int(body[0]-'0')*100 + int(body[1]-'0')*10 + int(body[2]-'0')
			lines = append(lines, body[4:])
			if body[3] == ' ' {
				return code, lines, nil
			}
			continue
		}
		if coded && body[:3] == fmt.Sprint(code) && body[3] == ' ' {
			return code, append(lines, body[4:]), nil
		}
		lines = append(lines, body)
	}
}

// find notes what must not be.
func (s *speaker) find(format string, args ...any) {
	s.found = append(s.found, fmt.Sprintf(format, args...))
}

// hear reads one reply and does what a client does about it.
func (s *speaker) hear() (code int, err error) {
	code, lines, err := s.read()
	if err != nil {
		return 0, err
	}
	s.t.Logf("S: %d %q", code, lines)
	switch code {
	case 227:
		if to, err := ftp.ParsePASVReply(lines[0]); err == nil {
			s.port = to.Port()
		} else {
			s.find("227 %q: %v", lines, err)
		}
	case 229:
		if port, err := ftp.ParseEPSVReply(lines[0]); err == nil {
			s.port = port
		} else {
			s.find("229 %q: %v", lines, err)
		}
	case 150:
		s.openData()
	}
	if code < 200 {
		s.starts++
	} else {
		s.finals = append(s.finals, code)
	}
	return code, nil
}

// openData carries one data connection: it sends, ends, and reads to the end.
func (s *speaker) openData() {
	if s.sends == nil || s.port == 0 {
		return
	}
	port := s.port
	s.transfer.Go(func() {
		d := net.Dialer{Timeout: fuzzPatience, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(fuzzClient.Addr(), 0))}
		raw, err := d.Dial("tcp", netip.AddrPortFrom(fuzzServer.Addr(), port).String())
		if err == nil {
			s.carry(raw)
		}
	})
}

func (s *speaker) carry(raw net.Conn) {
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(fuzzPatience))
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}})
	if conn.Handshake() != nil {
		return
	}
	if s.early != nil {
		<-s.early
	}
	conn.Write(s.sends)
	if !s.abrupt && conn.CloseWrite() == nil {
		io.Copy(io.Discard, conn)
	}
}

// serveActive answers the server's own data connections.
func (s *speaker) serveActive(l net.Listener) (stop func()) {
	deadline, ok := l.(interface{ SetDeadline(time.Time) error })
	if !ok || s.sends == nil {
		return func() {}
	}
	deadline.SetDeadline(time.Time{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			s.transfer.Go(func() { s.carry(raw) })
		}
	}()
	return func() {
		deadline.SetDeadline(time.Unix(1, 0))
		<-done
	}
}

// fuzzCertificate makes a certificate that nobody needs to trust.
func fuzzCertificate(f testing.TB) tls.Certificate {
	f.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"ftp.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// watched is a tree that lets no name through which the standard library
// would not call a path inside it, and counts what is opened.
type watched struct {
	vfs.FS
	logins  atomic.Int64 // accounts not yet closed
	files   atomic.Int64 // files not yet closed
	uploads atomic.Int64 // uploads neither committed nor aborted
	escape  atomic.Pointer[string]
}

func (w *watched) check(names ...vfs.Name) {
	for _, n := range names {
		if rel := n.Relative(); !validPath(rel) {
			w.escape.Store(&rel)
		}
	}
}

func (w *watched) Open(ctx context.Context, name vfs.Name) (vfs.File, error) {
	w.check(name)
	f, err := w.FS.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	w.files.Add(1)
	return &watchedFile{File: f, tree: w}, nil
}

type watchedFile struct {
	vfs.File
	tree   *watched
	closed bool
}

func (f *watchedFile) Close() error {
	if !f.closed {
		f.closed = true
		f.tree.files.Add(-1)
	}
	return f.File.Close()
}

func (w *watched) Create(ctx context.Context, name vfs.Name, how vfs.How) (vfs.Upload, error) {
	w.check(name)
	u, err := w.FS.Create(ctx, name, how)
	if err != nil {
		return nil, err
	}
	w.uploads.Add(1)
	return &watchedUpload{Upload: u, tree: w}, nil
}

type watchedUpload struct {
	vfs.Upload
	tree  *watched
	ended bool
}

func (u *watchedUpload) end() {
	if !u.ended {
		u.ended = true
		u.tree.uploads.Add(-1)
	}
}

func (u *watchedUpload) Commit(ctx context.Context) error {
	err := u.Upload.Commit(ctx)
	if err == nil {
		u.end()
	}
	return err
}

func (u *watchedUpload) Abort() error {
	u.end()
	return u.Upload.Abort()
}

func (w *watched) Mkdir(ctx context.Context, name vfs.Name) error {
	w.check(name)
	return w.FS.Mkdir(ctx, name)
}

func (w *watched) Rmdir(ctx context.Context, name vfs.Name) error {
	w.check(name)
	return w.FS.Rmdir(ctx, name)
}

func (w *watched) Remove(ctx context.Context, name vfs.Name) error {
	w.check(name)
	return w.FS.Remove(ctx, name)
}

func (w *watched) Rename(ctx context.Context, from, to vfs.Name) error {
	w.check(from, to)
	return w.FS.Rename(ctx, from, to)
}

func (w *watched) Chtimes(ctx context.Context, name vfs.Name, mtime time.Time) error {
	w.check(name)
	return w.FS.Chtimes(ctx, name, mtime)
}

// digest is all that can be seen of a tree.
func digest(t testing.TB, tree vfs.FS, folder vfs.Name, out *bytes.Buffer) {
	t.Helper()
	ctx := context.Background()
	var infos []vfs.Info
	for info, err := range tree.List(ctx, folder) {
		if err != nil {
			t.Fatal(err)
		}
		infos = append(infos, info)
	}
	sortByName(infos)
	for _, info := range infos {
		name := folder.Child(info.Name)
		fmt.Fprintf(out, "%q %d %d %v %o\n", name, info.Type, info.Size, info.ModTime, info.Mode)
		switch info.Type {
		case vfs.TypeDir:
			digest(t, tree, name, out)
		case vfs.TypeFile:
			file, err := tree.Open(ctx, name)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(out, file)
			file.Close()
		}
	}
}
