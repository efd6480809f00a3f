package ftp

import (
	"bufio"
	"bytes"
	"io"
)

// TYPE A, RFC 959 §3.1.1.1: on the wire a line ends in CRLF, here in LF. The
// conversion is exact: each LF here is one CRLF there, and every other byte
// is itself, a lone CR too. What is written and read back is the same again,
// even files that already have CRLF (they travel as CRCRLF).

const asciiBuffer = 32 << 10

// NewASCIIReader returns a reader that reads from the wire and yields local
// lines. A lone LF from a careless peer stays what it is.
func NewASCIIReader(wire io.Reader) io.Reader {
	return &asciiReader{buf: bufio.NewReaderSize(wire, asciiBuffer)}
}

type asciiReader struct {
	buf *bufio.Reader
	err error // of the wire, kept until what came before it is delivered
}

func (a *asciiReader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		chunk := a.peek(1, n > 0)
		if len(chunk) == 0 {
			break
		}
		cr := bytes.IndexByte(chunk, '\r')
		if cr != 0 {
			if cr > 0 {
				chunk = chunk[:cr]
			}
			n += a.take(p[n:], chunk)
			continue
		}
		// What a CR means, the byte behind it says.
		if chunk = a.peek(2, n > 0); len(chunk) == 1 && a.err == nil {
			break
		}
		if len(chunk) > 1 && chunk[1] == '\n' {
			chunk = chunk[1:]
			a.discard(1)
		}
		n += a.take(p[n:], chunk[:1])
	}
	if n == 0 && len(p) > 0 {
		return 0, a.err
	}
	return n, nil
}

// peek returns the buffered bytes, at least want of them if it may wait for
// them and the wire does not end.
func (a *asciiReader) peek(want int, mustNotWait bool) []byte {
	if a.buf.Buffered() < want && !mustNotWait && a.err == nil {
		_, a.err = a.buf.Peek(want)
	}
	chunk, _ := a.buf.Peek(a.buf.Buffered())
	return chunk
}

func (a *asciiReader) take(p, chunk []byte) int {
	n := copy(p, chunk)
	a.discard(n)
	return n
}

// discard drops buffered bytes, which cannot fail.
func (a *asciiReader) discard(n int) { _, _ = a.buf.Discard(n) }

// NewASCIIWriter returns a writer that takes local lines and writes them to
// the wire. It keeps nothing back between two calls of Write.
func NewASCIIWriter(wire io.Writer) io.Writer { return &asciiWriter{wire: wire} }

type asciiWriter struct {
	wire io.Writer
	buf  []byte
}

func (a *asciiWriter) Write(p []byte) (int, error) {
	if a.buf == nil {
		a.buf = make([]byte, 0, asciiBuffer)
	}
	done := 0
	for done < len(p) {
		// A part of p that fits even if each of its bytes is an LF.
		part := p[done:min(len(p), done+asciiBuffer/2)]
		a.buf = appendCRLF(a.buf[:0], part)
		if _, err := a.wire.Write(a.buf); err != nil {
			return done, err
		}
		done += len(part)
	}
	return done, nil
}

func appendCRLF(b, p []byte) []byte {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			return append(b, p...)
		}
		b = append(append(b, p[:i]...), '\r', '\n')
		p = p[i+1:]
	}
}

// ASCIISize returns how many bytes a file is on the wire under TYPE A, which
// is what SIZE answers then (RFC 3659 §4). It reads the file to its end.
func ASCIISize(file io.Reader) (int64, error) {
	var size int64
	buf := make([]byte, asciiBuffer)
	for {
		n, err := file.Read(buf)
		size += int64(n) + int64(bytes.Count(buf[:n], []byte{'\n'}))
		if err == io.EOF {
			return size, nil
		}
		if err != nil {
			return size, err
		}
	}
}
