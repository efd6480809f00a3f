package ftp

import (
	"io/fs"
	"strconv"
	"strings"
)

// Facts is a set of the facts of RFC 3659 §7.5 and their Unix relatives.
type Facts uint16

// The facts this package writes and reads.
const (
	FactType Facts = 1 << iota
	FactSize
	FactModify
	FactCreate
	FactPerm
	FactUnique
	FactUnixMode
	FactUnixOwner
	FactUnixGroup

	AllFacts Facts = 1<<iota - 1
)

// factTable gives each fact its name, and how it is written and read. append
// returns b as it was where the entry does not know the fact; parse reports
// whether the value can be believed.
var factTable = [...]struct {
	fact   Facts
	name   string
	append func(b []byte, e *Entry) []byte
	parse  func(e *Entry, value string) bool
}{
	{FactType, "type", appendType, parseType},
	{FactSize, "size", appendSize, parseSize},
	{FactModify, "modify",
		func(b []byte, e *Entry) []byte {
			if e.ModTime.IsZero() {
				return b
			}
			return AppendTime(b, e.ModTime)
		},
		func(e *Entry, value string) bool {
			// A time that cannot be read is a time not known; the entry stays.
			t, err := ParseTime(value)
			e.ModTime, e.Precise = t, err == nil
			return true
		}},
	{FactCreate, "create",
		func(b []byte, e *Entry) []byte {
			if e.Created.IsZero() {
				return b
			}
			return AppendTime(b, e.Created)
		},
		func(e *Entry, value string) bool { e.Created, _ = ParseTime(value); return true }},
	{FactPerm, "perm",
		func(b []byte, e *Entry) []byte { return appendValue(b, e.Perm) },
		func(e *Entry, value string) bool { e.Perm = value; return true }},
	{FactUnique, "unique",
		func(b []byte, e *Entry) []byte { return appendValue(b, e.Unique) },
		func(e *Entry, value string) bool { e.Unique = value; return true }},
	{FactUnixMode, "UNIX.mode",
		func(b []byte, e *Entry) []byte {
			if !e.HasMode {
				return b
			}
			return appendMode(b, e.Mode)
		},
		func(e *Entry, value string) bool {
			mode, err := ParseMode(value)
			e.Mode, e.HasMode = mode, err == nil
			return true
		}},
	{FactUnixOwner, "UNIX.owner",
		func(b []byte, e *Entry) []byte { return appendValue(b, e.Owner) },
		func(e *Entry, value string) bool { e.Owner = value; return true }},
	{FactUnixGroup, "UNIX.group",
		func(b []byte, e *Entry) []byte { return appendValue(b, e.Group) },
		func(e *Entry, value string) bool { e.Group = value; return true }},
}

// typeNames are the values of the type fact, RFC 3659 §7.5.1. A link's target
// goes behind its own, as the section's example of OS.unix has it.
var typeNames = [...]struct {
	typ  EntryType
	name string
}{
	{File, "file"}, {Dir, "dir"}, {CurrentDir, "cdir"}, {ParentDir, "pdir"},
	{Link, "OS.unix=slink:"}, {Link, "OS.unix=symlink:"},
	{Link, "OS.unix=slink"}, {Link, "OS.unix=symlink"},
}

func appendType(b []byte, e *Entry) []byte {
	for _, t := range typeNames {
		if t.typ == e.Type {
			b = append(b, t.name...)
			if t.typ == Link {
				b = appendValue(b, e.Target)
			}
			return b
		}
	}
	return append(b, "OS.unix=special"...)
}

func parseType(e *Entry, value string) bool {
	e.Type = Other
	for _, t := range typeNames {
		if len(value) < len(t.name) || !strings.EqualFold(value[:len(t.name)], t.name) {
			continue
		}
		target := value[len(t.name):]
		if target == "" || strings.HasSuffix(t.name, ":") {
			e.Type, e.Target = t.typ, target
			return true
		}
	}
	return value != ""
}

func appendSize(b []byte, e *Entry) []byte {
	// The size of a folder is nobody's business, and of a link it is not
	// the size of what a transfer would bring.
	if e.Type != File || e.Size < 0 {
		return b
	}
	return strconv.AppendInt(b, e.Size, 10)
}

func parseSize(e *Entry, value string) bool {
	n, err := ParseNumber(value)
	e.Size = n
	return err == nil
}

// appendValue appends a value if RFC 3659 §7.2 allows it in a fact: nothing
// that would end the fact or the facts.
func appendValue(b []byte, value string) []byte {
	for i := range len(value) {
		if c := value[i]; c <= ' ' || c == ';' || c == 0x7f {
			return b
		}
	}
	return append(b, value...)
}

// appendMode appends four octal digits.
func appendMode(b []byte, mode fs.FileMode) []byte {
	m := mode.Perm()
	return append(b, '0', byte('0'+m>>6&7), byte('0'+m>>3&7), byte('0'+m&7))
}

// ParseMode reads the octal mode of UNIX.mode and SITE CHMOD: three digits or
// four, or five with a leading 0. Only the permission bits are returned.
func ParseMode(s string) (fs.FileMode, error) {
	if len(s) < 3 || len(s) > 5 || len(s) == 5 && s[0] != '0' || !allDigits(s) {
		return 0, ErrNumber
	}
	m, err := strconv.ParseUint(s, 8, 16)
	if err != nil {
		return 0, ErrNumber
	}
	return fs.FileMode(m).Perm(), nil
}

// AppendFacts appends the entry as MLSD and MLST show it (RFC 3659 §7.2): the
// chosen facts that are known, a space and the name; no line end, and no
// space before it, which MLST wants in its reply. A perm fact that is chosen
// is always written: empty, it says that nothing is permitted.
//
// NUL, CR and LF in a name become '?': whoever may name a file must not
// thereby write lines of a listing. The entry is not kept, but moves to the
// heap: whoever writes many uses one again and again.
func AppendFacts(b []byte, e *Entry, chosen Facts) []byte {
	for i := range factTable {
		f := &factTable[i]
		if chosen&f.fact == 0 {
			continue
		}
		start := len(b)
		b = append(append(b, f.name...), '=')
		value := len(b)
		if b = f.append(b, e); len(b) == value && f.fact != FactPerm {
			b = b[:start]
			continue
		}
		b = append(b, ';')
	}
	return appendClean(append(b, ' '), e.Name)
}

// ParseFactsLine reads a line of MLSD, or of MLST without its leading space.
// Facts that it does not know are passed over. The name is everything behind
// the facts and one space: it may begin with spaces, and in an MLST reply it
// may be a path. [ErrListLine] is a line that cannot be trusted.
func ParseFactsLine(line string) (Entry, error) {
	line = strings.TrimSuffix(line, "\r")
	facts, name, ok := splitFacts(line)
	if !ok || name == "" || strings.ContainsAny(line, "\x00\r\n") {
		return Entry{}, ErrListLine
	}
	e := Entry{Name: name, Type: Other, Size: -1}
	for facts != "" {
		var fact string
		fact, facts, _ = strings.Cut(facts, ";")
		key, value, ok := strings.Cut(fact, "=")
		if !ok || key == "" || !parseFact(&e, key, value) {
			return Entry{}, ErrListLine
		}
	}
	return e, nil
}

// splitFacts cuts a line where the facts end. RFC 3659 §7.2 allows no space
// in them, so it is the first; some servers write owners with spaces, and
// there it is the first behind a semicolon.
func splitFacts(line string) (facts, name string, ok bool) {
	if name, found := strings.CutPrefix(line, " "); found {
		return "", name, true
	}
	if facts, name, ok = strings.Cut(line, "; "); ok {
		return facts, name, true
	}
	return strings.Cut(line, " ")
}

func parseFact(e *Entry, key, value string) bool {
	for i := range factTable {
		if strings.EqualFold(factTable[i].name, key) {
			return factTable[i].parse(e, value)
		}
	}
	return true
}

// ParseFactNames reads the argument of OPTS MLST, "type;size;": an empty one
// chooses no facts, and names that are not known are passed over (RFC 3659
// §7.9). [ErrFacts] is what is no list of names.
func ParseFactNames(arg string) (Facts, error) {
	var chosen Facts
	for arg != "" {
		var name string
		name, arg, _ = strings.Cut(arg, ";")
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '=' || r == 0x7f }) {
			return 0, ErrFacts
		}
		for i := range factTable {
			if strings.EqualFold(factTable[i].name, name) {
				chosen |= factTable[i].fact
			}
		}
	}
	return chosen, nil
}

// String returns the names with a semicolon behind each, as the reply to OPTS
// MLST has them.
func (f Facts) String() string {
	var b strings.Builder
	for i := range factTable {
		if f&factTable[i].fact != 0 {
			b.WriteString(factTable[i].name + ";")
		}
	}
	return b.String()
}

// Feature returns what stands behind MLST in a FEAT reply: the name of every
// fact that is known to the server, those that are chosen with an asterisk
// (RFC 3659 §7.8).
func (f Facts) Feature(known Facts) string {
	var b strings.Builder
	for i := range factTable {
		if known&factTable[i].fact == 0 {
			continue
		}
		b.WriteString(factTable[i].name)
		if f&factTable[i].fact != 0 {
			b.WriteByte('*')
		}
		b.WriteByte(';')
	}
	return b.String()
}
