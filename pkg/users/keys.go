package users

import (
	"encoding/base64"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"ftps/pkg/fault"
	"ftps/pkg/vfs"
)

// key is one key of an account's entry.
type key struct {
	name     string
	enforced bool // the server does what it says; else the file is refused
	read     func(p *parser, value *yaml.Node, u *User) error
}

// keys is every key there is. A setting that nobody enforces yet would
// promise what the server does not keep: a file that has one is refused, by
// name, until its line here says true.
var keys = []key{
	{"name", true, readName},
	{"password", true, readPassword},
	{"home", true, readHome},
	{"permissions", true, readPermissions},
	{"quota", true, readQuota},
	{"max_sessions", true, readMaxSessions},
	{"allow_from", true, readAllowFrom},
	{"session_reuse", true, readReuse},
	{"rate_up", true, readRateUp},
	{"rate_down", true, readRateDown},
	{"client_cert", true, readClientCert},
	{"disabled", true, readDisabled},
	{"expires", true, readExpires},
}

// text returns a scalar that YAML takes for one of the types in tags; the row
// otherwise says what it should have been.
func text(value *yaml.Node, otherwise string, tags ...string) (string, error) {
	if value.Kind == yaml.ScalarNode {
		for _, tag := range tags {
			if value.ShortTag() == tag {
				return value.Value, nil
			}
		}
	}
	return "", fault.New(otherwise, shown(value))
}

// shown is what stands in the file, short enough for a message.
func shown(value *yaml.Node) string {
	word := value.Value
	switch value.Kind {
	case yaml.MappingNode:
		return "{…}"
	case yaml.SequenceNode:
		return "[…]"
	}
	if len(word) > 60 {
		word = word[:60] + "…"
	}
	return strconv.Quote(word)
}

// words returns the entries of a sequence that is not empty.
func words(value *yaml.Node) ([]*yaml.Node, error) {
	if value.Kind != yaml.SequenceNode || len(value.Content) == 0 {
		return nil, fault.New("users.type.list", shown(value))
	}
	return value.Content, nil
}

func readName(_ *parser, value *yaml.Node, u *User) (err error) {
	if u.Name, err = text(value, "users.type.string", "!!str"); err != nil {
		return err
	}
	return CheckName(u.Name)
}

func readPassword(_ *parser, value *yaml.Node, u *User) (err error) {
	if u.Hash, err = text(value, "users.type.hash", "!!str"); err != nil {
		return err
	}
	return checkHash(u.Hash)
}

func readHome(p *parser, value *yaml.Node, u *User) (err error) {
	if u.Home, err = text(value, "users.type.string", "!!str"); err != nil {
		return err
	}
	return CheckHome(u.Home)
}

// CheckHome says what is wrong with an account's home.
func CheckHome(home string) error {
	control := strings.ContainsFunc(home, unicode.IsControl)
	if home == "" || control || len(home) > vfs.MaxPath {
		return fault.New("users.home.bad", strconv.Quote(home))
	}
	if bucket, ok := strings.CutPrefix(home, "s3://"); ok {
		bucket, prefix, _ := strings.Cut(bucket, "/")
		prefix = strings.TrimSuffix(prefix, "/")
		if !bucketForm.MatchString(bucket) || prefix != "" && !cleanPrefix(prefix) {
			return fault.New("users.home.bad", strconv.Quote(home))
		}
		return nil
	}
	relative := strings.TrimPrefix(filepath.ToSlash(home), "/")
	for part := range strings.SplitSeq(relative, "/") {
		if part == ".." || len(part) > vfs.MaxName {
			return fault.New("users.home.bad", strconv.Quote(home))
		}
	}
	return nil
}

// bucketForm is what stores take for the name of a bucket.
var bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// cleanPrefix reports whether every part of a prefix could be a folder's name.
func cleanPrefix(prefix string) bool {
	for part := range strings.SplitSeq(prefix, "/") {
		if part == "" || part == "." || part == ".." || len(part) > vfs.MaxName || !vfs.Listable(part) {
			return false
		}
	}
	return utf8.ValidString(prefix) && len(prefix) < 512
}

func readPermissions(_ *parser, value *yaml.Node, u *User) error {
	entries, err := words(value)
	if err != nil {
		return err
	}
	u.Perm = 0
	for _, word := range entries {
		s, err := text(word, "users.type.string", "!!str")
		if err != nil {
			return err
		}
		perm, ok := vfs.ParsePerm(s)
		if !ok {
			return fault.New("users.perm.bad", strconv.Quote(s))
		}
		u.Perm |= perm
	}
	return nil
}

// ParsePerm reads rights with commas between them: "read,list", "rw".
func ParsePerm(words string) (vfs.Perm, error) {
	var all vfs.Perm
	for word := range strings.SplitSeq(words, ",") {
		word = strings.TrimSpace(word)
		perm, ok := vfs.ParsePerm(word)
		if !ok {
			return 0, fault.New("users.perm.bad", strconv.Quote(word))
		}
		all |= perm
	}
	return all, nil
}

// readSize reads a number of bytes that is not nothing: 0 could be meant as
// "none at all" as well as "no limit".
func readSize(value *yaml.Node, n *int64) error {
	word, err := text(value, "users.type.size", "!!str", "!!int")
	if err != nil {
		return err
	}
	if *n, err = ParseSize(word); err != nil {
		return err
	}
	if *n == 0 {
		return fault.New("users.size.zero")
	}
	return nil
}

func readQuota(_ *parser, value *yaml.Node, u *User) error    { return readSize(value, &u.Quota) }
func readRateUp(_ *parser, value *yaml.Node, u *User) error   { return readSize(value, &u.RateUp) }
func readRateDown(_ *parser, value *yaml.Node, u *User) error { return readSize(value, &u.RateDown) }

func readMaxSessions(_ *parser, value *yaml.Node, u *User) error {
	word, err := text(value, "users.type.number", "!!int")
	if err != nil {
		return err
	}
	u.MaxSessions, err = strconv.Atoi(word)
	if err != nil || CheckMaxSessions(u.MaxSessions) != nil {
		return fault.New("users.sessions.bad", strconv.Quote(word))
	}
	return nil
}

// CheckMaxSessions says whether n can be a limit of sessions.
func CheckMaxSessions(n int) error {
	if n < 1 || n > 1_000_000 {
		return fault.New("users.sessions.bad", strconv.Itoa(n))
	}
	return nil
}

func readAllowFrom(_ *parser, value *yaml.Node, u *User) error {
	entries, err := words(value)
	if err != nil {
		return err
	}
	u.AllowFrom = nil
	for _, word := range entries {
		s, err := text(word, "users.type.string", "!!str")
		if err != nil {
			return err
		}
		prefix, err := ParsePrefix(s)
		if err != nil {
			return err
		}
		u.AllowFrom = append(u.AllowFrom, prefix)
	}
	return nil
}

// ParsePrefix reads a network, 192.0.2.0/24, or a single address.
func ParsePrefix(word string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(word); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(word)
	if err != nil || prefix.Addr().Is4In6() {
		return netip.Prefix{}, fault.New("users.cidr.bad", strconv.Quote(word))
	}
	// A host's address with a network's length may be either; which of the
	// two was meant decides who gets in.
	if masked := prefix.Masked(); masked != prefix {
		return netip.Prefix{}, fault.New("users.cidr.host", word, masked.String())
	}
	return prefix, nil
}

func readReuse(_ *parser, value *yaml.Node, u *User) (err error) {
	if u.Reuse, err = text(value, "users.type.string", "!!str"); err != nil {
		return err
	}
	return CheckReuse(u.Reuse)
}

// CheckReuse says whether a word is a setting of session_reuse.
func CheckReuse(word string) error {
	if word != "require" && word != "prefer" {
		return fault.New("users.reuse.bad", strconv.Quote(word))
	}
	return nil
}

func readClientCert(_ *parser, value *yaml.Node, u *User) (err error) {
	if u.ClientCert, err = text(value, "users.type.string", "!!str"); err != nil {
		return err
	}
	digest, ok := strings.CutPrefix(u.ClientCert, "sha256//")
	raw, err := base64.StdEncoding.Strict().DecodeString(digest)
	if !ok || err != nil || len(raw) != 32 || strings.ContainsAny(digest, "\r\n") {
		return fault.New("users.cert.bad", shown(value))
	}
	return nil
}

func readDisabled(_ *parser, value *yaml.Node, u *User) error {
	word, err := text(value, "users.type.bool", "!!bool")
	if err != nil {
		return err
	}
	u.Disabled = strings.EqualFold(word, "true")
	return nil
}

func readExpires(_ *parser, value *yaml.Node, u *User) error {
	word, err := text(value, "users.type.date", "!!timestamp", "!!str")
	if err != nil {
		return err
	}
	u.Expires, err = ParseExpires(word)
	return err
}

// ParseExpires reads the moment from which an account is closed: a date,
// which begins at midnight UTC, or a time as RFC 3339 has it.
func ParseExpires(word string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, word); err == nil && t.Year() > 0 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fault.New("users.date.bad", strconv.Quote(word))
}

// FormatExpires writes a moment as [ParseExpires] reads it.
func FormatExpires(t time.Time) string {
	t = t.UTC()
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}
