package ftp

import (
	"testing"
	"time"
)

func TestNamesOfAListingThatMustNotBecomeFiles(t *testing.T) {
	for _, name := range []string{"", ".", "..", "/", "/etc/passwd", "a/b", "../x", `a\b`, `..\x`, "a\x00", "a\r", "a\nb"} {
		if CheckName(name) != ErrName {
			t.Errorf("%q allowed", name)
		}
	}
	for _, name := range []string{"a", "...", " ", "-rf", "ñandú", "日本語", "🙂", "a\x1b[2J", "\xff", "~", "%2e%2e"} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestATerminalSeesNoControlCharacters(t *testing.T) {
	for name, want := range map[string]string{
		"plain":              "plain",
		"ñandú 日本語 🙂 \u3000": "ñandú 日本語 🙂 \u3000",
		"👩\u200d🚀":           "👩\u200d🚀", // an emoji of two, joined
		"\ufffd":             "\ufffd",
		"a\x1b[2Jb":          `a\x1b[2Jb`,
		"a\rb\nc\td\x00\x7f": `a\x0db\x0ac\x09d\x00\x7f`,
		"\u009b31m":          `\u009b31m`, // CSI in one character
		"\x9b31m\xff":        `\x9b31m\xff`,
		"gpj.\u202eexe":      `gpj.\u202eexe`,
		"a\u2028b\ufeff":     `a\u2028b\ufeff`,
		"\U000e0041":         `\U000e0041`,
		"\xc3":               `\xc3`,
	} {
		if got := Sanitise(name); got != want {
			t.Errorf("Sanitise(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestPathsAreQuotedAsRFC959Says(t *testing.T) {
	for path, quoted := range map[string]string{
		`/`: `"/"`, `/a"b`: `"/a""b"`, ``: `""`, `"`: `""""`, `/a b/""`: `"/a b/"""""`, "/ñ": `"/ñ"`,
	} {
		if got := QuotePath(path); got != quoted {
			t.Errorf("QuotePath(%q) = %q", path, got)
		}
		for _, text := range []string{quoted, quoted + " is the current directory", "created " + quoted + " \"now\""} {
			if got, err := ParseQuotedPath(text); got != path || err != nil {
				t.Errorf("ParseQuotedPath(%q) = %q, %v", text, got, err)
			}
		}
	}
	for _, text := range []string{"", "/a", `"`, `"/a`, `"/a""`} {
		if got, err := ParseQuotedPath(text); err != ErrQuoting {
			t.Errorf("ParseQuotedPath(%q) = %q, %v", text, got, err)
		}
	}
}

func TestTimesAreStrict(t *testing.T) {
	for s, want := range map[string]time.Time{
		"20261122185007":            day,
		"20261122185007.5":          day.Add(500 * time.Millisecond),
		"20261122185007.123":        day.Add(123 * time.Millisecond),
		"20261122185007.1234567899": day.Add(123456789),
		"20240229000000":            date(2024, 2, 29, 0, 0, 0),
		"20161231235960":            date(2017, 1, 1, 0, 0, 0), // a leap second
		"19700101000000":            time.Unix(0, 0).UTC(),
	} {
		if got, err := ParseTime(s); !got.Equal(want) || err != nil || got.Location() != time.UTC {
			t.Errorf("ParseTime(%q) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", "2026", "2026112218500", "202611221850077", "191261122185007", "20261122185007.", "20261122185007.+1", "20261122185007,5",
		"20261322185007", "20260022185007", "20261100185007", "20260230000000", "20230229000000", "20261122245007", "20261122186007",
		"20261122185061", "00001122185007", "+0261122185007", "2026-11-22T1850", "20261122185007Z", " 20261122185007",
	} {
		if got, err := ParseTime(s); err != ErrTime {
			t.Errorf("ParseTime(%q) = %v, %v", s, got, err)
		}
	}
	if got := FormatTime(day.In(time.FixedZone("", -5*3600)).Add(999 * time.Millisecond)); got != "20261122185007" {
		t.Error(got)
	}
	if got := FormatTime(date(12026, 1, 1, 0, 0, 0)); got != "" {
		t.Error(got)
	}
}

func TestNumbersAreDigitsAndNothingElse(t *testing.T) {
	for s, want := range map[string]int64{"0": 0, "1024": 1024, "007": 7, "9223372036854775807": 1<<63 - 1} {
		if got, err := ParseNumber(s); got != want || err != nil {
			t.Errorf("%q: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "x", "-1", "+1", " 1", "1 ", "1.0", "0x10", "1_000", "9223372036854775808", "１"} {
		if got, err := ParseNumber(s); err != ErrNumber {
			t.Errorf("%q: %d, %v", s, got, err)
		}
	}
}
