package mirror

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"os"

	"ftps/pkg/fault"
	"ftps/pkg/ftpclient"
)

// Verify says what must prove that a file is whole, beside the orderly end
// of its data connection and the server's word.
type Verify uint8

// The ways to verify.
const (
	// VerifyAuto: by hash where the server tells one, else by size; a resume
	// is proven by a hash, or by fetching the earlier part again.
	VerifyAuto Verify = iota
	// VerifyHash: by hash, or it has failed.
	VerifyHash
	// VerifySize: by size; for a resume size, time and the end of the earlier
	// part are enough.
	VerifySize
	// VerifyNone: by nothing but the server's word.
	VerifyNone
)

// proofWanted reports whether a resume must be proven: else equal size and
// time and an overlap are taken for it.
func (t *Transfer) proofWanted() bool {
	return t.cfg.Verify == VerifyAuto || t.cfg.Verify == VerifyHash
}

var verifyNames = []string{"auto", "hash", "size", "none"}

// ParseVerify reads "auto", "hash", "size" or "none".
func ParseVerify(s string) (Verify, error) {
	for i, name := range verifyNames {
		if s == name {
			return Verify(i), nil
		}
	}
	return 0, fault.New("client.verify.unknown", s)
}

// String returns what ParseVerify reads.
func (v Verify) String() string { return verifyNames[v] }

// sums are the hashes of a file, made while it passes: of the kind that the
// server tells, and SHA-256 for whoever asks. Who wants size to be proof
// enough, or nothing, is spared them: they are much of the work.
type sums struct {
	sha    hash.Hash // nil where nobody asks for it
	other  hash.Hash // nil where sha serves
	method ftpclient.HashMethod
	has    bool // the server tells hashes
}

// quickFrom is the length from which a file is worth asking the server for
// another algorithm.
const quickFrom = 1 << 20

// method is how the server is to tell the hash of a file of so many bytes.
func (t *Transfer) method(c *ftpclient.Conn, size int64) (ftpclient.HashMethod, bool) {
	if m, has := c.QuickHash(); has && size >= quickFrom && !t.cfg.SHA256 {
		return m, true
	}
	return c.HashMethod()
}

// sums are those of a file of so many bytes, negative where they are unknown.
func (t *Transfer) sums(c *ftpclient.Conn, size int64) *sums {
	if !t.proofWanted() {
		return &sums{}
	}
	s := &sums{}
	if !t.noHash.Load() {
		s.method, s.has = t.method(c, size)
	}
	sha := s.has && s.method.Algorithm == "SHA-256"
	if sha || t.cfg.SHA256 {
		s.sha = sha256.New()
	}
	if s.has && !sha {
		s.other = s.method.New()
	}
	return s
}

func (s *sums) Write(b []byte) (int, error) {
	if s.sha != nil {
		s.sha.Write(b)
	}
	if s.other != nil {
		s.other.Write(b)
	}
	return len(b), nil
}

func (s *sums) reset() {
	if s.sha != nil {
		s.sha.Reset()
	}
	if s.other != nil {
		s.other.Reset()
	}
}

// sum is the SHA-256, nil where nobody asked for it.
func (s *sums) sum() []byte {
	if s.sha == nil {
		return nil
	}
	return s.sha.Sum(nil)
}

// theirs is the hash of the kind that the server tells.
func (s *sums) theirs() []byte {
	if s.other != nil {
		return s.other.Sum(nil)
	}
	return s.sha.Sum(nil)
}

// ready refuses what could never be verified as was asked.
func (t *Transfer) ready(s *sums) error {
	if t.cfg.Verify == VerifyHash && !s.has {
		return ErrNoHash
	}
	return nil
}

// byHash compares the file on the server with what passed. Nil and false
// means that the server would not say, and that this is allowed.
func (t *Transfer) byHash(ctx context.Context, c *ftpclient.Conn, remote string, size int64, s *sums) (bool, error) {
	if !s.has {
		return false, nil
	}
	sum, err := c.SumOf(ctx, s.method, remote, -1, size)
	if err != nil {
		return false, t.untold(c, err)
	}
	return t.compare(sum, s)
}

func (t *Transfer) compare(sum []byte, s *sums) (bool, error) {
	if !ftpclient.SameSum(sum, s.theirs()) {
		return false, ErrHash
	}
	return true, nil
}

// untold decides about a server that refuses to tell a hash: an account may
// write and not read, and some announce what they do not have.
func (t *Transfer) untold(c *ftpclient.Conn, err error) error {
	var reply *ftpclient.ReplyError
	if !errors.As(err, &reply) || !c.Usable() {
		return err
	}
	switch reply.Reply.Code {
	case 500, 501, 502, 504:
		t.noHash.Store(true)
	}
	if t.cfg.Verify == VerifyHash {
		return fmt.Errorf("%w: %w", ErrNoHash, err)
	}
	return nil
}

// prefix reports whether the first n bytes of the file on the server are
// those of ours, by their hash. told is false where the server cannot say.
// all means that it has no more than these n bytes: then a server that hashes
// whole files alone can.
func (t *Transfer) prefix(ctx context.Context, c *ftpclient.Conn, remote string, ours *os.File, n int64, all bool) (same, told bool, err error) {
	m, ok := t.method(c, n)
	if !ok || t.cfg.Verify == VerifyNone {
		return false, false, nil
	}
	first := n
	if all && (m.Verb != "HASH" || !c.Features().Has("RANG")) {
		first = -1
	}
	sum, err := c.SumOf(ctx, m, remote, first, n)
	var reply *ftpclient.ReplyError
	if errors.Is(err, errors.ErrUnsupported) || errors.As(err, &reply) && c.Usable() {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	h := m.New()
	if err := hashFirst(h, ours, n); err != nil {
		return false, false, err
	}
	return t.same(h.Sum(nil), sum), true, nil
}
