package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ftps/pkg/fault"
)

// authority issues certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "an authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	return &authority{must(x509.ParseCertificate(der)), key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue makes a certificate for a name; change may alter it before it is
// signed. With a nil authority it is self-signed.
func (a *authority) issue(key *ecdsa.PrivateKey, name string, change func(*x509.Certificate)) *tls.Certificate {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der := must(x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer))
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: must(x509.ParseCertificate(der))}
}

func selfIssued(name string) *tls.Certificate { return (*authority)(nil).issue(anyKey(), name, nil) }

func anyKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// write puts a pair into files, each by a rename.
func write(t *testing.T, files Files, cert *tls.Certificate) {
	t.Helper()
	writeKey(t, files.Key, cert)
	writeCert(t, files.Cert, cert)
}

func writeKey(t *testing.T, path string, cert *tls.Certificate) {
	t.Helper()
	der := must(x509.MarshalPKCS8PrivateKey(cert.PrivateKey))
	if err := writeWhole(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func writeCert(t *testing.T, path string, cert *tls.Certificate) {
	t.Helper()
	if err := writeWhole(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o644); err != nil {
		t.Fatal(err)
	}
}

func pairIn(t *testing.T) Files {
	dir := t.TempDir()
	return Files{Cert: filepath.Join(dir, "server.crt"), Key: filepath.Join(dir, "server.key")}
}

// shake runs one handshake and one byte over a pipe and returns what the
// client saw of it.
func shake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	a, b := net.Pipe()
	deadline := time.Now().Add(time.Minute)
	a.SetDeadline(deadline)
	b.SetDeadline(deadline)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer a.Close()
		s := tls.Server(a, server)
		if s.Handshake() == nil {
			s.Write([]byte("2"))
		}
	}()
	defer func() { b.Close(); <-done }()
	if verify := client.VerifyConnection; verify != nil {
		// A pipe has no buffer: the alert of a refusal would wait for a server
		// that is still writing its own flight.
		client = client.Clone()
		client.VerifyConnection = func(state tls.ConnectionState) error {
			err := verify(state)
			if err != nil {
				b.Close()
			}
			return err
		}
	}
	c := tls.Client(b, client)
	if err := c.Handshake(); err != nil {
		return tls.ConnectionState{}, err
	}
	_, err := c.Read(make([]byte, 1)) // with it comes the ticket
	return c.ConnectionState(), err
}

func serving(cert *tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12}
}

func hasKey(t *testing.T, err error, key string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatalf("%v is no fault, want %s", err, key)
	}
	if f.Key != key {
		t.Fatalf("fault %v, want %s", f, key)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
