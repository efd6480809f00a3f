// Package catalog holds every sentence the program says to a person, in
// English and in Spanish.
//
// A sentence is a [Row]: a key, an optional FTP reply code, and the two
// texts. The rows stand in one file for each room that speaks (reply.go for
// the server's replies, shell.go for the interactive client, and so on); the
// rest of the program names rows by key and never holds a text of its own.
//
// Texts are formats of package fmt. Both languages take the same arguments;
// where the order of words differs, the Spanish one uses indexes: %[2]s.
// A text may have more than one line: the first says what happened, the
// following ones say what to do next.
package catalog

import (
	"errors"
	"fmt"
	"strings"
)

// Lang is a language of the catalogue.
type Lang uint8

// The languages there are.
const (
	English Lang = iota
	Spanish
)

// Languages lists them in the order in which LANG is announced.
var Languages = []Lang{English, Spanish}

// String returns the language's tag, as RFC 5646 and LANG write it.
func (l Lang) String() string {
	if l == Spanish {
		return "es"
	}
	return "en"
}

// ParseLang reads a language tag or a locale: "es", "es-AR", "es_ES.UTF-8",
// "EN". It reports false for a language that the catalogue does not have.
func ParseLang(tag string) (Lang, bool) {
	primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), ".")
	if i := strings.IndexAny(primary, "-_@"); i >= 0 {
		primary = primary[:i]
	}
	switch primary {
	case "es", "spa", "spanish", "español":
		return Spanish, true
	case "en", "eng", "english", "c", "posix":
		return English, true
	}
	return English, false
}

// FromEnvironment returns the language of the user's locale: the first of
// LC_ALL, LC_MESSAGES and LANG that is set decides, and English is what
// remains.
func FromEnvironment(getenv func(string) string) Lang {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if value := getenv(name); value != "" {
			lang, _ := ParseLang(value)
			return lang
		}
	}
	return English
}

// Row is one sentence.
type Row struct {
	Key  string
	Code int // FTP reply code, or 0
	EN   string
	ES   string
}

// tables are the rows by room; one file each.
var tables = [][]Row{
	replyRows, vfsRows, usersRows, pkiRows, dataRows,
	clientRows, shellRows, consoleRows, configRows, cliRows, systemRows, serviceRows, hookRows, wallRows, doctorRows,
}

var byKey = index()

func index() map[string]Row {
	m := make(map[string]Row)
	for _, rows := range tables {
		for _, r := range rows {
			if _, twice := m[r.Key]; twice {
				panic("catalog: two rows have the key " + r.Key)
			}
			m[r.Key] = r
		}
	}
	return m
}

// Rows calls yield for every row, room by room.
func Rows(yield func(Row) bool) {
	for _, rows := range tables {
		for _, r := range rows {
			if !yield(r) {
				return
			}
		}
	}
}

// Lookup returns the row of a key.
func Lookup(key string) (Row, bool) {
	r, ok := byKey[key]
	return r, ok
}

// Code returns the FTP reply code of a row, or 0.
func Code(key string) int { return byKey[key].Code }

// Text returns the sentence of a key. A key without a row is returned as it
// stands: a test forbids that there is one.
func Text(lang Lang, key string, args ...any) string {
	r, ok := byKey[key]
	if !ok {
		return key
	}
	text := r.EN
	if lang == Spanish {
		text = r.ES
	}
	if len(args) == 0 {
		return strings.ReplaceAll(text, "%%", "%")
	}
	for i, a := range args {
		if err, ok := a.(error); ok {
			args[i] = Explain(lang, err)
		}
	}
	return fmt.Sprintf(text, args...)
}

// message is what an error shows that wants to be told in the reader's
// language; package fault has one.
type message interface {
	error
	Message() (key string, args []any)
}

// Explain returns what to tell a person about err. The outermost error that
// carries a key decides; its cause is added when that carries no key of its
// own and the row has no place for it. An error without a key is shown as it
// is, but for what the operating system says.
func Explain(lang Lang, err error) string {
	var m message
	if !errors.As(err, &m) {
		return bare(lang, err)
	}
	key, args := m.Message()
	if _, ok := byKey[key]; !ok {
		return err.Error()
	}
	return Text(lang, key, append([]any(nil), args...)...)
}
