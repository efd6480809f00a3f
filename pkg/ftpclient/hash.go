package ftpclient

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
)

// FileHash is the server's hash of a file or of a range of it.
type FileHash struct {
	Algorithm  string // "SHA-256"
	Start, End int64  // the bytes from Start up to, not including, End
	Sum        []byte
}

// Hash asks for the SHA-256 of a whole file (HASH); errors.ErrUnsupported
// where the server does not have it.
func (c *Conn) Hash(ctx context.Context, path string) (FileHash, error) {
	if err := checkPath(path); err != nil {
		return FileHash{}, err
	}
	if _, ok := inForce(c.features.Param("HASH"), "SHA-256"); !ok {
		return FileHash{}, errors.ErrUnsupported
	}
	if err := c.ChooseHash(ctx, HashMethod{Algorithm: "SHA-256", Verb: "HASH"}); err != nil {
		return FileHash{}, err
	}
	if err := c.enter(); err != nil {
		return FileHash{}, err
	}
	defer c.leave()
	r, err := c.expect(ctx, "HASH", path, 2)
	if err != nil {
		return FileHash{}, err
	}
	h, err := parseHash(r.Lines[0])
	if err != nil {
		return FileHash{}, &ProtocolError{Command: "HASH", Err: err}
	}
	return h, nil
}

// parseHash reads "SHA-256 0-49 6169… name" (draft-bryan-ftpext-hash §3.1).
func parseHash(text string) (FileHash, error) {
	word := strings.SplitN(strings.TrimSpace(text), " ", 4)
	if len(word) < 3 {
		return FileHash{}, errSyntax
	}
	h := FileHash{Algorithm: strings.ToUpper(word[0])}
	from, to, ok := strings.Cut(word[1], "-")
	var err1, err2, err3 error
	h.Start, err1 = strconv.ParseInt(from, 10, 64)
	h.End, err2 = strconv.ParseInt(to, 10, 64)
	h.Sum, err3 = hex.DecodeString(word[2])
	if !ok || err1 != nil || err2 != nil || err3 != nil || h.Algorithm != "SHA-256" || len(h.Sum) != 32 {
		return FileHash{}, errSyntax
	}
	return h, nil
}
