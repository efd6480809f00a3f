package ftp

import (
	"bytes"
	"errors"
	"io"
)

// MaxSwallow is how much of an overlong line a [LineReader] reads past to
// find its end, in bytes.
const MaxSwallow = 256 << 10

// ErrLineEndless is an overlong line whose end did not come within
// [MaxSwallow]: there is no next line to go on from. It is an ErrLineTooLong
// for errors.Is.
var ErrLineEndless error = endless{}

type endless struct{}

func (endless) Error() string        { return "ftp: line without an end" }
func (endless) Is(target error) bool { return target == ErrLineTooLong }

// LineReader reads lines of bounded length. Its memory is bounded too.
type LineReader struct {
	r          io.Reader
	max        int
	buf        []byte
	start, end int // the unread bytes are buf[start:end]
	scanned    int // of these, so many hold no LF
	swallowed  int // bytes of an overlong line dropped so far, 0 if none
	endless    bool
}

// usual is the buffer that lines have while none is longer: thousands of
// readers wait for a line at the same time.
const usual = 512

// NewLineReader returns a reader of lines of at most max bytes, the line end
// not counted.
func NewLineReader(r io.Reader, max int) *LineReader {
	return &LineReader{r: r, max: max, buf: make([]byte, min(usual, max+2))}
}

// Buffered returns how many bytes were read from the connection beyond the
// last line. Behind AUTH TLS there must be none.
func (l *LineReader) Buffered() int { return l.end - l.start }

// Whole reports whether the next ReadLine has its line already and waits for
// nothing.
func (l *LineReader) Whole() bool {
	return bytes.IndexByte(l.buf[l.start+l.scanned:l.end], '\n') >= 0
}

// ReadLine returns the next line without its CRLF or bare LF; the slice is
// valid until the next call.
//
// After [ErrLineTooLong] the next call returns the line after it; after
// [ErrLineEndless] every call returns it. A stream that ends in mid-line is
// io.ErrUnexpectedEOF. After any other error, a deadline say, what was read
// is kept and the next call goes on.
func (l *LineReader) ReadLine() ([]byte, error) {
	for {
		if l.endless {
			return nil, ErrLineEndless
		}
		unread := l.buf[l.start:l.end]
		if i := bytes.IndexByte(unread[l.scanned:], '\n'); i >= 0 {
			line := unread[:l.scanned+i]
			l.start += len(line) + 1
			l.scanned = 0
			return l.finish(line)
		}
		l.scanned = len(unread)
		if len(unread) == len(l.buf) && len(l.buf) < l.max+2 {
			l.resize(min(2*len(l.buf), l.max+2))
			continue
		}
		if len(unread) == len(l.buf) || l.swallowed > 0 && len(unread) > 0 {
			l.swallow()
			continue
		}
		if err := l.fill(); err != nil {
			return nil, err
		}
	}
}

// finish judges a line whose end has been found.
func (l *LineReader) finish(line []byte) ([]byte, error) {
	if l.swallowed > 0 {
		l.swallowed = 0
		return nil, ErrLineTooLong
	}
	line = bytes.TrimSuffix(line, []byte{'\r'})
	if len(line) > l.max {
		return nil, ErrLineTooLong
	}
	return line, nil
}

// swallow drops what is buffered and reads on.
func (l *LineReader) swallow() {
	l.swallowed += l.end - l.start
	l.start, l.end, l.scanned = 0, 0, 0
	l.endless = l.swallowed > MaxSwallow
}

// resize moves the unread bytes to the front of a buffer of n bytes.
func (l *LineReader) resize(n int) {
	buf := make([]byte, n)
	l.end = copy(buf, l.buf[l.start:l.end])
	l.start, l.buf = 0, buf
}

// fill reads once. Without room the unread bytes move to the front.
func (l *LineReader) fill() error {
	if l.start == l.end && len(l.buf) > usual {
		l.resize(usual)
	}
	if l.start > 0 {
		l.end = copy(l.buf, l.buf[l.start:l.end])
		l.start = 0
	}
	for range 100 {
		n, err := l.r.Read(l.buf[l.end:])
		l.end += n
		switch {
		case n > 0:
			return nil // an error that came along comes again
		case errors.Is(err, io.EOF) && (l.end > 0 || l.swallowed > 0):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
	return io.ErrNoProgress
}
