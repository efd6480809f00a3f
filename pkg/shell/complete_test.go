package shell

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/ftp"
)

// tab plays the TAB key behind text and returns the extension and the list.
func tab(st *stage, text string, width int) (extension, list string) {
	var b strings.Builder
	c := &completer{session: st.Session, above: func(s string) { b.WriteString(s) }, width: func() int { return width }, patience: 30 * time.Second}
	st.names.open()
	defer st.names.shut()
	got, _ := c.Do([]rune(text), len([]rune(text)))
	if len(got) > 1 {
		panic("more than one candidate was handed to the editor")
	}
	if len(got) == 1 {
		extension = string(got[0])
	}
	return extension, b.String()
}

func TestTabGoesOnWithWhatFits(t *testing.T) {
	st := newStage(t)
	for _, p := range []string{"/my file.txt", "/it's", "/日本語.txt", "/.hidden", "/docs/nothing", "/-dash", "/semi;colon", "/ñandú"} {
		st.server.add(p, ftp.File, 1)
	}
	st.server.add("/日本", ftp.Dir, 0)
	st.server.add("/evil\x1b[2J", ftp.File, 1)
	st.server.add("/evil\u202e", ftp.File, 1)
	for name, dir := range map[string]bool{"local file": false, "ldir": true} {
		if dir {
			_ = os.Mkdir(filepath.Join(st.local, name), 0o755)
		} else {
			_ = os.WriteFile(filepath.Join(st.local, name), nil, 0o644)
		}
	}
	for text, want := range map[string]string{
		"desc":              "argar ",
		"DESC":              "ARGAR ",
		"Desc":              "ARGAR ",
		"get he":            "llo.txt ",
		"get do":            "cs/",
		"get docs/not":      "", // notes.txt, nothing
		"get docs/note":     "s.txt ",
		"get docs/n":        "ot",
		"get my":            `\ file.txt `,
		"get 'my":           " file.txt' ",
		`get "my`:           ` file.txt" `,
		`get my\ f`:         "ile.txt ",
		"get it":            `\'s `,
		"get 'it":           `'\''s' `,
		"get sem":           `i\;colon `,
		"get 日":             "本",
		"get ñ":             "andú ",
		"get .":             "hidden ",
		"get evil":          "",
		"get nowhere/x":     "",
		"get x lo":          `cal\ file `,
		"get x ld":          "ir/",
		"put ld":            "ir/",
		"put -r ld":         "ir/",
		"lcd l":             "dir/",
		"cd h":              "",
		"cd d":              "ocs/",
		"cd docs; get he":   "llo.txt ",
		"help lis":          "tar ",
		"ls --j":            "son ",
		"get -- -d":         "ash ",
		"-get he":           "llo.txt ",
		"@-get he":          "llo.txt ",
		"frobnicate he":     "",
		"quote he":          "",
		"quit ":             "",
		`get "my file.txt"`: " ",
	} {
		if got, list := tab(st, text, 80); got != want {
			t.Errorf("%q: got %q, want %q (listed %q)", text, got, want, list)
		}
	}
}

func TestAnAmbiguousWordIsListed(t *testing.T) {
	st := newStage(t, coloured)
	st.server.add("/other", ftp.File, 1)
	extension, list := tab(st, "get ", 80)
	if extension != "" || list != blue+"docs/"+plainC+"      hello.txt  other\n" {
		t.Errorf("got %q, %q", extension, list)
	}
}

func TestTheListFitsTheTerminal(t *testing.T) {
	st := newStage(t)
	for _, width := range []int{20, 40, 80} {
		for i := range 300 {
			st.server.add("/"+strings.Repeat("名", 1+i%60)+string(rune('a'+i%26))+string(rune('a'+i/26)), ftp.File, 1)
		}
		_, list := tab(st, "get ", width)
		for _, line := range lines(list) {
			if w := columns(line); w >= width {
				t.Errorf("a line takes %d of %d columns: %q", w, width, line)
			}
		}
		if !strings.Contains(list, "more\n") {
			t.Error("more than 200 names were listed")
		}
		st.names.clear()
	}
}

func TestTheServerIsAskedOnceUntilSomethingChanges(t *testing.T) {
	st := newStage(t)
	tab(st, "get he", 80)
	tab(st, "get ", 80)
	if st.server.listed != 1 {
		t.Errorf("listed %d times", st.server.listed)
	}
	st.run(t, "mkdir hexagon")
	if got, list := tab(st, "cd he", 80); got != "xagon/" {
		t.Errorf("a new folder is not offered: %q %q", got, list)
	}
	st.run(t, "cd docs")
	if got, _ := tab(st, "get note", 80); got != "s.txt " {
		t.Errorf("the new folder is not listed: %q", got)
	}
	if st.err.Len() > 0 && strings.Contains(st.err.String(), "150") {
		t.Errorf("completion showed replies: %q", st.err.String())
	}
}

func TestTabDoesNotWaitForASlowServer(t *testing.T) {
	st := newStage(t)
	st.server.block = make(chan struct{})
	c := &completer{session: st.Session, above: func(string) {}, width: func() int { return 80 }, patience: time.Millisecond}
	st.names.open()
	if got := c.complete("get he"); got != "" {
		t.Errorf("got %q from nowhere", got)
	}
	// What comes late is there for the next TAB, and was asked for once.
	done := st.names.fetch("")
	close(st.server.block)
	<-done
	if got := c.complete("get he"); got != "llo.txt " || st.server.listed != 1 {
		t.Errorf("got %q after %d listings", got, st.server.listed)
	}
}

func TestACommandHasTheConnectionForItself(t *testing.T) {
	st := newStage(t)
	st.server.block = make(chan struct{}) // for ever
	st.names.open()
	done := st.names.fetch("")
	st.names.shut()
	select {
	case <-done:
	default:
		t.Error("a listing is under way while a command runs")
	}
	if _, known := st.names.get(""); known {
		t.Error("a listing that was broken off was remembered")
	}
	if st.names.fetch("") != nil {
		t.Error("a listing was begun while a command runs")
	}
}

func TestWhatIsKnownOfFoldersIsBoundedAndShortLived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n names
		for i := range 10 * namesFolders {
			n.put(strings.Repeat("x", i), nil)
		}
		if len(n.known) > namesFolders {
			t.Errorf("%d folders", len(n.known))
		}
		n.put("", make([]ftp.Entry, 2*namesMost))
		if got, known := n.get(""); !known || len(got) > namesMost {
			t.Errorf("%d names", len(got))
		}
		time.Sleep(2 * namesLife)
		if _, known := n.get(""); known {
			t.Error("an old listing is trusted")
		}
	})
}

func TestOurOwnWritesAreSeenAtOnceWithoutAsking(t *testing.T) {
	st := newStage(t)
	tab(st, "get he", 80)
	st.run(t, "mkdir hexagon; touch helium; rm hello.txt")
	if got, _ := tab(st, "cd hex", 80); got != "agon/" {
		t.Errorf("the new folder: %q", got)
	}
	if got, _ := tab(st, "get hel", 80); got != "ium " {
		t.Errorf("the new file, without the old one: %q", got)
	}
	if st.server.listed != 1 {
		t.Errorf("listed %d times", st.server.listed)
	}
}

func TestLongNamesAreCutInTheMiddle(t *testing.T) {
	for _, c := range []struct {
		name  string
		width int
		want  string
	}{
		{"short", 10, "short"},
		{"abcdefghij", 5, "ab…ij"},
		{"日本語日本語", 6, "日…語"},
		{"abc", 1, "…"},
		{"abc", 0, ""},
	} {
		if got := shorten(c.name, c.width); got != c.want || columns(got) > c.width {
			t.Errorf("%q in %d: got %q", c.name, c.width, got)
		}
	}
}

func TestTheHistoryIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "ftps", "history")
	h := openHistory(path)
	for _, line := range []string{
		"ls", "ls", "get a", " put secret-plan", "quote PASS hunter2", "literal pass hunter2", "QUOTE pass hunter2", "-@quote acct x",
		`"quote" PASS hunter2`, "cd a; quote PASS hunter2", "quote SITE PSWD old new", "evil\x1b[2J", "quote NOOP",
	} {
		h.add(line)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	want := []string{"ls", "get a", "quote NOOP"}
	if again := openHistory(path); !slices.Equal(again.lines, want) || !slices.Equal(h.lines, want) {
		t.Errorf("got %q, then %q", h.lines, again.lines)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	openHistory(path)
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("an open file stayed open: %v", info.Mode())
	}
}

func TestTheHistoryDoesNotGrowForEver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	if err := os.WriteFile(path, []byte(strings.Repeat("a\nb\n", historyLines+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if h := openHistory(path); len(h.lines) != historyLines {
		t.Errorf("%d lines", len(h.lines))
	}
	text, _ := os.ReadFile(path)
	info, _ := os.Stat(path)
	if n := strings.Count(string(text), "\n"); n != historyLines || info.Mode().Perm() != 0o600 {
		t.Errorf("%d lines in the file, mode %v", n, info.Mode())
	}
}

func TestAHistoryThatCannotBeKeptIsNoHindrance(t *testing.T) {
	for _, path := range []string{"", "/dev/null/history", t.TempDir()} {
		h := openHistory(path)
		if !h.add("ls") || len(h.lines) != 1 {
			t.Errorf("%q: %q", path, h.lines)
		}
	}
}

func TestTheHistoryLiesInTheStateFolder(t *testing.T) {
	for _, c := range []struct{ state, home, want string }{
		{"/state", "/home/d", "/state/ftps/history"},
		{"relative", "/home/d", "/home/d/.local/state/ftps/history"},
		{"", "/home/d", "/home/d/.local/state/ftps/history"},
		{"", "", ""},
	} {
		env := map[string]string{"XDG_STATE_HOME": c.state, "HOME": c.home}
		if got := HistoryPath(func(k string) string { return env[k] }); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}
