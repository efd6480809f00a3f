package ftp

import (
	"net/netip"
	"strings"
	"time"
)

// Representation is the argument of TYPE, RFC 959 §5.3.2.
type Representation struct {
	Code byte // 'A', 'E', 'I' or 'L'
	Form byte // of A and E: 'N', 'T' or 'C'
	Bits int  // of L: 1 to 255
}

// ParseType reads "A", "A N", "I", "L 8", in either case of letters.
// [ErrArgument] is what RFC 959 does not know.
func ParseType(arg string) (Representation, error) {
	code, second, more := strings.Cut(strings.ToUpper(arg), " ")
	if len(code) != 1 {
		return Representation{}, ErrArgument
	}
	r := Representation{Code: code[0]}
	switch {
	case code == "I" && !more:
		return r, nil
	case code == "L":
		n, ok := smallNumber(second, 3)
		if ok && 0 < n && n < 256 {
			r.Bits = n
			return r, nil
		}
	case code == "A" || code == "E":
		r.Form = 'N' // RFC 959 §3.1.1.5.1: Non-print is the default
		if !more {
			return r, nil
		}
		if len(second) == 1 && strings.Contains("NTC", second) {
			r.Form = second[0]
			return r, nil
		}
	}
	return Representation{}, ErrArgument
}

// ParseALLO reads the argument of ALLO, "1000" or "1000 R 80", and returns
// the size of the file.
func ParseALLO(arg string) (int64, error) {
	size, record, more := strings.Cut(arg, " ")
	n, err := ParseNumber(size)
	if more && err == nil {
		letter, length, _ := strings.Cut(record, " ")
		if !strings.EqualFold(letter, "R") || !allDigits(length) {
			err = ErrNumber
		}
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

// ParsePBSZ reads the argument of PBSZ: a number of 32 bits (RFC 2228 §3).
func ParsePBSZ(arg string) (uint32, error) {
	n, err := ParseNumber(arg)
	if err != nil || n > 1<<32-1 {
		return 0, ErrNumber
	}
	return uint32(n), nil
}

// ParseHost reads the argument of HOST (RFC 7151 §3.1): a name, an IPv4
// address, or an IPv6 address in brackets. It returns the name in lower case
// without a final dot, or the address without its brackets.
func ParseHost(arg string) (string, error) {
	if inner, found := strings.CutPrefix(arg, "["); found {
		inner, closed := strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		if !closed || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", ErrArgument
		}
		return addr.String(), nil
	}
	host := strings.ToLower(strings.TrimSuffix(arg, "."))
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is4() {
		return host, nil
	}
	if len(host) > 253 {
		return "", ErrArgument
	}
	for label := range strings.SplitSeq(host, ".") {
		if !isHostLabel(label) {
			return "", ErrArgument
		}
	}
	return host, nil
}

// isHostLabel is the letter-digit-hyphen rule of RFC 1123 §2.1, in lower case,
// and the underscore that some names have all the same.
func isHostLabel(s string) bool {
	for i := range len(s) {
		if !isLetter(s[i]) && !isDigit(s[i]) && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-'
}

// ParseLang reads the argument of LANG, a language tag (RFC 2640 §4.1, RFC
// 1766 §2), and returns it in lower case. An empty one, which asks for the
// default language, is returned as it is.
func ParseLang(arg string) (string, error) {
	if arg == "" {
		return "", nil
	}
	for i, part := range strings.Split(arg, "-") {
		if part == "" || len(part) > 8 {
			return "", ErrArgument
		}
		for j := range len(part) {
			if !isLetter(part[j]) && (i == 0 || !isDigit(part[j])) {
				return "", ErrArgument
			}
		}
	}
	return strings.ToLower(arg), nil
}

// ParseMFMT reads the argument of MFMT: a time, a space and a path
// (draft-somers-ftp-mfxx §3).
func ParseMFMT(arg string) (t time.Time, path string, err error) {
	stamp, path, _ := strings.Cut(arg, " ")
	if t, err = ParseTime(stamp); err != nil {
		return time.Time{}, "", err
	}
	if path == "" {
		return time.Time{}, "", ErrArgument
	}
	return t, path, nil
}

// FormatMFMT returns the argument of MFMT.
func FormatMFMT(t time.Time, path string) string { return FormatTime(t) + " " + path }

// FactValue is one fact that MFF is to change.
type FactValue struct{ Name, Value string }

// ParseMFF reads the argument of MFF: facts with a semicolon behind each, a
// space and a path (draft-somers-ftp-mfxx §5). Which facts may be changed is
// the server's business.
func ParseMFF(arg string) (facts []FactValue, path string, err error) {
	list, path, _ := strings.Cut(arg, " ")
	if path == "" {
		return nil, "", ErrArgument
	}
	for list != "" {
		var fact string
		var closed bool
		fact, list, closed = strings.Cut(list, ";")
		name, value, found := strings.Cut(fact, "=")
		if !closed || !found || name == "" {
			return nil, "", ErrFacts
		}
		facts = append(facts, FactValue{name, value})
	}
	return facts, path, nil
}

// FormatMFF returns the argument of MFF.
func FormatMFF(facts []FactValue, path string) string {
	var b strings.Builder
	for _, f := range facts {
		b.WriteString(f.Name + "=" + f.Value + ";")
	}
	return b.String() + " " + path
}

// FormatChoices returns the list that FEAT shows behind HASH and LANG, with an
// asterisk behind the one in use: "SHA-256*;SHA-512;SHA-1".
func FormatChoices(names []string, chosen string) string {
	marked := make([]string, len(names))
	for i, name := range names {
		marked[i] = name
		if strings.EqualFold(name, chosen) {
			marked[i] += "*"
		}
	}
	return strings.Join(marked, ";")
}

// ParseChoices reads such a list, with or without a semicolon at its end.
func ParseChoices(param string) (names []string, chosen string) {
	for word := range strings.SplitSeq(param, ";") {
		name, marked := strings.CutSuffix(strings.TrimSpace(word), "*")
		if name == "" {
			continue
		}
		if names = append(names, name); marked {
			chosen = name
		}
	}
	return names, chosen
}
