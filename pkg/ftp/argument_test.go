package ftp

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// refused reports the arguments that should have been refused.
func refused[T any](t *testing.T, parse func(string) (T, error), want error, args ...string) {
	t.Helper()
	for _, arg := range args {
		if got, err := parse(arg); err != want {
			t.Errorf("%q: %+v, %v; want %v", arg, got, err, want)
		}
	}
}

// accepted reports the arguments that were not read as they should.
func accepted[T any](t *testing.T, parse func(string) (T, error), want map[string]T) {
	t.Helper()
	for arg, want := range want {
		if got, err := parse(arg); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v; want %+v", arg, got, err, want)
		}
	}
}

func TestTypes(t *testing.T) {
	accepted(t, ParseType, map[string]Representation{
		"I": {Code: 'I'}, "i": {Code: 'I'}, "A": {'A', 'N', 0}, "a n": {'A', 'N', 0}, "A T": {'A', 'T', 0},
		"E C": {'E', 'C', 0}, "L 8": {Code: 'L', Bits: 8}, "L 36": {Code: 'L', Bits: 36},
	})
	refused(t, ParseType, ErrArgument, "", "X", "II", "A N N", "A ", "A X", "A NT", "I N", "I 8", "L", "L 0", "L 256", "L +8", "A  N", " A")
}

func TestSizesThatAreAnnounced(t *testing.T) {
	accepted(t, ParseALLO, map[string]int64{"1000": 1000, "0": 0, "1000 R 80": 1000, "1000 r 80": 1000})
	refused(t, ParseALLO, ErrNumber, "", "x", "-1", "1000 ", "1000 R", "1000 R x", "1000 80", "1000 R 80 ")
	accepted(t, ParsePBSZ, map[string]uint32{"0": 0, "16384": 16384, "4294967295": 1<<32 - 1})
	refused(t, ParsePBSZ, ErrNumber, "", "x", "-1", "4294967296", "0 ")
}

func TestHosts(t *testing.T) {
	accepted(t, ParseHost, map[string]string{
		"ftp.example.com": "ftp.example.com", "FTP.Example.COM.": "ftp.example.com", "192.0.2.1": "192.0.2.1",
		"[2001:DB8::1]": "2001:db8::1", "xn--nnd-hoa.example": "xn--nnd-hoa.example", "my_host": "my_host",
	})
	refused(t, ParseHost, ErrArgument, "", ".", "a..b", "-a", "a-", "a b", "a/b", "ñ", "2001:db8::1", "[192.0.2.1]", "[fe80::1%eth0]",
		"[2001:db8::1", "2001:db8::1]", "[]", strings.Repeat("a", 64), strings.Repeat("a.", 127)+"bcd")
}

func TestLanguages(t *testing.T) {
	accepted(t, ParseLang, map[string]string{"": "", "es": "es", "EN": "en", "en-US": "en-us", "es-419": "es-419", "x-klingon": "x-klingon"})
	refused(t, ParseLang, ErrArgument, "en_US", "en-", "-en", "419", "e n", "abcdefghi", "es;q=1", "ñ", "*")
}

func TestRangesOfOctets(t *testing.T) {
	accepted(t, ParseRange, map[string]Range{"0 0": {0, 0}, "0 49": {0, 49}, "802816 1000000": {802816, 1000000}, "1 0": WholeFile})
	refused(t, ParseRange, ErrRange, "", "0", "0 ", "2 1", "2 0", "5 3", "-1 5", "0 +5", "0 0 0", "0  5", "0 9223372036854775807", "x y")
	if r := (Range{10, 19}); r.Len() != 10 || r.String() != "10 19" || r.IsWhole() || !WholeFile.IsWhole() || WholeFile.Len() != 0 {
		t.Errorf("%+v: %d, %s", r, r.Len(), r)
	}
}

func TestHashReplies(t *testing.T) {
	sum := []byte{0x16, 0x9c}
	accepted(t, ParseHash, map[string]Hash{
		"SHA-256 0-49 169cd2 a b.txt": {"SHA-256", Range{0, 49}, []byte{0x16, 0x9c, 0xd2}, "a b.txt"},
		"SHA-1 169C ":                 {"SHA-1", WholeFile, sum, ""}, // FileZilla Server of old
		"MD5 0-170500096 169c":        {"MD5", Range{0, 170500096}, sum, ""},
	})
	refused(t, ParseHash, ErrArgument, "", "SHA-256", "SHA-256 0-49", "SHA-256 0-49 ", "SHA-256 0-49 169 x", "SHA-256 0-49 xyz x", "SHA 256 0-49 169c x", " 0-49 169c x")
	refused(t, ParseHash, ErrRange, "SHA-256 49-0 169c x", "SHA-256 -49 169c x", "SHA-256 a-b 169c x")

	for _, c := range []struct {
		hash Hash
		want string
	}{
		{Hash{"SHA-256", Range{0, 49}, sum, "a b"}, "SHA-256 0-49 169c a b"},
		{Hash{"SHA-256", Range{0, -1}, sum, "empty"}, "SHA-256 0-0 169c empty"},
		{Hash{"SHA-256", WholeFile, sum, "x\r\n226 y"}, "SHA-256 0-0 169c x??226 y"},
	} {
		if got := FormatHash(c.hash); got != c.want {
			t.Errorf("FormatHash = %q, want %q", got, c.want)
		}
	}
}

func TestChangesOfFacts(t *testing.T) {
	when, path, err := ParseMFMT(FormatMFMT(day, " a b"))
	if !when.Equal(day) || path != " a b" || err != nil {
		t.Errorf("%v, %q, %v", when, path, err)
	}
	for arg, want := range map[string]error{"20261122185007": ErrArgument, "20261122185007 ": ErrArgument, "a b": ErrTime, "": ErrTime} {
		if _, _, err := ParseMFMT(arg); err != want {
			t.Errorf("%q: %v", arg, err)
		}
	}
	facts := []FactValue{{"Modify", "20261122185007"}, {"UNIX.mode", "0640"}}
	arg := FormatMFF(facts, "a; b")
	if arg != "Modify=20261122185007;UNIX.mode=0640; a; b" {
		t.Error(arg)
	}
	got, path, err := ParseMFF(arg)
	if !slices.Equal(got, facts) || path != "a; b" || err != nil {
		t.Errorf("%v, %q, %v", got, path, err)
	}
	for arg, want := range map[string]error{"Modify=1;": ErrArgument, "Modify=1; ": ErrArgument, "Modify=1 x": ErrFacts, "Modify; x": ErrFacts, "=1; x": ErrFacts, "; x": ErrFacts} {
		if _, _, err := ParseMFF(arg); err != want {
			t.Errorf("%q: %v", arg, err)
		}
	}
}

func TestChoicesThatFEATShows(t *testing.T) {
	names := []string{"SHA-256", "SHA-512"}
	if got := FormatChoices(names, "sha-256"); got != "SHA-256*;SHA-512" {
		t.Error(got)
	}
	for _, param := range []string{"SHA-256*;SHA-512", "SHA-256*;SHA-512;", " SHA-256* ; SHA-512 ;;"} {
		if got, chosen := ParseChoices(param); !slices.Equal(got, names) || chosen != "SHA-256" {
			t.Errorf("%q: %v, %q", param, got, chosen)
		}
	}
	if got, chosen := ParseChoices(""); got != nil || chosen != "" {
		t.Errorf("%v, %q", got, chosen)
	}
}

func FuzzArguments(f *testing.F) {
	for _, s := range []string{"20261122185007.5", "1 0", "0 49", "SHA-256 0-49 169c x", `created "/a""b"`, "Modify=1;UNIX.mode=644; x", "[::1]", "A N", "a\x1b\u202e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if when, err := ParseTime(s); err == nil && when.Year() < 10000 {
			if again, err := ParseTime(FormatTime(when)); err != nil || !again.Equal(when.Truncate(time.Second)) {
				t.Errorf("time %q: %v, %v", s, again, err)
			}
		}
		if r, err := ParseRange(s); err == nil {
			if again, err := ParseRange(r.String()); err != nil || again != r || r.Len() < 0 {
				t.Errorf("range %q: %v, %v", s, again, err)
			}
		}
		if h, err := ParseHash(s); err == nil && !h.Range.IsWhole() && CheckArg(h.Name) == nil {
			if again, err := ParseHash(FormatHash(h)); err != nil || !reflect.DeepEqual(again, h) {
				t.Errorf("hash %q: %+v, %v", s, again, err)
			}
		}
		if again, err := ParseQuotedPath(QuotePath(s)); err != nil || again != s {
			t.Errorf("path %q: %q, %v", s, again, err)
		}
		if facts, path, err := ParseMFF(s); err == nil {
			again, p, err := ParseMFF(FormatMFF(facts, path))
			if err != nil || p != path || !slices.Equal(again, facts) {
				t.Errorf("facts %q: %v, %q, %v", s, again, p, err)
			}
		}
		if host, err := ParseHost(s); err == nil && strings.ContainsAny(host, "/\\\x00\r\n% ") {
			t.Errorf("host %q: %q", s, host)
		}
		if safe := Sanitise(s); Sanitise(safe) != safe || strings.ContainsAny(safe, "\x00\r\n\x1b\x7f\u009b\u202e") {
			t.Errorf("%q shown as %q", s, safe)
		}
		_, _ = ParseType(s)
		_, _ = ParseLang(s)
		_, _ = ParseALLO(s)
	})
}
