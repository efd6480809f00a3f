package ftp

import (
	"strconv"
	"strings"
	"time"
)

// ParseListLine reads a line of LIST, whose form no standard fixes: that of
// ls -l with its many variants, of Windows, and EPLF.
//
// Where the line has no year it is the one that brings the date before the
// day after now. Where it has no time zone, and only EPLF needs none, the
// time is read as UTC and not Precise. A name keeps its leading spaces as far
// as the form tells them from padding.
//
// [ErrNoEntry] is a line that describes nothing ("total 12", an empty one)
// and can be passed over; [ErrListLine] is one that was not understood, and
// so a gap in what the caller knows of the folder.
func ParseListLine(line string, now time.Time) (Entry, error) {
	line = strings.TrimRight(line, "\r\n")
	if isTotal(line) {
		return Entry{}, ErrNoEntry
	}
	if strings.ContainsAny(line, "\x00\r\n") {
		return Entry{}, ErrListLine
	}
	for _, parse := range listForms {
		e, ok := parse(line, now)
		if !ok || e.Name == "" {
			continue
		}
		switch e.Name {
		case ".":
			e.Type = CurrentDir
		case "..":
			e.Type = ParentDir
		}
		return e, nil
	}
	return Entry{}, ErrListLine
}

// listForms are tried in this order; no line is read by two of them.
var listForms = [...]func(line string, now time.Time) (Entry, bool){
	parseEPLF, parseUnixLine, parseDOSLine,
}

// isTotal reports a line with no entry in it.
func isTotal(line string) bool {
	words := strings.Fields(line)
	switch len(words) {
	case 0:
		return true
	case 2:
		return strings.EqualFold(words[0], "total") && allDigits(words[1])
	}
	return false
}

// parseEPLF reads "+i8388621.48594,m825718503,r,s280,\tdjb.html".
func parseEPLF(line string, _ time.Time) (Entry, bool) {
	if !strings.HasPrefix(line, "+") {
		return Entry{}, false
	}
	facts, name, ok := strings.Cut(line[1:], "\t")
	if !ok {
		return Entry{}, false
	}
	e := Entry{Name: name, Type: Other, Size: -1}
	for fact := range strings.SplitSeq(facts, ",") {
		if fact == "" {
			continue
		}
		value := fact[1:]
		switch fact[0] {
		case '/':
			e.Type = Dir
		case 'r':
			e.Type = File
		case 's':
			n, err := ParseNumber(value)
			if err != nil {
				return Entry{}, false
			}
			e.Size = n
		case 'm':
			if n, err := ParseNumber(value); err == nil && n < maxUnixTime {
				e.ModTime, e.Precise = time.Unix(n, 0).UTC(), true
			}
		case 'i':
			e.Unique = value
		case 'u':
			if mode, err := ParseMode(strings.TrimPrefix(value, "p")); err == nil {
				e.Mode, e.HasMode = mode, true
			}
		}
	}
	return e, true
}

// maxUnixTime is the year 10000, which no form of FTP can write.
const maxUnixTime = 253402300800

// parseDOSLine reads the two forms of IIS and others like it:
//
//	01-18-26  10:34AM       <DIR>          folder
//	2026-01-18  22:34                 8192 name
func parseDOSLine(line string, _ time.Time) (Entry, bool) {
	date, rest := nextWord(line)
	clock, rest := nextWord(rest)
	size, rest := nextWord(rest)
	t, ok := dosTime(date, clock)
	if !ok || len(rest) < 2 {
		return Entry{}, false
	}
	e := Entry{Type: File, Size: -1, ModTime: t, Name: rest[1:]}
	if n, err := ParseNumber(strings.ReplaceAll(size, ",", "")); err == nil {
		e.Size = n
		return e, true
	}
	switch size {
	case "<DIR>":
		e.Type = Dir
	case "<JUNCTION>", "<SYMLINK>", "<SYMLINKD>":
		e.Type = Link
	default:
		return Entry{}, false
	}
	// Behind <DIR> IIS fills ten columns. Fewer spaces are all padding.
	const filler = "          "
	if name, found := strings.CutPrefix(rest, filler); found {
		e.Name = name
	} else {
		e.Name = strings.TrimLeft(rest, " ")
	}
	if name, target, found := strings.Cut(e.Name, " ["); found && e.Type == Link && strings.HasSuffix(target, "]") {
		e.Name, e.Target = name, strings.TrimSuffix(target, "]")
	}
	return e, true
}

// nextWord returns the first word and what follows it, spaces included.
func nextWord(s string) (word, rest string) {
	s = strings.TrimLeft(s, " ")
	if i := strings.IndexByte(s, ' '); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// dosTime reads MM-DD-YY, MM-DD-YYYY or YYYY-MM-DD and a clock with or
// without AM and PM.
func dosTime(date, clock string) (time.Time, bool) {
	part := strings.Split(strings.ReplaceAll(date, "/", "-"), "-")
	if len(part) != 3 {
		return time.Time{}, false
	}
	if len(part[0]) == 4 {
		part[0], part[1], part[2] = part[1], part[2], part[0]
	}
	month, ok1 := smallNumber(part[0], 2)
	day, ok2 := smallNumber(part[1], 2)
	year, ok3 := smallNumber(part[2], 4)
	if !ok1 || !ok2 || !ok3 || len(part[2])%2 != 0 {
		return time.Time{}, false
	}
	if len(part[2]) == 2 {
		year += 1900
		if year < 1970 {
			year += 100
		}
	}
	clock = strings.ToUpper(clock)
	half := 0
	for i, mark := range []string{"A", "P"} {
		if bare, found := strings.CutSuffix(strings.TrimSuffix(clock, "M"), mark); found {
			clock, half = bare, i+1
		}
	}
	hour, minute, second, ok := parseClock(clock)
	if half != 0 {
		ok = ok && 1 <= hour && hour <= 12
		hour = hour%12 + 12*(half-1)
	}
	if !ok || !validDate(year, month, day) {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC), true
}

// parseClock reads 9:05, 09:05, 09:05:30 and 09:05:30.123456789.
func parseClock(s string) (hour, minute, second int, ok bool) {
	h, rest, found := strings.Cut(s, ":")
	m, sec, withSeconds := strings.Cut(rest, ":")
	hour, ok1 := smallNumber(h, 2)
	minute, ok2 := smallNumber(m, 2)
	ok3 := true
	if withSeconds {
		whole, frac, dot := strings.Cut(sec, ".")
		second, ok3 = smallNumber(whole, 2)
		ok3 = ok3 && (!dot || allDigits(frac))
	}
	ok = found && ok1 && ok2 && ok3 && len(m) == 2 && hour < 24 && minute < 60 && second < 61
	return hour, minute, second, ok
}

// smallNumber reads a number of at most so many digits.
func smallNumber(s string, digits int) (int, bool) {
	if len(s) > digits || !allDigits(s) {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}
