package ftp

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func blocks(t *testing.T, size int, writes ...string) string {
	t.Helper()
	var wire bytes.Buffer
	w := NewBlockWriter(&wire, size)
	for _, p := range writes {
		if n, err := w.Write([]byte(p)); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return wire.String()
}

func TestBlocksAreWrittenFullAndTheLastEndsTheFile(t *testing.T) {
	for _, c := range []struct {
		name   string
		writes []string
		want   string
	}{
		{"an empty file", nil, "\x40\x00\x00"},
		{"one block", []string{"abc"}, "\x40\x00\x03abc"},
		{"exactly full", []string{"abcd"}, "\x40\x00\x04abcd"},
		{"two blocks", []string{"abcdef"}, "\x00\x00\x04abcd\x40\x00\x02ef"},
		{"small writes are gathered", []string{"a", "b", "", "c", "def", "gh"}, "\x00\x00\x04abcd\x40\x00\x04efgh"},
	} {
		if got := blocks(t, 4, c.writes...); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	for _, size := range []int{0, -1, 1 << 16} {
		if got := blocks(t, size, strings.Repeat("x", 65536)); !strings.HasPrefix(got, "\x00\xff\xffx") || !strings.HasSuffix(got, "x\x40\x00\x01x") {
			t.Errorf("size %d: %q…", size, got[:8])
		}
	}
}

func TestBlocksAreReadWithWhateverFlagsTheNormAllows(t *testing.T) {
	for _, c := range []struct{ name, wire, want string }{
		{"an empty file", "\x40\x00\x00", ""},
		{"the end in a block of its own", "\x00\x00\x03abc\x40\x00\x00", "abc"},
		{"the end with the data", "\x40\x00\x03abc", "abc"},
		{"records are no matter", "\x80\x00\x02ab\xc0\x00\x01c", "abc"},
		{"a marker is never data", "\x00\x00\x01a\x10\x00\x06123456\x40\x00\x01b", "ab"},
		{"an empty marker", "\x10\x00\x00\x40\x00\x01b", "b"},
		{"a marker at the end", "\x00\x00\x01a\x50\x00\x02mm", "a"},
		{"empty blocks between", "\x00\x00\x00\x00\x00\x00\x40\x00\x01b", "b"},
		{"a block of 65,535", "\x00\xff\xff" + strings.Repeat("x", 65535) + "\x40\x00\x00", strings.Repeat("x", 65535)},
	} {
		for _, r := range []io.Reader{strings.NewReader(c.wire), iotest.OneByteReader(strings.NewReader(c.wire)), iotest.DataErrReader(strings.NewReader(c.wire))} {
			if got, err := io.ReadAll(NewBlockReader(r)); string(got) != c.want || err != nil {
				t.Errorf("%s: %.20q, %v", c.name, got, err)
			}
		}
	}
}

func TestAFileCutAtAnyByteIsNotWhole(t *testing.T) {
	wire := "\x10\x00\x02mm" + blocks(t, 4, "abcdef")
	for n := range len(wire) {
		got, err := io.ReadAll(NewBlockReader(strings.NewReader(wire[:n])))
		if err != ErrBlockTruncated || !strings.HasPrefix("abcdef", string(got)) {
			t.Errorf("cut at %d: %q, %v", n, got, err)
		}
	}
}

func TestBlocksThatCannotBeBelieved(t *testing.T) {
	for _, c := range []struct{ name, wire string }{
		{"suspect data", "\x20\x00\x01a\x40\x00\x00"},
		{"unknown bits", "\x01\x00\x01a\x40\x00\x00"},
		{"unknown bits at the end", "\x48\x00\x01a"},
		{"a plain file", "hello\n"},
		{"empty blocks without end", strings.Repeat("\x00\x00\x00", maxEmptyBlocks+1)},
		{"markers without end", strings.Repeat("\x10\x00\x01m", maxEmptyBlocks+1)},
	} {
		r := NewBlockReader(strings.NewReader(c.wire))
		if got, err := io.ReadAll(r); len(got) > 0 || err != ErrBlock {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != ErrBlock {
			t.Errorf("%s, once more: %d, %v", c.name, n, err)
		}
	}
	wire := strings.Repeat("\x00\x00\x00", maxEmptyBlocks-1) + "\x40\x00\x01a"
	if got, err := io.ReadAll(NewBlockReader(strings.NewReader(wire))); string(got) != "a" || err != nil {
		t.Errorf("as many empty blocks as allowed: %q, %v", got, err)
	}
}

func TestAnErrorOfTheConnectionStaysItself(t *testing.T) {
	broken := errors.New("broken")
	for _, begun := range []string{"", "\x00", "\x00\x00\x03a", "\x10\x00\x03a"} {
		_, err := io.ReadAll(NewBlockReader(io.MultiReader(strings.NewReader(begun), iotest.ErrReader(broken))))
		if err != broken {
			t.Errorf("after %q: %v", begun, err)
		}
	}
}

func TestTheNextFileFollowsOnTheSameConnection(t *testing.T) {
	conn := strings.NewReader(blocks(t, 4, "first file") + blocks(t, 0) + blocks(t, 4, "third"))
	for _, want := range []string{"first file", "", "third"} {
		if got, err := io.ReadAll(NewBlockReader(conn)); string(got) != want || err != nil {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	}
}

func TestAWriterThatIsClosedOrBrokenSaysSo(t *testing.T) {
	w := NewBlockWriter(io.Discard, 4)
	if err := errors.Join(w.Flush(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("a")); err == nil {
		t.Error("Write behind the end")
	}
	if w.Close() == nil || w.Flush() == nil {
		t.Error("Close and Flush behind the end")
	}
	w = NewBlockWriter(&failAfter{7}, 4)
	if n, err := w.Write([]byte("abcdefghijkl")); n != 8 || err != io.ErrClosedPipe {
		t.Errorf("%d, %v", n, err)
	}
	if err := w.Close(); err != io.ErrClosedPipe {
		t.Errorf("an end after a failure would pass half a file for whole: %v", err)
	}
}

func TestFlushSendsWhatIsGathered(t *testing.T) {
	var wire bytes.Buffer
	w := NewBlockWriter(&wire, 4)
	if _, err := w.Write([]byte("ab")); err != nil || wire.Len() != 0 {
		t.Fatal("sent too early", err)
	}
	if err := w.Flush(); err != nil || wire.String() != "\x00\x00\x02ab" {
		t.Errorf("%q, %v", wire.String(), err)
	}
}

func FuzzBlockReader(f *testing.F) {
	for _, s := range []string{"\x40\x00\x00", "\x00\x00\x03abc\x40\x00\x00", "\x10\x00\x02mm\xc0\x00\x01c", "\x20\x00\x01a", "\x00\xff\xffa"} {
		f.Add([]byte(s), uint16(3))
	}
	f.Fuzz(func(t *testing.T, wire []byte, size uint16) {
		conn := bytes.NewReader(wire)
		got, err := io.ReadAll(NewBlockReader(conn))
		switch {
		case err == nil:
			if conn.Len() < len(wire) && wire[0]&blockSuspect != 0 {
				t.Fatal("suspect data taken")
			}
		case err != ErrBlock && err != ErrBlockTruncated:
			t.Fatal(err)
		}
		if len(got) > len(wire) {
			t.Fatal("more data than came")
		}
		// Any bytes make the way through blocks of any size.
		sent := bytes.NewBufferString(blocks(t, int(size), string(wire)))
		sent.WriteString("next")
		back, err := io.ReadAll(NewBlockReader(sent))
		if !bytes.Equal(back, wire) || err != nil || sent.String() != "next" {
			t.Fatalf("%q came back as %q, %v, behind it %q", wire, back, err, sent)
		}
	})
}
