package load

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// patience bounds every wait for the server.
const patience = 60 * time.Second

// session is one logged-in control connection, as lean as it can be: what
// it costs is the same for every server.
type session struct {
	o    *Order
	tcp  net.Conn
	ctl  *tls.Conn
	in   *bufio.Reader
	tls  *tls.Config
	host string
	from net.Addr
	big  []byte
}

// counts is what all sessions of a run have seen.
type counts struct {
	ops, bytes, resumed, full atomic.Int64
}

// config is the TLS of a session: the groups that the stock clients of the
// day offer, no post-quantum exchange, and a cache of tickets of its own.
func (o *Order) config() *tls.Config {
	c := &tls.Config{
		InsecureSkipVerify: true, // whose key it is does not matter for what it costs
		ServerName:         "localhost",
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
		CurvePreferences:   []tls.CurveID{tls.X25519, tls.CurveP256},
		CipherSuites:       []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	}
	if o.TLS12 {
		c.MaxVersion = tls.VersionTLS12
	}
	return c
}

// source is the local address of the n-th session.
func (o *Order) source(n int) net.Addr {
	if o.Sources <= 1 {
		return nil
	}
	n %= o.Sources
	return &net.TCPAddr{IP: net.IPv4(127, 8, byte(n/250), byte(1+n%250))}
}

// shake connects and puts TLS on the control connection.
func (o *Order) shake(n int) (*session, error) {
	s := &session{o: o, tls: o.config(), from: o.source(n)}
	var err error
	if s.host, _, err = net.SplitHostPort(o.Addr); err != nil {
		return nil, err
	}
	if s.tcp, err = s.dial(o.Addr); err != nil {
		return nil, err
	}
	s.tcp.SetDeadline(time.Now().Add(patience))
	s.in = bufio.NewReaderSize(s.tcp, 512)
	if err = s.await("220"); err == nil {
		if _, err = io.WriteString(s.tcp, "AUTH TLS\r\n"); err == nil {
			err = s.await("234")
		}
	}
	if err == nil {
		s.ctl = tls.Client(s.tcp, s.tls)
		err = s.ctl.Handshake()
	}
	if err != nil {
		s.tcp.Close()
		return nil, err
	}
	s.in.Reset(s.ctl)
	return s, nil
}

// login makes the session ready for transfers.
func (s *session) login() error {
	for _, step := range [][2]string{
		{"USER " + s.o.User, "331"}, {"PASS " + s.o.Password, "230"},
		{"PBSZ 0", "200"}, {"PROT P", "200"}, {"TYPE I", "200"},
	} {
		if err := s.do(step[0], step[1]); err != nil {
			return err
		}
	}
	return nil
}

func (o *Order) open(n int) (*session, error) {
	s, err := o.shake(n)
	if err != nil {
		return nil, err
	}
	if err := s.login(); err != nil {
		s.tcp.Close()
		return nil, err
	}
	return s, nil
}

func (s *session) dial(addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: s.from}
	return d.Dial("tcp", addr)
}

// quit leaves in order, and waits for the server to close.
func (s *session) quit() {
	s.tcp.SetDeadline(time.Now().Add(patience))
	if s.do("QUIT", "221") == nil {
		s.ctl.CloseWrite()
		s.tcp.SetDeadline(time.Now().Add(patience))
		s.tcp.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, s.tcp)
	}
	s.tcp.Close()
}

// do sends a command and awaits a reply that begins so.
func (s *session) do(line, want string) error {
	s.tcp.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(s.ctl, line+"\r\n"); err != nil {
		return err
	}
	if err := s.await(want); err != nil {
		verb, _, _ := strings.Cut(line, " ")
		return fmt.Errorf("%s: %w", verb, err)
	}
	return nil
}

// reply reads a reply and returns its last line.
func (s *session) reply() (string, error) {
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return "", err
		}
		if len(line) >= 4 && line[3] == ' ' && line[0] >= '1' && line[0] <= '5' {
			return strings.TrimRight(line, "\r\n"), nil
		}
	}
}

func (s *session) await(want string) error {
	line, err := s.reply()
	if err == nil && !strings.HasPrefix(line, want) {
		err = errors.New("reply " + line)
	}
	return err
}

// transfer sends one command with its data connection: connected, commanded,
// and TLS begun once the 1yz is there, as most clients do it.
func (s *session) transfer(c *counts, line string, move func(*tls.Conn) error) error {
	s.tcp.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(s.ctl, "EPSV\r\n"); err != nil {
		return err
	}
	told, err := s.reply()
	if err != nil {
		return err
	}
	_, port, _ := strings.Cut(told, "|||")
	port, _, _ = strings.Cut(port, "|")
	if _, err := strconv.Atoi(port); err != nil {
		return errors.New("EPSV: reply " + told)
	}
	tcp, err := s.dial(net.JoinHostPort(s.host, port))
	if err != nil {
		return err
	}
	defer tcp.Close()
	tcp.SetDeadline(time.Now().Add(5 * patience))
	if err := s.do(line, "1"); err != nil {
		return err
	}
	var wire net.Conn = tcp
	if s.o.Bytes > 1<<20 || s.o.Work == "list" {
		wire = wide(tcp)
	}
	data := tls.Client(wire, s.tls)
	if err := data.Handshake(); err != nil {
		return fmt.Errorf("data handshake: %w", err)
	}
	if data.ConnectionState().DidResume {
		c.resumed.Add(1)
	} else {
		c.full.Add(1)
	}
	if err := move(data); err != nil {
		return err
	}
	// In order: close_notify, FIN, and the server's end read.
	if err := data.CloseWrite(); err != nil {
		return err
	}
	tcp.SetDeadline(time.Now().Add(patience)) // CloseWrite leaves one that has passed
	if w, ok := wire.(*wideConn); ok {
		if err := w.out.Flush(); err != nil {
			return err
		}
	}
	tcp.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, tcp)
	s.tcp.SetDeadline(time.Now().Add(patience))
	return s.await("2")
}

// wideConn reads and writes a big file in pieces of 128 KiB.
type wideConn struct {
	net.Conn
	in  *bufio.Reader
	out *bufio.Writer
}

func wide(c net.Conn) *wideConn {
	return &wideConn{c, bufio.NewReaderSize(c, 128<<10), bufio.NewWriterSize(c, 128<<10)}
}

func (w *wideConn) Write(b []byte) (int, error) { return w.out.Write(b) }

// Read sends what is gathered first: whoever waits must not sit on what the
// server waits for.
func (w *wideConn) Read(b []byte) (int, error) {
	if err := w.out.Flush(); err != nil {
		return 0, err
	}
	return w.in.Read(b)
}

// fetch reads a file or a listing to its end and throws it away.
func (s *session) fetch(c *counts, line string) error {
	return s.transfer(c, line, func(data *tls.Conn) error {
		if s.big == nil {
			s.big = make([]byte, 256<<10)
		}
		for {
			n, err := data.Read(s.big)
			c.bytes.Add(int64(n))
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
}

// give sends n bytes.
func (s *session) give(c *counts, line string, n int64) error {
	return s.transfer(c, line, func(data *tls.Conn) error {
		if s.big == nil {
			s.big = make([]byte, 256<<10)
		}
		for n > 0 {
			m, err := data.Write(s.big[:min(n, int64(len(s.big)))])
			n -= int64(m)
			c.bytes.Add(int64(m))
			if err != nil {
				return err
			}
		}
		return nil
	})
}
