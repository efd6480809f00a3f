package ftp

import (
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"
)

var day = time.Date(2026, 11, 22, 18, 50, 7, 0, time.UTC)

// full is an entry with everything that facts can tell.
var full = Entry{
	Name: "a file.txt", Type: File, Size: 4096, ModTime: day, Created: day.AddDate(0, 0, -1), Precise: true,
	Perm: "adfrw", Mode: 0o640, HasMode: true, Unique: "801U2A", Owner: "diego", Group: "staff",
}

func TestFactsLinesAreWritten(t *testing.T) {
	for _, c := range []struct {
		name   string
		entry  Entry
		chosen Facts
		want   string
	}{
		{"all", full, AllFacts, "type=file;size=4096;modify=20261122185007;create=20261121185007;perm=adfrw;" +
			"unique=801U2A;UNIX.mode=0640;UNIX.owner=diego;UNIX.group=staff; a file.txt"},
		{"a choice", full, FactSize | FactType, "type=file;size=4096; a file.txt"},
		{"none", full, 0, " a file.txt"},
		{"leading spaces", Entry{Name: "  two", Type: File, Size: 0}, FactType | FactSize, "type=file;size=0;   two"},
		{"a path, for MLST", Entry{Name: "/a/b", Type: Dir, Size: 4096}, FactType | FactSize, "type=dir; /a/b"},
		{"the folder itself", Entry{Name: ".", Type: CurrentDir}, FactType, "type=cdir; ."},
		{"its parent", Entry{Name: "..", Type: ParentDir}, FactType, "type=pdir; .."},
		{"a link", Entry{Name: "l", Type: Link, Target: "/foo", Size: 4}, FactType | FactSize, "type=OS.unix=slink:/foo; l"},
		{"a link to a name that no fact can hold", Entry{Name: "l", Type: Link, Target: "a; b"}, FactType, "type=OS.unix=slink:; l"},
		{"a device", Entry{Name: "tty", Type: Other}, FactType, "type=OS.unix=special; tty"},
		{"nothing known", Entry{Name: "x", Size: -1}, AllFacts &^ FactPerm, "type=file; x"},
		{"nothing permitted", Entry{Name: "x", Size: -1}, FactPerm, "perm=; x"},
		{"values that would end a fact", Entry{Name: "x", Owner: "a;type=dir", Group: "Domain Users", Unique: "\r\n"},
			FactUnixOwner | FactUnixGroup | FactUnique, " x"},
		{"a year of five digits", Entry{Name: "x", ModTime: time.Unix(1<<40, 0)}, FactModify, " x"},
		{"a name that would write a line of its own", Entry{Name: "x\r\ntype=dir; y\x00", Size: 1}, FactSize, "size=1; x??type=dir; y?"},
	} {
		if got := string(AppendFacts(nil, &c.entry, c.chosen)); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestFactsLinesOfRealServersAreRead(t *testing.T) {
	at := func(s string) time.Time { t, _ := ParseTime(s); return t }
	for _, c := range []struct {
		from, line string
		want       Entry
	}{
		{"ProFTPD", "modify=20150806235817;perm=fle;type=dir;unique=1B20F360U4;UNIX.group=0;UNIX.mode=0755;UNIX.owner=0; movies",
			Entry{Name: "movies", Type: Dir, Size: -1, ModTime: at("20150806235817"), Precise: true, Perm: "fle",
				Unique: "1B20F360U4", Mode: 0o755, HasMode: true, Owner: "0", Group: "0"}},
		{"ProFTPD, the folder", "modify=20150814172949;perm=flcdmpe;type=cdir;unique=85A0C168U4;UNIX.mode=0777; .",
			Entry{Name: ".", Type: CurrentDir, Size: -1, ModTime: at("20150814172949"), Precise: true, Perm: "flcdmpe",
				Unique: "85A0C168U4", Mode: 0o777, HasMode: true}},
		{"Pure-FTPd", "type=file;size=12;modify=20260201120000;UNIX.mode=0644;UNIX.uid=1000;UNIX.gid=1000;unique=fd01g4f; ñandú.txt",
			Entry{Name: "ñandú.txt", Type: File, Size: 12, ModTime: at("20260201120000"), Precise: true, Mode: 0o644, HasMode: true, Unique: "fd01g4f"}},
		{"IIS and others, with a fraction", "Type=file;Size=3;Modify=20260201120000.123; a",
			Entry{Name: "a", Type: File, Size: 3, ModTime: at("20260201120000.123"), Precise: true}},
		{"a link", "type=OS.unix=slink:/foo;size=4; l", Entry{Name: "l", Type: Link, Size: 4, Target: "/foo"}},
		{"a link of FileZilla", "type=OS.unix=symlink; l", Entry{Name: "l", Type: Link, Size: -1}},
		{"an unknown type", "type=OS.unix=blkdev; sda", Entry{Name: "sda", Type: Other, Size: -1}},
		{"no type", "size=3; a", Entry{Name: "a", Type: Other, Size: 3}},
		{"no facts", " a; b", Entry{Name: "a; b", Type: Other, Size: -1}},
		{"leading spaces", "type=file;   two", Entry{Name: "  two", Type: File, Size: -1}},
		{"a name like facts", "type=file; size=3; x", Entry{Name: "size=3; x", Type: File, Size: -1}},
		{"no last semicolon", "type=file;size=3 a", Entry{Name: "a", Type: File, Size: 3}},
		{"an owner with a space", "type=file;UNIX.group=Domain Users; a b", Entry{Name: "a b", Type: File, Size: -1, Group: "Domain Users"}},
		{"unknown facts", "type=file;media-type=text/plain;x.y=z; a", Entry{Name: "a", Type: File, Size: -1}},
		{"a time nobody can read", "type=file;modify=191260201120000; a", Entry{Name: "a", Type: File, Size: -1}},
		{"a mode nobody can read", "type=file;UNIX.mode=rwx; a", Entry{Name: "a", Type: File, Size: -1}},
		{"a CR left over", "type=file; a\r", Entry{Name: "a", Type: File, Size: -1}},
	} {
		got, err := ParseFactsLine(c.line)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q\n got %+v, %v\nwant %+v", c.from, c.line, got, err, c.want)
		}
	}
}

func TestFactsLinesThatCannotBeTrusted(t *testing.T) {
	for _, line := range []string{
		"", " ", "name", "type=file;", "type=file; ", "type; a", "=file; a", "type=; a", ";; a",
		"type=file;size=-1; a", "type=file;size=+1; a", "type=file;size=; a", "type=file;size=99999999999999999999; a",
		"type=file; a\rb", "type=file; a\x00", "type=file; a\nb", "type=file;\x00=1; a",
		"-rw-r--r-- 1 a b 3 Nov 22 18:50 name",
	} {
		if e, err := ParseFactsLine(line); err != ErrListLine {
			t.Errorf("%q: %+v, %v", line, e, err)
		}
	}
}

func TestFactsAreChosen(t *testing.T) {
	for _, c := range []struct {
		arg  string
		want Facts
		err  error
	}{
		{"type;size;", FactType | FactSize, nil},
		{"Type;UNIX.mode;perm;", FactType | FactUnixMode | FactPerm, nil},
		{"type;size", FactType | FactSize, nil}, // without the last semicolon
		{"type;color;", FactType, nil},
		{"", 0, nil},
		{"unique type;", 0, ErrFacts},
		{"type;;size;", 0, ErrFacts},
		{";", 0, ErrFacts},
		{"type=file;", 0, ErrFacts},
	} {
		if got, err := ParseFactNames(c.arg); got != c.want || err != c.err {
			t.Errorf("%q: %v, %v", c.arg, got, err)
		}
	}
	if got := (FactType | FactUnixMode).String(); got != "type;UNIX.mode;" {
		t.Error(got)
	}
	const feature = "type*;size*;modify;create;perm;unique;UNIX.mode;UNIX.owner;UNIX.group;"
	if got := (FactType | FactSize).Feature(AllFacts); got != feature {
		t.Error(got)
	}
	if all, err := ParseFactNames(AllFacts.String()); all != AllFacts || err != nil {
		t.Errorf("%b, %v", all, err)
	}
}

func TestModesAreOctal(t *testing.T) {
	for s, want := range map[string]fs.FileMode{"644": 0o644, "0644": 0o644, "00644": 0o644, "4755": 0o755, "000": 0} {
		if got, err := ParseMode(s); got != want || err != nil {
			t.Errorf("%q: %o, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "64", "648", "-644", "+644", "0o644", "10644", "000644", "rwx", "6 4"} {
		if got, err := ParseMode(s); err != ErrNumber {
			t.Errorf("%q: %o, %v", s, got, err)
		}
	}
}

func FuzzParseFactsLine(f *testing.F) {
	for _, s := range []string{string(AppendFacts(nil, &full, AllFacts)), " a; b", "type=OS.unix=slink:/foo; l", "type=file;size=3 a",
		"type=cdir; .", "perm=;   x", "modify=20261122185060.5; y", "type=file;UNIX.group=Domain Users; a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		e, err := ParseFactsLine(line)
		if err != nil {
			if err != ErrListLine || !reflect.DeepEqual(e, Entry{}) {
				t.Fatalf("%+v, %v", e, err)
			}
			return
		}
		if e.Name == "" || strings.ContainsAny(e.Name, "\x00\r\n") || e.Size < -1 || len(e.Name) > len(line) {
			t.Fatalf("%q accepted as %+v", line, e)
		}
		again, err := ParseFactsLine(string(AppendFacts(nil, &e, AllFacts)))
		if err != nil || again.Name != e.Name || again.Type != e.Type || again.HasMode != e.HasMode || again.Mode != e.Mode ||
			e.Type == File && again.Size != e.Size || !again.ModTime.Equal(e.ModTime.Truncate(time.Second)) {
			t.Fatalf("%q\nread as %+v\n again %+v, %v", line, e, again, err)
		}
	})
}

func TestListingsDoNotAllocateByTheLine(t *testing.T) {
	b := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { b = AppendFacts(b[:0], &full, AllFacts) }); n != 0 {
		t.Errorf("AppendFacts: %v allocations a line", n)
	}
	if n := testing.AllocsPerRun(100, func() { b = AppendUnixLine(b[:0], full, day) }); n != 0 {
		t.Errorf("AppendUnixLine: %v allocations a line", n)
	}
}

func BenchmarkAppendFacts(b *testing.B) {
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendFacts(buf[:0], &full, AllFacts)
	}
}

func BenchmarkAppendUnixLine(b *testing.B) {
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendUnixLine(buf[:0], full, day)
	}
}
