package shell

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes writes a number of bytes for a person: "512 B", "3.2 MiB".
func Bytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), -1
	for value >= 1024 && unit < 5 {
		value /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[unit])
}

// ParseBytes reads a size or a rate: "20M", "10GiB", "1.5 MB", "4096". The
// letters alone and with iB are powers of 1024, with B alone powers of 1000.
func ParseBytes(s string) (int64, bool) {
	text := strings.ToUpper(strings.TrimSpace(s))
	number := strings.TrimRight(text, "BIKMGTP ")
	unit := strings.TrimSpace(text[len(number):])
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || value < 0 || math.IsNaN(value) {
		return 0, false
	}
	step := 1024.0
	letter := strings.TrimSuffix(unit, "IB")
	if letter == unit && len(unit) == 2 && unit[1] == 'B' {
		letter, step = unit[:1], 1000
	}
	if unit == "" || unit == "B" {
		letter = ""
	} else if i := strings.Index("KMGTP", letter); i < 0 || len(letter) != 1 {
		return 0, false
	} else {
		value *= math.Pow(step, float64(i+1))
	}
	if value >= math.MaxInt64 {
		return 0, false
	}
	return int64(value), true
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
