package ftp

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckName reports [ErrName] where a name from a server's listing must not
// become the name of a local file: empty, "." and "..", or one with '/', '\',
// NUL, CR or LF in it.
func CheckName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00\r\n") {
		return ErrName
	}
	return nil
}

// Sanitise returns s as a terminal may show it: control characters, invalid
// UTF-8, line separators and the characters that turn the direction of
// writing are escaped as \x1b or \u202e. It is for showing alone: the result
// names nothing.
func Sanitise(s string) string {
	clean := true
	for i, r := range s {
		if isUnsafe(s[i:], r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case !isUnsafe(s[i:], r):
			b.WriteRune(r)
		case r < utf8.RuneSelf || r == utf8.RuneError:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

// isUnsafe judges the rune r that s begins with.
func isUnsafe(s string, r rune) bool {
	switch {
	case r == utf8.RuneError:
		_, size := utf8.DecodeRuneInString(s)
		return size == 1
	case r == '\u200c' || r == '\u200d':
		return false // joiners: Persian and many emoji are written with them
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
