package ftp

import (
	"strconv"
	"time"
)

// FormatTime returns t as YYYYMMDDHHMMSS in UTC (RFC 3659 §2.3), and "" for a
// year that four digits cannot tell.
func FormatTime(t time.Time) string { return string(AppendTime(nil, t)) }

// AppendTime appends what [FormatTime] returns.
func AppendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 1 || year > 9999 {
		return b
	}
	hour, minute, second := t.Clock()
	b = append2(append2(b, year/100), year%100)
	b = append2(append2(b, int(month)), day)
	return append2(append2(append2(b, hour), minute), second)
}

// append2 appends two digits.
func append2(b []byte, n int) []byte { return append(b, byte('0'+n/10%10), byte('0'+n%10)) }

// ParseTime reads YYYYMMDDHHMMSS with an optional fraction (RFC 3659 §2.3).
// The date must be one of the calendar.
func ParseTime(s string) (time.Time, error) {
	if len(s) < 14 || !allDigits(s[:14]) {
		return time.Time{}, ErrTime
	}
	field := func(from, to int) int { n, _ := strconv.Atoi(s[from:to]); return n }
	year, month, day := field(0, 4), field(4, 6), field(6, 8)
	hour, minute, second := field(8, 10), field(10, 12), field(12, 14)
	nanos, ok := fraction(s[14:])
	// RFC 3659 §2.3: the second 60 is a leap second; it becomes the next one.
	if !ok || !validDate(year, month, day) || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, ErrTime
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC), nil
}

// fraction reads ".5", ".123" or nothing, in nanoseconds. Digits beyond the
// ninth are dropped.
func fraction(s string) (nanos int, ok bool) {
	if s == "" {
		return 0, true
	}
	if s[0] != '.' || !allDigits(s[1:]) {
		return 0, false
	}
	for i, unit := 1, 100_000_000; i < len(s) && unit > 0; i, unit = i+1, unit/10 {
		nanos += int(s[i]-'0') * unit
	}
	return nanos, true
}

// validDate reports whether the calendar has the day: time.Date would turn
// 30 February into 2 March without a word.
func validDate(year, month, day int) bool {
	if year < 1 || month < 1 || month > 12 || day < 1 {
		return false
	}
	return day <= time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
