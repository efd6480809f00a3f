//go:build interop

package integration

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// relay stands before a server that has no switch to take commands away: it
// answers them with 500 itself, and leaves them out of FEAT. Control
// connections go through it, on the next port; data connections do not.
func (s *foreignServer) relay(t *testing.T) {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(s.Dir, "server.pem"), filepath.Join(s.Dir, "server.key"))
	must(t, err)
	behind := fmt.Sprintf("127.0.0.1:%d", s.Control)
	s.Control++
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", s.Control))
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				if server, err := net.Dial("tcp", behind); err == nil {
					defer server.Close()
					s.carry(client, server, &tls.Config{Certificates: []tls.Certificate{cert}})
				}
			}()
		}
	}()
}

// carry carries one session: the greeting and AUTH TLS, TLS on both sides,
// then lines.
func (s *foreignServer) carry(client, server net.Conn, config *tls.Config) {
	fromServer, fromClient := bufio.NewReader(server), bufio.NewReader(client)
	if copyReply(client, fromServer, nil) != nil {
		return
	}
	line, err := fromClient.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "AUTH TLS") {
		return
	}
	io.WriteString(server, line)
	if copyReply(client, fromServer, nil) != nil {
		return
	}
	outside, inside := tls.Server(client, config), tls.Client(server, &tls.Config{InsecureSkipVerify: true})
	defer outside.Close()
	defer inside.Close()
	fromServer, fromClient = bufio.NewReader(inside), bufio.NewReader(outside)
	go func() {
		defer outside.Close()
		for copyReply(outside, fromServer, s.Without) == nil {
		}
	}()
	for {
		line, err := fromClient.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if slices.Contains(s.Without, strings.ToUpper(verb)) {
			io.WriteString(outside, "500 not understood\r\n")
			continue
		}
		io.WriteString(inside, line)
	}
}

// copyReply copies a reply, without the lines of FEAT that name what is
// taken away.
func copyReply(to io.Writer, from *bufio.Reader, without []string) error {
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			return err
		}
		if verb, _, _ := strings.Cut(strings.TrimSpace(line), " "); line[0] == ' ' && slices.Contains(without, verb) {
			continue
		}
		if _, err := io.WriteString(to, line); err != nil {
			return err
		}
		if len(line) > 3 && line[0] >= '1' && line[0] <= '5' && line[3] == ' ' {
			return nil
		}
	}
}
