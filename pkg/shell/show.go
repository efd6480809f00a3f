package shell

import (
	"fmt"
	"strings"

	"github.com/mattn/go-runewidth"

	"ftps/pkg/ftp"
)

// plain reports whether a name can be shown, and typed, as it stands: with
// nothing in it that could steer a terminal.
func plain(s string) bool { return ftp.Sanitise(s) == s }

// columns counts the cells that s takes on a terminal. East Asian ambiguous
// characters count one, whatever the locale.
var columns = (&runewidth.Condition{StrictEmojiNeutral: true}).StringWidth

// shorten cuts s to at most width cells, in the middle, where the end of a
// name tells more than its centre.
func shorten(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	left, right := (width-1)/2, width-1-(width-1)/2
	var head strings.Builder
	used := 0
	for _, r := range s {
		w := columns(string(r))
		if used+w > left {
			break
		}
		head.WriteRune(r)
		used += w
	}
	runes := []rune(s)
	i := len(runes)
	for used = 0; i > 0; i-- {
		w := columns(string(runes[i-1]))
		if used+w > right {
			break
		}
		used += w
	}
	return head.String() + "…" + string(runes[i:])
}

// The colours of a terminal.
const (
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	blue   = "\x1b[34m"
	plainC = "\x1b[0m"
)

// Coloured says whether a stream gets colours: it is a terminal, TERM names
// one that has them, and NO_COLOR (https://no-color.org) is not set.
func Coloured(terminal bool, getenv func(string) string) bool {
	term := getenv("TERM")
	return terminal && getenv("NO_COLOR") == "" && term != "dumb" && term != ""
}

func paint(on bool, colour, s string) string {
	if !on || s == "" {
		return s
	}
	return colour + s + plainC
}

// replyColour is green for what went well, yellow for what may go well
// later, red for what will not, and for 421, which ends the session.
func replyColour(code int) string {
	switch {
	case code >= 500 || code == 421:
		return red
	case code >= 400:
		return yellow
	}
	return green
}

// formatReply writes a reply the way the original program did,
// "226 - Transfer complete", the further lines of a longer one below it.
func formatReply(code int, lines []string, colour bool) string {
	var b strings.Builder
	for i, line := range lines {
		line = strings.TrimSpace(line)
		// Our own server writes the dash itself, for clients that show
		// replies as they come.
		line = strings.TrimPrefix(line, "- ")
		line = ftp.Sanitise(line)
		if i == 0 {
			line = fmt.Sprintf("%03d - %s", code, line)
		} else {
			line = "      " + line
		}
		b.WriteString(paint(colour, replyColour(code), line))
		b.WriteByte('\n')
	}
	return b.String()
}
