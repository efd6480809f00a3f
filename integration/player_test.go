//go:build torture || interop

package integration

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"ftps/pkg/ftptest"
)

// player is a client that is told what to say, and that returns errors where
// others would end the test: servers die here on purpose.
type player struct {
	addr  string
	local string // address to connect from, or ""
	conn  net.Conn
	lines *bufio.Reader
	tls   *tls.Config
	limit time.Duration // for each wait
}

// connectPeer connects and reads the greeting.
func connectPeer(addr, local string) (*player, error) {
	p := &player{addr: addr, local: local, limit: patience}
	conn, err := p.dial(addr)
	if err != nil {
		return nil, err
	}
	p.conn, p.lines = conn, bufio.NewReader(conn)
	if _, err := p.expect(220); err != nil {
		conn.Close()
		return nil, err
	}
	return p, nil
}

// loginPeer connects, secures and logs in.
func loginPeer(addr, local, user, password string) (*player, error) {
	p, err := connectPeer(addr, local)
	if err != nil {
		return nil, err
	}
	if err := p.login(user, password); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *player) dial(addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: p.limit}
	if p.local != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(p.local)}
	}
	conn, err := d.Dial("tcp", addr)
	if err == nil {
		conn.SetDeadline(time.Now().Add(p.limit))
	}
	return conn, err
}

func (p *player) close() { p.conn.Close() }

func (p *player) login(user, password string) error {
	if _, err := p.want(234, "AUTH TLS"); err != nil {
		return err
	}
	p.tls = &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	conn := tls.Client(p.conn, p.tls)
	if err := conn.Handshake(); err != nil {
		return err
	}
	p.conn, p.lines = conn, bufio.NewReader(conn)
	for _, step := range []struct {
		code int
		line string
	}{{331, "USER " + user}, {230, "PASS " + password}, {200, "PBSZ 0"}, {200, "PROT P"}, {200, "TYPE I"}} {
		if _, err := p.want(step.code, step.line); err != nil {
			return err
		}
	}
	return nil
}

// send writes a line.
func (p *player) send(line string) error {
	p.conn.SetDeadline(time.Now().Add(p.limit))
	_, err := io.WriteString(p.conn, line+"\r\n")
	return err
}

// read reads a reply.
func (p *player) read() (code int, lines []string, err error) {
	p.conn.SetDeadline(time.Now().Add(p.limit))
	return ftptest.ReadReply(p.lines, func(string) {})
}

// do sends a line and returns the reply to it.
func (p *player) do(line string) (int, []string, error) {
	if err := p.send(line); err != nil {
		return 0, nil, err
	}
	return p.read()
}

func (p *player) expect(code int) (string, error) {
	got, lines, err := p.read()
	if err == nil && got != code {
		err = fmt.Errorf("got %d %q, want %d", got, lines, code)
	}
	return strings.Join(lines, "\n"), err
}

func (p *player) want(code int, line string) (string, error) {
	if err := p.send(line); err != nil {
		return "", err
	}
	text, err := p.expect(code)
	if err != nil {
		err = fmt.Errorf("%s: %w", strings.Fields(line)[0], err)
	}
	return text, err
}

// passive asks for a data port and connects to it.
func (p *player) passive() (net.Conn, error) {
	text, err := p.want(229, "EPSV")
	if err != nil {
		return nil, err
	}
	_, after, _ := strings.Cut(text, "(|||")
	port, _, ok := strings.Cut(after, "|)")
	if !ok {
		return nil, fmt.Errorf("EPSV: no port in %q", text)
	}
	host, _, _ := net.SplitHostPort(p.addr)
	return p.dial(net.JoinHostPort(host, port))
}

// transfer begins a transfer; a nil connection and no error is a refusal with
// that code.
func (p *player) transfer(line string) (*tls.Conn, int, error) {
	raw, err := p.passive()
	if err != nil {
		return nil, 0, err
	}
	code, _, err := p.do(line)
	if err != nil || code != 150 && code != 125 {
		raw.Close()
		return nil, code, err
	}
	conn := tls.Client(raw, p.tls)
	ctx, cancel := context.WithTimeout(context.Background(), p.limit)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, code, err
	}
	return conn, code, nil
}

// download runs a command that sends data and returns the data and the final
// reply's code.
func (p *player) download(line string) ([]byte, int, error) {
	conn, code, err := p.transfer(line)
	if conn == nil {
		return nil, code, err
	}
	defer conn.Close()
	data, rerr := io.ReadAll(conn)
	conn.Close()
	code, _, err = p.read()
	if err == nil && code == 226 && rerr != nil {
		err = fmt.Errorf("226 behind a broken connection: %w", rerr)
	}
	return data, code, err
}

// cut begins an upload, sends data and breaks the connection without
// close_notify.
func (p *player) cut(line string, data []byte, reset bool) (int, error) {
	conn, code, err := p.transfer(line)
	if conn == nil {
		return code, err
	}
	_, err = conn.Write(data)
	raw := conn.NetConn().(*net.TCPConn)
	if reset {
		raw.SetLinger(0)
	}
	if err := errors.Join(err, raw.Close()); err != nil {
		return 0, err
	}
	code, _, err = p.read()
	return code, err
}
