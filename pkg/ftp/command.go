package ftp

import (
	"bytes"
	"strings"
)

// Command is one request of the client.
type Command struct {
	Verb string // upper case, letters and digits
	Arg  string // the bytes behind one space, as they came; "" if there are none
}

// maxVerb is longer than every verb in use (XSHA256 and the like).
const maxVerb = 16

// ParseCommand reads a command line without its line end.
//
// Telnet sequences and spaces before the verb are skipped. An error leaves
// the verb in the Command where there was one, so that an unknown verb can
// be told from a bad argument:
// [ErrEmptyCommand], [ErrBadVerb] (500), [ErrBadByte] and [ErrTelnet] (501).
func ParseCommand(line []byte) (Command, error) {
	line = bytes.TrimLeft(skipTelnet(line), " ")
	if len(line) == 0 {
		return Command{}, ErrEmptyCommand
	}
	end := 0
	for end < len(line) && (isLetter(line[end]) || isDigit(line[end])) {
		end++
	}
	if end == 0 || end > maxVerb {
		return Command{}, ErrBadVerb
	}
	c := Command{Verb: strings.ToUpper(string(line[:end]))}
	arg, err := stripTelnet(line[end:])
	if err != nil {
		return c, err
	}
	if len(arg) > 0 && arg[0] != ' ' && !isForging(arg[0]) {
		return Command{}, ErrBadVerb
	}
	for _, b := range arg {
		if isForging(b) {
			return c, ErrBadByte
		}
	}
	if len(arg) > 0 {
		// RFC 959 §5.3: one space, and then the argument as it is: a name
		// may begin or end with spaces.
		c.Arg = string(arg[1:])
	}
	return c, nil
}

// AppendTo appends the command's line with its CRLF. An argument that would
// end the line, or the name in it, is [ErrBadByte] and nothing is appended:
// a name is refused, never altered.
func (c Command) AppendTo(b []byte) ([]byte, error) {
	if err := CheckArg(c.Arg); err != nil {
		return b, err
	}
	b = append(b, c.Verb...)
	if c.Arg != "" {
		b = append(b, ' ')
		for i := range len(c.Arg) {
			if c.Arg[i] == telnetIAC {
				b = append(b, telnetIAC) // RFC 854: the data byte 255 is doubled
			}
			b = append(b, c.Arg[i])
		}
	}
	return append(b, '\r', '\n'), nil
}

// CheckArg reports [ErrBadByte] where s holds what no argument may: NUL, CR
// or LF.
func CheckArg(s string) error {
	if strings.ContainsAny(s, "\x00\r\n") {
		return ErrBadByte
	}
	return nil
}

// Telnet's bytes, RFC 854.
const (
	telnetSE   = 240
	telnetSB   = 250
	telnetWILL = 251
	telnetDONT = 254
	telnetIAC  = 255
)

// telnetSequence returns the length of the Telnet sequence that line begins
// with, 0 where IAC begins none.
func telnetSequence(line []byte) int {
	if len(line) < 2 {
		return 0
	}
	switch c := line[1]; {
	case c == telnetSB:
		if i := bytes.Index(line, []byte{telnetIAC, telnetSE}); i >= 0 {
			return i + 2
		}
		return 0
	case telnetWILL <= c && c <= telnetDONT:
		if len(line) < 3 {
			return 0
		}
		return 3
	case telnetSE <= c && c < telnetIAC:
		return 2
	}
	return 0
}

// skipTelnet drops the sequences before the verb. Here a lone IAC goes too:
// RFC 959 §4.1.3 sends ABOR behind IAC IP IAC DM as urgent data, and a stack
// that takes the DM out of band leaves its IAC behind.
func skipTelnet(line []byte) []byte {
	for len(line) > 0 && line[0] == telnetIAC {
		line = line[max(1, telnetSequence(line)):]
	}
	return line
}

// stripTelnet drops the sequences in the rest of the line and undoubles IAC
// IAC. A lone IAC is an error here: to drop a byte of a name would make it
// another file's name.
func stripTelnet(s []byte) ([]byte, error) {
	if bytes.IndexByte(s, telnetIAC) < 0 {
		return s, nil
	}
	out := make([]byte, 0, len(s))
	for len(s) > 0 {
		if s[0] != telnetIAC {
			out, s = append(out, s[0]), s[1:]
			continue
		}
		if len(s) > 1 && s[1] == telnetIAC {
			out, s = append(out, telnetIAC), s[2:]
			continue
		}
		n := telnetSequence(s)
		if n == 0 {
			return nil, ErrTelnet
		}
		s = s[n:]
	}
	return out, nil
}
