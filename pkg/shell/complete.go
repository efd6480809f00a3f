package shell

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"ftps/pkg/ftp"
)

// kind is what an operand of a command is, for completion.
type kind uint8

const (
	nothing kind = iota
	remote
	remoteFolder
	local
	localFolder
	commandName
	bookmarkWord
	bookmarkNames
)

// tabTime is what TAB waits for the server: too short to be felt. What comes
// later is there for the next TAB.
const tabTime = 150 * time.Millisecond

// shownCandidates bounds the list below an ambiguous word.
const shownCandidates = 200

// completer answers the TAB key.
//
// It gives the line editor one extension at most, and prints what there is
// to choose from itself: handed several candidates the editor compares them
// rune by rune past the end of the shorter one, and divides by the number of
// columns, which is 0 for a name wider than the terminal; both end the
// program.
type completer struct {
	session *Session
	above   func(lines string) // writes above the line being typed
	width   func() int
	// patience is what TAB waits for a listing.
	patience time.Duration
}

// candidate is one way to go on.
type candidate struct {
	text   string
	folder bool // goes on with "/", not with a blank
}

// Do implements readline.AutoCompleter.
func (c *completer) Do(line []rune, pos int) ([][]rune, int) {
	extension := c.complete(string(line[:pos]))
	if extension == "" {
		return nil, 0
	}
	return [][]rune{[]rune(extension)}, 0
}

// complete returns what to put behind text, and lists the choice where there
// is nothing to put.
func (c *completer) complete(text string) string {
	commands, _ := split(text)
	words := commands[len(commands)-1]
	last := word{start: len(text), end: len(text)}
	if n := len(words); n > 0 && words[n-1].end == len(text) {
		last, words = words[n-1], words[:n-1]
	}

	found, prefix := c.candidates(words, last.text)
	if len(found) == 0 {
		return ""
	}
	extension := strings.TrimPrefix(commonPrefix(found), prefix)
	if len(found) == 1 {
		extension = quote(extension, last.quote)
		switch {
		case found[0].folder:
			extension += "/"
		case last.quote != 0:
			extension += string(last.quote) + " "
		default:
			extension += " "
		}
		return extension
	}
	if extension == "" {
		c.list(found)
	}
	return quote(extension, last.quote)
}

// candidates returns how a word can go on, and the part of it that they all
// begin with.
func (c *completer) candidates(before []word, typed string) ([]candidate, string) {
	if len(before) == 0 {
		return c.commandNames(typed), typed
	}
	if before[len(before)-1].operator {
		if before[len(before)-1].text == "|" {
			return nil, typed
		}
		folder, base := splitPath(typed, string(filepath.Separator))
		return c.localNames(folder, base, false), base
	}
	row, ok := c.session.find(strings.TrimLeft(before[0].text, "-@"))
	if !ok {
		return nil, typed
	}
	operand, literal := 0, false
	for _, w := range before[1:] {
		switch {
		case w.text == "--" && !literal:
			literal = true
		case !literal && len(w.text) > 1 && w.text[0] == '-':
		default:
			operand++
		}
	}
	if strings.HasPrefix(typed, "-") && !literal {
		return c.optionNames(row, typed), typed
	}
	if len(row.operands) == 0 {
		return nil, typed
	}
	switch what := row.operands[min(operand, len(row.operands)-1)]; what {
	case commandName:
		return c.commandNames(typed), typed
	case bookmarkWord:
		return c.words(slices.Sorted(maps.Keys(bookmarkWords)), typed), typed
	case bookmarkNames:
		list, _ := LoadBookmarks(c.session.Bookmarks)
		var names []string
		for _, b := range list {
			names = append(names, b.Name)
		}
		return c.words(names, typed), typed
	case remote, remoteFolder:
		folder, base := splitPath(typed, "/")
		return c.remoteNames(folder, base, what == remoteFolder), base
	case local, localFolder:
		folder, base := splitPath(typed, string(filepath.Separator))
		return c.localNames(folder, base, what == localFolder), base
	}
	return nil, typed
}

func (c *completer) words(all []string, typed string) []candidate {
	var found []candidate
	for _, word := range all {
		if strings.HasPrefix(word, typed) {
			found = append(found, candidate{text: word})
		}
	}
	return found
}

func splitPath(typed, separator string) (folder, base string) {
	i := strings.LastIndex(typed, separator) + 1
	return typed[:i], typed[i:]
}

func (c *completer) commandNames(typed string) []candidate {
	var found []candidate
	lower := strings.ToLower(typed)
	for _, row := range c.session.commands {
		for _, name := range row.names {
			if strings.HasPrefix(name, lower) {
				// What is typed in capitals goes on in capitals.
				if typed != "" && typed != lower {
					name = typed + strings.ToUpper(name[len(typed):])
				}
				found = append(found, candidate{text: name})
			}
		}
	}
	return found
}

func (c *completer) optionNames(row *command, typed string) []candidate {
	var found []candidate
	for _, o := range row.options {
		if name := o.String(); strings.HasPrefix(name, typed) {
			found = append(found, candidate{text: name})
		}
	}
	return found
}

func (c *completer) remoteNames(folder, base string, foldersOnly bool) []candidate {
	entries, known := c.session.names.get(folder)
	if !known {
		if done := c.session.names.fetch(folder); done != nil {
			select {
			case <-done:
			case <-time.After(c.patience):
			}
		}
		entries, _ = c.session.names.get(folder)
	}
	var found []candidate
	for _, e := range entries {
		if foldersOnly && e.Type != ftp.Dir {
			continue
		}
		if offered(e.Name, base) {
			found = append(found, candidate{e.Name, e.Type == ftp.Dir})
		}
	}
	return found
}

func (c *completer) localNames(folder, base string, foldersOnly bool) []candidate {
	entries, err := os.ReadDir(c.session.localPath(folder))
	if err != nil {
		return nil
	}
	var found []candidate
	for _, e := range entries {
		isFolder := e.IsDir()
		if e.Type()&os.ModeSymlink != 0 {
			info, err := os.Stat(filepath.Join(c.session.localPath(folder), e.Name()))
			isFolder = err == nil && info.IsDir()
		}
		if foldersOnly && !isFolder {
			continue
		}
		if offered(e.Name(), base) {
			found = append(found, candidate{e.Name(), isFolder})
		}
	}
	return found
}

// offered holds for names that go on from base. Names that a terminal would
// not show as they are cannot be typed either, and hidden ones are offered
// only to who has typed the dot.
func offered(name, base string) bool {
	return strings.HasPrefix(name, base) && plain(name) &&
		(base != "" || !strings.HasPrefix(name, "."))
}

// commonPrefix returns the longest beginning of all, in whole characters.
func commonPrefix(all []candidate) string {
	prefix := all[0].text
	for _, c := range all[1:] {
		n := 0
		for n < len(prefix) && n < len(c.text) && prefix[n] == c.text[n] {
			n++
		}
		for n > 0 && n < len(prefix) && !utf8.RuneStart(prefix[n]) {
			n--
		}
		prefix = prefix[:n]
	}
	return prefix
}

// list shows the candidates in columns, none wider than the terminal.
func (c *completer) list(found []candidate) {
	found = slices.Clone(found)
	slices.SortFunc(found, func(a, b candidate) int { return strings.Compare(a.text, b.text) })
	more := max(len(found)-shownCandidates, 0)
	found = found[:len(found)-more]

	width := c.width() - 1
	cells := make([]string, len(found))
	widest := 1
	for i, f := range found {
		name := ftp.Sanitise(f.text)
		if f.folder {
			name += "/"
		}
		cells[i] = shorten(name, width)
		widest = max(widest, columns(cells[i]))
	}
	perLine := max(1, (width+2)/(widest+2))
	rows := (len(cells) + perLine - 1) / perLine
	var b strings.Builder
	for r := range rows {
		for i := r; i < len(cells); i += rows {
			if i > r {
				b.WriteString("  ")
			}
			b.WriteString(paint(c.session.colourOut && found[i].folder, blue, cells[i]))
			if i+rows < len(cells) {
				b.WriteString(strings.Repeat(" ", widest-columns(cells[i])))
			}
		}
		b.WriteByte('\n')
	}
	if more > 0 {
		b.WriteString(c.session.text("shell.complete.more", more) + "\n")
	}
	c.above(b.String())
}
