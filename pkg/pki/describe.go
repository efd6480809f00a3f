package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Description is what a person wants to know of a certificate. Its texts may
// come from the net and are safe to print.
type Description struct {
	Pin         Pin       `json:"pin"`
	Subject     string    `json:"subject"`
	Names       []string  `json:"names"`
	Issuer      string    `json:"issuer"`
	SelfSigned  bool      `json:"self_signed"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Key         string    `json:"key"` // "ECDSA P-256"
	Serial      string    `json:"serial"`
	Fingerprint string    `json:"fingerprint"` // SHA-256 of the whole certificate
}

// Describe describes a certificate.
func Describe(cert *x509.Certificate) Description {
	d := Description{
		Pin:        PinOf(cert),
		Subject:    printable(cert.Subject.String()),
		Names:      []string{},
		Issuer:     printable(cert.Issuer.String()),
		SelfSigned: selfSigned(cert),
		NotBefore:  cert.NotBefore.UTC(),
		NotAfter:   cert.NotAfter.UTC(),
		Key:        keyKind(cert),
	}
	if cert.SerialNumber != nil {
		d.Serial = cert.SerialNumber.Text(16)
	}
	for _, name := range cert.DNSNames {
		d.Names = append(d.Names, printable(name))
	}
	for _, ip := range cert.IPAddresses {
		d.Names = append(d.Names, ip.String())
	}
	sum := sha256.Sum256(cert.Raw)
	d.Fingerprint = hex.EncodeToString(sum[:])
	return d
}

func selfSigned(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawIssuer, cert.RawSubject) &&
		cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
}

func keyKind(cert *x509.Certificate) string {
	switch key := cert.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case *rsa.PublicKey:
		return "RSA " + strconv.Itoa(key.N.BitLen())
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return cert.PublicKeyAlgorithm.String()
}

// printable escapes what could move a terminal's cursor or turn its text
// around.
func printable(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return shorten(b.String())
}
