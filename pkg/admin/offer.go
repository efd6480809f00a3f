package admin

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// offer is what TAB offers for a command's first argument: the words that are
// always the same, and fields of what another command tells of now.
type offer struct {
	words  []string
	from   string
	fields []string
}

// Offers returns them, sorted. ask runs a command and returns its objects.
func (c Command) Offers(ask func(command string) string) []string {
	words := slices.Clone(c.first.words)
	if c.first.from != "" {
		lines := bufio.NewScanner(strings.NewReader(ask(c.first.from)))
		for lines.Scan() {
			var o map[string]any
			if json.Unmarshal(lines.Bytes(), &o) != nil {
				continue
			}
			for _, field := range c.first.fields {
				word := fmt.Sprint(o[field])
				if at, err := netip.ParseAddrPort(word); err == nil {
					word = at.Addr().String()
				}
				if o[field] != nil && word != "" {
					words = append(words, word)
				}
			}
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}
