package ftp

import (
	"errors"
	"io"
	"strings"
)

// Reply is one reply of the server.
type Reply struct {
	Code  int
	Lines []string // at least one; the text without code and line end
}

// Text returns the lines joined by line feeds.
func (r Reply) Text() string { return strings.Join(r.Lines, "\n") }

// String returns the reply as a log shows it: the code and the last line.
func (r Reply) String() string {
	var code [3]byte
	putCode(&code, r.Code)
	if len(r.Lines) == 0 {
		return string(code[:])
	}
	return string(code[:]) + " " + r.Lines[len(r.Lines)-1]
}

// AppendTo appends the reply as RFC 959 §4.2 writes it, line ends included.
//
// The lines in the middle go out as they are, so FEAT and MLST bring their
// leading space along; one that could be taken for a coded line is padded.
// NUL, CR and LF in a line become '?', for a name in a reply must not forge
// the next one.
func (r Reply) AppendTo(b []byte) []byte {
	var code [3]byte
	putCode(&code, r.Code)
	last := max(0, len(r.Lines)-1)
	for i := range last {
		switch {
		case i == 0:
			b = append(append(b, code[:]...), '-')
		case beginsWithCode(r.Lines[i]):
			// RFC 959 §4.2: "If an intermediary line begins with a 3-digit
			// number, the Server must pad the front".
			b = append(b, ' ')
		}
		b = append(appendClean(b, r.Lines[i]), '\r', '\n')
	}
	b = append(append(b, code[:]...), ' ')
	if len(r.Lines) > 0 {
		b = appendClean(b, r.Lines[last])
	}
	return append(b, '\r', '\n')
}

func putCode(b *[3]byte, code int) {
	b[0], b[1], b[2] = byte('0'+code/100%10), byte('0'+code/10%10), byte('0'+code%10)
}

func beginsWithCode(s string) bool { return len(s) >= 3 && allDigits(s[:3]) }

// appendClean appends s with the bytes that would forge a line made visible.
func appendClean(b []byte, s string) []byte {
	start := len(b)
	b = append(b, s...)
	for i := start; i < len(b); i++ {
		if isForging(b[i]) {
			b[i] = '?'
		}
	}
	return b
}

// ReplyLimits bounds one reply. A field that is zero takes its default.
type ReplyLimits struct {
	MaxLine  int // bytes a line; 8,192
	MaxLines int // lines a reply; 10,000
	MaxBytes int // bytes a reply; 1 MiB
}

func (l ReplyLimits) orDefaults() ReplyLimits {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.MaxLine, 8 << 10}, {&l.MaxLines, 10_000}, {&l.MaxBytes, 1 << 20}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return l
}

// ReadReply reads one reply, whole. The codes before the lines in the
// middle, which many servers write, are taken off.
//
// A stream that ends before the first byte is io.EOF, later
// io.ErrUnexpectedEOF; what is no reply is [ErrBadReply], and beyond the
// limits it is [ErrLineTooLong] or [ErrReplyTooBig]. After any of these the
// connection is out of step and of no more use.
func ReadReply(lr *LineReader, lim ReplyLimits) (Reply, error) {
	lim = lim.orDefaults()
	line, err := readReplyLine(lr, lim)
	if err != nil {
		return Reply{}, err
	}
	code, more, ok := splitReply(line)
	if !ok {
		return Reply{}, ErrBadReply
	}
	r := Reply{Code: code, Lines: []string{text(line)}}
	prefix, total := string(line[:3]), len(line)
	for more {
		line, err := readReplyLine(lr, lim)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return Reply{}, err
		}
		total += len(line)
		if len(r.Lines) == lim.MaxLines || total > lim.MaxBytes {
			return Reply{}, ErrReplyTooBig
		}
		// RFC 959 §4.2: only the same code and a space end the reply. Lines
		// in the middle may begin with any other number, "226 files" too.
		coded := len(line) >= 3 && string(line[:3]) == prefix
		switch {
		case coded && (len(line) == 3 || line[3] == ' '):
			r.Lines = append(r.Lines, text(line))
			more = false
		case coded && line[3] == '-':
			r.Lines = append(r.Lines, text(line))
		default:
			r.Lines = append(r.Lines, string(line))
		}
	}
	return r, nil
}

func readReplyLine(lr *LineReader, lim ReplyLimits) ([]byte, error) {
	line, err := lr.ReadLine()
	if err == nil && len(line) > lim.MaxLine {
		err = ErrLineTooLong
	}
	return line, err
}

// splitReply reads the code of a first line. A code without any text is a
// reply of some servers.
func splitReply(line []byte) (code int, more, ok bool) {
	if len(line) < 3 || line[0] < '1' || line[0] > '6' || !isDigit(line[1]) || !isDigit(line[2]) {
		return 0, false, false
	}
	if len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, false, false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	return code, len(line) > 3 && line[3] == '-', true
}

// text returns what stands behind the code and its separator.
func text(line []byte) string { return string(line[min(4, len(line)):]) }
