package shell

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
	"ftps/pkg/mirror"
)

func TestAResultGoesToAFileOrToALocalCommand(t *testing.T) {
	st := newStage(t, coloured)
	if _, errs, err := st.run(t, "ls > 'a list'; pwd >> 'a list'\nls docs>other"); err != nil {
		t.Fatal(err, errs)
	}
	for name, want := range map[string]string{"a list": "docs\nhello.txt\n/\n", "other": "notes.txt\n"} {
		if text, err := os.ReadFile(filepath.Join(st.local, name)); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	// Behind the bar everything is the local shell's: its quotes and its ";".
	out, errs, err := st.run(t, `ls | tr a-z A-Z; echo "a;  b"`+"\npwd")
	if err != nil || out != "DOCS\nHELLO.TXT\na;  b\n/\n" {
		t.Errorf("got %q %q %v", out, errs, err)
	}
	if _, _, err := st.run(t, "ls | grep -q nothing"); err == nil {
		t.Error("the local command's failure is lost")
	}
	for line, want := range map[string]string{
		"ls >": "wants one file", "ls > a b": "wants one file", "ls |": "wants one file", "> a": "wants one file", "ls > > a": "wants one file",
		"mkdir x > y": "prints nothing", "get a | cat": "prints nothing", "cat nothing > /nowhere/x": "does not exist here",
	} {
		if _, errs, err := st.run(t, line); err == nil || !strings.Contains(errs, want) {
			t.Errorf("%s: got %v, %q", line, err, errs)
		}
	}
	if _, there := st.server.tree["/x"]; there {
		t.Error("a command ran whose result had no place to go")
	}
	if _, errs, err := st.run(t, `mkdir "a>b" c\|d`); err != nil || st.server.tree["/a>b"].Name == "" || st.server.tree["/c|d"].Name == "" {
		t.Errorf("quoted: %v %s", err, errs)
	}
}

func TestALocalCommandThatHasReadEnoughEndsTheOther(t *testing.T) {
	st, _, s := linked(t, 0, hostile.Options{})
	s.Put("/big", bytes.Repeat([]byte("line\n"), 4<<20), time.Now())
	out, errs, err := st.run(t, "cat big | head -n 2\npwd")
	if err != nil || out != "line\nline\n/\n" {
		t.Errorf("got %q %q %v", out, errs, err)
	}
}

func TestHeadAndTailPrintTheEndsOfAFile(t *testing.T) {
	st, _, s := linked(t, 0, hostile.Options{})
	var text strings.Builder
	for i := range 30_000 {
		text.WriteString(strings.Repeat("x", i%7) + "\n")
	}
	s.Put("/many", []byte(text.String()), time.Now())
	s.Put("/open", []byte("one\ntwo\nthree"), time.Now())
	s.Put("/empty", nil, time.Now())
	all := strings.SplitAfter(text.String(), "\n")
	all = all[:len(all)-1]
	for line, want := range map[string]string{
		"head many":             strings.Join(all[:10], ""),
		"head -n 3 many":        strings.Join(all[:3], ""),
		"head -n 0 many":        "",
		"comienzo -n 2 open":    "one\ntwo\n",
		"head open":             "one\ntwo\nthree",
		"tail many":             strings.Join(all[len(all)-10:], ""),
		"tail -n 29000 many":    strings.Join(all[len(all)-29000:], ""),
		"tail -n 99999 many":    text.String(),
		"tail -n 1 open":        "three",
		"tail -n 2 open":        "two\nthree",
		"tail -n 0 open":        "",
		"final empty":           "",
		"tail -n 1 open empty":  "==> open <==\nthree\n==> empty <==\n",
		"head -n 1 empty open":  "==> empty <==\n\n==> open <==\none\n",
		"head many | tail -n 1": all[9],
	} {
		if out, errs, err := st.run(t, line); err != nil || out != want {
			t.Errorf("%s: got %d bytes %.40q, %v %s", line, len(out), out, err, errs)
		}
	}
	for _, line := range []string{"head -n x many", "tail -f many open"} {
		if _, _, err := st.run(t, line); ftpclient.Class(err) != ftpclient.Usage {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// growing is a file that grows, and what was printed of it.
type growing struct {
	Server
	Files
	mu            sync.Mutex
	text, printed string
}

func (g *growing) Stat(context.Context, string) (ftp.Entry, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return ftp.Entry{Name: "log", Type: ftp.File, Size: int64(len(g.text))}, nil
}

func (g *growing) Read(_ context.Context, _ string, offset int64, out io.Writer) error {
	g.mu.Lock()
	text := g.text[offset:]
	g.mu.Unlock()
	_, err := io.WriteString(out, text)
	return err
}

func (g *growing) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.printed += string(b)
	return len(b), nil
}

func TestTailFollowsAFileUntilItIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t)
		file := &growing{Server: st.Server, text: "first\n"}
		st.Server, st.Files, st.Out, st.Err = file, file, file, file
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- st.Command(ctx, []string{"tail", "-f", "log"}) }()
		becomes := func(text, want string) {
			t.Helper()
			file.mu.Lock()
			file.text = text
			file.mu.Unlock()
			time.Sleep(3 * tailPause)
			synctest.Wait()
			file.mu.Lock()
			defer file.mu.Unlock()
			if file.printed != want {
				t.Errorf("got %q, want %q", file.printed, want)
			}
			file.printed = ""
		}
		becomes("first\n", "first\n")
		becomes("first\nsecond\n", "second\n")
		becomes("first\nsecond\n", "")
		becomes("new\n", "ftps: log became shorter; it is shown from its beginning\nnew\n")
		cancel()
		if err := <-ended; ftpclient.Class(err) != ftpclient.Interrupted {
			t.Errorf("got %v", err)
		}
	})
}

func TestTouchMakesAFileOrSetsItsTime(t *testing.T) {
	st, _, s := linked(t, 0, hostile.Options{})
	if _, errs, err := st.run(t, "touch new docs/notes.txt"); err != nil {
		t.Fatal(err, errs)
	}
	if f, ok := s.File("/new"); !ok || len(f.Data) != 0 {
		t.Errorf("new: %v %q", ok, f.Data)
	}
	if f, _ := s.File("/docs/notes.txt"); string(f.Data) != "notes" || time.Since(f.Time) > time.Hour {
		t.Errorf("notes.txt: %q of %v", f.Data, f.Time)
	}
}

func TestTreeDrawsWhatIsBelow(t *testing.T) {
	st := newStage(t)
	st.server.add("/docs/deep", ftp.Dir, 0)
	st.server.add("/docs/deep/x\x1b", ftp.File, 1)
	out, errs, err := st.run(t, "tree; árbol docs")
	want := ".\n├── docs\n│   ├── deep\n│   │   └── x\\x1b\n│   └── notes.txt\n└── hello.txt\n" +
		"docs\n├── deep\n│   └── x\\x1b\n└── notes.txt\n"
	if err != nil || out != want {
		t.Errorf("got %v %s\n%s", err, errs, out)
	}
}

func TestPatternsStandForNamesOnTheServer(t *testing.T) {
	st := newStage(t)
	for _, p := range []string{"/a1.txt", "/a2.txt", "/b1.txt", "/.hidden.txt", "/star*.txt", "/my file.txt", "/docs/a9.txt"} {
		st.server.add(p, ftp.File, 1)
	}
	for line, want := range map[string][]string{
		"mget a*.txt":             {"/a1.txt", "/a2.txt"},
		"MGET ?1.txt":             {"/a1.txt", "/b1.txt"},
		"mget b* a[12].txt":       {"/b1.txt", "/a1.txt", "/a2.txt"},
		"mget d*/a*":              {"/docs/a9.txt"},
		"mget /docs/n*":           {"/docs/notes.txt"},
		"mget 'star*.txt'":        {"/star*.txt"},
		`mget star\*.txt`:         {"/star*.txt"},
		"mget my\\ *":             {"/my file.txt"},
		`mget "my file"*`:         {"/my file.txt"},
		"mget .h*":                {"/.hidden.txt"},
		"mget hello.txt":          {"/hello.txt"},
		"mget -r docs":            {"/docs"},
		"mdescargar -O /tmp b*":   {"/b1.txt"},
		"mget *1.txt; mget b*txt": {"/a1.txt", "/b1.txt", "/b1.txt"},
	} {
		st.mover.got = nil
		_, errs, err := st.run(t, line)
		var got []string
		for _, m := range st.mover.got {
			got = append(got, m.from)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v %s", line, got, err, errs)
		}
	}
	for line, class := range map[string]ftpclient.ClassCode{
		"mget nothing*": ftpclient.NotFound, "mget a* nothing*": ftpclient.NotFound, "mget [": ftpclient.Usage, "mget": ftpclient.Usage,
		"mget " + strings.Repeat("*a", maxPattern): ftpclient.Usage,
	} {
		st.mover.got = nil
		if _, _, err := st.run(t, line); ftpclient.Class(err) != class || st.mover.got != nil {
			t.Errorf("%.40s: %v, %v", line, err, st.mover.got)
		}
	}
	// A name that was not understood may be one that was meant.
	st.server.bad = []error{&ftpclient.UnknownLineError{Line: "??"}}
	if _, _, err := st.run(t, "mget a*"); err == nil {
		t.Error("a gap in the listing passes for nothing")
	}
}

func TestPatternsStandForNamesHere(t *testing.T) {
	st := newStage(t)
	if err := os.MkdirAll(filepath.Join(st.local, "sub [x]"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a1", "a2", "b*", ".h", "sub [x]/a3"} {
		if err := os.WriteFile(filepath.Join(st.local, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for line, want := range map[string][]string{
		"mput a*":          {"a1", "a2"},
		"mput *":           {"a1", "a2", "b*", "sub [x]"},
		"mput 'b*' a1":     {"b*", "a1"},
		"mput sub*/a*":     {"sub [x]/a3"},
		"mput .h":          {".h"},
		"msubir */a* a?":   {"sub [x]/a3", "a1", "a2"},
		"lcd sub*; mput x": nil,
	} {
		st.mover.put = nil
		_, _, err := st.run(t, line)
		var got []string
		for _, m := range st.mover.put {
			name, _ := filepath.Rel(st.local, m.from)
			got = append(got, name)
		}
		if (err != nil) != (want == nil) || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v", line, got, err)
		}
	}
	// Wildcards in the name of the local folder are none.
	st.mover.put = nil
	if _, errs, err := st.run(t, "lcd 'sub [x]'; mput a*"); err != nil || len(st.mover.put) != 1 {
		t.Errorf("got %v, %v %s", st.mover.put, err, errs)
	}
}

func TestSomeFilesMoveBothWays(t *testing.T) {
	st, _, s := linked(t, 0, hostile.Options{})
	s.Put("/docs/sub/deep.txt", []byte("deep"), time.Now())
	s.Put("/other/notes.txt", []byte("other notes"), time.Now())
	if _, errs, err := st.run(t, "mget -r docs/* hello*; lpwd"); ftpclient.Class(err) != ftpclient.NotFound {
		t.Errorf("got %v %s", err, errs)
	}
	if _, errs, err := st.run(t, "mget -r docs/*"); err != nil {
		t.Fatal(err, errs)
	}
	if _, errs, err := st.run(t, "mget docs/*.txt"); err != nil || strings.Contains(st.Dialogue.out.(*bytes.Buffer).String(), "150 - ") {
		t.Errorf("got %v %s, with each file's replies: %s", err, errs, st.Dialogue.out)
	}
	for name, want := range map[string]string{"notes.txt": "notes", "sub/deep.txt": "deep"} {
		if text, err := os.ReadFile(filepath.Join(st.local, name)); err != nil || string(text) != want {
			t.Errorf("%s: %.20q, %v", name, text, err)
		}
	}
	// Two of one name: the first is here, and the second is told.
	if _, errs, err := st.run(t, "mget */notes.txt"); ftpclient.Class(err) != ftpclient.SomeFailed || !strings.Contains(errs, "/other/notes.txt") {
		t.Errorf("got %v %s", err, errs)
	}
	if text, _ := os.ReadFile(filepath.Join(st.local, "notes.txt")); string(text) != "notes" {
		t.Errorf("the first was overwritten by %q", text)
	}
	if _, errs, err := st.run(t, "mkdir back; mput -r -O back *.txt sub"); err != nil {
		t.Fatal(err, errs)
	}
	for name, want := range map[string]string{"/back/notes.txt": "notes", "/back/sub/deep.txt": "deep"} {
		if f, ok := s.File(name); !ok || string(f.Data) != want {
			t.Errorf("%s: %v %.20q", name, ok, f.Data)
		}
	}
}

// edited is a session whose editor is a line of shell.
func edited(t *testing.T, editor string, o hostile.Options) (*stage, *hostile.Server) {
	st, _, s := linked(t, 0, o)
	st.Editor = editor
	t.Setenv("TMPDIR", t.TempDir())
	return st, s
}

// left are the copies that edit has kept.
func left(t *testing.T) []string {
	found, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "ftps-edit-*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAnEditedFileGoesBack(t *testing.T) {
	st, s := edited(t, "printf ' and more' >>", hostile.Options{})
	if _, errs, err := st.run(t, "edit docs/notes.txt; editar 'new; file'"); err != nil {
		t.Fatal(err, errs)
	}
	for name, want := range map[string]string{"/docs/notes.txt": "notes and more", "/new; file": " and more"} {
		if f, _ := s.File(name); string(f.Data) != want {
			t.Errorf("%s: %q", name, f.Data)
		}
	}
	if kept := left(t); kept != nil {
		t.Errorf("left behind: %q", kept)
	}
}

func TestAnUnchangedFileIsNotSent(t *testing.T) {
	st, s := edited(t, "true", hostile.Options{})
	if _, errs, err := st.run(t, "edit docs/notes.txt; edit new"); err != nil || s.Count("STOR") != 0 || strings.Count(errs, "nothing is sent") != 2 {
		t.Errorf("got %v, %q", err, errs)
	}
	if kept := left(t); kept != nil {
		t.Errorf("left behind: %q", kept)
	}
}

func TestAnEditThatCannotGoBackIsKept(t *testing.T) {
	var asked atomic.Int32
	for what, o := range map[string]hostile.Options{
		"changed there meanwhile": {},
		"the server is gone": {Hooks: hooks{"MLST": func(c *hostile.Session, _ string) bool {
			if asked.Add(1) > 1 {
				c.Hangup()
				return true
			}
			return false
		}}},
		"the upload is refused": {Hooks: hooks{"STOR": func(c *hostile.Session, _ string) bool { c.Reply(552, "quota"); return true }}},
		"the editor fails":      {},
	} {
		editor := "printf mine >"
		if what == "the editor fails" {
			editor = "f() { printf mine > \"$1\"; return 3; }; f"
		}
		st, s := edited(t, editor, o)
		if what == "changed there meanwhile" {
			var looks int
			st.Server = &meddled{Server: st.Server, meddle: func() {
				if looks++; looks == 2 {
					s.Put("/docs/notes.txt", []byte("theirs"), time.Now())
				}
			}}
		}
		_, errs, err := st.run(t, "edit docs/notes.txt")
		kept := left(t)
		if err == nil || len(kept) != 1 || !strings.Contains(errs, "your copy is in "+kept[0]) {
			t.Fatalf("%s: %v, %q, kept %q", what, err, errs, kept)
		}
		if text, _ := os.ReadFile(kept[0]); string(text) != "mine" {
			t.Errorf("%s: kept %q", what, text)
		}
		if info, _ := os.Stat(kept[0]); info.Mode().Perm() != 0o600 {
			t.Errorf("%s: anybody may read the copy: %v", what, info.Mode())
		}
		if f, _ := s.File("/docs/notes.txt"); string(f.Data) == "mine" {
			t.Errorf("%s: it went back", what)
		}
	}
}

// meddled is a server on which somebody else is at work too.
type meddled struct {
	Server
	meddle func()
}

func (m *meddled) Stat(ctx context.Context, name string) (ftp.Entry, error) {
	m.meddle()
	return m.Server.Stat(ctx, name)
}

func TestBookmarksKeepServerAccountPinAndFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config", "bookmarks.json")
	st, _, s := linked(t, 0, hostile.Options{})
	st.Bookmarks = path
	if out, errs, err := st.run(t, "bookmark; cd docs; bookmark add work; marcador agregar home; bookmark quitar home; bookmark"); err != nil || out != "work  "+st.User+"@"+st.Target.Address()+"/docs\n" {
		t.Fatalf("got %q, %v %s", out, err, errs)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	list, err := LoadBookmarks(path)
	if err != nil || len(list) != 1 || !strings.HasPrefix(list[0].Pin, "sha256//") || list[0].Folder != "/docs" {
		t.Errorf("got %+v, %v", list, err)
	}
	if text, _ := os.ReadFile(path); strings.Contains(string(text), hostile.Password) {
		t.Error("the password is in the file")
	}
	if out, errs, err := st.run(t, "cd /; bookmark use work; pwd"); err != nil || out != "/docs\n" || s.Count("USER") != 1 {
		t.Errorf("got %q, %v %s", out, err, errs)
	}
	for line, class := range map[string]ftpclient.ClassCode{
		"bookmark use nowhere": ftpclient.Usage, "bookmark frobnicate": ftpclient.Usage, "bookmark add a/b": ftpclient.Usage,
		"bookmark add -- -x": ftpclient.Usage, "bookmark add": ftpclient.Usage,
	} {
		if _, _, err := st.run(t, line); ftpclient.Class(err) != class {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, broken := range []string{"{", `[{"name":"a","passwort":"x"}]`, `[{"name":"a b","host":"h","port":1,"user":"u"}]`, `[{"name":"a","host":"h/../x","port":1,"user":"u"}]`} {
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, errs, err := st.run(t, "bookmark"); err == nil || !strings.Contains(errs, path) {
			t.Errorf("%s: %v %q", broken, err, errs)
		}
	}
}

func TestABookmarkOfAnotherServerLeadsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bookmarks.json")
	st, _, _ := linked(t, 0, hostile.Options{})
	st.Bookmarks = path
	if err := saveBookmarks(path, []Bookmark{{Name: "far", Host: "elsewhere.example", Port: 21, User: "ana", Folder: "/docs"}}); err != nil {
		t.Fatal(err)
	}
	st.Go = func(context.Context, Bookmark) (string, error) { return "", errors.New("no way") }
	if _, _, err := st.run(t, "bookmark use far"); err == nil || st.Host == "elsewhere.example" {
		t.Errorf("got %v on %s", err, st.Host)
	}
	var gone Bookmark
	st.Go = func(_ context.Context, b Bookmark) (string, error) { gone = b; return b.User, nil }
	if _, errs, err := st.run(t, "bookmark use far"); err != nil || gone.Host != "elsewhere.example" || st.Host != "elsewhere.example" || st.User != "ana" {
		t.Errorf("got %v %s, %+v", err, errs, gone)
	}
}

func TestAFolderWithoutTheSwitchIsAMistakeInTheLine(t *testing.T) {
	if ftpclient.Class(mirror.ErrIsFolder) != ftpclient.Usage {
		t.Error("not a mistake in the line")
	}
}
