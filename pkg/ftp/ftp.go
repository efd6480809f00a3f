// Package ftp is what both ends of an FTP connection agree on, byte for byte:
// command and reply lines, host-port forms, facts, listings, quoting, times,
// ASCII conversion and block mode.
//
// It opens no sockets, keeps no state between calls and decides nothing: what
// a server allows and what a client tries is said elsewhere. Whatever comes
// from the network is taken for hostile: every parser is bounded, none
// panics, and what is not understood is an error, never a guess.
//
// A server begins at [LineReader], [ParseCommand] and [Reply]; a client at
// [LineReader], [ReadReply] and [ParseFactsLine].
package ftp

import (
	"errors"
	"strconv"
)

// Errors of the parsers. They name a kind of mistake, so that a server can
// choose its reply and a client its sentence; none is meant for a person.
var (
	ErrEmptyCommand = errors.New("ftp: empty command line")
	ErrBadVerb      = errors.New("ftp: no command verb")
	ErrBadByte      = errors.New("ftp: NUL, CR or LF in a line")
	ErrTelnet       = errors.New("ftp: broken Telnet sequence")

	ErrLineTooLong = errors.New("ftp: line too long")
	ErrBadReply    = errors.New("ftp: malformed reply")
	ErrReplyTooBig = errors.New("ftp: reply too big")

	ErrHostPort = errors.New("ftp: malformed host-port")
	ErrFamily   = errors.New("ftp: unknown network protocol")

	ErrListLine = errors.New("ftp: listing line not understood")
	ErrNoEntry  = errors.New("ftp: listing line without an entry")
	ErrFacts    = errors.New("ftp: malformed facts")
	ErrQuoting  = errors.New("ftp: no quoted path")
	ErrTime     = errors.New("ftp: malformed time")
	ErrNumber   = errors.New("ftp: malformed number")
	ErrRange    = errors.New("ftp: malformed octet range")
	ErrArgument = errors.New("ftp: malformed argument")
	ErrName     = errors.New("ftp: name not allowed")

	ErrBlock          = errors.New("ftp: malformed block")
	ErrBlockTruncated = errors.New("ftp: data ended without an end-of-file block")
)

// ParseNumber reads the decimal numbers of REST, SIZE, ALLO and PBSZ: digits
// and nothing else, no sign, no space, at most an int64.
func ParseNumber(s string) (int64, error) {
	if !allDigits(s) {
		return 0, ErrNumber
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, ErrNumber
	}
	return n, nil
}

// allDigits reports whether s is one ASCII digit or more. strconv alone will
// not do: it takes "+5" and "-0".
func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// isForging reports the bytes that end a line, or a name in C: whoever can
// smuggle one into a line writes the next line too.
func isForging(c byte) bool { return c == 0 || c == '\r' || c == '\n' }
