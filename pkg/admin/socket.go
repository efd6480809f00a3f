package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/fault"
)

// Request is one command over the socket: a line of JSON.
type Request struct {
	Lang  string   `json:"lang"`
	JSON  bool     `json:"json,omitempty"`
	Words []string `json:"words"`
}

// Response is what the command wrote, and what the administrator has to be
// told if it failed: a line of JSON.
type Response struct {
	Out   string `json:"out,omitempty"`
	Error string `json:"error,omitempty"`
}

const (
	maxRequest   = 64 << 10
	answerLimit  = 10 * time.Second // for a response to be taken
	maxListeners = 32               // connections at the same time
)

// Socket takes commands from other processes of the same user, and of root.
// Who it is the kernel says: the file's mode alone would trust whoever can
// change it, or could connect before it was set.
type Socket struct {
	path string
	l    *net.UnixListener
	peer func(*net.UnixConn) (uid int, err error)

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	over  bool
	live  sync.WaitGroup
}

// Listen opens the socket at path, mode 0600. One that a dead server left is
// replaced; one behind which somebody answers is not, nor is another file.
func Listen(path string) (*Socket, error) {
	if !knowsPeers {
		return nil, fault.New("console.socket.unsupported")
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != os.ModeSocket {
			return nil, fault.New("console.socket.file", path)
		}
		conn, err := net.DialTimeout("unix", path, time.Second)
		if err == nil {
			conn.Close()
			return nil, fault.New("console.socket.live", path)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fault.Wrap(err, "console.socket.failed", path, cause(err))
		}
		if err := os.Remove(path); err != nil {
			return nil, fault.Wrap(err, "console.socket.failed", path, cause(err))
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fault.Wrap(err, "console.socket.failed", path, cause(err))
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fault.Wrap(err, "console.socket.failed", path, cause(err))
	}
	return &Socket{path: path, l: l, peer: peerUID, conns: make(map[net.Conn]struct{})}, nil
}

// Inherit serves a socket that is open already: an older server's, or one of
// the service manager's.
func Inherit(l net.Listener) (*Socket, error) {
	unix, ok := l.(*net.UnixListener)
	if !ok || !knowsPeers {
		l.Close()
		return nil, fault.New("console.socket.unsupported")
	}
	unix.SetUnlinkOnClose(true)
	return &Socket{path: unix.Addr().String(), l: unix, peer: peerUID, conns: make(map[net.Conn]struct{})}, nil
}

// Listener returns the listener, for another process to inherit.
func (s *Socket) Listener() *net.UnixListener { return s.l }

// Keep leaves the file where it is when the socket is closed: it is another
// process's from then on.
func (s *Socket) Keep() { s.l.SetUnlinkOnClose(false) }

// cause is what lies under net's and os's own words, which repeat the path.
func cause(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}

// Path returns where the socket lies.
func (s *Socket) Path() string { return s.path }

// Close closes the socket and removes its file.
func (s *Socket) Close() error { return s.l.Close() }

// Heard is told of each command, and of each process that was refused: then
// words is nil.
type Heard func(uid int, words []string, err error)

// Serve runs commands until ctx ends; the one that is running then has its
// answer.
func (s *Socket) Serve(ctx context.Context, server Server, heard Heard) {
	stop := context.AfterFunc(ctx, s.end)
	defer stop()
	defer s.live.Wait()
	defer s.end()
	for {
		conn, err := s.l.AcceptUnix()
		switch {
		case err == nil:
			if !s.enter(conn) {
				conn.Close()
				continue
			}
			s.live.Go(func() {
				defer s.leave(conn)
				s.converse(conn, server, heard)
			})
		case errors.Is(err, net.ErrClosed):
			return
		default: // out of descriptors is no reason to stop listening
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
}

func (s *Socket) enter(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || len(s.conns) >= maxListeners {
		return false
	}
	s.conns[conn] = struct{}{}
	return true
}

func (s *Socket) leave(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// end makes everyone who waits for a request go home.
func (s *Socket) end() {
	s.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for conn := range s.conns {
		conn.SetReadDeadline(time.Unix(1, 0))
	}
}

func (s *Socket) converse(conn *net.UnixConn, server Server, heard Heard) {
	uid, err := s.peer(conn)
	if err != nil || uid != os.Geteuid() && uid != 0 {
		heard(uid, nil, fault.New("console.socket.stranger", uid))
		return
	}
	rates := &Rates{}
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, maxRequest)
	for lines.Scan() {
		var r Request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil || len(r.Words) == 0 {
			return
		}
		var out bytes.Buffer
		lang, _ := catalog.ParseLang(r.Lang)
		err := RunWords(&Env{Server: server, Lang: lang, Out: &out, JSON: r.JSON, Rates: rates}, r.Words)
		heard(uid, r.Words, err)
		answer := Response{Out: out.String()}
		if err != nil && !errors.Is(err, ErrLeave) {
			answer.Error = catalog.Explain(lang, err)
		}
		text, err := json.Marshal(answer)
		if err != nil {
			return
		}
		conn.SetWriteDeadline(time.Now().Add(answerLimit))
		if _, err := conn.Write(append(text, '\n')); err != nil {
			return
		}
	}
}

// Client speaks to the socket of a running server.
type Client struct {
	path string
	conn net.Conn
	in   *bufio.Reader
}

// Dial connects to the server whose socket lies at path.
func Dial(path string) (*Client, error) {
	conn, err := net.DialTimeout("unix", path, 5*time.Second)
	if errors.Is(err, os.ErrPermission) {
		return nil, fault.Wrap(err, "console.socket.denied", path)
	}
	if err != nil {
		return nil, fault.Wrap(err, "console.socket.nobody", path, cause(err))
	}
	return &Client{path, conn, bufio.NewReader(conn)}, nil
}

// Do has the server run one command. It may be called again, from one
// goroutine; the end of ctx ends the connection.
func (c *Client) Do(ctx context.Context, r Request) (Response, error) {
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var answer Response
	text, err := json.Marshal(r)
	if err != nil {
		return answer, err
	}
	if _, err = c.conn.Write(append(text, '\n')); err == nil {
		text, err = c.in.ReadBytes('\n')
	}
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	switch {
	case ctx.Err() != nil:
		return answer, ctx.Err()
	case err != nil: // closed without a word: the server ends, or does not know us
		return answer, fault.Wrap(err, "console.socket.closed", c.path)
	}
	return answer, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }
