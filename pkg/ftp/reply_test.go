package ftp

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func readReply(s string) (Reply, error) {
	return ReadReply(NewLineReader(strings.NewReader(s), 8<<10), ReplyLimits{})
}

func TestRepliesAreWrittenAsRFC959Says(t *testing.T) {
	for _, c := range []struct {
		reply Reply
		want  string
	}{
		{Reply{226, []string{"Transfer complete"}}, "226 Transfer complete\r\n"},
		{Reply{200, nil}, "200 \r\n"},
		{Reply{220, []string{"- hello"}}, "220 - hello\r\n"},
		{Reply{211, []string{"Features:", " UTF8", "End"}}, "211-Features:\r\n UTF8\r\n211 End\r\n"},
		{Reply{123, []string{"First", "Second", "234 a line beginning with numbers", "The last"}},
			"123-First\r\nSecond\r\n 234 a line beginning with numbers\r\n123 The last\r\n"}, // the example of §4.2
		{Reply{257, []string{"\"a\r\n226 forged\x00\""}}, "257 \"a??226 forged?\"\r\n"},
		{Reply{214, []string{"a", "b\r\n500 no", "c"}}, "214-a\r\nb??500 no\r\n214 c\r\n"},
	} {
		if got := string(c.reply.AppendTo(nil)); got != c.want {
			t.Errorf("%+v\n got %q\nwant %q", c.reply, got, c.want)
		}
	}
}

func TestRepliesAreReadAsServersSendThem(t *testing.T) {
	for _, c := range []struct {
		name, wire string
		code       int
		lines      []string
	}{
		{"one line", "220 (vsFTPd 3.0.5)\r\n", 220, []string{"(vsFTPd 3.0.5)"}},
		{"bare LF", "331 Password please\n", 331, []string{"Password please"}},
		{"no text", "200\r\n", 200, []string{""}},
		{"a space and no text", "200 \r\n", 200, []string{""}},
		{"a code on every line, ProFTPD", "220-one\r\n220-two\r\n220 three\r\n", 220, []string{"one", "two", "three"}},
		{"features", "211-Features:\r\n MLST type*;size*;\r\n UTF8\r\n211 End\r\n", 211,
			[]string{"Features:", " MLST type*;size*;", " UTF8", "End"}},
		{"numbers in the middle", "123-First\r\n234 x\r\n 123 y\r\n1234 z\r\n123 last\r\n", 123,
			[]string{"First", "234 x", " 123 y", "1234 z", "last"}},
		{"a last line that is only the code", "211-a\r\n211\r\n", 211, []string{"a", ""}},
		{"an empty line in the middle", "230-\r\n\r\n230 ok\r\n", 230, []string{"", "", "ok"}},
		{"security reply, RFC 2228", "631 sealed\r\n", 631, []string{"sealed"}},
	} {
		r, err := readReply(c.wire)
		if err != nil || r.Code != c.code || !slices.Equal(r.Lines, c.lines) {
			t.Errorf("%s: %+v, %v", c.name, r, err)
		}
	}
}

func TestMalformedRepliesAreErrors(t *testing.T) {
	for _, c := range []struct {
		wire string
		err  error
	}{
		{"", io.EOF},
		{"220", io.ErrUnexpectedEOF},
		{"220-hello\r\n", io.ErrUnexpectedEOF},
		{"220-hello\r\n220 by", io.ErrUnexpectedEOF},
		{"\r\n", ErrBadReply},
		{"22\r\n", ErrBadReply},
		{"hello\r\n", ErrBadReply},
		{"020 x\r\n", ErrBadReply},
		{"720 x\r\n", ErrBadReply},
		{"2200 x\r\n", ErrBadReply},
		{"220x\r\n", ErrBadReply},
		{"+20 x\r\n", ErrBadReply},
		{" 220 x\r\n", ErrBadReply},
		{"HTTP/1.1 400 Bad Request\r\n", ErrBadReply},
		{"SSH-2.0-OpenSSH_9.6\r\n", ErrBadReply},
		{"220 " + strings.Repeat("x", 9000) + "\r\n", ErrLineTooLong},
		{"220-a\r\n" + strings.Repeat("b\r\n", 10_000) + "220 c\r\n", ErrReplyTooBig},
		{"220-a\r\n" + strings.Repeat(strings.Repeat("x", 8000)+"\r\n", 132), ErrReplyTooBig},
	} {
		if r, err := readReply(c.wire); !errors.Is(err, c.err) {
			t.Errorf("%.40q: %v, %v; want %v", c.wire, r.Code, err, c.err)
		}
	}
}

func TestAReplyOfTheLimitPasses(t *testing.T) {
	r, err := readReply("220-a\r\n" + strings.Repeat("b\r\n", 9998) + "220 c\r\n")
	if err != nil || len(r.Lines) != 10_000 {
		t.Errorf("%d lines, %v", len(r.Lines), err)
	}
	_, err = ReadReply(NewLineReader(strings.NewReader("220 12345\r\n"), 100), ReplyLimits{MaxLine: 8})
	if err != ErrLineTooLong {
		t.Errorf("a line over MaxLine: %v", err)
	}
}

func TestAReplyShowsItself(t *testing.T) {
	r := Reply{211, []string{"Features:", " UTF8", "End"}}
	if r.Text() != "Features:\n UTF8\nEnd" || r.String() != "211 End" || (Reply{Code: 200}).String() != "200" {
		t.Errorf("%q, %q", r.Text(), r)
	}
}

func FuzzReadReply(f *testing.F) {
	for _, s := range []string{"220 hi\r\n", "211-a\r\n b\r\n211 c\r\n", "123-a\n123-b\n123\n", "220-x", "200\r\n", "1234\r\n", "226-1\r\n226x\r\n226 \r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		lim := ReplyLimits{MaxLine: 100, MaxLines: 10, MaxBytes: 500}
		r, err := ReadReply(NewLineReader(bytes.NewReader(wire), 100), lim)
		if err != nil {
			return
		}
		if r.Code < 100 || r.Code > 699 || len(r.Lines) < 1 || len(r.Lines) > 10 || len(r.Text()) > 600 {
			t.Fatalf("out of bounds: %+v", r)
		}
		// What a reader made of it, written again and read again, is the same
		// reply, but for the padding and the bytes that are never written.
		again, err := ReadReply(NewLineReader(bytes.NewReader(r.AppendTo(nil)), 101), ReplyLimits{})
		if err != nil || again.Code != r.Code || len(again.Lines) != len(r.Lines) {
			t.Fatalf("%q became %+v and then %+v, %v", wire, r, again, err)
		}
		for i, line := range r.Lines {
			want := string(appendClean(nil, line))
			if i > 0 && i < len(r.Lines)-1 && beginsWithCode(line) {
				want = " " + want
			}
			if again.Lines[i] != want {
				t.Fatalf("line %d: %q became %q", i, line, again.Lines[i])
			}
		}
	})
}
