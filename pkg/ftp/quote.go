package ftp

import "strings"

// QuotePath returns the path as 257 replies carry it: in quotation marks, its
// own doubled (RFC 959, appendix II).
func QuotePath(path string) string {
	return `"` + strings.ReplaceAll(path, `"`, `""`) + `"`
}

// ParseQuotedPath returns the path in the text of a 257 reply.
func ParseQuotedPath(text string) (string, error) {
	_, rest, found := strings.Cut(text, `"`)
	if !found {
		return "", ErrQuoting
	}
	var path strings.Builder
	for {
		part, after, found := strings.Cut(rest, `"`)
		if !found {
			return "", ErrQuoting
		}
		path.WriteString(part)
		if !strings.HasPrefix(after, `"`) {
			return path.String(), nil
		}
		path.WriteByte('"')
		rest = after[1:]
	}
}
