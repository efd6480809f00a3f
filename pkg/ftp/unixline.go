package ftp

import (
	"io/fs"
	"strconv"
	"time"
)

var monthNames = [...]string{
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
}

// recent is how long LIST shows the hour instead of the year. Readers take
// the date for the last one before tomorrow, so it must be less than a year.
const recent = 182 * 24 * time.Hour

// AppendUnixLine appends the entry as LIST shows it, in the form of ls -l that
// every client reads, without a line end. Times are UTC; those of the last
// half year before now have the hour, others the year.
//
// NUL, CR and LF in a name become '?', as in [AppendFacts].
func AppendUnixLine(b []byte, e Entry, now time.Time) []byte {
	b = append(b, typeLetter(e.Type))
	b = appendPermissions(b, e)
	b = append(b, ' ')
	b = padLeft(b, 3, int64(max(1, e.Links)))
	b = append(b, ' ')
	b = appendWord(b, e.Owner)
	b = append(b, ' ')
	b = appendWord(b, e.Group)
	b = append(b, ' ')
	b = padLeft(b, 12, max(0, e.Size))
	b = append(b, ' ')
	b = appendListTime(b, e.ModTime, now)
	b = append(b, ' ')
	b = appendClean(b, e.Name)
	if e.Type == Link && e.Target != "" {
		b = appendClean(append(b, " -> "...), e.Target)
	}
	return b
}

func typeLetter(t EntryType) byte {
	switch t {
	case File:
		return '-'
	case Link:
		return 'l'
	case Other:
		return 'p'
	}
	return 'd'
}

func appendPermissions(b []byte, e Entry) []byte {
	mode := e.Mode.Perm()
	if !e.HasMode {
		mode = 0o644
		if e.Type != File && e.Type != Other {
			mode = 0o755
		}
	}
	const letters = "rwxrwxrwx"
	for i := range len(letters) {
		if mode&(1<<(8-i)) != 0 {
			b = append(b, letters[i])
		} else {
			b = append(b, '-')
		}
	}
	return b
}

// appendWord appends an owner or a group, eight wide. It must be one word, or
// the columns behind it would shift.
func appendWord(b []byte, s string) []byte {
	start := len(b)
	if s == "" {
		s = "ftp"
	}
	b = append(b, s...)
	for i := start; i < len(b); i++ {
		if b[i] <= ' ' || b[i] == 0x7f {
			b[i] = '_'
		}
	}
	for len(b)-start < 8 {
		b = append(b, ' ')
	}
	return b
}

func padLeft(b []byte, width int, n int64) []byte {
	for limit, digits := int64(10), 1; digits < width; digits++ {
		if n < limit {
			b = append(b, ' ')
		}
		if limit <= 1<<62/10 {
			limit *= 10
		}
	}
	return strconv.AppendInt(b, n, 10)
}

func appendListTime(b []byte, t, now time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if t.IsZero() || year < 1 || year > 9999 {
		year, month, day = 1970, time.January, 1
		t = time.Time{}
	}
	b = append(append(b, monthNames[month-1]...), ' ')
	if day < 10 {
		b = append(b, ' ')
	}
	b = append(strconv.AppendInt(b, int64(day), 10), ' ')
	// An hour ahead is a clock that is a little off, not another year.
	if age := now.Sub(t); -time.Hour <= age && age < recent {
		hour, minute, _ := t.Clock()
		return append2(append(append2(b, hour), ':'), minute)
	}
	return append2(append2(append(b, ' '), year/100), year%100)
}

// parsePermissions reads the nine letters of rwxrwxrwx; s, t, S, T and l stand
// for bits that FTP has no use for, and execution goes with the small ones.
func parsePermissions(s string) (fs.FileMode, bool) {
	var mode fs.FileMode
	for i := range 9 {
		bit := fs.FileMode(1) << (8 - i)
		switch c := s[i]; {
		case c == '-':
		case c == "rwx"[i%3]:
			mode |= bit
		case i%3 == 2 && (c == 's' || c == 't'):
			mode |= bit
		case i%3 == 2 && (c == 'S' || c == 'T' || c == 'l' || c == 'L'):
		default:
			return 0, false
		}
	}
	return mode, true
}
