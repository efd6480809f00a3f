package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// issue makes a key and a certificate, signed by parent or by itself, as
// NAME.crt and NAME.key in dir.
func issue(t *testing.T, dir, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		name + ".crt": {Type: "CERTIFICATE", Bytes: der},
		name + ".key": {Type: "PRIVATE KEY", Bytes: raw},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// bind has the account called bound open by a certificate.
func bind(t *testing.T, dir string, cert *x509.Certificate) {
	t.Helper()
	pin := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	file := filepath.Join(dir, "users.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bound := strings.Replace(string(text), "- name: bound\n",
		"- name: bound\n    client_cert: sha256//"+base64.StdEncoding.EncodeToString(pin[:])+"\n", 1)
	if err := os.WriteFile(file, []byte(bound), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAnAccountBoundToACertificateOpensByItAlone(t *testing.T) {
	dir := t.TempDir()
	ca, caKey := issue(t, dir, "ca", nil, nil)
	own, _ := issue(t, dir, "own", ca, caKey)
	issue(t, dir, "other", ca, caKey)
	issue(t, dir, "stranger", nil, nil)
	for _, name := range []string{"bound", "free"} {
		if _, errs, code := run(t, dir, "secreto\n", "useradd", name, "--password-stdin", "--cost", "4"); code != 0 {
			t.Fatal(errs)
		}
	}
	bind(t, dir, own)
	s := serveIn(t, dir, "--client-ca", "ca.crt")

	for _, c := range []struct {
		user, cert string
		code       int
		what       string
	}{
		{"bound", "own", 0, "its own certificate, and no password is asked for"},
		{"bound", "other", 4, "another certificate of the same authority"},
		{"bound", "", 4, "the password alone"},
		{"free", "", 0, "an account without a certificate, by its password"},
		{"free", "own", 0, "the same with a certificate that is somebody else's"},
		{"bound", "stranger", 4, "a certificate of an unknown authority, which the client does not even send"},
	} {
		args := []string{"client", "127.0.0.1", "-p", s.port, "--pin", s.pin, "-u", c.user, "--password-stdin"}
		if c.cert != "" {
			args = append(args, "--client-cert", c.cert+".crt", "--client-key", c.cert+".key")
		}
		if _, errs, code := run(t, dir, "secreto\n", append(args, "-v", "ls")...); code != c.code ||
			(c.user == "bound" && code == 0) != replied(errs, 232) {
			t.Errorf("%s: exit %d, want %d\n%s", c.what, code, c.code, errs)
		}
	}
}
