package ftp

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

var asciiPairs = []struct{ local, wire string }{
	{"", ""},
	{"a", "a"},
	{"\n", "\r\n"},
	{"a\nb\n", "a\r\nb\r\n"},
	{"\n\n", "\r\n\r\n"},
	{"\r", "\r"},
	{"a\rb", "a\rb"},
	{"a\r\n", "a\r\r\n"},
	{"\r\r\n\n\r", "\r\r\r\n\r\n\r"},
}

func toWire(t *testing.T, local string, chunk int) string {
	t.Helper()
	var wire bytes.Buffer
	w := NewASCIIWriter(&wire)
	for len(local) > 0 {
		n := min(chunk, len(local))
		if done, err := w.Write([]byte(local[:n])); done != n || err != nil {
			t.Fatal(done, err)
		}
		local = local[n:]
	}
	return wire.String()
}

func TestLinesAreConvertedExactlyBothWays(t *testing.T) {
	for _, p := range asciiPairs {
		for chunk := 1; chunk <= len(p.local)+1; chunk++ {
			if got := toWire(t, p.local, chunk); got != p.wire {
				t.Errorf("%q to the wire by %d: %q, want %q", p.local, chunk, got, p.wire)
			}
		}
		for name, wire := range map[string]io.Reader{
			"at once":      strings.NewReader(p.wire),
			"byte by byte": iotest.OneByteReader(strings.NewReader(p.wire)),
			"with EOF":     iotest.DataErrReader(strings.NewReader(p.wire)),
		} {
			got, err := io.ReadAll(iotest.OneByteReader(NewASCIIReader(wire)))
			if string(got) != p.local || err != nil {
				t.Errorf("%q from the wire %s: %q, %v; want %q", p.wire, name, got, err, p.local)
			}
		}
		if n, err := ASCIISize(iotest.OneByteReader(strings.NewReader(p.local))); n != int64(len(p.wire)) || err != nil {
			t.Errorf("%q: size %d, %v; want %d", p.local, n, err, len(p.wire))
		}
	}
	if got, err := io.ReadAll(NewASCIIReader(strings.NewReader("a\nb\r\nc"))); string(got) != "a\nb\nc" || err != nil {
		t.Errorf("a lone LF on the wire: %q, %v", got, err)
	}
}

// The boundary of the buffer falls between CR and LF, and on every place
// near it.
func TestLineEndsAtTheEdgeOfTheBuffer(t *testing.T) {
	for pad := asciiBuffer - 3; pad <= asciiBuffer+3; pad++ {
		for _, end := range []string{"\n", "\r", "\r\n", "\r\r\n"} {
			local := strings.Repeat("x", pad) + end + "tail"
			wire := toWire(t, local, len(local))
			if want := strings.ReplaceAll(local, "\n", "\r\n"); wire != want {
				t.Fatalf("pad %d, %q: wrong on the wire", pad, end)
			}
			got, err := io.ReadAll(NewASCIIReader(strings.NewReader(wire)))
			if string(got) != local || err != nil {
				t.Fatalf("pad %d, %q: came back wrong, %v", pad, end, err)
			}
		}
	}
}

func TestAnErrorOfTheWireComesBehindTheLastByte(t *testing.T) {
	broken := errors.New("broken")
	for _, wire := range []string{"ab", "ab\r", "ab\r\n"} {
		r := NewASCIIReader(io.MultiReader(strings.NewReader(wire), iotest.ErrReader(broken)))
		got, err := io.ReadAll(r)
		if string(got) != strings.ReplaceAll(wire, "\r\n", "\n") || err != broken {
			t.Errorf("%q: %q, %v", wire, got, err)
		}
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != broken {
			t.Errorf("%q, once more: %d, %v", wire, n, err)
		}
	}
	if _, err := ASCIISize(iotest.ErrReader(broken)); err != broken {
		t.Errorf("ASCIISize: %v", err)
	}
}

func TestAReaderHandsOverWhatItHas(t *testing.T) {
	r := NewASCIIReader(&script{"one\r\ntwo\r", errTimeout})
	buf := make([]byte, 100)
	if n, err := r.Read(buf); string(buf[:n]) != "one\ntwo" || err != nil {
		t.Errorf("%q, %v: it must not wait for what a last CR means", buf[:n], err)
	}
}

// failAfter takes so many bytes and then fails.
type failAfter struct{ left int }

func (f *failAfter) Write(p []byte) (int, error) {
	if len(p) > f.left {
		return 0, io.ErrClosedPipe
	}
	f.left -= len(p)
	return len(p), nil
}

func TestAWriterCountsOnlyWhatItSent(t *testing.T) {
	p := bytes.Repeat([]byte{'x'}, 3*asciiBuffer)
	n, err := NewASCIIWriter(&failAfter{asciiBuffer}).Write(p)
	if n != asciiBuffer || err != io.ErrClosedPipe {
		t.Errorf("%d, %v", n, err)
	}
}

func FuzzASCII(f *testing.F) {
	for _, p := range asciiPairs {
		f.Add([]byte(p.local), uint8(1))
	}
	f.Fuzz(func(t *testing.T, local []byte, chunk uint8) {
		size := int(chunk) + 1
		wire := toWire(t, string(local), size)
		if want := strings.ReplaceAll(string(local), "\n", "\r\n"); wire != want {
			t.Fatalf("%q on the wire: %q", local, wire)
		}
		if n, err := ASCIISize(bytes.NewReader(local)); n != int64(len(wire)) || err != nil {
			t.Fatalf("size %d, %v; want %d", n, err, len(wire))
		}
		pieces := script{}
		for rest := wire; rest != ""; {
			n := min(size, len(rest))
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		back, err := io.ReadAll(NewASCIIReader(&pieces))
		if !bytes.Equal(back, local) || err != nil {
			t.Fatalf("%q came back as %q, %v", local, back, err)
		}
		// Anything at all may come from the wire.
		got, err := io.ReadAll(NewASCIIReader(bytes.NewReader(local)))
		if want := strings.ReplaceAll(string(local), "\r\n", "\n"); string(got) != want || err != nil {
			t.Fatalf("%q from the wire: %q, %v", local, got, err)
		}
	})
}
