package config

import (
	"fmt"
	"io"
	"strings"
)

// WriteExample writes the commented default ftps.yaml: every setting with
// what it means, its other names and its default, all commented out.
func WriteExample(w io.Writer, text func(key string, args ...any) string) error {
	var b strings.Builder
	comment(&b, text("config.example.head"))
	group := ""
	for _, row := range Settings() {
		if row.NoFile {
			continue
		}
		if row.Group != group {
			group = row.Group
			fmt.Fprintf(&b, "\n# ── %s ──\n", text(group))
		}
		b.WriteString("\n")
		comment(&b, plainHelp(text(row.Help)))
		if row.Secret {
			comment(&b, text("config.example.secret", row.Env()))
		} else {
			comment(&b, text("config.example.names", "--"+row.Name, row.Env()))
		}
		fmt.Fprintf(&b, "#%s: %s\n", row.Key(), row.yaml())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// yaml is the default as one writes it in the file.
func (row Setting) yaml() string {
	switch {
	case row.List:
		words := strings.Split(row.Default, ",")
		for i, word := range words {
			if strings.HasPrefix(word, ":") { // which YAML would take for a key's end
				words[i] = `"` + word + `"`
			}
		}
		return "[" + strings.Join(words, ", ") + "]"
	case row.Default == "" || row.Octal:
		return `"` + row.Default + `"`
	}
	return row.Default
}

// plainHelp takes off the marks that name a flag's value.
func plainHelp(s string) string { return strings.ReplaceAll(s, "`", "") }

func comment(b *strings.Builder, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
}
