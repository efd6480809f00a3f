package ftpclient

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// Features are what the server announced in its reply to FEAT (RFC 2389).
type Features struct{ lines map[string]string }

// Has reports whether the server announced name, in any case of letters.
func (f Features) Has(name string) bool {
	_, ok := f.lines[strings.ToUpper(name)]
	return ok
}

// Param returns what stands behind name in its line: "SHA-256*;MD5".
func (f Features) Param(name string) string { return f.lines[strings.ToUpper(name)] }

// Option reports whether the server announced a word of name's: "STOR modify;".
func (f Features) Option(name, word string) bool {
	for have := range strings.SplitSeq(f.Param(name), ";") {
		if strings.EqualFold(strings.TrimSpace(have), word) {
			return true
		}
	}
	return false
}

// Names lists the announced names, sorted.
func (f Features) Names() []string { return slices.Sorted(maps.Keys(f.lines)) }

// Features returns what the server announced.
func (c *Conn) Features() Features { return c.features }

// askFeatures sends FEAT. RFC 2389 §3: each feature's line begins with a
// space; a server without the command has none.
func (c *Conn) askFeatures(ctx context.Context) error {
	r, err := c.command(ctx, "FEAT", "")
	if err != nil {
		return err
	}
	c.features = Features{}
	if r.Code == 211 && len(r.Lines) > 2 {
		c.features = parseFeatures(r.Lines[1 : len(r.Lines)-1])
	}
	return nil
}

func parseFeatures(lines []string) Features {
	f := Features{lines: make(map[string]string)}
	for _, line := range lines {
		name, param, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" {
			continue
		}
		name = strings.ToUpper(name)
		if earlier := f.lines[name]; earlier != "" {
			// AUTH TLS and AUTH SSL come as two lines.
			param = earlier + ";" + param
		}
		f.lines[name] = param
	}
	return f
}
