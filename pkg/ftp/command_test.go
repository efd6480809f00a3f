package ftp

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestCommandLinesAreReadAsClientsSendThem(t *testing.T) {
	for _, c := range []struct {
		line, verb, arg string
	}{
		{"USER diego", "USER", "diego"},
		{"user diego", "USER", "diego"},
		{"NOOP", "NOOP", ""},
		{"PASV ", "PASV", ""},
		{"  QUIT", "QUIT", ""},
		{"CWD  with a space before", "CWD", " with a space before"},
		{"DELE trailing space ", "DELE", "trailing space "},
		{"RETR año.txt", "RETR", "año.txt"},
		{"STOR tab\tand\x1bescape", "STOR", "tab\tand\x1bescape"},
		{"XSHA256 file", "XSHA256", "file"},
		{"PASS p\xff\xffss", "PASS", "p\xffss"},
		{"\xff\xf4\xff\xf2ABOR", "ABOR", ""},         // IAC IP IAC DM
		{"\xff\xf4\xffABOR", "ABOR", ""},             // the DM went out of band
		{"\xff\xf2ABOR", "ABOR", ""},                 // only the DM came
		{"\xff\xfb\x01\xff\xfd\x03STAT", "STAT", ""}, // IAC WILL ECHO, IAC DO SGA
		{"\xff\xfa\x18\x01\xff\xf0STAT", "STAT", ""}, // a subnegotiation
		{"STAT a\xff\xfe\x01b", "STAT", "ab"},        // IAC DONT ECHO within
		{"LIST -al", "LIST", "-al"},
		{"GET / HTTP/1.1", "GET", "/ HTTP/1.1"},
	} {
		got, err := ParseCommand([]byte(c.line))
		if want := (Command{c.verb, c.arg}); err != nil || got != want {
			t.Errorf("ParseCommand(%q) = %+v, %v; want %+v", c.line, got, err, want)
		}
	}
}

func TestBadCommandLinesSayWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		line, verb string
		err        error
	}{
		{"", "", ErrEmptyCommand},
		{"   ", "", ErrEmptyCommand},
		{"\xff\xf4\xff\xf2", "", ErrEmptyCommand},
		{"\x16\x03\x01\x02\x00", "", ErrBadVerb}, // a ClientHello
		{"/etc/passwd", "", ErrBadVerb},
		{"USER\tdiego", "", ErrBadVerb},
		{"Ñ", "", ErrBadVerb},
		{strings.Repeat("A", 17), "", ErrBadVerb},
		{"DELE keep\x00.txt", "DELE", ErrBadByte},
		{"MKD a\rb", "MKD", ErrBadByte},
		{"MKD a\nb", "MKD", ErrBadByte},
		{"NOOP\r", "NOOP", ErrBadByte},
		{"NOOP\x00", "NOOP", ErrBadByte},
		{"\x00NOOP", "", ErrBadVerb},
		{"DELE keep\xff", "DELE", ErrTelnet},
		{"DELE keep\xffa", "DELE", ErrTelnet},
		{"DELE keep\xff\xfb", "DELE", ErrTelnet},
		{"DELE keep\xff\xfa\x01", "DELE", ErrTelnet},
	} {
		got, err := ParseCommand([]byte(c.line))
		if !errors.Is(err, c.err) || got.Verb != c.verb || got.Arg != "" {
			t.Errorf("ParseCommand(%q) = %+v, %v; want verb %q, %v", c.line, got, err, c.verb, c.err)
		}
	}
}

func TestACommandIsRefusedRatherThanAltered(t *testing.T) {
	for _, arg := range []string{"a\r\nDELE b", "a\x00b", "\n"} {
		b, err := Command{"RETR", arg}.AppendTo([]byte("x"))
		if !errors.Is(err, ErrBadByte) || string(b) != "x" {
			t.Errorf("AppendTo(%q) = %q, %v", arg, b, err)
		}
	}
	b, err := Command{"RETR", "\xffile"}.AppendTo(nil)
	if err != nil || string(b) != "RETR \xff\xffile\r\n" {
		t.Errorf("AppendTo = %q, %v", b, err)
	}
}

func FuzzParseCommand(f *testing.F) {
	for _, s := range []string{"USER diego", "NOOP", "\xff\xf4\xff\xf2ABOR", "DELE a\x00", "CWD  a ", "\xff\xfa\x01\xff\xf0", "PASS \xff\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		before := bytes.Clone(line)
		c, err := ParseCommand(line)
		if !bytes.Equal(before, line) {
			t.Fatal("the line was written to")
		}
		if c.Verb != strings.ToUpper(c.Verb) || len(c.Verb) > maxVerb || len(c.Arg) > len(line) {
			t.Fatalf("%+v out of bounds", c)
		}
		if err != nil {
			return
		}
		if c.Verb == "" || CheckArg(c.Arg) != nil {
			t.Fatalf("%q accepted as %+v", line, c)
		}
		wire, err := c.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseCommand(bytes.TrimSuffix(wire, []byte("\r\n")))
		if err != nil || again != c {
			t.Fatalf("%+v went out as %q and came back as %+v, %v", c, wire, again, err)
		}
	})
}
