package ftpserver_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
)

// sealer writes records of TLS 1.3 by hand: crypto/tls answers KeyUpdates and
// never sends one.
type sealer struct {
	suite  uint16
	secret []byte // of the client's application data
	number uint64
}

// label is HKDF-Expand-Label (RFC 8446 §7.1) with an empty context.
func (s *sealer) label(label string, length int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(length))
	info = append(info, byte(len("tls13 "+label)))
	info = append(append(info, "tls13 "+label...), 0)
	out, err := hkdf.Expand(sha256.New, s.secret, string(info), length)
	if err != nil {
		panic(err)
	}
	return out
}

// seal is one record (RFC 8446 §5.2).
func (s *sealer) seal(t *testing.T, kind byte, content []byte) []byte {
	var aead cipher.AEAD
	var err error
	switch s.suite {
	case tls.TLS_AES_128_GCM_SHA256:
		var block cipher.Block
		if block, err = aes.NewCipher(s.label("key", 16)); err == nil {
			aead, err = cipher.NewGCM(block)
		}
	case tls.TLS_CHACHA20_POLY1305_SHA256:
		aead, err = chacha20poly1305.New(s.label("key", 32))
	default:
		t.Fatalf("no hand for %s", tls.CipherSuiteName(s.suite))
	}
	if err != nil {
		t.Fatal(err)
	}
	nonce := s.label("iv", 12)
	for i, b := range binary.BigEndian.AppendUint64(nil, s.number) {
		nonce[4+i] ^= b
	}
	s.number++
	inner := append(bytes.Clone(content), kind)
	head := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(inner)+aead.Overhead()))
	return aead.Seal(head, nonce, inner, head)
}

// update is a KeyUpdate that asks for one in turn (RFC 8446 §4.6.3), after
// which the next keys hold.
func (s *sealer) update(t *testing.T) []byte {
	record := s.seal(t, 22, []byte{24, 0, 0, 1, 1})
	s.secret, s.number = s.label("traffic upd", 32), 0
	return record
}

// A client may renew its keys at any time, also long after the last reply:
// what the server has to answer must not run into the end of the time that the
// last reply had.
func TestKeysAreRenewedAlsoLongAfterTheLastReply(t *testing.T) {
	t.Parallel()
	s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) { c.ReplyTimeout = 500 * time.Millisecond }})
	c := s.Dial(t)
	c.Expect(220)
	c.Cmd(234, "AUTH TLS")
	var keys strings.Builder
	c.TLS = c.TLS.Clone()
	c.TLS.KeyLogWriter = &keys
	c.StartTLS()
	c.Cmd(200, "NOOP") // one record
	state := c.Raw().(*tls.Conn).ConnectionState()
	hand := &sealer{suite: state.CipherSuite, number: 1}
	for line := range strings.Lines(keys.String()) {
		if words := strings.Fields(line); words[0] == "CLIENT_TRAFFIC_SECRET_0" {
			hand.secret, _ = hex.DecodeString(words[2])
		}
	}
	wire := c.Raw().(*tls.Conn).NetConn()
	for range 2 {
		<-time.After(600 * time.Millisecond) // the last reply's time is over
		if _, err := wire.Write(hand.update(t)); err != nil {
			t.Fatal(err)
		}
		if _, err := wire.Write(hand.seal(t, 23, []byte("NOOP\r\n"))); err != nil {
			t.Fatal(err)
		}
		c.Expect(200)
	}
}
