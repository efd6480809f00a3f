//go:build interop

package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/ftpclient"
	"ftps/pkg/pki"
)

// dial connects with the library and logs in; change alters how.
func (s *foreignServer) dial(t *testing.T, change func(*ftpclient.Config)) *ftpclient.Conn {
	t.Helper()
	pin, err := pki.ParsePin(s.pin)
	must(t, err)
	config := ftpclient.Config{Address: fmt.Sprintf("127.0.0.1:%d", s.Control),
		TLS: s.trust(t, pki.Policy{Pins: []pki.Pin{pin}}), Timeout: patience}
	if change != nil {
		change(&config)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	for {
		c, err := ftpclient.Dial(ctx, config)
		if err == nil {
			err = c.Login(ctx, s.account, foreignPassword)
		}
		var reply *ftpclient.ReplyError
		if s.MaxSessions > 0 && errors.As(err, &reply) && ctx.Err() == nil {
			// The connection that saw the server up still counts.
			time.Sleep(50 * time.Millisecond)
			continue
		}
		must(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
}

func (s *foreignServer) trust(t *testing.T, p pki.Policy) *tls.Config {
	t.Helper()
	p.Host, p.Port = "127.0.0.1", s.Control
	trust, err := pki.NewTrust(p)
	must(t, err)
	return trust.ClientConfig(nil)
}

// policies are the three ways to trust a server.
func (s *foreignServer) policies(t *testing.T) map[string]pki.Policy {
	t.Helper()
	pin, err := pki.ParsePin(s.pin)
	must(t, err)
	ca, err := os.ReadFile(filepath.Join(s.Dir, "ca.pem"))
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return map[string]pki.Policy{
		"pin":       {Pins: []pki.Pin{pin}},
		"authority": {Roots: roots, Mode: pki.CA},
		"first use": {Mode: pki.AcceptNew, Roots: x509.NewCertPool()},
	}
}

// upload stores data and returns the verdict.
func upload(ctx context.Context, c *ftpclient.Conn, name string, data []byte) error {
	u, err := c.Store(ctx, name, ftpclient.StoreOptions{Size: int64(len(data))})
	if err != nil {
		return err
	}
	u.Write(data)
	return u.Close()
}

func download(ctx context.Context, c *ftpclient.Conn, name string) ([]byte, error) {
	d, err := c.Retrieve(ctx, name, 0)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return io.ReadAll(d)
}

func TestEveryDataConnectionToOtherPeoplesServersResumes(t *testing.T) {
	t.Parallel()
	eachForeigner(t, nil, func(t *testing.T, f foreign) {
		s := f.serve(t, foreignOptions{})
		for how, policy := range s.policies(t) {
			for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
				what := fmt.Sprintf("3×LIST, STOR, RETR, LIST, each resumed; trust by %s, %s", how, tls.VersionName(version))
				if f.noTickets && version == tls.VersionTLS13 {
					what = fmt.Sprintf("3×LIST, STOR, RETR, LIST, none resumed, for it gives no tickets; trust by %s, %s", how, tls.VersionName(version))
				}
				s.passes(t, what, func(t *testing.T) { s.resumes(t, policy, version) })
			}
		}
	})
}

func (s *foreignServer) resumes(t *testing.T, policy pki.Policy, version uint16) {
	resumed, made, before := 0, 0, 0
	if s.reused != nil {
		before = s.reused(s.log())
	}
	c := s.dial(t, func(config *ftpclient.Config) {
		config.TLS = s.trust(t, policy)
		config.TLS.MaxVersion = version
		config.OnData = func(verb string, state tls.ConnectionState) {
			if made++; state.DidResume {
				resumed++
			}
			if state.Version != version {
				t.Errorf("%s: %s", verb, tls.VersionName(state.Version))
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// A server without MLSD is asked twice for its first listing.
	list := func() {
		t.Helper()
		for _, err := range c.List(ctx, "") {
			if err != nil {
				t.Errorf("LIST: %v", err)
			}
		}
	}
	list()
	first := made
	list()
	list()
	data := seeded(1<<20, 11)
	if err := upload(ctx, c, "file", data); err != nil {
		t.Errorf("STOR: %v", err)
	}
	if got, err := download(ctx, c, "file"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("RETR: %d bytes, %v", len(got), err)
	}
	list()
	want := made
	if s.noTickets && version == tls.VersionTLS13 {
		want = 0
	}
	if made-first != 5 || resumed != want {
		t.Errorf("%d data connections, %d resumed", made, resumed)
	}
	if err := c.Quit(ctx); err != nil {
		t.Errorf("QUIT: %v", err)
	}
	if s.reused == nil {
		return
	}
	deadline := time.Now().Add(patience)
	for s.reused(s.log())-before < made && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	if n := s.reused(s.log()) - before; n != made {
		t.Errorf("the server's log tells of %d resumed data connections, and there were %d", n, made)
	}
}

func TestOtherPeoplesServersSayThatTheyWantSessionsResumed(t *testing.T) {
	t.Parallel()
	eachForeigner(t, func(f foreign) bool { return f.reused != nil }, func(t *testing.T, f foreign) {
		s := f.serve(t, foreignOptions{})
		s.passes(t, "refusal: a data connection that does not resume the session", func(t *testing.T) {
			c := s.dial(t, func(config *ftpclient.Config) { config.TLS.SessionTicketsDisabled = true })
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := upload(ctx, c, "file", []byte("content"))
			var reply *ftpclient.ReplyError
			if !errors.As(err, &reply) {
				t.Fatalf("STOR: %v", err)
			}
			t.Log(catalog.Explain(catalog.English, err))
			if text := strings.ToLower(reply.Reply.Text()); s.name == "vsftpd" && !strings.Contains(text, "reuse") {
				t.Errorf("the reply: %s", text)
			}
		})
	})
}

func TestOurClientGoesOverToPASVWhereOtherPeoplesPortsCannotBeReached(t *testing.T) {
	t.Parallel()
	eachForeigner(t, nil, func(t *testing.T, f foreign) {
		s := f.serve(t, foreignOptions{})
		s.passes(t, "PASV, where the port of EPSV cannot be reached", func(t *testing.T) {
			blocked := 0
			var sent []string
			c := s.dial(t, func(config *ftpclient.Config) {
				config.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					if _, port, _ := net.SplitHostPort(address); port != fmt.Sprint(s.Control) && blocked == 0 {
						blocked++
						return nil, os.ErrDeadlineExceeded
					}
					return new(net.Dialer).DialContext(ctx, network, address)
				}
				config.Trace = func(out bool, line string) {
					if out {
						sent = append(sent, line)
					}
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			data := seeded(100_000, 4)
			if err := upload(ctx, c, "file", data); err != nil {
				t.Errorf("STOR: %v", err)
			}
			if got, err := download(ctx, c, "file"); err != nil || !bytes.Equal(got, data) {
				t.Errorf("RETR: %d bytes, %v", len(got), err)
			}
			if all := strings.Join(sent, "\n"); strings.Count(all, "EPSV") != 1 || strings.Count(all, "PASV") != 2 {
				t.Errorf("sent:\n%s", all)
			}
		})
	})
}
