package ftp

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

var errTimeout = errors.New("deadline")

// script yields one element a Read: bytes, or an error.
type script []any

func (s *script) Read(p []byte) (int, error) {
	if len(*s) == 0 {
		return 0, io.EOF
	}
	step := (*s)[0]
	*s = (*s)[1:]
	if err, ok := step.(error); ok {
		return 0, err
	}
	text := step.(string)
	n := copy(p, text)
	if n < len(text) {
		*s = append(script{text[n:]}, *s...)
	}
	return n, nil
}

func TestLinesEndInCRLFOrLF(t *testing.T) {
	const stream = "one\r\ntwo\n\r\n\nwith\rcr\r\nthree\r\r\n"
	for name, r := range map[string]io.Reader{
		"at once":      strings.NewReader(stream),
		"byte by byte": iotest.OneByteReader(strings.NewReader(stream)),
		"with EOF":     iotest.DataErrReader(strings.NewReader(stream)),
	} {
		lr := NewLineReader(r, 10)
		for _, want := range []string{"one", "two", "", "", "with\rcr", "three\r"} {
			if got, err := lr.ReadLine(); err != nil || string(got) != want {
				t.Fatalf("%s: ReadLine = %q, %v; want %q", name, got, err, want)
			}
		}
		if _, err := lr.ReadLine(); err != io.EOF {
			t.Errorf("%s: at the end: %v", name, err)
		}
	}
}

func TestALineOfTheLimitPassesAndOneByteMoreDoesNot(t *testing.T) {
	for _, end := range []string{"\n", "\r\n"} {
		lr := NewLineReader(strings.NewReader("12345"+end+"123456"+end+"next"+end), 5)
		if got, err := lr.ReadLine(); string(got) != "12345" || err != nil {
			t.Errorf("the limit: %q, %v", got, err)
		}
		if _, err := lr.ReadLine(); err != ErrLineTooLong {
			t.Errorf("one more: %v", err)
		}
		if got, err := lr.ReadLine(); string(got) != "next" || err != nil {
			t.Errorf("the line behind it: %q, %v", got, err)
		}
	}
}

func TestAnOverlongLineIsSwallowedToItsEnd(t *testing.T) {
	long := strings.Repeat("x", 64<<10)
	lr := NewLineReader(strings.NewReader("CWD "+long+"\r\nNOOP\r\n"), 8<<10)
	if _, err := lr.ReadLine(); err != ErrLineTooLong {
		t.Fatal(err)
	}
	if got, err := lr.ReadLine(); string(got) != "NOOP" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// zeros never ends and has no line end.
type zeros struct{ read int }

func (z *zeros) Read(p []byte) (int, error) { clear(p); z.read += len(p); return len(p), nil }

func TestALineWithoutAnEndIsGivenUp(t *testing.T) {
	z := &zeros{}
	lr := NewLineReader(z, 1000)
	for range 2 {
		if _, err := lr.ReadLine(); err != ErrLineEndless || !errors.Is(err, ErrLineTooLong) {
			t.Fatal(err)
		}
	}
	if z.read > MaxSwallow+5000 {
		t.Errorf("read %d bytes", z.read)
	}
}

func TestADeadlineInMidLineLosesNothing(t *testing.T) {
	lr := NewLineReader(&script{"NO", errTimeout, "OP\r", errTimeout, "\nQU"}, 100)
	for range 2 {
		if _, err := lr.ReadLine(); err != errTimeout {
			t.Fatal(err)
		}
	}
	if got, err := lr.ReadLine(); string(got) != "NOOP" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	if lr.Buffered() != 2 {
		t.Errorf("Buffered = %d", lr.Buffered())
	}
	if _, err := lr.ReadLine(); err != io.ErrUnexpectedEOF {
		t.Errorf("a line cut off: %v", err)
	}
}

func TestBytesBehindALineAreSeen(t *testing.T) {
	lr := NewLineReader(strings.NewReader("AUTH TLS\r\nUSER eve\r\n"), 100)
	if _, err := lr.ReadLine(); err != nil || lr.Buffered() != len("USER eve\r\n") {
		t.Errorf("%v, Buffered = %d", err, lr.Buffered())
	}
}

func TestAReaderThatNeverGetsOnIsGivenUp(t *testing.T) {
	stuck := script{}
	for range 200 {
		stuck = append(stuck, "")
	}
	if _, err := NewLineReader(&stuck, 10).ReadLine(); err != io.ErrNoProgress {
		t.Error(err)
	}
}
