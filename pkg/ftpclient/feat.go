package ftpclient

import (
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

// Names lists the announced names, sorted.
func (f Features) Names() []string { return slices.Sorted(maps.Keys(f.lines)) }

// Features returns what the server announced.
func (c *Conn) Features() Features { return c.features }
