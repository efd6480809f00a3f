package mirror

import (
	"path"
	"strings"

	"ftps/pkg/fault"
)

// choice says which names take part in a mirror.
type choice struct{ exclude, include []string }

func newChoice(exclude, include []string) (*choice, error) {
	for _, pattern := range append(append([]string(nil), exclude...), include...) {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return nil, fault.New("client.pattern", pattern)
		}
	}
	return &choice{exclude, include}, nil
}

// leavesOut reports whether a name takes no part: it is excluded, and not
// included all the same. What is below an excluded folder is not looked at.
func (c *choice) leavesOut(name string, folder bool) bool {
	return matchesAny(c.exclude, name, folder) && !matchesAny(c.include, name, folder)
}

// matchesAny: a pattern without a slash is about the last part of a name,
// one with a slash about the whole path, and one that ends in a slash about
// folders.
func matchesAny(patterns []string, name string, folder bool) bool {
	for _, pattern := range patterns {
		trimmed := strings.TrimSuffix(pattern, "/")
		if trimmed != pattern && !folder {
			continue
		}
		subject := name
		if !strings.Contains(trimmed, "/") {
			subject = path.Base(name)
		}
		if ok, _ := path.Match(strings.TrimPrefix(trimmed, "/"), subject); ok {
			return true
		}
	}
	return false
}
