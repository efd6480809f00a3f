package shell

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
)

// historyLines are kept in the file; the rest goes when it is next opened.
const historyLines = 1000

// history is the file of typed lines. Only its owner can read it, and no
// line with a secret gets into it.
type history struct {
	path  string
	lines []string
}

// HistoryPath returns where the lines are kept: below XDG_STATE_HOME, or
// ~/.local/state, or "" where neither is known.
func HistoryPath(getenv func(string) string) string {
	dir := getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) {
		home := getenv("HOME")
		if home == "" {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "ftps", "history")
}

// openHistory reads the file. A file that cannot be read or made is no
// reason not to work: the lines of this session are remembered all the same.
func openHistory(path string) *history {
	h := &history{path: path}
	if path == "" {
		return h
	}
	if os.MkdirAll(filepath.Dir(path), 0o700) != nil {
		h.path = ""
		return h
	}
	// The mode is given at creation: narrowed afterwards, it would have been
	// open for a moment.
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		h.path = ""
		return h
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		h.path = ""
		return h
	} else if info.Mode().Perm()&0o077 != 0 && f.Chmod(0o600) != nil {
		h.path = ""
		return h
	}
	total := 0
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		total++
		if line := strings.TrimSpace(lines.Text()); line != "" && plain(line) {
			h.lines = append(h.lines, line)
		}
	}
	if len(h.lines) > historyLines {
		h.lines = h.lines[len(h.lines)-historyLines:]
	}
	if total > 2*historyLines {
		h.rewrite()
	}
	return h
}

func (h *history) rewrite() {
	f, err := os.CreateTemp(filepath.Dir(h.path), ".history-") // 0600
	if err != nil {
		return
	}
	_, err = f.WriteString(strings.Join(h.lines, "\n") + "\n")
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(f.Name(), h.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
}

// add keeps a line, unless it is the last one again, holds a secret, or
// begins with a blank, which is how a person says not to keep it. It reports
// whether it was kept.
func (h *history) add(line string) bool {
	kept := strings.TrimSpace(line)
	if kept == "" || line[0] == ' ' || !plain(kept) || secret(kept) {
		return false
	}
	if n := len(h.lines); n > 0 && h.lines[n-1] == kept {
		return true
	}
	h.lines = append(h.lines, kept)
	if h.path == "" {
		return true
	}
	f, err := os.OpenFile(h.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return true
	}
	_, _ = f.WriteString(kept + "\n")
	_ = f.Close()
	return true
}

// secret reports whether a line sends a password: "quote PASS x" does.
func secret(line string) bool {
	commands, _ := split(line)
	for _, words := range commands {
		if len(words) < 2 {
			continue
		}
		switch strings.ToLower(strings.TrimLeft(words[0].text, "-@")) {
		case "quote", "literal":
		default:
			continue
		}
		said := strings.ToUpper(strings.Join(texts(words[1:]), " "))
		for _, verb := range []string{"PASS", "ACCT", "SITE PSWD", "SITE PASS", "SITE PASSWD", "ADAT"} {
			if strings.HasPrefix(said, verb) {
				return true
			}
		}
	}
	return false
}
