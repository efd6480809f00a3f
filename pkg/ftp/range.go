package ftp

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// Range is a stretch of a file's octets, both ends included
// (draft-bryan-ftp-range §3). The first octet is 0.
type Range struct{ First, Last int64 }

// WholeFile is how RANG is taken back: "RANG 1 0".
var WholeFile = Range{1, 0}

// IsWhole reports whether r is [WholeFile].
func (r Range) IsWhole() bool { return r == WholeFile }

// Len returns the number of octets, 0 for [WholeFile].
func (r Range) Len() int64 { return r.Last - r.First + 1 }

// String returns the argument of RANG.
func (r Range) String() string {
	return strconv.FormatInt(r.First, 10) + " " + strconv.FormatInt(r.Last, 10)
}

// ParseRange reads the argument of RANG. A first octet behind the last one is
// [ErrRange] (501), except in the one form that means [WholeFile].
func ParseRange(arg string) (Range, error) { return parseRange(arg, " ") }

func parseRange(s, separator string) (Range, error) {
	first, last, found := strings.Cut(s, separator)
	a, err1 := ParseNumber(first)
	b, err2 := ParseNumber(last)
	r := Range{a, b}
	// The length must be an int64 as well.
	if !found || err1 != nil || err2 != nil || r.Len() < 1 && !r.IsWhole() {
		return WholeFile, ErrRange
	}
	return r, nil
}

// Hash is the text of a 213 reply to HASH (draft-bryan-ftpext-hash §3).
type Hash struct {
	Algorithm string // as FEAT names it: SHA-256
	Range     Range  // WholeFile where the reply does not say
	Sum       []byte
	Name      string
}

// FormatHash returns "SHA-256 0-49 <hex> name". The form cannot tell an empty
// range from a single octet: both are 0-0.
func FormatHash(h Hash) string {
	first, last := h.Range.First, max(h.Range.First, h.Range.Last)
	if h.Range.Len() < 1 {
		first, last = 0, 0
	}
	return h.Algorithm + " " + strconv.FormatInt(first, 10) + "-" + strconv.FormatInt(last, 10) +
		" " + hex.EncodeToString(h.Sum) + " " + string(appendClean(nil, h.Name))
}

// ParseHash reads the last line of a reply to HASH. FileZilla Server leaves
// the range out, others the name.
func ParseHash(text string) (Hash, error) {
	h := Hash{Range: WholeFile}
	algorithm, rest, _ := strings.Cut(text, " ")
	word, after, _ := strings.Cut(rest, " ")
	if strings.Contains(word, "-") {
		r, err := parseRange(word, "-")
		if err != nil {
			return Hash{}, err
		}
		h.Range = r
		word, after, _ = strings.Cut(after, " ")
	}
	sum, err := hex.DecodeString(word)
	if !isHashName(algorithm) || err != nil || len(sum) == 0 {
		return Hash{}, ErrArgument
	}
	h.Algorithm, h.Sum, h.Name = algorithm, sum, after
	return h, nil
}

// isHashName is hchar of draft-bryan-ftpext-hash §3.
func isHashName(s string) bool {
	for i := range len(s) {
		if !isLetter(s[i]) && !isDigit(s[i]) && strings.IndexByte("-_/.,", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}
