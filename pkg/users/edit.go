package users

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"ftps/pkg/fault"
)

// An edit changes the text, not the tree: YAML that is read and written again
// loses its blank lines, quotes and some comments. The nodes' positions say
// where to cut, everything else stays byte for byte. What cannot be cut
// safely is refused, and the result is parsed and compared before anyone
// writes it.

// edit is one change to a text that has been parsed as doc. It returns the
// new text and the accounts that must be in it.
type edit func(text []byte, doc *document) (changed []byte, want []User, err error)

// apply returns the text after the change.
func (e edit) apply(path string, text []byte) ([]byte, error) {
	doc, err := parse(path, text, enforced)
	if err != nil {
		return nil, err
	}
	changed, want, err := e(text, doc)
	if err != nil {
		return nil, err
	}
	after, err := parse(path, changed, enforced)
	if err != nil || !same(after.list.users, want) {
		return nil, uneasy(path, err)
	}
	return changed, nil
}

func same(a, b []User) bool {
	return slices.EqualFunc(a, b, func(u, v User) bool { return u.Same(&v) })
}

// uneasy refuses to edit a file.
func uneasy(path string, cause error) error {
	if cause == nil {
		cause = ErrUneasy
	}
	return fault.Wrap(refusedEdit{cause}, "users.file.uneasy", path)
}

// refusedEdit is ErrUneasy, whatever the cause.
type refusedEdit struct{ error }

func (refusedEdit) Is(target error) bool { return target == ErrUneasy }

// add puts an account behind all others.
func add(path string, u User) edit {
	return func(text []byte, doc *document) ([]byte, []User, error) {
		if first, taken := doc.list.Lookup(u.Name); taken {
			return nil, nil, fault.Wrap(ErrExists, "users.name.taken", u.Name, path, first.Line)
		}
		if u.Home == "" {
			u.Home = u.Name
		}
		// What is wrong with the account is not the file's fault.
		if _, err := parse(path, []byte("users:\n"+entry(u, "", "\n")), enforced); err != nil {
			if all, ok := errors.AsType[Problems](err); ok {
				err = all[0].Err
			}
			return nil, nil, err
		}
		want := append(slices.Clone(doc.list.users), u)

		eol := lineEnd(text)
		dash := "  "
		var out []byte
		switch {
		case doc.root == nil: // nothing, or only comments
			out = append(closed(text, eol), "users:"+eol...)
		case doc.root.Style&yaml.FlowStyle != 0:
			return nil, nil, uneasy(path, nil)
		case len(doc.items) > 0:
			if doc.value.Style&yaml.FlowStyle != 0 {
				return nil, nil, uneasy(path, nil)
			}
			dash = strings.Repeat(" ", doc.value.Column-1)
			out = closed(text, eol)
		default: // users: without a value, or [] or null
			opened, err := withoutEmpty(path, text, doc.value)
			if err != nil {
				return nil, nil, err
			}
			out = closed(opened, eol)
		}
		// The only key of the file is users: its last account ends where the
		// file ends.
		return append(out, entry(u, dash, eol)...), want, nil
	}
}

// closed returns a copy of text that ends with a line end.
func closed(text []byte, eol string) []byte {
	out := slices.Clone(text)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, eol...)
	}
	return out
}

// lineEnd returns what ends the lines of text.
func lineEnd(text []byte) string {
	if i := bytes.IndexByte(text, '\n'); i > 0 && text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// withoutEmpty removes the [], null or ~ behind "users:".
func withoutEmpty(path string, text []byte, value *yaml.Node) ([]byte, error) {
	if value.Kind == yaml.ScalarNode && value.Value == "" {
		return text, nil
	}
	at, ok := offset(text, value)
	if !ok {
		return nil, uneasy(path, nil)
	}
	for _, word := range []string{"[]", "[ ]", "null", "Null", "NULL", "~"} {
		if bytes.HasPrefix(text[at:], []byte(word)) {
			return slices.Concat(bytes.TrimRight(text[:at], " "), text[at+len(word):]), nil
		}
	}
	return nil, uneasy(path, nil)
}

// remove takes an account out: the lines from its dash to the last with
// something in it. Comments before and after stay.
func remove(path, name string) edit {
	return func(text []byte, doc *document) ([]byte, []User, error) {
		i, ok := doc.list.byName[name]
		if !ok {
			return nil, nil, fault.Wrap(ErrNoAccount, "users.name.unknown", name, path)
		}
		want := slices.Delete(slices.Clone(doc.list.users), i, i+1)
		if doc.root.Style&yaml.FlowStyle != 0 || doc.value.Style&yaml.FlowStyle != 0 {
			return nil, nil, uneasy(path, nil)
		}
		lines := bytes.SplitAfter(text, []byte("\n"))
		first, ok := dashLine(lines, doc, i)
		if !ok {
			return nil, nil, uneasy(path, nil)
		}
		end := len(lines) // the line behind the account's last
		if i+1 < len(doc.items) {
			if end, ok = dashLine(lines, doc, i+1); !ok {
				return nil, nil, uneasy(path, nil)
			}
		}
		for end > first+1 && !hasContent(lines[end-1]) {
			end--
		}
		return bytes.Join(slices.Concat(lines[:first], lines[end:]), nil), want, nil
	}
}

// dashLine returns the index of the line on which entry i begins. Its first
// key may stand on a later line than the dash.
func dashLine(lines [][]byte, doc *document, i int) (int, bool) {
	column := doc.value.Column - 1
	for n := doc.items[i].Line - 1; n >= 0 && n < len(lines); n-- {
		line := lines[n]
		if len(line) > column && line[column] == '-' && len(bytes.TrimLeft(line[:column], " ")) == 0 {
			return n, true
		}
		if n < doc.items[i].Line-1 && hasContent(line) {
			break
		}
	}
	return 0, false
}

// hasContent reports whether a line holds more than space and a comment.
func hasContent(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) > 0 && line[0] != '#'
}

// setPassword puts another bcrypt line in the place of the old one.
func setPassword(path, name, hash string) edit {
	return func(text []byte, doc *document) ([]byte, []User, error) {
		i, ok := doc.list.byName[name]
		if !ok {
			return nil, nil, fault.Wrap(ErrNoAccount, "users.name.unknown", name, path)
		}
		want := slices.Clone(doc.list.users)
		old := want[i].Hash
		want[i].Hash = hash
		for k := 0; k+1 < len(doc.items[i].Content); k += 2 {
			if doc.items[i].Content[k].Value != "password" {
				continue
			}
			// A bcrypt line has nothing that quotes would escape, so it
			// stands in the file as it is, with quotes or without.
			at, ok := offset(text, doc.items[i].Content[k+1])
			if ok && at < len(text) && (text[at] == '"' || text[at] == '\'') {
				at++
			}
			if !ok || !bytes.HasPrefix(text[at:], []byte(old)) {
				return nil, nil, uneasy(path, nil)
			}
			return slices.Concat(text[:at], []byte(hash), text[at+len(old):]), want, nil
		}
		return nil, nil, uneasy(path, nil)
	}
}

// offset returns where a node begins: YAML counts lines and, on them,
// characters.
func offset(text []byte, n *yaml.Node) (int, bool) {
	at := 0
	for range n.Line - 1 {
		i := bytes.IndexByte(text[at:], '\n')
		if i < 0 {
			return 0, false
		}
		at += i + 1
	}
	column := 1
	for i := range string(text[at:]) {
		if column == n.Column {
			return at + i, true
		}
		column++
	}
	return 0, false
}

// entry writes an account as it stands in the file. Settings that have their
// defaults are left out.
func entry(u User, dash, eol string) string {
	var b strings.Builder
	field := func(name, value string) {
		lead := dash + "  "
		if b.Len() == 0 {
			lead = dash + "- "
		}
		b.WriteString(lead + name + ": " + value + eol)
	}
	list := func(words []string) string { return "[" + strings.Join(words, ", ") + "]" }

	field("name", scalar(u.Name))
	field("password", scalar(u.Hash))
	field("home", scalar(u.Home))
	field("permissions", list(strings.Split(u.Perm.String(), ",")))
	if u.Quota != 0 {
		field("quota", FormatSize(u.Quota))
	}
	if u.MaxSessions != 0 {
		field("max_sessions", strconv.Itoa(u.MaxSessions))
	}
	if len(u.AllowFrom) > 0 {
		var words []string
		for _, p := range u.AllowFrom {
			words = append(words, scalar(p.String()))
		}
		field("allow_from", list(words))
	}
	if u.Reuse != "" {
		field("session_reuse", u.Reuse)
	}
	if u.RateUp != 0 {
		field("rate_up", FormatSize(u.RateUp))
	}
	if u.RateDown != 0 {
		field("rate_down", FormatSize(u.RateDown))
	}
	if u.ClientCert != "" {
		field("client_cert", scalar(u.ClientCert))
	}
	if u.Disabled {
		field("disabled", "true")
	}
	if !u.Expires.IsZero() {
		field("expires", FormatExpires(u.Expires))
	}
	return b.String()
}

// scalar writes a string that YAML reads as the same string: without quotes
// only where there can be no doubt. "123", "true" and "2027-01-31" are
// strings in quotes alone, and in a list in brackets a colon is a risk.
func scalar(s string) string {
	simple := s != ""
	for _, c := range []byte(s) {
		simple = simple && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			strings.IndexByte("./$_-", c) >= 0)
	}
	var n yaml.Node
	if simple && s[0] != '-' && yaml.Unmarshal([]byte(s), &n) == nil && len(n.Content) == 1 &&
		n.Content[0].Kind == yaml.ScalarNode && n.Content[0].ShortTag() == "!!str" && n.Content[0].Value == s {
		return s
	}
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return strconv.QuoteToGraphic(s)
}
