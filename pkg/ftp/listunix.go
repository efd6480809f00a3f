package ftp

import (
	"strings"
	"time"
)

// parseUnixLine reads what ls -l writes:
//
//	-rw-r--r--   1 owner group     4096 Nov 22 18:50 name
//	drwxrwxr-x+  2 1000  1000      4096 Nov 22  2024 name
//	lrwxrwxrwx   1 owner             11 2026-11-22 18:50 name -> target
//
// The columns between the letters and the date vary: links or group may be
// missing, an owner may have spaces, a device has two numbers for a size. So
// the date is looked for, with a size before it.
func parseUnixLine(line string, now time.Time) (Entry, bool) {
	if len(line) < 12 {
		return Entry{}, false
	}
	typ, ok := letterType(line[0])
	if !ok {
		return Entry{}, false
	}
	mode, ok := parsePermissions(line[1:10])
	rest := line[10:]
	// An ACL is '+' or '*', an SELinux context '.', extended attributes '@'.
	if strings.IndexByte("+.@*", rest[0]) >= 0 {
		rest = rest[1:]
	}
	if !ok || rest[0] != ' ' {
		return Entry{}, false
	}
	e := Entry{Type: typ, Size: -1, Mode: mode, HasMode: true}

	var columns []string
	for len(columns) < maxColumns {
		var word string
		if word, rest = nextWord(rest); word == "" {
			return Entry{}, false
		}
		columns = append(columns, word)
		size, ok := listSize(columns)
		if !ok {
			continue
		}
		t, name, ok := parseListDate(rest, now)
		if !ok {
			continue
		}
		e.Size, e.ModTime, e.Name = size, t, name
		e.Day = !strings.Contains(rest[:len(rest)-len(name)], ":")
		readOwner(&e, columns[:len(columns)-1])
		if e.Type == Link {
			e.Name, e.Target = splitLink(name, size)
		}
		return e, true
	}
	return Entry{}, false
}

// maxColumns bounds the columns before the date: links, three words of an
// owner, three of a group, two of a size.
const maxColumns = 9

func letterType(c byte) (EntryType, bool) {
	switch {
	case c == '-':
		return File, true
	case c == 'd':
		return Dir, true
	case c == 'l':
		return Link, true
	}
	return Other, strings.IndexByte("bcpsDP", c) >= 0
}

// listSize reads the last column as a size. Behind "8," it is a device's
// second number, and there is no size.
func listSize(columns []string) (int64, bool) {
	last := len(columns) - 1
	n, err := ParseNumber(columns[last])
	if err != nil {
		major, minor, found := strings.Cut(columns[last], ",")
		return -1, found && allDigits(major) && allDigits(minor)
	}
	if last > 0 && strings.HasSuffix(columns[last-1], ",") {
		return -1, true
	}
	return n, true
}

// readOwner reads the columns before the size: links if it is a number and
// not all there is, the owner, and a group of however many words.
func readOwner(e *Entry, columns []string) {
	if n := len(columns); n > 0 && strings.HasSuffix(columns[n-1], ",") {
		columns = columns[:n-1]
	}
	if len(columns) > 0 {
		if links, ok := smallNumber(columns[0], 9); ok {
			e.Links, columns = links, columns[1:]
		}
	}
	if len(columns) > 0 {
		e.Owner, e.Group = columns[0], strings.Join(columns[1:], " ")
	}
}

// splitLink cuts "name -> target". Either may hold an arrow itself; the size
// of a link is the length of its target, which tells the right one.
func splitLink(s string, size int64) (name, target string) {
	const arrow = " -> "
	if at := int64(len(s)) - size - int64(len(arrow)); at > 0 && at < int64(len(s)) && strings.HasPrefix(s[at:], arrow) {
		return s[:at], s[at+int64(len(arrow)):]
	}
	if name, target, found := strings.Cut(s, arrow); found && name != "" {
		return name, target
	}
	return s, ""
}

// parseListDate reads the date that s begins with, spaces before it, and
// returns what stands behind it and one space.
func parseListDate(s string, now time.Time) (t time.Time, name string, ok bool) {
	first, rest := nextWord(s)
	second, rest := nextWord(rest)
	if year, month, day, ok := isoDate(first); ok {
		hour, minute, sec, ok := parseClock(second)
		if !ok || rest == "" {
			return time.Time{}, "", false
		}
		t = time.Date(year, time.Month(month), day, hour, minute, sec, 0, time.UTC)
		// ls --full-time: the seconds have a fraction, and the zone follows.
		if zone, after := nextWord(rest); strings.Contains(second, ".") && isZone(zone) {
			offset, _ := time.Parse("-0700", zone)
			_, seconds := offset.Zone()
			t, rest = t.Add(-time.Duration(seconds)*time.Second), after
		}
		return finishDate(t, rest)
	}
	third, rest := nextWord(rest)
	month, ok := monthNumber(first)
	dayWord := second
	if !ok { // "22 Nov 18:50"
		month, ok = monthNumber(second)
		dayWord = first
	}
	day, ok2 := smallNumber(strings.TrimSuffix(dayWord, "."), 2)
	if !ok || !ok2 {
		return time.Time{}, "", false
	}
	if year, ok := smallNumber(third, 4); ok && len(third) == 4 && validDate(year, month, day) {
		return finishDate(time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC), rest)
	}
	hour, minute, sec, ok := parseClock(third)
	if !ok {
		return time.Time{}, "", false
	}
	// ls -lT and others: "Nov 22 18:50:07 2026".
	if word, after := nextWord(rest); strings.Count(third, ":") == 2 && len(word) == 4 {
		if year, ok := smallNumber(word, 4); ok && validDate(year, month, day) {
			return finishDate(time.Date(year, time.Month(month), day, hour, minute, sec, 0, time.UTC), after)
		}
	}
	if t, ok = latest(month, day, hour, minute, sec, now); !ok {
		return time.Time{}, "", false
	}
	return finishDate(t, rest)
}

func finishDate(t time.Time, rest string) (time.Time, string, bool) {
	if len(rest) < 2 {
		return time.Time{}, "", false
	}
	return t, rest[1:], true
}

// latest returns the last such date before the day after now: in January a
// file of "Dec 31" is last year's, while a server some hours ahead may write
// tomorrow's date today. The search goes back to the leap year before the
// last, for "Feb 29".
func latest(month, day, hour, minute, second int, now time.Time) (time.Time, bool) {
	now = now.UTC()
	for year := now.Year() + 1; year > now.Year()-9; year-- {
		if !validDate(year, month, day) {
			continue
		}
		t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
		if !t.After(now.AddDate(0, 0, 1)) {
			return t, true
		}
	}
	return time.Time{}, false
}

func monthNumber(s string) (int, bool) {
	for i, name := range monthNames {
		if strings.EqualFold(s, name) {
			return i + 1, true
		}
	}
	return 0, false
}

func isoDate(s string) (year, month, day int, ok bool) {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return 0, 0, 0, false
	}
	year, ok1 := smallNumber(s[:4], 4)
	month, ok2 := smallNumber(s[5:7], 2)
	day, ok3 := smallNumber(s[8:], 2)
	return year, month, day, ok1 && ok2 && ok3 && validDate(year, month, day)
}

func isZone(s string) bool {
	return len(s) == 5 && (s[0] == '+' || s[0] == '-') && allDigits(s[1:]) && s[1:] <= "2359"
}
