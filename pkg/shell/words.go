package shell

import (
	"errors"
	"strings"
)

// word is one word of a line: what it says, and where it stood. Completion
// needs the second.
type word struct {
	text     string
	pattern  string // text with a backslash before each quoted wildcard
	operator bool   // ">", ">>" or "|"
	start    int    // byte offset in the line
	end      int    // byte offset behind its last byte
	quote    byte   // the quote that is still open at the end of the line, or 0
}

var errOpenQuote = errors.New("shell: quote without its end")

// split cuts a line into commands, and these into words.
//
// Words are parted by blanks and commands by ";". A backslash makes the next
// character ordinary; between single quotes everything is; between double
// quotes a backslash acts on a double quote and a backslash alone. Wildcards
// are left for the commands that take them. What stands behind "|" is one
// word: it is for the local shell, with its own quotes and its own ";". With
// errOpenQuote the words read so far are returned, for completion.
func split(line string) ([][]word, error) {
	var (
		commands [][]word
		words    []word
		text     strings.Builder
		pattern  strings.Builder
		current  = word{start: -1}
	)
	literal := func(c byte) {
		if strings.IndexByte(`*?[\`, c) >= 0 {
			pattern.WriteByte('\\')
		}
		pattern.WriteByte(c)
		text.WriteByte(c)
	}
	begin := func(i int) {
		if current.start < 0 {
			current.start = i
		}
	}
	endWord := func(i int) {
		if current.start >= 0 {
			current.text, current.pattern, current.end = text.String(), pattern.String(), i
			words = append(words, current)
		}
		current = word{start: -1}
		text.Reset()
		pattern.Reset()
	}
	endCommand := func(i int) {
		endWord(i)
		commands = append(commands, words)
		words = nil
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		if current.quote != 0 {
			switch {
			case c == current.quote:
				current.quote = 0
			case c == '\\' && current.quote == '"' && i+1 < len(line) && (line[i+1] == '"' || line[i+1] == '\\'):
				i++
				literal(line[i])
			default:
				literal(c)
			}
			continue
		}
		switch c {
		case ' ', '\t', '\r', '\n':
			endWord(i)
		case ';':
			endCommand(i)
		case '\'', '"':
			begin(i)
			current.quote = c
		case '\\':
			begin(i)
			if i+1 < len(line) {
				i++
			}
			literal(line[i])
		case '>':
			endWord(i)
			at := i
			if i+1 < len(line) && line[i+1] == '>' {
				i++
			}
			words = append(words, word{text: line[at : i+1], operator: true, start: at, end: i + 1})
		case '|':
			endWord(i)
			words = append(words, word{text: "|", operator: true, start: i, end: i + 1})
			if rest := strings.TrimSpace(line[i+1:]); rest != "" {
				words = append(words, word{text: rest, start: i + 1, end: len(line)})
			}
			i = len(line)
		default:
			begin(i)
			pattern.WriteByte(c)
			text.WriteByte(c)
		}
	}
	open := current.quote != 0
	endCommand(len(line))
	if open {
		return commands, errOpenQuote
	}
	return commands, nil
}

// quoted are the characters that a word cannot hold bare.
const quoted = " \t'\"\\;*?[]<>|&!#"

// quote writes text so that split reads it back as one word, or as the rest
// of a word whose quote is already open.
func quote(text string, open byte) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case open == '\'' && c == '\'':
			b.WriteString(`'\''`)
			continue
		case open == '"' && (c == '"' || c == '\\'),
			open == 0 && strings.IndexByte(quoted, c) >= 0:
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

func patterns(words []word) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w.pattern
	}
	return out
}

func texts(words []word) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w.text
	}
	return out
}
