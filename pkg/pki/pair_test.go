package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMakeWritesAPairThatServesThisHost(t *testing.T) {
	dir := t.TempDir()
	files := Files{Cert: filepath.Join(dir, "certs", "server.crt"), Key: filepath.Join(dir, "keys", "server.key")}
	made, err := Make(MakeOptions{Files: files, Names: []string{"Files.Example.ORG.", "2001:DB8:0::1"}})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := LoadPair(files)
	if err != nil {
		t.Fatal(err)
	}
	if len(pair.Warnings) != 0 || pair.Pin != made.Pin {
		t.Errorf("loaded with %v and pin %v, made with %v", pair.Warnings, pair.Pin, made.Pin)
	}
	leaf := pair.TLS.Leaf
	for _, name := range []string{"files.example.org", "2001:db8::1", "localhost", "127.0.0.1", "::1"} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if years := time.Until(leaf.NotAfter).Hours() / 24 / 365; years < 9.9 || leaf.NotBefore.After(time.Now()) {
		t.Errorf("valid from %v to %v", leaf.NotBefore, leaf.NotAfter)
	}
	if leaf.SerialNumber.BitLen() < 64 {
		t.Errorf("serial %x is hardly random", leaf.SerialNumber)
	}
	for path, want := range map[string]fs.FileMode{files.Key: 0o600, files.Cert: 0o644, filepath.Dir(files.Key): 0o700} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
	if d := Describe(leaf); d.Key != "ECDSA P-256" || !d.SelfSigned || d.Pin != made.Pin {
		t.Errorf("described as %+v", d)
	}
	// It works as its own root, as curl --cacert uses it.
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	client := &tls.Config{RootCAs: roots, ServerName: "files.example.org"}
	if _, err := shake(t, serving(pair.TLS), client); err != nil {
		t.Error(err)
	}
}

func TestMakeNeverOverwrites(t *testing.T) {
	for _, there := range []string{"server.key", "server.crt"} {
		files := pairIn(t)
		path := filepath.Join(filepath.Dir(files.Key), there)
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Make(MakeOptions{Files: files})
		hasKey(t, err, "pki.make.exists")
		if !errors.Is(err, ErrExists) || readFile(t, path) != "precious" {
			t.Errorf("%v; %s holds %q", err, there, readFile(t, path))
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
			t.Errorf("left behind: %v", left)
		}
	}
	// A key that appears between the look and the writing.
	path := filepath.Join(t.TempDir(), "late.key")
	if err := os.Symlink("nowhere", path); err != nil {
		t.Fatal(err)
	}
	if err := writeNew(path, []byte("new"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("writeNew over a dangling link: %v", err)
	}
}

func TestMakeRefusesNamesThatNoCertificateHolds(t *testing.T) {
	for _, name := range []string{"", "a b", "señal.example", "-x", "x..y", strings.Repeat("a", 64), "a\x00b", "*"} {
		_, err := Make(MakeOptions{Files: pairIn(t), Names: []string{name}})
		if !errors.Is(err, ErrBadName) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestRenewKeepsTheKeyAndItsPin(t *testing.T) {
	files := pairIn(t)
	first, err := Make(MakeOptions{Files: files, Names: []string{"files.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	keyBefore := readFile(t, files.Key)
	second, err := Renew(MakeOptions{Files: files, Names: []string{"more.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	if !second.KeyKept || second.Pin != first.Pin || readFile(t, files.Key) != keyBefore {
		t.Error("the key did not stay")
	}
	if second.Certificate.SerialNumber.Cmp(first.Certificate.SerialNumber) == 0 {
		t.Error("the certificate is the old one")
	}
	for _, name := range []string{"files.example.org", "more.example.org"} {
		if err := second.Certificate.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	third, err := Renew(MakeOptions{Files: files, NewKey: true})
	if err != nil {
		t.Fatal(err)
	}
	if third.Pin == first.Pin || readFile(t, third.OldKey) != keyBefore {
		t.Errorf("new pin %v, old key in %q", third.Pin, third.OldKey)
	}
	if pair, err := LoadPair(files); err != nil || pair.Pin != third.Pin || len(pair.Warnings) != 0 {
		t.Errorf("%+v, %v", pair, err)
	}
	// A key whose certificate was lost gets one again.
	os.Remove(files.Cert)
	if fourth, err := Renew(MakeOptions{Files: files}); err != nil || fourth.Pin != third.Pin {
		t.Errorf("%+v, %v", fourth, err)
	}
}

// The key alone would be a pair that does not fit: the server starts no more.
func TestARenewalThatCannotWriteItsCertificateLeavesTheKeyThatWas(t *testing.T) {
	files := pairIn(t)
	first, err := Make(MakeOptions{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	before := readFile(t, files.Key)
	nowhere := Files{Cert: filepath.Join(t.TempDir(), "missing", "server.crt"), Key: files.Key}
	made, err := Renew(MakeOptions{Files: nowhere, NewKey: true})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%+v, %v", made, err)
	}
	if readFile(t, files.Key) != before {
		t.Error("the key is another")
	}
	if pair, err := LoadPair(files); err != nil || pair.Pin != first.Pin {
		t.Errorf("%+v, %v", pair, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(files.Key)); len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
}

// Keys of other makes, and from other programs.
func TestRenewTakesKeysOfEveryKindAndSaysWhatIsNone(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	pkcs1 := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))
	for name, c := range map[string]struct {
		text string
		key  string // of the fault
	}{
		"PKCS #1":                       {pkcs1, ""},
		"SEC 1":                         {block("EC PRIVATE KEY", sec1), ""},
		"behind its curve's parameters": {block("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}) + block("EC PRIVATE KEY", sec1), ""},
		"encrypted":                     {block("ENCRYPTED PRIVATE KEY", []byte("x")), "pki.key.encrypted"},
		"a certificate":                 {block("CERTIFICATE", selfIssued("a.example").Certificate[0]), "pki.key.none"},
		"damaged":                       {block("PRIVATE KEY", []byte("not DER")), "pki.key.none"},
		"nothing":                       {"", "pki.key.none"},
	} {
		files := pairIn(t)
		if err := os.WriteFile(files.Key, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Renew(MakeOptions{Files: files})
		if c.key != "" {
			hasKey(t, err, c.key)
			if _, err := os.Stat(files.Cert); err == nil {
				t.Errorf("%s: a certificate was made", name)
			}
		} else if _, loadErr := LoadPair(files); err != nil || loadErr != nil {
			t.Errorf("%s: %v, %v", name, err, loadErr)
		}
		if readFile(t, files.Key) != c.text {
			t.Errorf("%s: the key was written", name)
		}
	}
}

func TestRenewLeavesAnAuthoritysCertificateAlone(t *testing.T) {
	files := pairIn(t)
	write(t, files, newAuthority(t).issue(anyKey(), "files.example.org", nil))
	before := readFile(t, files.Cert)
	_, err := Renew(MakeOptions{Files: files})
	hasKey(t, err, "pki.renew.issued")
	if readFile(t, files.Cert) != before {
		t.Error("it was overwritten")
	}
}

func TestLoadPairSaysWhatIsWrong(t *testing.T) {
	good, other := selfIssued("a.example"), selfIssued("a.example")
	dated := func(from, to time.Duration) *tls.Certificate {
		return (*authority)(nil).issue(anyKey(), "a.example", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to)
		})
	}
	put := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		prepare func(Files)
		key     string
		cause   error
	}{
		"no files":     {func(Files) {}, "pki.pair.missing", fs.ErrNotExist},
		"no key file":  {func(f Files) { writeCert(t, f.Cert, good) }, "pki.pair.missing", fs.ErrNotExist},
		"another key":  {func(f Files) { writeCert(t, f.Cert, good); writeKey(t, f.Key, other) }, "pki.pair.mismatch", ErrMismatch},
		"wrong way":    {func(f Files) { writeCert(t, f.Key, good); writeKey(t, f.Cert, good) }, "pki.pair.swapped", ErrNoPEM},
		"text as cert": {func(f Files) { write(t, f, good); put(f.Cert, "hello") }, "pki.cert.none", ErrNoPEM},
		"text as key":  {func(f Files) { write(t, f, good); put(f.Key, "hello") }, "pki.key.none", ErrNoPEM},
		"damaged cert": {func(f Files) {
			write(t, f, good)
			put(f.Cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("?")})))
		}, "pki.pair.bad", nil},
		"passphrase": {func(f Files) {
			write(t, f, good)
			put(f.Key, string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("?")})))
		}, "pki.key.encrypted", ErrEncrypted},
		"old passphrase": {func(f Files) {
			write(t, f, good)
			put(f.Key, string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("?"),
				Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}})))
		}, "pki.key.encrypted", ErrEncrypted},
		"expired":       {func(f Files) { write(t, f, dated(-48*time.Hour, -24*time.Hour)) }, "pki.cert.expired", ErrExpired},
		"not yet valid": {func(f Files) { write(t, f, dated(24*time.Hour, 48*time.Hour)) }, "pki.cert.early", ErrNotYetValid},
	} {
		t.Run(name, func(t *testing.T) {
			files := pairIn(t)
			c.prepare(files)
			_, err := LoadPair(files)
			hasKey(t, err, c.key)
			if c.cause != nil && !errors.Is(err, c.cause) {
				t.Errorf("%v is not %v", err, c.cause)
			}
		})
	}
	t.Run("warnings", func(t *testing.T) {
		files := pairIn(t)
		write(t, files, dated(-time.Hour, 24*time.Hour))
		if err := os.Chmod(files.Key, 0o644); err != nil {
			t.Fatal(err)
		}
		pair, err := LoadPair(files)
		if err != nil || len(pair.Warnings) != 2 {
			t.Fatalf("%+v, %v", pair, err)
		}
		hasKey(t, pair.Warnings[0], "pki.cert.soon")
		hasKey(t, pair.Warnings[1], "pki.key.open")
	})
}

func TestLoadPoolNamesTheFileThatHoldsNoAuthority(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.pem"), filepath.Join(dir, "bad.pem")
	writeCert(t, good, &tls.Certificate{Certificate: [][]byte{newAuthority(t).cert.Raw}})
	if err := os.WriteFile(bad, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadPool(good); err != nil {
		t.Error(err)
	}
	_, err := LoadPool(good, bad)
	hasKey(t, err, "pki.cert.none")
	_, err = LoadPool(filepath.Join(dir, "absent.pem"))
	hasKey(t, err, "pki.file.missing")
}

func TestDescriptionsAreSafeToPrint(t *testing.T) {
	cert := (*authority)(nil).issue(anyKey(), "a.example", func(c *x509.Certificate) {
		c.Subject.CommonName = "x\x1b[2J\nok \u202e"
		c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1)}
	})
	d := Describe(cert.Leaf)
	if strings.ContainsAny(d.Subject+d.Issuer, "\x1b\n\u202e") || !strings.Contains(d.Subject, `\u001b[2J`) {
		t.Errorf("subject %q", d.Subject)
	}
	if got := strings.Join(d.Names, " "); got != "a.example 192.0.2.1" {
		t.Errorf("names %q", got)
	}
}
