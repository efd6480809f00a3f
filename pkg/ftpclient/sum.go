package ftpclient

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"hash/crc32"
	"strings"
	"time"

	"github.com/zeebo/blake3"
	"golang.org/x/sys/cpu"

	"ftps/pkg/ftp"
)

// HashMethod is a way in which the server tells the hash of a file: HASH
// (draft-bryan-ftpext-hash) or one of the verbs from before it.
type HashMethod struct {
	Algorithm string // "SHA-256"
	Verb      string // "HASH", "XSHA256"
	New       func() hash.Hash
}

// methods are all that there are, the best first. The weak ones guard
// against accidents and not against an enemy; TLS is there for that.
var methods = []struct {
	algorithm, old string
	new            func() hash.Hash
}{
	{"SHA-256", "XSHA256", sha256.New},
	{"SHA-512", "XSHA512", sha512.New},
	{"SHA-1", "XSHA1", sha1.New},
	{"MD5", "XMD5", md5.New},
	{"CRC32", "XCRC", func() hash.Hash { return crc32.NewIEEE() }},
}

// HashMethod returns the best way that the server announces, and false where
// there is none.
func (c *Conn) HashMethod() (HashMethod, bool) {
	for _, m := range methods {
		if _, has := inForce(c.features.Param("HASH"), m.algorithm); has {
			return HashMethod{m.algorithm, "HASH", m.new}, true
		}
		if c.features.Has(m.old) {
			return HashMethod{m.algorithm, m.old, m.new}, true
		}
	}
	return HashMethod{}, false
}

// QuickHash is BLAKE3, as strong as SHA-256, where the server announces it and
// this machine has vectors of 256 bits: then it takes less than half of the
// time, and else it takes longer. For a few KiB SHA-256 is the quicker one.
func (c *Conn) QuickHash() (HashMethod, bool) {
	_, has := inForce(c.features.Param("HASH"), "BLAKE3")
	return HashMethod{"BLAKE3", "HASH", func() hash.Hash { return blake3.New() }}, has && cpu.X86.HasAVX2
}

// inForce reads HASH's line of FEAT, "SHA-256*;SHA-1": whether the server has
// the algorithm, and whether it is the one that HASH uses by itself.
func inForce(param, algorithm string) (chosen, has bool) {
	for word := range strings.SplitSeq(param, ";") {
		name, on := strings.CutSuffix(strings.TrimSpace(word), "*")
		if strings.EqualFold(name, algorithm) {
			return on, true
		}
	}
	return false, false
}

// ChooseHash tells the server which algorithm HASH is to use, once.
func (c *Conn) ChooseHash(ctx context.Context, m HashMethod) error {
	if m.Verb != "HASH" {
		return nil
	}
	if c.hashing == "" {
		if chosen, _ := inForce(c.features.Param("HASH"), m.Algorithm); chosen {
			c.hashing = m.Algorithm
		}
	}
	if c.hashing == m.Algorithm {
		return nil
	}
	if _, err := c.do(ctx, "OPTS", "HASH "+m.Algorithm, 2); err != nil {
		return err
	}
	c.hashing = m.Algorithm
	return nil
}

// slowHash is what a server hashes at least, in bytes a second: the wait
// grows with the file.
const slowHash = 16 << 20

// SumOf asks for the hash of a file's first n bytes, or of the whole file
// where n is negative; size is how much that may be. errors.ErrUnsupported
// where the server does not have the method, or no ranges.
func (c *Conn) SumOf(ctx context.Context, m HashMethod, path string, n, size int64) ([]byte, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	arg := path
	switch {
	case n == 0:
		return m.New().Sum(nil), nil
	case n > 0 && (m.Verb != "HASH" || !c.features.Has("RANG")):
		return nil, errors.ErrUnsupported
	}
	if err := c.ChooseHash(ctx, m); err != nil {
		return nil, err
	}
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.leave()
	if err := c.setBinary(ctx); err != nil {
		return nil, err
	}
	want := ftp.WholeFile
	if n > 0 {
		// draft-bryan-ftp-range §3: directly before the command it is for.
		want = ftp.Range{First: 0, Last: n - 1}
		if _, err := c.expect(ctx, "RANG", want.String(), 2, 3); err != nil {
			return nil, err
		}
	}
	patience := c.cfg.FinalTimeout + time.Duration(size/slowHash)*time.Second
	r, err := c.commandWithin(ctx, patience, m.Verb, arg)
	if err != nil {
		return nil, err
	}
	return m.read(r, want)
}

// Sum reads the server's reply to the method's verb for a whole file.
func (m HashMethod) Sum(r ftp.Reply) ([]byte, error) { return m.read(r, ftp.WholeFile) }

func (m HashMethod) read(r ftp.Reply, want ftp.Range) ([]byte, error) {
	if r.Code/100 != 2 {
		return nil, &ReplyError{Command: m.Verb, Reply: r}
	}
	size := m.New().Size()
	if m.Verb == "HASH" {
		h, err := ftp.ParseHash(strings.TrimSpace(r.Lines[len(r.Lines)-1]))
		switch {
		case err != nil:
			return nil, &ProtocolError{Command: m.Verb, Err: err}
		case !strings.EqualFold(h.Algorithm, m.Algorithm), len(h.Sum) != size,
			!want.IsWhole() && h.Range != want:
			// A server that forgot RANG has hashed something else.
			return nil, &ProtocolError{Command: m.Verb, Err: errSyntax}
		}
		return h.Sum, nil
	}
	// "250 0A1B…", and on some servers with more words about it.
	for word := range strings.FieldsSeq(r.Text()) {
		word = strings.Trim(word, `"',;:`)
		if m.Algorithm == "CRC32" && len(word) >= size && len(word) < 2*size {
			word = strings.Repeat("0", 2*size-len(word)) + word // zeros are left out
		}
		if sum, err := hex.DecodeString(word); err == nil && len(sum) == size {
			return sum, nil
		}
	}
	return nil, &ProtocolError{Command: m.Verb, Err: errSyntax}
}

// SameSum reports whether two sums are equal and there are any.
func SameSum(a, b []byte) bool { return len(a) > 0 && bytes.Equal(a, b) }

// commandWithin is command with a time-out of its own.
func (c *Conn) commandWithin(ctx context.Context, d time.Duration, verb, arg string) (ftp.Reply, error) {
	if err := ctx.Err(); err != nil {
		return ftp.Reply{}, err
	}
	done := c.within(ctx, d)
	err := c.send(verb, arg)
	var r ftp.Reply
	if err == nil {
		r, err = c.final(verb)
	}
	if err = done(err); err != nil {
		return ftp.Reply{}, err
	}
	if r.Code == 421 {
		// RFC 959 §5.4: 421 may answer any command; the server hangs up.
		c.Close()
	}
	return r, nil
}

// ServerName asks the server what it is (CSID) and returns its Name, "" where
// it does not say. It is asked once.
func (c *Conn) ServerName(ctx context.Context) (string, error) {
	if c.named || !c.features.Has("CSID") {
		return c.name, nil
	}
	r, err := c.do(ctx, "CSID", "Name=ftps;", 2)
	var refused *ReplyError
	if err != nil && !errors.As(err, &refused) {
		return "", err
	}
	c.named = true
	if r.Code/100 != 2 {
		return "", nil
	}
	for fact := range strings.SplitSeq(r.Text(), ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(fact), "=")
		if strings.EqualFold(key, "Name") {
			c.name = strings.TrimSpace(value)
		}
	}
	return c.name, nil
}

// Pin is the control connection's public key as its SHA-256: whose word a
// record of a transfer is.
func (c *Conn) Pin() []byte {
	certs := c.TLS().PeerCertificates
	if len(certs) == 0 {
		return nil
	}
	sum := sha256.Sum256(certs[0].RawSubjectPublicKeyInfo)
	return sum[:]
}
