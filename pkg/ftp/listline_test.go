package ftp

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func date(year, month, day, hour, minute, second int) time.Time {
	return time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
}

func TestUnixLinesAreWritten(t *testing.T) {
	for _, c := range []struct {
		entry Entry
		want  string
	}{
		{Entry{Name: "a b.txt", Size: 5, ModTime: date(2026, 11, 2, 8, 5, 0), Mode: 0o640, HasMode: true, Owner: "diego", Group: "staff", Links: 2},
			"-rw-r-----   2 diego    staff               5 Nov  2 08:05 a b.txt"},
		{Entry{Name: "d", Type: Dir, Size: 4096, ModTime: date(2025, 1, 12, 8, 5, 0)},
			"drwxr-xr-x   1 ftp      ftp              4096 Jan 12  2025 d"},
		{Entry{Name: "future", Size: 1, ModTime: date(2027, 1, 12, 8, 5, 0)},
			"-rw-r--r--   1 ftp      ftp                 1 Jan 12  2027 future"},
		{Entry{Name: "l", Type: Link, Target: "to", Size: -1},
			"lrwxr-xr-x   1 ftp      ftp                 0 Jan  1  1970 l -> to"},
		{Entry{Name: "p", Type: Other, Owner: "a group\twith", Group: "verylongname", Size: 123456789012345, ModTime: date(12026, 1, 1, 0, 0, 0)},
			"prw-r--r--   1 a_group_with verylongname 123456789012345 Jan  1  1970 p"},
		{Entry{Name: "x\r\n-rw", Size: 10, Links: 12345, ModTime: date(800, 1, 1, 0, 0, 0)},
			"-rw-r--r-- 12345 ftp      ftp                10 Jan  1  0800 x??-rw"},
	} {
		if got := string(AppendUnixLine(nil, c.entry, day)); got != c.want {
			t.Errorf("\n got %q\nwant %q", got, c.want)
		}
	}
}

// listLines are as real servers write them; now is day, 2026-11-22 18:50:07.
var listLines = []struct {
	from, line string
	want       Entry
}{
	{"vsftpd", "-rw-r--r--    1 1000     1000      1048576 Nov 22 18:01 file name.bin",
		Entry{Name: "file name.bin", Size: 1048576, ModTime: date(2026, 11, 22, 18, 1, 0), Mode: 0o644, HasMode: true, Links: 1, Owner: "1000", Group: "1000"}},
	{"vsftpd, a folder", "drwxr-xr-x    2 ftp      ftp          4096 Feb 03  2021 pub",
		Entry{Name: "pub", Type: Dir, Size: 4096, ModTime: date(2021, 2, 3, 0, 0, 0), Day: true, Mode: 0o755, HasMode: true, Links: 2, Owner: "ftp", Group: "ftp"}},
	{"ProFTPD, a link", "lrwxrwxrwx   1 root     other          7 Jan 25 00:17 bin -> usr/bin",
		Entry{Name: "bin", Type: Link, Size: 7, Target: "usr/bin", ModTime: date(2026, 1, 25, 0, 17, 0), Mode: 0o777, HasMode: true, Links: 1, Owner: "root", Group: "other"}},
	{"an arrow in the name of a link", "lrwxrwxrwx   1 a b 2 Jan 25 00:17 x -> y -> zz",
		Entry{Name: "x -> y", Type: Link, Size: 2, Target: "zz", ModTime: date(2026, 1, 25, 0, 17, 0), Mode: 0o777, HasMode: true, Links: 1, Owner: "a", Group: "b"}},
	{"an arrow in the name of a file", "-rwxrwxrwx   1 a b 2 Jan 25 00:17 x -> y",
		Entry{Name: "x -> y", Size: 2, ModTime: date(2026, 1, 25, 0, 17, 0), Mode: 0o777, HasMode: true, Links: 1, Owner: "a", Group: "b"}},
	{"a link without its target", "lrwxrwxrwx   1 a b 2 Jan 25 00:17 x",
		Entry{Name: "x", Type: Link, Size: 2, ModTime: date(2026, 1, 25, 0, 17, 0), Mode: 0o777, HasMode: true, Links: 1, Owner: "a", Group: "b"}},
	{"ACL", "drwxrwxr-x+  3 a b 4096 Nov 22 18:01 acl",
		Entry{Name: "acl", Type: Dir, Size: 4096, ModTime: date(2026, 11, 22, 18, 1, 0), Mode: 0o775, HasMode: true, Links: 3, Owner: "a", Group: "b"}},
	{"SELinux", "-rw-r-Sr-t.  1 a b 1 Nov 22 18:01 ctx",
		Entry{Name: "ctx", Size: 1, ModTime: date(2026, 11, 22, 18, 1, 0), Mode: 0o645, HasMode: true, Links: 1, Owner: "a", Group: "b"}},
	{"macOS", "-rw-r--r--@  1 a b 1 Nov 22 18:01 xattr",
		Entry{Name: "xattr", Size: 1, ModTime: date(2026, 11, 22, 18, 1, 0), Mode: 0o644, HasMode: true, Links: 1, Owner: "a", Group: "b"}},
	{"no group", "-rw-r--r--   1 owner 99 Nov 22 18:01 nogroup",
		Entry{Name: "nogroup", Size: 99, ModTime: date(2026, 11, 22, 18, 1, 0), Mode: 0o644, HasMode: true, Links: 1, Owner: "owner"}},
	{"no owner either", "drwxrwxr-x               folder        2 May 10  1996 network",
		Entry{Name: "network", Type: Dir, Size: 2, ModTime: date(1996, 5, 10, 0, 0, 0), Day: true, Mode: 0o775, HasMode: true, Owner: "folder"}},
	{"a group of two words", "-rw-r--r-- 1 alice Domain Users 99 Nov 22 18:01 win",
		Entry{Name: "win", Size: 99, ModTime: date(2026, 11, 22, 18, 1, 0), Mode: 0o644, HasMode: true, Links: 1, Owner: "alice", Group: "Domain Users"}},
	{"the day first", "-rw-r--r-- 1 a b 99 22 Nov 18:01 dm",
		Entry{Name: "dm", Size: 99, ModTime: date(2026, 11, 22, 18, 1, 0), Mode: 0o644, HasMode: true, Links: 1, Owner: "a", Group: "b"}},
	{"a device", "brw-rw---- 1 root disk 8,   0 Nov 22 18:01 sda",
		Entry{Name: "sda", Type: Other, Size: -1, ModTime: date(2026, 11, 22, 18, 1, 0), Mode: 0o660, HasMode: true, Links: 1, Owner: "root", Group: "disk"}},
	{"a device in one word", "crw-rw---- 1 root tty 4,64 Nov 22 18:01 ttyS0",
		Entry{Name: "ttyS0", Type: Other, Size: -1, ModTime: date(2026, 11, 22, 18, 1, 0), Mode: 0o660, HasMode: true, Links: 1, Owner: "root", Group: "tty"}},
	{"long-iso", "-rw-r--r-- 1 a b 99 2026-01-02 03:04 iso",
		Entry{Name: "iso", Size: 99, ModTime: date(2026, 1, 2, 3, 4, 0), Mode: 0o644, HasMode: true, Links: 1, Owner: "a", Group: "b"}},
	{"full-iso", "-rw-r--r-- 1 a b 99 2026-01-02 03:04:05.123456789 +0100 full",
		Entry{Name: "full", Size: 99, ModTime: date(2026, 1, 2, 2, 4, 5), Mode: 0o644, HasMode: true, Links: 1, Owner: "a", Group: "b"}},
	{"seconds and year", "-rw-r--r-- 1 a b 99 Jan  2 03:04:05 2024 T",
		Entry{Name: "T", Size: 99, ModTime: date(2024, 1, 2, 3, 4, 5), Mode: 0o644, HasMode: true, Links: 1, Owner: "a", Group: "b"}},
	{"leading spaces", "-rw-r--r-- 1 a b 99 Nov 22 18:01   two",
		Entry{Name: "  two", Size: 99, ModTime: date(2026, 11, 22, 18, 1, 0), Mode: 0o644, HasMode: true, Links: 1, Owner: "a", Group: "b"}},
	{"a trailing space", "-rw-r--r-- 1 a b 99 Nov 22 18:01 x ",
		Entry{Name: "x ", Size: 99, ModTime: date(2026, 11, 22, 18, 1, 0), Mode: 0o644, HasMode: true, Links: 1, Owner: "a", Group: "b"}},
	{"a name like a date", "-rw-r--r-- 1 a b 99 Nov 22 18:01 1 Jan 2 03:04 x",
		Entry{Name: "1 Jan 2 03:04 x", Size: 99, ModTime: date(2026, 11, 22, 18, 1, 0), Mode: 0o644, HasMode: true, Links: 1, Owner: "a", Group: "b"}},
	{"an owner that is a number, and no links", "-rw-r--r-- 1000 users 99 Nov 22 18:01 n",
		Entry{Name: "n", Size: 99, ModTime: date(2026, 11, 22, 18, 1, 0), Mode: 0o644, HasMode: true, Links: 1000, Owner: "users"}},
	{"last year", "-rw-r--r-- 1 a b 99 Nov 24 18:01 ly",
		Entry{Name: "ly", Size: 99, ModTime: date(2025, 11, 24, 18, 1, 0), Mode: 0o644, HasMode: true, Links: 1, Owner: "a", Group: "b"}},
	{"a server some hours ahead", "-rw-r--r-- 1 a b 99 Nov 23 06:01 ahead",
		Entry{Name: "ahead", Size: 99, ModTime: date(2026, 11, 23, 6, 1, 0), Mode: 0o644, HasMode: true, Links: 1, Owner: "a", Group: "b"}},
	{"a leap day", "-rw-r--r-- 1 a b 99 Feb 29 06:01 leap",
		Entry{Name: "leap", Size: 99, ModTime: date(2024, 2, 29, 6, 1, 0), Mode: 0o644, HasMode: true, Links: 1, Owner: "a", Group: "b"}},
	{"the folder itself", "drwxr-xr-x 2 a b 4096 Nov 22 18:01 .",
		Entry{Name: ".", Type: CurrentDir, Size: 4096, ModTime: date(2026, 11, 22, 18, 1, 0), Mode: 0o755, HasMode: true, Links: 2, Owner: "a", Group: "b"}},
	{"its parent", "drwxr-xr-x 2 a b 4096 Nov 22 18:01 ..\r",
		Entry{Name: "..", Type: ParentDir, Size: 4096, ModTime: date(2026, 11, 22, 18, 1, 0), Mode: 0o755, HasMode: true, Links: 2, Owner: "a", Group: "b"}},

	{"IIS, a folder", "01-18-26  10:34AM       <DIR>          Program Files",
		Entry{Name: "Program Files", Type: Dir, Size: -1, ModTime: date(2026, 1, 18, 10, 34, 0)}},
	{"IIS, a file", "10-23-12  12:07AM                 8192 a b.txt",
		Entry{Name: "a b.txt", Size: 8192, ModTime: date(2012, 10, 23, 0, 7, 0)}},
	{"IIS, four digits", "10-23-2012  12:07PM                 8192 a.txt",
		Entry{Name: "a.txt", Size: 8192, ModTime: date(2012, 10, 23, 12, 7, 0)}},
	{"another century", "10-23-98  07:17P                 8,192 a.txt",
		Entry{Name: "a.txt", Size: 8192, ModTime: date(1998, 10, 23, 19, 17, 0)}},
	{"the year first", "2026-01-18  22:34       <DIR>          d",
		Entry{Name: "d", Type: Dir, Size: -1, ModTime: date(2026, 1, 18, 22, 34, 0)}},
	{"leading spaces, IIS", "10-23-12  12:07AM                 8192   two",
		Entry{Name: "  two", Size: 8192, ModTime: date(2012, 10, 23, 0, 7, 0)}},
	{"leading spaces, an IIS folder", "01-18-26  10:34AM       <DIR>            two",
		Entry{Name: "  two", Type: Dir, Size: -1, ModTime: date(2026, 1, 18, 10, 34, 0)}},
	{"a folder with little padding", "01-18-26  10:34AM <DIR> d",
		Entry{Name: "d", Type: Dir, Size: -1, ModTime: date(2026, 1, 18, 10, 34, 0)}},
	{"a Windows link", `01-18-26  10:34AM       <SYMLINKD>     l [C:\x]`,
		Entry{Name: "l", Type: Link, Size: -1, Target: `C:\x`, ModTime: date(2026, 1, 18, 10, 34, 0)}},

	{"EPLF, a file", "+i8388621.48594,m825718503,r,s280,up644\tdjb.html",
		Entry{Name: "djb.html", Size: 280, ModTime: date(1996, 3, 1, 22, 15, 3), Precise: true, Unique: "8388621.48594", Mode: 0o644, HasMode: true}},
	{"EPLF, a folder", "+i8388621.50690,m824255907,/,\t514",
		Entry{Name: "514", Type: Dir, Size: -1, ModTime: date(1996, 2, 13, 23, 58, 27), Precise: true, Unique: "8388621.50690"}},
	{"EPLF, neither", "+m824255907,\t  x", Entry{Name: "  x", Type: Other, Size: -1, ModTime: date(1996, 2, 13, 23, 58, 27), Precise: true}},
}

func TestListLinesOfRealServersAreRead(t *testing.T) {
	for _, c := range listLines {
		got, err := ParseListLine(c.line, day)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q\n got %+v, %v\nwant %+v", c.from, c.line, got, err, c.want)
		}
	}
}

func TestLinesWithoutAnEntryAreToldFromLinesNotUnderstood(t *testing.T) {
	for _, line := range []string{"", "\r", "   ", "total 12", "total 0\r", "Total 4096"} {
		if e, err := ParseListLine(line, day); err != ErrNoEntry {
			t.Errorf("%q: %+v, %v", line, e, err)
		}
	}
	for _, line := range []string{
		"ls: cannot open directory: Permission denied", "total", "total x", "README",
		"-rw-r--r-- 1 a b 99 Nov 22 18:01", "-rw-r--r-- 1 a b 99 Nov 22 18:01 ",
		"-rw-r--r-- 1 a b 99 Nov 31 18:01 x", "-rw-r--r-- 1 a b 99 Nov 22 24:01 x", "-rw-r--r-- 1 a b 99 Feb 29  2023 x",
		"-rw-r--r-- 1 a b 99 Foo 22 18:01 x", "-rw-r--r-- 1 a b -99 Nov 22 18:01 x", "-rw-r--r-- 1 a b 99999999999999999999 Nov 22 18:01 x",
		"-rw-r--q-- 1 a b 99 Nov 22 18:01 x", "zrw-r--r-- 1 a b 99 Nov 22 18:01 x", "-rw-r--r--1 a b 99 Nov 22 18:01 x",
		"-rw-r--r-- 1 a b 99 Nov 22 18:01 x\x00y", "-rw-r--r-- 1 a b 99 Nov 22 18:01 x\ry",
		"-rw-r--r-- 1 a b 99 2026-13-01 18:01 x", "-rw-r--r-- 1 a b 99 2026-12-01 x",
		"01-18-26  10:34AM       <WHAT>          x", "13-18-26  10:34AM 5 x", "01-18-26  13:34PM 5 x", "01-18-26  00:34AM 5 x",
		"01-18-026  10:34AM 5 x", "01-18-26  10:34AM 5", "01-18-26  10:34AM -5 x", "01-18-26  10:34AM       <DIR>          ",
		"+i1,r,s280 djb.html", "+r,s-1,\tx", "+r,\t", "+",
		"drwxr-xr-x", strings.Repeat("-rw-r--r-- 1 ", 1000),
	} {
		if e, err := ParseListLine(line, day); err != ErrListLine {
			t.Errorf("%.60q: %+v, %v", line, e, err)
		}
	}
}

func TestTheYearThatALineLeavesOutTurnsOverAtNewYear(t *testing.T) {
	for _, c := range []struct {
		now  time.Time
		line string
		want time.Time
	}{
		{date(2026, 1, 1, 0, 0, 30), "Dec 31 23:59", date(2025, 12, 31, 23, 59, 0)},
		{date(2025, 12, 31, 23, 0, 0), "Jan  1 00:30", date(2026, 1, 1, 0, 30, 0)}, // the server is ahead
		{date(2025, 12, 31, 23, 0, 0), "Jan  2 00:30", date(2025, 1, 2, 0, 30, 0)},
		{date(2026, 1, 1, 12, 0, 0), "Jan  1 11:00", date(2026, 1, 1, 11, 0, 0)},
		{date(2026, 7, 1, 0, 0, 0), "Jan  1 11:00", date(2026, 1, 1, 11, 0, 0)},
	} {
		e, err := ParseListLine("-rw-r--r-- 1 a b 99 "+c.line+" x", c.now)
		if err != nil || !e.ModTime.Equal(c.want) {
			t.Errorf("%s on %v: %v, %v", c.line, c.now, e.ModTime, err)
		}
	}
}

// For every day of some years, what is written is read as the same time, to
// the minute where it is recent and to the day where it is not.
func TestWrittenTimesAreReadBack(t *testing.T) {
	for _, now := range []time.Time{day, date(2026, 1, 1, 0, 0, 0), date(2024, 2, 29, 12, 0, 0), date(2024, 12, 31, 23, 59, 59)} {
		for hours := -24; hours < 3*365*24; hours += 7 {
			mod := now.Add(-time.Duration(hours) * time.Hour).Truncate(time.Minute)
			line := string(AppendUnixLine(nil, Entry{Name: "x", ModTime: mod}, now))
			e, err := ParseListLine(line, now)
			if err != nil {
				t.Fatal(err)
			}
			want := mod
			if !strings.Contains(line, ":") {
				want = mod.Truncate(24 * time.Hour)
			}
			if !e.ModTime.Equal(want) {
				t.Fatalf("now %v: %q read as %v, is %v", now, line, e.ModTime, mod)
			}
		}
	}
}

func FuzzParseListLine(f *testing.F) {
	for _, c := range listLines {
		f.Add(c.line)
	}
	f.Add("total 12")
	f.Fuzz(func(t *testing.T, line string) {
		e, err := ParseListLine(line, day)
		if err != nil {
			if err != ErrListLine && err != ErrNoEntry || !reflect.DeepEqual(e, Entry{}) {
				t.Fatalf("%+v, %v", e, err)
			}
			return
		}
		if e.Name == "" || strings.ContainsAny(e.Name+e.Target, "\x00\r\n") || e.Size < -1 || !strings.Contains(line, e.Name) ||
			e.ModTime.Location() != time.UTC {
			t.Fatalf("%q accepted as %+v", line, e)
		}
		// Whatever it was, in our own form it is the same entry again.
		own := string(AppendUnixLine(nil, e, day))
		again, err := ParseListLine(own, day)
		sameType := again.Type == e.Type
		if fmt.Sprint(again.Name, again.Target) != fmt.Sprint(e.Name, e.Target) && e.Type == Link {
			sameType = again.Type == Link // arrows in both, and a size that is not the target's
			again.Name = e.Name
		}
		if err != nil || again.Name != e.Name || !sameType || again.Size != max(0, e.Size) {
			t.Fatalf("%q\n read as %+v\nwritten %q\n read as %+v, %v", line, e, own, again, err)
		}
	})
}
