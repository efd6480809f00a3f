package users

import (
	"math"
	"math/big"
	"strconv"
	"strings"

	"ftps/pkg/fault"
)

// units of sizes and rates: K, M, G, T count in thousands, Ki, Mi, Gi, Ti in
// 1024. A B may follow.
var units = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"T", 1e12}, {"GiB", 1 << 30}, {"G", 1e9},
	{"MiB", 1 << 20}, {"M", 1e6}, {"KiB", 1 << 10}, {"K", 1e3},
}

// ParseSize reads a number of bytes: "1048576", "20M", "1.5 GiB".
func ParseSize(word string) (int64, error) {
	bad := func() (int64, error) { return 0, fault.New("users.size.bad", word) }
	end := strings.IndexFunc(word, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end < 0 {
		end = len(word)
	}
	number, unit := word[:end], strings.ToUpper(strings.TrimSpace(word[end:]))
	factor := int64(1)
	unit = strings.TrimSuffix(unit, "B")
	if unit != "" {
		factor = 0
		for _, u := range units {
			if strings.TrimSuffix(strings.ToUpper(u.name), "B") == unit {
				factor = u.bytes
			}
		}
	}
	whole, fraction, dotted := strings.Cut(number, ".")
	if factor == 0 || whole == "" || dotted && fraction == "" || len(number) > 30 || strings.Contains(fraction, ".") {
		return bad()
	}
	// Exact, because a quota that is off by a rounding is a wrong quota.
	value, ok := new(big.Rat).SetString(number)
	if !ok {
		return bad()
	}
	value.Mul(value, new(big.Rat).SetInt64(factor))
	bytes := new(big.Int).Quo(value.Num(), value.Denom())
	if !bytes.IsInt64() || bytes.Int64() == math.MaxInt64 {
		return bad()
	}
	return bytes.Int64(), nil
}

// FormatSize writes a number of bytes as [ParseSize] reads it, in the largest
// unit that says it exactly.
func FormatSize(n int64) string {
	for _, u := range units {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
