package shell

import (
	"errors"
	"slices"
	"testing"
)

func TestLinesAreCutIntoCommandsAndWords(t *testing.T) {
	for line, want := range map[string][][]string{
		``:                       {nil},
		`  ls   -l  `:            {{"ls", "-l"}},
		`get "my file" b`:        {{"get", "my file", "b"}},
		`get my\ file`:           {{"get", "my file"}},
		`get 'it is "so"'`:       {{"get", `it is "so"`}},
		`get "a\"b\\c\d"`:        {{"get", `a"b\c\d`}},
		`get it\'s`:              {{"get", "it's"}},
		`get a"b"'c'd`:           {{"get", "abcd"}},
		`get ""`:                 {{"get", ""}},
		`cd a; ls;pwd`:           {{"cd", "a"}, {"ls"}, {"pwd"}},
		`cd "a;b"; cd c\;d`:      {{"cd", "a;b"}, {"cd", "c;d"}},
		`rm *.txt [ab]?`:         {{"rm", "*.txt", "[ab]?"}},
		`cd ñandú/日本 🎉`:          {{"cd", "ñandú/日本", "🎉"}},
		`cd end\`:                {{"cd", `end\`}},
		"ls\r\n":                 {{"ls"}},
		`quote SITE CHMOD 600 a`: {{"quote", "SITE", "CHMOD", "600", "a"}},
		`get 'a'\''b'`:           {{"get", "a'b"}},
	} {
		commands, err := split(line)
		var got [][]string
		for _, c := range commands {
			got = append(got, texts(c))
		}
		if err != nil || !slices.EqualFunc(got, want, slices.Equal[[]string]) {
			t.Errorf("%q: got %q, %v, want %q", line, got, err, want)
		}
	}
}

func TestAnOpenQuoteIsAnErrorAndGivesItsWord(t *testing.T) {
	commands, err := split(`get "my fi`)
	if !errors.Is(err, errOpenQuote) {
		t.Fatal(err)
	}
	last := commands[0][1]
	if last.text != "my fi" || last.quote != '"' || last.start != 4 || last.end != 10 {
		t.Errorf("got %+v", last)
	}
}

func TestQuotedTextIsReadBackAsItWas(t *testing.T) {
	for _, name := range []string{"plain", "my file", `a"b`, "it's", `back\slash`, "a;b", "#x", "*?[", "ñ 日本 🎉", `mix'"\ ;`} {
		for _, open := range []byte{0, '"', '\''} {
			line := "get "
			if open != 0 {
				line += string(open)
			}
			line += quote(name, open)
			if open != 0 {
				line += string(open)
			}
			commands, err := split(line)
			if err != nil || len(commands) != 1 || len(commands[0]) != 2 || commands[0][1].text != name {
				t.Errorf("%q in %q became %q: %v, %v", name, open, line, commands, err)
			}
		}
	}
}

func FuzzWordsNeverPanicAndQuotingHolds(f *testing.F) {
	f.Add(`get "a b" c\`)
	f.Add(`';"\`)
	f.Fuzz(func(t *testing.T, s string) {
		_, _ = split(s)
		for _, open := range []byte{0, '"', '\''} {
			if s == "" || open == 0 && containsBreak(s) {
				continue
			}
			line := quote(s, open)
			if open != 0 {
				line = string(open) + line + string(open)
			}
			commands, err := split(line)
			if err != nil || len(commands) != 1 || len(commands[0]) != 1 || commands[0][0].text != s {
				t.Errorf("%q with %q: %q gave %v, %v", s, open, line, commands, err)
			}
		}
	})
}

// Line breaks are in no name that is ever quoted.
func containsBreak(s string) bool {
	for _, c := range []byte(s) {
		if c == '\r' || c == '\n' {
			return true
		}
	}
	return false
}

func TestAMistypedCommandFindsItsNeighbour(t *testing.T) {
	names := []string{"ls", "listar", "get", "put", "descargar", "subir", "mkdir", "quit", "salir"}
	for typed, want := range map[string]string{
		"lsitar": "listar", "dscargar": "descargar", "gte": "get", "sl": "ls",
		"mkdri": "mkdir", "quti": "quit", "xyzzy": "", "": "",
	} {
		if got := nearest(typed, names); got != want {
			t.Errorf("%q: got %q, want %q", typed, got, want)
		}
	}
}

func TestSizesAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "4096": 4096, "20M": 20 << 20, "10GiB": 10 << 30, "1.5k": 1536, "2MB": 2_000_000,
		" 3 KiB ": 3072, "7B": 7,
	} {
		if got, ok := ParseBytes(text); !ok || got != want {
			t.Errorf("%q: got %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "M", "-1", "1X", "1iB", "1e30T", "NaN", "1KM"} {
		if got, ok := ParseBytes(text); ok {
			t.Errorf("%q was read as %d", text, got)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 5 << 30: "5.0 GiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: got %q", n, got)
		}
	}
}
