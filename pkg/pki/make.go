package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ftps/pkg/fault"
)

// Lifetime is how long a made certificate is valid. Its clients trust the key
// by its pin, so a short life would protect nobody and one day stop a server.
const Lifetime = 10 * 365 * 24 * time.Hour

// backdate lets a client whose clock is behind use a certificate at once.
const backdate = time.Hour

// MakeOptions say what certificate to make.
type MakeOptions struct {
	Files    Files
	Names    []string      // names and addresses beside this host's own
	Lifetime time.Duration // zero means [Lifetime]
	NewKey   bool          // Renew only: a new key, and so a new pin
}

// Made says what was made.
type Made struct {
	Certificate *x509.Certificate
	Pin         Pin
	KeyKept     bool   // the key was there before
	OldKey      string // where the key that a new one replaced was put, or ""
}

// Make makes a key and a self-signed certificate for this host and writes
// both: the key first, mode 0600. A key or a certificate that is already there
// is never overwritten: [ErrExists].
func Make(o MakeOptions) (*Made, error) {
	if o.Files.Cert == o.Files.Key {
		return nil, fault.New("pki.make.same", o.Files.Key)
	}
	names, err := hostNames(o.Names)
	if err != nil {
		return nil, err
	}
	for _, path := range []string{o.Files.Key, o.Files.Cert} {
		if _, err := os.Lstat(path); err == nil {
			return nil, fault.Wrap(ErrExists, "pki.make.exists", path)
		}
	}
	if err := makeFolders(o.Files); err != nil {
		return nil, err
	}
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, err
	}
	cert, certPEM, err := selfSign(key, names, o.Lifetime)
	if err != nil {
		return nil, err
	}
	if err := writeNew(o.Files.Key, keyPEM, 0o600); err != nil {
		return nil, unwritable(o.Files.Key, err)
	}
	if err := writeNew(o.Files.Cert, certPEM, 0o644); err != nil {
		return nil, unwritable(o.Files.Cert, err)
	}
	return &Made{Certificate: cert, Pin: PinOf(cert)}, nil
}

// Renew writes a new self-signed certificate for the key that is there, so
// that its pin stays, with the names of the old certificate, of this host and
// of o. With NewKey it makes a new key and keeps the old one beside it under
// another name. It also makes the certificate of a key that has none.
//
// A certificate that an authority issued is left alone: [ErrIssued].
func Renew(o MakeOptions) (*Made, error) {
	if o.Files.Cert == o.Files.Key {
		return nil, fault.New("pki.make.same", o.Files.Key)
	}
	keyPEM, err := os.ReadFile(o.Files.Key)
	if err != nil {
		return nil, unreadable(o.Files.Key, err)
	}
	key, err := parseKey(o.Files.Key, keyPEM)
	if err != nil {
		return nil, err
	}
	names, err := hostNames(o.Names)
	if err != nil {
		return nil, err
	}
	old, err := LoadCertificate(o.Files.Cert)
	switch {
	case err == nil:
		if !selfSigned(old) {
			return nil, fault.Wrap(ErrIssued, "pki.renew.issued", o.Files.Cert, printable(old.Issuer.String()))
		}
		names.add(old)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	made := &Made{KeyKept: !o.NewKey}
	if o.NewKey {
		if key, keyPEM, err = newKey(); err != nil {
			return nil, err
		}
	}
	cert, certPEM, err := selfSign(key, names, o.Lifetime)
	if err != nil {
		return nil, err
	}
	if o.NewKey {
		made.OldKey = o.Files.Key + "." + time.Now().UTC().Format("20060102T150405Z") + ".old"
		if err := os.Link(o.Files.Key, made.OldKey); err != nil {
			return nil, unwritable(made.OldKey, err)
		}
		if err := writeWhole(o.Files.Key, keyPEM, 0o600); err != nil {
			return nil, unwritable(o.Files.Key, err)
		}
	}
	if err := writeWhole(o.Files.Cert, certPEM, 0o644); err != nil {
		if o.NewKey { // a key without its certificate would stop the server
			err = errors.Join(err, os.Rename(made.OldKey, o.Files.Key))
		}
		return nil, unwritable(o.Files.Cert, err)
	}
	made.Certificate, made.Pin = cert, PinOf(cert)
	return made, nil
}

func newKey() (crypto.Signer, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// parseKey reads a private key of any kind that crypto/tls takes: it is asked
// to pair it with a certificate of that key, so that the kinds are its own.
func parseKey(path string, data []byte) (crypto.Signer, error) {
	k := blocks(data)
	switch {
	case k.encrypted && !k.key:
		return nil, fault.Wrap(ErrEncrypted, "pki.key.encrypted", path)
	case !k.key:
		return nil, fault.Wrap(ErrNoPEM, "pki.key.none", path)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		var key any
		var err error
		if key, err = x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
			if key, err = x509.ParseECPrivateKey(block.Bytes); err != nil {
				key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
			}
		}
		if signer, ok := key.(crypto.Signer); err == nil && ok {
			return signer, nil
		}
	}
	return nil, fault.Wrap(ErrNoPEM, "pki.key.none", path)
}

func selfSign(key crypto.Signer, names *sans, life time.Duration) (*x509.Certificate, []byte, error) {
	if life <= 0 {
		life = Lifetime
	}
	now := time.Now()
	template := &x509.Certificate{
		// No SerialNumber: CreateCertificate draws a random one (RFC 5280
		// §4.1.2.2).
		Subject:     pkix.Name{CommonName: names.common()},
		NotBefore:   now.Add(-backdate),
		NotAfter:    now.Add(life),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		// Not an authority: whoever trusts this certificate as a root trusts
		// this server alone.
		BasicConstraintsValid: true,
		DNSNames:              names.dns,
		IPAddresses:           names.ips(),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fault.Wrap(err, "pki.make.failed", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fault.Wrap(err, "pki.make.failed", err)
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// MakeTemporary makes a pair that is never written, for a throwaway server and
// for tests.
func MakeTemporary(names ...string) (*tls.Certificate, error) {
	sans, err := hostNames(names)
	if err != nil {
		return nil, err
	}
	key, _, err := newKey()
	if err != nil {
		return nil, err
	}
	cert, _, err := selfSign(key, sans, 0)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}, nil
}

// makeFolders makes the folders of a pair: the key's own is closed to others,
// one that it shares with the certificate is not.
func makeFolders(files Files) error {
	certs, keys := filepath.Dir(files.Cert), filepath.Dir(files.Key)
	if err := os.MkdirAll(certs, 0o755); err != nil {
		return unwritable(certs, err)
	}
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return unwritable(keys, err)
	}
	return nil
}

// sans are the subject alternative names of a certificate, each once.
type sans struct {
	dns   []string
	addrs []netip.Addr
}

// hostNames returns what this host is called, and more.
func hostNames(more []string) (*sans, error) {
	s := &sans{}
	for _, name := range more {
		if !s.addName(name) {
			return nil, fault.Wrap(ErrBadName, "pki.make.name", shorten(name))
		}
	}
	if name, err := os.Hostname(); err == nil {
		s.addName(name) // a name that no certificate can hold is left out
	}
	s.addName("localhost")
	s.addName("127.0.0.1")
	s.addName("::1")
	if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
				s.addAddr(p.Addr())
			}
		}
	}
	return s, nil
}

func (s *sans) addName(name string) bool {
	if addr, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		s.addAddr(addr)
		return true
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !isDNSName(name) {
		return false
	}
	if !slices.Contains(s.dns, name) {
		s.dns = append(s.dns, name)
	}
	return true
}

func (s *sans) addAddr(addr netip.Addr) {
	addr = addr.Unmap().WithZone("")
	if !slices.Contains(s.addrs, addr) {
		s.addrs = append(s.addrs, addr)
	}
}

func (s *sans) add(cert *x509.Certificate) {
	for _, name := range cert.DNSNames {
		s.addName(name)
	}
	for _, ip := range cert.IPAddresses {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			s.addAddr(addr)
		}
	}
}

func (s *sans) ips() []net.IP {
	ips := make([]net.IP, len(s.addrs))
	for i, a := range s.addrs {
		ips[i] = a.AsSlice()
	}
	return ips
}

// common returns the first name that fits in a common name (RFC 5280 appendix
// A.1: ub-common-name is 64).
func (s *sans) common() string {
	for _, name := range s.dns {
		if len(name) <= 64 {
			return name
		}
	}
	return "ftps"
}

// isDNSName takes letters, digits, "-" and "_" in labels, and a wildcard in
// front. International names are given in their ASCII form.
func isDNSName(name string) bool {
	name = strings.TrimPrefix(name, "*.")
	if len(name) == 0 || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

func unwritable(path string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fault.Wrap(ErrExists, "pki.make.exists", path)
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return fault.Wrap(err, "pki.file.unwritable", path, pe.Err)
	}
	return fault.Wrap(err, "pki.file.unwritable", path, err)
}
