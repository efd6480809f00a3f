//go:build interop

package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
)

// watchers is where integration/peers/watchers put Pebble and Prometheus.
func watchers(t *testing.T) string {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.Command("peers/watchers")
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("fetching Pebble and Prometheus: %v\n%s", err, errs.String())
	}
	return strings.TrimSpace(string(out))
}

// start runs another program until the test ends.
func start(t *testing.T, dir string, env []string, program string, args ...string) *transcript {
	t.Helper()
	out := newTranscript()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(cleanEnv(dir), env...), out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(program), out)
		}
	})
	return out
}

// pebble is an authority for tests, whose certificates live for seconds.
type pebble struct {
	dir, ca   string
	directory string
	roots     string // URL
	http, tls int    // where it asks
}

func startPebble(t *testing.T, lifetime time.Duration) *pebble {
	t.Helper()
	bin := filepath.Join(watchers(t), "bin")
	dir := t.TempDir()
	p := freePorts(t, 6)
	if _, errs, code := run(t, dir, "", "cert", "make", "localhost", "127.0.0.1", "--cert", "pebble.crt", "--key", "pebble.key"); code != 0 {
		t.Fatal(errs)
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress":           fmt.Sprintf("127.0.0.1:%d", p[0]),
		"managementListenAddress": fmt.Sprintf("127.0.0.1:%d", p[1]),
		"certificate":             "pebble.crt", "privateKey": "pebble.key",
		"httpPort": p[2], "tlsPort": p[3],
		"retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles":   map[string]any{"default": map[string]any{"description": "short", "validityPeriod": int(lifetime.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pebble.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	// Every name is this machine.
	start(t, dir, nil, filepath.Join(bin, "pebble-challtestsrv"), "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
		"-dnsserver", fmt.Sprintf("127.0.0.1:%d", p[4]), "-management", fmt.Sprintf("127.0.0.1:%d", p[5]),
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "")
	out := start(t, dir, []string{"PEBBLE_VA_NOSLEEP=1"}, filepath.Join(bin, "pebble"), "-config", "pebble.json",
		"-dnsserver", fmt.Sprintf("127.0.0.1:%d", p[4]))
	out.wait(t, `ACME directory available`)
	return &pebble{dir: dir, ca: filepath.Join(dir, "pebble.crt"), http: p[2], tls: p[3],
		directory: fmt.Sprintf("https://127.0.0.1:%d/dir", p[0]), roots: fmt.Sprintf("https://127.0.0.1:%d/roots/0", p[1])}
}

// pool trusts what it issues.
func (p *pebble) pool(t *testing.T) *x509.CertPool {
	t.Helper()
	own, roots := x509.NewCertPool(), x509.NewCertPool()
	raw, err := os.ReadFile(p.ca)
	if err != nil || !own.AppendCertsFromPEM(raw) {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: own}}, Timeout: patience}).Get(p.roots)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || !roots.AppendCertsFromPEM(body) {
		t.Fatalf("%v: %s", err, body)
	}
	return roots
}

const acmeName = "ftp.example.com"

// Certificates that live for half a minute are issued and renewed while
// clients come and go: none fails, none sees one that was replaced, and who
// was there before goes on resuming.
func TestAcmeCertificatesAreIssuedAndRenewedUnderClients(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"TLS-ALPN-01", "HTTP-01"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			p := startPebble(t, 30*time.Second)
			port := p.tls
			if way == "HTTP-01" {
				port = p.http
			}
			dir := t.TempDir()
			account(t, dir, "diego", "secreto")
			config := filepath.Join(dir, "ftps.yaml")
			settings := fmt.Sprintf("acme_domain: %s\nacme_listen: 127.0.0.1:%d\nacme_directory: %s\nacme_ca: %s\n", acmeName, port, p.directory, p.ca)
			if err := os.WriteFile(config, []byte(settings), 0o600); err != nil {
				t.Fatal(err)
			}
			s := serveIn(t, dir)
			s.out.wait(t, `"msg":"certificate".*"issued":true`)
			roots := p.pool(t)

			dial := func() *ftpclient.Conn {
				t.Helper()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				c, err := ftpclient.Dial(ctx, ftpclient.Config{Address: "127.0.0.1:" + s.port, ServerName: acmeName, TLS: &tls.Config{RootCAs: roots}})
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Login(ctx, "diego", "secreto"); err != nil {
					t.Fatal(err)
				}
				return c
			}
			round := func(c *ftpclient.Conn) {
				t.Helper()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				u, err := c.Store(ctx, "f", ftpclient.StoreOptions{})
				if err == nil {
					_, err = u.Write(seeded(100_000, 1))
					err = errorsFirst(err, u.Close())
				}
				if err != nil {
					t.Fatalf("STOR: %v", err)
				}
				d, err := c.Retrieve(ctx, "f", 0)
				if err != nil {
					t.Fatalf("RETR: %v", err)
				}
				got, err := io.ReadAll(d)
				if err = errorsFirst(err, d.Close()); err != nil || !bytes.Equal(got, seeded(100_000, 1)) {
					t.Fatalf("RETR: %d bytes, %v", len(got), err)
				}
			}
			leaf := func(c *ftpclient.Conn) *x509.Certificate { return c.TLS().PeerCertificates[0] }

			last, seen := leaf(dial()), 1
			pause := time.NewTicker(100 * time.Millisecond)
			defer pause.Stop()
			for swapped := 2; swapped <= 3; swapped++ {
				old := dial() // who is there before the swap
				defer old.Close()
				deadline := time.Now().Add(patience)
				for after := 0; after < 10; <-pause.C { // clients all the while, and some time after it
					already := strings.Count(s.out.String(), `"issued":true`) >= swapped
					c := dial()
					now := leaf(c)
					round(c)
					c.Close()
					// A client of Go resumes nothing once the certificate that
					// it saw has ended; the swap comes 10 s before that.
					if time.Until(leaf(old).NotAfter) > time.Second {
						round(old)
					} else if after == 0 {
						t.Fatal("nobody was there over the swap")
					}
					switch {
					case already && now.Equal(leaf(old)):
						t.Fatal("a client saw a certificate that was replaced before it came")
					case !now.Equal(last):
						last = now
						seen++
					case time.Now().After(deadline):
						t.Fatal("it was not renewed")
					}
					if already {
						after++
					}
				}
				if !bytes.Equal(last.RawSubjectPublicKeyInfo, leaf(old).RawSubjectPublicKeyInfo) {
					t.Error("a renewal changed the key, and with it the pin")
				}
			}
			if seen != 3 {
				t.Errorf("clients saw %d certificates", seen)
			}
			out, _, code := run(t, dir, "", "cert", "show", "--config", config)
			if code != 0 || !strings.Contains(out, acmeName) {
				t.Errorf("cert show: exit %d\n%s", code, out)
			}
			if info, err := os.Stat(filepath.Join(dir, "acme")); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("the cache: %v, %v", info, err)
			}
		})
	}
}

func errorsFirst(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
