package integration

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftp"
)

// TYPE A, both ways, over the real server (RFC 959 §3.1.1.1: on the wire a
// line ends with CRLF, on this disk with LF). What goes up and comes down in
// one type is the same; what goes up in one and down in the other shows the
// conversion, byte for byte.
func TestTypeAIsExact(t *testing.T) {
	s := startServer(t, []string{"diego", "secreto"})
	c := s.dial(t, "diego", "secreto")
	onDisk := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(s.home("diego"), name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	up := func(wire, disk string) {
		t.Helper()
		c.Cmd(200, "TYPE A")
		if code := c.Upload([]byte(wire), "STOR up"); code != 226 {
			t.Fatalf("upload: %d", code)
		}
		if got := onDisk("up"); string(got) != disk {
			t.Errorf("%.60q went up and became %.60q, not %.60q", wire, got, disk)
		}
	}
	down := func(disk, wire string) {
		t.Helper()
		s.plant(t, "diego", "down", disk)
		c.Cmd(200, "TYPE A N")
		if got, code := c.Download("RETR down"); code != 226 || string(got) != wire {
			t.Errorf("%.60q came down as %.60q (%d), not %.60q", disk, got, code, wire)
		}
	}
	for _, pair := range []struct{ wire, disk string }{
		{"", ""}, {"a", "a"}, {"a\r\nb\r\n", "a\nb\n"}, {"\r\n", "\n"}, {"\r\n\r\n", "\n\n"}, {"\r\r\n", "\r\n"},
		{"ñandú\r\n\x00\xff\r\n", "ñandú\n\x00\xff\n"}, {strings.Repeat("x", 1<<17) + "\r\n", strings.Repeat("x", 1<<17) + "\n"},
		{"a\rb", "a\rb"}, {"end\r", "end\r"},
	} {
		up(pair.wire, pair.disk)
		down(pair.disk, pair.wire)
	}
	up("bare\nline", "bare\nline") // nothing is there to be converted
	// Line ends across every border of buffers and records.
	random := rand.New(rand.NewPCG(3, 6))
	var wire bytes.Buffer
	for wire.Len() < 700_000 {
		wire.WriteString(strings.Repeat("y", random.IntN(40)) + "\r\n")
		if random.IntN(500) == 0 {
			wire.WriteString(strings.Repeat("z", 16<<10+random.IntN(3)-1) + "\r\n")
		}
	}
	disk := strings.ReplaceAll(wire.String(), "\r\n", "\n")
	up(wire.String(), disk)
	down(disk, wire.String())
	// An image is as it is, also of the same file.
	c.Cmd(200, "TYPE I")
	if got, code := c.Download("RETR down"); code != 226 || string(got) != disk {
		t.Errorf("TYPE I: %d, %d bytes of %d", code, len(got), len(disk))
	}
	c.Cmd(213, "SIZE down")
	// What SIZE would be in TYPE A only a conversion could tell: RFC 3659 §4.
	c.Cmd(200, "TYPE A")
	c.Send("SIZE down")
	switch code, lines, err := c.Read(); {
	case err != nil:
		t.Fatal(err)
	case code == 213 && lines[0] != fmt.Sprint(wire.Len()):
		t.Errorf("SIZE in TYPE A tells %q; the transfer has %d bytes", lines, wire.Len())
	case code != 213 && code != 550 && code != 504:
		t.Errorf("SIZE in TYPE A: %d %q", code, lines)
	}
}

// LIST has room for a time or for a year. Within half a year it tells the
// time, before that and ahead of now the year; our own reader gets the same
// day back from each, and MLSD tells all of it to the second.
func TestListTellsTimesOfTheLastHalfYearAndYearsOfAllOthers(t *testing.T) {
	s := startServer(t, []string{"diego", "secreto"})
	now := time.Now().UTC().Truncate(time.Second)
	const day = 24 * time.Hour
	for _, f := range []struct {
		name  string
		when  time.Time
		timed bool
	}{
		{"now", now, true}, {"week", now.Add(-7 * day), true}, {"months-5", now.Add(-150 * day), true},
		{"months-7", now.Add(-210 * day), false}, {"year", now.Add(-365 * day), false},
		{"year-less-an-hour", now.Add(-365*day + time.Hour), false}, {"1980", time.Date(1980, 2, 29, 23, 59, 59, 0, time.UTC), false},
		{"epoch", time.Unix(0, 0).UTC(), false}, {"tomorrow", now.Add(day), false}, {"next-year", now.Add(300 * day), false},
		{"2100", time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), false}, {"a-clock-a-little-off", now.Add(20 * time.Minute), true},
	} {
		s.plant(t, "diego", f.name, "x")
		if err := os.Chtimes(filepath.Join(s.home("diego"), f.name), f.when, f.when); err != nil {
			t.Fatal(err)
		}
		c := s.dial(t, "diego", "secreto")
		list, code := c.Download("LIST %s", f.name)
		if code != 226 {
			t.Fatalf("LIST %s: %d", f.name, code)
		}
		line := strings.TrimRight(string(list), "\r\n")
		want := f.when.Format("Jan _2  2006")
		if f.timed {
			want = f.when.Format("Jan _2 15:04")
		}
		if !strings.Contains(line, " "+want+" "+f.name) {
			t.Errorf("%s: %q does not say %q", f.name, line, want)
		}
		entry, err := ftp.ParseListLine(line, now)
		if err != nil || entry.ModTime.Format(time.DateOnly) != f.when.Format(time.DateOnly) {
			t.Errorf("%s: read as %v, %v", f.name, entry.ModTime, err)
		}
		if said := c.Cmd(250, "MLST %s", f.name); !strings.Contains(strings.ToLower(said), "modify="+f.when.Format("20060102150405")) {
			t.Errorf("%s: MLST says %q", f.name, said)
		}
		if said := c.Cmd(213, "MDTM %s", f.name); said != f.when.Format("20060102150405") {
			t.Errorf("%s: MDTM says %q", f.name, said)
		}
		c.Raw().Close()
	}
}

// TVFS (RFC 3659 §6): one tree, "/" between names and at its root; paths that
// begin with it are absolute, others go on from the working folder, and
// nothing but "." and ".." is special.
func TestTVFSOverTheRealServer(t *testing.T) {
	s := startServer(t, []string{"diego", "secreto"})
	c := s.dial(t, "diego", "secreto")
	if !strings.Contains(c.Cmd(211, "FEAT"), "\n TVFS\n") {
		t.Error("TVFS is not announced")
	}
	for _, dir := range []string{"/a", "/a/b c", "a/b c/..d", "/~", "/a/*", `/a\b`} {
		c.Cmd(257, "MKD %s", dir)
	}
	at := func(want string) {
		t.Helper()
		if said := c.Cmd(257, "PWD"); !strings.HasPrefix(said, `"`+want+`"`) {
			t.Errorf("PWD says %q, not %q", said, want)
		}
	}
	for _, step := range []struct{ cwd, at string }{
		{"a", "/a"}, {"b c", "/a/b c"}, {"..d", "/a/b c/..d"}, {"..", "/a/b c"}, {"../../a/./b c/", "/a/b c"},
		{"/", "/"}, {"//a//b c", "/a/b c"}, {"/", "/"}, {"~", "/~"}, {"/a/*", "/a/*"}, {`/a\b`, `/a\b`}, {"/a/b c/..d/../..", "/a"},
	} {
		c.Cmd(250, "CWD %s", step.cwd)
		at(step.at)
	}
	c.Cmd(250, "CDUP")
	at("/")
	if code := c.Upload([]byte("deep"), "STOR a/b c/..d/../file"); code != 226 {
		t.Errorf("STOR by a path: %d", code)
	}
	for _, path := range []string{"/a/b c/file", "a/b c/file", "./a/../a/b c/./file", "/a/b c/..d/../file"} {
		if got, code := c.Download("RETR %s", path); code != 226 || string(got) != "deep" {
			t.Errorf("RETR %s: %d, %q", path, code, got)
		}
		if said := c.Cmd(250, "MLST %s", path); !strings.Contains(said, " /a/b c/file") {
			t.Errorf("MLST %s: %q", path, said)
		}
	}
	c.Cmd(550, "CWD /a/b c/file")
	for _, above := range []string{"nowhere", "/..", "..", "a/../..", "/a/../../a"} {
		c.Cmd(550, "CWD %s", above) // there is nothing above the root
	}
	at("/")
}
