package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"ftps/pkg/fault"
)

// Pin names a public key: the SHA-256 of its SubjectPublicKeyInfo (RFC 7469
// §2.4). A certificate that is renewed with the same key keeps its pin.
type Pin [sha256.Size]byte

// PinOf returns the pin of a certificate's key.
func PinOf(cert *x509.Certificate) Pin { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

// String returns the pin as curl reads it: sha256//BASE64.
func (p Pin) String() string { return "sha256//" + base64.StdEncoding.EncodeToString(p[:]) }

// MarshalText implements encoding.TextMarshaler.
func (p Pin) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; it reads what [ParsePin]
// reads.
func (p *Pin) UnmarshalText(text []byte) error {
	parsed, err := ParsePin(string(text))
	if err == nil {
		*p = parsed
	}
	return err
}

// ParsePin reads a pin in every usual spelling:
//
//	sha256//BASE64                 curl
//	sha256/BASE64                  OkHttp
//	SHA256:BASE64                  OpenSSH, without padding
//	pin-sha256="BASE64"            RFC 7469
//	sha256:HEX, HEX, HE:X…, HE X…  in either case
//
// with base64 in the common or the URL alphabet, padded or not. What is
// labelled as SHA-1, as MD5 or as the fingerprint of a certificate is refused
// by name, for it could never match; an unlabelled SHA-256 of a certificate
// cannot be told from a pin here, and [Trust] says so when it meets one.
func ParsePin(s string) (Pin, error) {
	bad := func(key string) (Pin, error) { return Pin{}, fault.Wrap(ErrBadPin, key, shorten(s)) }
	text := strings.TrimSpace(s)
	if len(text) > 300 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return bad("pki.pin.bad")
	}
	if strings.Contains(strings.ToLower(text), "fingerprint") { // openssl x509 -fingerprint
		return bad("pki.pin.certificate")
	}
	label, rest := cutLabel(text)
	switch label {
	case "", "sha256", "sha-256", "pin-sha256":
	case "md5", "sha1", "sha-1", "pin-sha1":
		return bad("pki.pin.weak")
	default:
		return bad("pki.pin.hash")
	}
	for _, digest := range rest {
		switch b := decodeDigest(digest); len(b) {
		case sha256.Size:
			return Pin(b), nil
		case 16, 20:
			return bad("pki.pin.weak")
		case 48, 64:
			return bad("pki.pin.hash")
		}
	}
	return bad("pki.pin.bad")
}

// cutLabel splits "sha256:…" into the name of the hash, in lower case, and
// what the digest may be. There are two readings of it after "sha256//": the
// second slash may be the first letter of the base64.
func cutLabel(s string) (label string, digests []string) {
	lower := strings.ToLower(s)
	for _, l := range []string{
		"pin-sha256", "pin-sha1", "sha-256", "sha-224", "sha-384", "sha-512",
		"sha256", "sha224", "sha384", "sha512", "sha-1", "sha1", "md5",
	} {
		if !strings.HasPrefix(lower, l) || len(s) == len(l) {
			continue
		}
		rest := s[len(l):]
		switch {
		case strings.HasPrefix(rest, "//"):
			return l, []string{rest[2:], rest[1:]}
		case rest[0] == '/' || rest[0] == ':' || rest[0] == '=' || rest[0] == ' ':
			rest = strings.Trim(rest[1:], ` "';`)
			return l, []string{rest}
		}
	}
	return "", []string{strings.Trim(s, `"'`)}
}

// decodeDigest returns the bytes of a digest in hex or base64, or nil.
func decodeDigest(s string) []byte {
	digits := strings.NewReplacer(":", "", " ", "", "-", "").Replace(s)
	switch len(digits) {
	case 32, 40, 64, 96, 128: // MD5, SHA-1, SHA-256, SHA-384, SHA-512
		if b, err := hex.DecodeString(digits); err == nil {
			return b
		}
	}
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	b, err := base64.RawStdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

// shorten keeps a message readable whatever was typed.
func shorten(s string) string {
	if len(s) > 120 {
		return strings.ToValidUTF8(s[:120], "") + "…"
	}
	return s
}
