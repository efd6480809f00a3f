package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"time"

	"ftps/pkg/fault"
)

// soon is when a certificate's end begins to be told.
const soon = 14 * 24 * time.Hour

// Files names a certificate (with its chain, leaf first) and its key. Both may
// be the same file.
type Files struct {
	Cert string
	Key  string
}

// Pair is a certificate with its key, as loaded from files.
type Pair struct {
	Files    Files
	TLS      *tls.Certificate // Leaf is set
	Pin      Pin
	Issued   bool    // by ACME, which renews it by itself
	Warnings []error // faults that do not keep it from being used
}

// LoadPair loads a certificate and its key. It is an error that the key is not
// the certificate's, that the certificate has expired or is not valid yet, and
// that the key is under a passphrase.
func LoadPair(files Files) (*Pair, error) {
	certPEM, err := os.ReadFile(files.Cert)
	if err != nil {
		return nil, noPair(files.Cert, err)
	}
	keyPEM, err := os.ReadFile(files.Key)
	if err != nil {
		return nil, noPair(files.Key, err)
	}
	hasCert, hasKey := blocks(certPEM), blocks(keyPEM)
	switch {
	case !hasCert.cert && hasCert.key && hasKey.cert && !hasKey.key:
		return nil, fault.Wrap(ErrNoPEM, "pki.pair.swapped", files.Cert, files.Key)
	case !hasCert.cert:
		return nil, fault.Wrap(ErrNoPEM, "pki.cert.none", files.Cert)
	case hasKey.encrypted && !hasKey.key:
		return nil, fault.Wrap(ErrEncrypted, "pki.key.encrypted", files.Key)
	case !hasKey.key:
		return nil, fault.Wrap(ErrNoPEM, "pki.key.none", files.Key)
	}
	loaded, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		// crypto/tls has one kind of error for all of this and says in its text
		// which one it is.
		if strings.Contains(err.Error(), "does not match") {
			return nil, fault.Wrap(ErrMismatch, "pki.pair.mismatch", files.Key, files.Cert)
		}
		return nil, fault.Wrap(err, "pki.pair.bad", files.Cert, files.Key, err)
	}
	leaf := loaded.Leaf
	now := time.Now()
	switch {
	case now.After(leaf.NotAfter):
		return nil, fault.Wrap(ErrExpired, "pki.cert.expired", files.Cert, day(leaf.NotAfter))
	case now.Before(leaf.NotBefore):
		return nil, fault.Wrap(ErrNotYetValid, "pki.cert.early", files.Cert, leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	pair := &Pair{Files: files, TLS: &loaded, Pin: PinOf(leaf)}
	if left := leaf.NotAfter.Sub(now); left < soon {
		pair.Warnings = append(pair.Warnings, fault.New("pki.cert.soon", files.Cert, day(leaf.NotAfter)))
	}
	if info, err := os.Stat(files.Key); err == nil && readableByOthers(info) {
		pair.Warnings = append(pair.Warnings, fault.New("pki.key.open", files.Key))
	}
	return pair, nil
}

// LoadCertificate returns the first certificate of a file, without its key.
func LoadCertificate(path string) (*x509.Certificate, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fault.Wrap(err, "pki.cert.bad", path, err)
		}
		return cert, nil
	}
	return nil, fault.Wrap(ErrNoPEM, "pki.cert.none", path)
}

// LoadPool reads the authorities of PEM files, for --ca and --client-ca. A
// file without a certificate, or with one that cannot be read, is an error.
func LoadPool(paths ...string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, unreadable(path, err)
		}
		found := false
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			if block.Type != "CERTIFICATE" {
				continue
			}
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fault.Wrap(err, "pki.cert.bad", path, err)
			}
			pool.AddCert(cert)
			found = true
		}
		if !found {
			return nil, fault.Wrap(ErrNoPEM, "pki.cert.none", path)
		}
	}
	return pool, nil
}

// kinds says what blocks a PEM file has.
type kinds struct{ cert, key, encrypted bool }

func blocks(data []byte) (k kinds) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "CERTIFICATE":
			k.cert = true
		case block.Type == "ENCRYPTED PRIVATE KEY", // RFC 5958 §3
			strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"): // RFC 1421 §4.6.1.1
			k.encrypted = true
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			k.key = true
		}
	}
	return k
}

// noPair is unreadable for a certificate or its key, which a server would make.
func noPair(path string, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fault.Wrap(err, "pki.pair.missing", path)
	}
	return unreadable(path, err)
}

func unreadable(path string, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fault.Wrap(err, "pki.file.missing", path)
	}
	var pe *os.PathError
	if errors.As(err, &pe) {
		return fault.Wrap(err, "pki.file.unreadable", path, pe.Err)
	}
	return fault.Wrap(err, "pki.file.unreadable", path, err)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
