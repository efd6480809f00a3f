package shell

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ftps/pkg/catalog"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

func spanish(o *Options) { o.Lang = catalog.Spanish }

func coloured(o *Options) { o.ColourOut, o.ColourErr = true, true }

func TestTheOriginalsSessionInSpanish(t *testing.T) {
	st := newStage(t, spanish, coloured)
	for _, step := range []struct{ line, out, errs string }{
		{"listar", blue + "docs" + plainC + "\nhello.txt\n",
			green + "150 - Preparado para recibir datos" + plainC + "\n" + green + "226 - Transferencia completada" + plainC + "\n"},
		{"cd ..", "", red + "550 - Acceso denegado" + plainC + "\n"},
		{"cd hello.txt", "", red + "550 - No es directorio" + plainC + "\n"},
		{"cd docs", "", green + "250 - Directorio cambiado correctamente" + plainC + "\n"},
		{"LISTAR", "notes.txt\n",
			green + "150 - Preparado para recibir datos" + plainC + "\n" + green + "226 - Transferencia completada" + plainC + "\n"},
		{"SALIR", "", green + "221 - Cerrando conexión" + plainC + "\n"},
	} {
		out, errs, _ := st.run(t, step.line)
		if out != step.out || errs != step.errs {
			t.Errorf("%s: got\n%q\n%q\nwant\n%q\n%q", step.line, out, errs, step.out, step.errs)
		}
	}
	if !st.server.left {
		t.Error("SALIR did not leave")
	}
}

func TestRepliesAreColouredByTheirCode(t *testing.T) {
	for code, want := range map[int]string{
		150: green, 226: green, 331: green, 399: green, 421: red, 425: yellow, 450: yellow, 500: red, 550: red,
	} {
		got := formatReply(code, []string{"text"}, true)
		if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, plainC+"\n") {
			t.Errorf("%d: %q", code, got)
		}
	}
	if got := formatReply(550, []string{"text"}, false); got != "550 - text\n" {
		t.Errorf("without colour: %q", got)
	}
}

func TestAReplyOfSeveralLinesStaysReadable(t *testing.T) {
	got := formatReply(214, []string{"- first", " second", "end"}, false)
	if want := "214 - first\n      second\n      end\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestWhatAServerSaysCannotSteerTheTerminal(t *testing.T) {
	if got := formatReply(220, []string{"\x1b]0;owned\x07 \u202ehi"}, false); strings.ContainsAny(got, "\x1b\x07\u202e") {
		t.Errorf("got %q", got)
	}
	st := newStage(t)
	st.server.add("/evil\x1b[2J\u202etxt", ftp.Dir, 0)
	st.server.bad = []error{&ftpclient.UnknownLineError{Line: "\x1b[31m?"}, &ftpclient.NameError{Name: "../\x07", FromServer: true}}
	for _, line := range []string{"ls", "ls -l", "stat evil*", "cd \x1b[H", "\x1b[H", "ls -\x1b"} {
		out, errs, _ := st.run(t, line)
		if strings.ContainsAny(out+errs, "\x1b\x07\u202e") {
			t.Errorf("%q: got %q %q", line, out, errs)
		}
	}
}

func TestColourNeedsATerminalThatHasIt(t *testing.T) {
	for _, c := range []struct {
		terminal      bool
		term, noColor string
		want          bool
	}{
		{true, "xterm-256color", "", true},
		{false, "xterm-256color", "", false},
		{true, "dumb", "", false},
		{true, "", "", false},
		{true, "xterm", "1", false},
	} {
		env := map[string]string{"TERM": c.term, "NO_COLOR": c.noColor}
		if got := Coloured(c.terminal, func(k string) string { return env[k] }); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

func TestPlumbingIsShownOnlyWhenVerbose(t *testing.T) {
	for _, verbose := range []bool{false, true} {
		var b strings.Builder
		d := NewDialogue(&b, false, verbose)
		d.Reply(ftp.Reply{Code: 220, Lines: []string{"- Bienvenido al servidor FTP"}})
		for _, step := range []struct {
			line string
			code int
		}{{"AUTH TLS", 234}, {"PASV", 227}, {"SIZE a", 550}, {"RETR a", 150}, {"", 226}} {
			if step.line != "" {
				d.Trace(true, step.line)
			}
			d.Reply(ftp.Reply{Code: step.code, Lines: []string{"ok"}})
		}
		want := "220 - Bienvenido al servidor FTP\n150 - ok\n226 - ok\n"
		if verbose {
			want = "220 - Bienvenido al servidor FTP\n> AUTH TLS\n234 - ok\n> PASV\n227 - ok\n> SIZE a\n550 - ok\n> RETR a\n150 - ok\n226 - ok\n"
		}
		if b.String() != want {
			t.Errorf("verbose %v: got\n%s", verbose, b.String())
		}
	}
}

func TestA421IsAlwaysShown(t *testing.T) {
	var b strings.Builder
	d := NewDialogue(&b, false, false)
	d.Trace(true, "NOOP")
	defer d.hush()()
	d.Reply(ftp.Reply{Code: 421, Lines: []string{"- Expulsado"}})
	if b.String() != "421 - Expulsado\n" {
		t.Errorf("got %q", b.String())
	}
}

func TestLongListingsGiveTypeSizeAndTime(t *testing.T) {
	st := newStage(t)
	st.server.add("/zero", ftp.File, 0)
	st.server.tree["/unknown"] = ftp.Entry{Name: "unknown", Type: ftp.Other, Size: -1}
	out, _, err := st.run(t, "ls -la")
	if err != nil {
		t.Fatal(err)
	}
	when := local16(st.server.tree["/docs"].ModTime)
	want := []string{
		"d              -  " + when + "  docs",
		"-              5  " + when + "  hello.txt",
		"?              -  -                 unknown",
		"-              0  " + when + "  zero",
	}
	if got := lines(out); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", out, strings.Join(want, "\n"))
	}
}

func TestJSONListsOneObjectAnEntry(t *testing.T) {
	for _, line := range []string{"ls --json", "ls"} {
		st := newStage(t, func(o *Options) { o.JSON = line == "ls" })
		st.server.add("/a\"b\n<c>", ftp.File, 1)
		out, _, err := st.run(t, line)
		if err != nil {
			t.Fatal(err)
		}
		want := `{"name":"a\"b\n<c>","type":"file","size":1,"modified":"2026-01-02T03:04:05Z"}
{"name":"docs","type":"dir","modified":"2026-01-02T03:04:05Z"}
{"name":"hello.txt","type":"file","size":5,"modified":"2026-01-02T03:04:05Z"}
`
		if out != want {
			t.Errorf("%s: got\n%s", line, out)
		}
	}
}

func TestWithJSONEveryLineOfTheOutputIsAnObject(t *testing.T) {
	st := newStage(t, func(o *Options) { o.JSON = true })
	st.mover.play = func(w Watcher) {
		w.Planned(1, 5)
		w.Started("hello.txt", 5, 0)
		w.Moved("hello.txt", 5)
		w.Done(FileDone{Name: "hello.txt", Bytes: 5})
	}
	out, _, err := st.run(t, "cd docs\nls\npwd\nmkdir x\nstat x\nget notes.txt\nquote HI\ncd nowhere")
	if err == nil {
		t.Fatal("no error for a folder that is not there")
	}
	var last map[string]any
	for _, line := range lines(out) {
		last = nil
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	if last["event"] != "error" || last["exit"] != float64(6) && last["exit"] != float64(1) {
		t.Errorf("the last object is %v", last)
	}
}

func TestOneFileMayBeListedToo(t *testing.T) {
	st := newStage(t)
	out, _, err := st.run(t, "@ls docs/notes.txt")
	if err != nil || out != "docs/notes.txt\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestAListingWithGapsIsNotASuccess(t *testing.T) {
	st := newStage(t)
	st.server.bad = []error{&ftpclient.UnknownLineError{Line: "??"}}
	out, errs, err := st.run(t, "ls")
	if ftpclient.Class(err) != ftpclient.SomeFailed {
		t.Errorf("class %d of %v", ftpclient.Class(err), err)
	}
	if !strings.Contains(out, "hello.txt") || !strings.Contains(errs, "??") {
		t.Errorf("got %q %q", out, errs)
	}
}

func TestNamesOfCommandsAreTakenInBothLanguagesAndAnyCase(t *testing.T) {
	st := newStage(t)
	for _, name := range []string{
		"listar", "ls", "cd", "subir", "put", "descargar", "get", "salir", "quit", "exit", "bye", "ayuda", "help",
		"pwd", "lcd", "lpwd", "lls", "mkdir", "rmdir", "rm", "mv", "cat", "stat", "quote", "status", "history",
	} {
		for _, spelt := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:]} {
			if _, ok := st.find(spelt); !ok {
				t.Errorf("no command %q", spelt)
			}
		}
	}
}

func TestEveryCommandAndOptionHasItsSentences(t *testing.T) {
	for _, c := range table() {
		keys := []string{"shell.help." + c.names[0], "shell.args." + c.names[0]}
		for _, o := range c.options {
			keys = append(keys, "shell.option."+c.names[0]+"."+o.key())
		}
		for _, key := range keys {
			if !has(key) {
				t.Errorf("no row %s", key)
			}
		}
	}
}

func TestHelpIsReadFromTheTable(t *testing.T) {
	for lang, want := range map[catalog.Lang]string{
		catalog.English: "ls | listar [-l] [--json] [PATH]",
		catalog.Spanish: "ls | listar [-l] [--json] [RUTA]",
	} {
		st := newStage(t, func(o *Options) { o.Lang = lang })
		out, _, err := st.run(t, "ayuda")
		if err != nil || !strings.HasPrefix(out, want) || len(lines(out)) != len(table())+1 {
			t.Errorf("%v: got %v\n%s", lang, err, out)
		}
		out, _, err = st.run(t, "help LISTAR; ls --help")
		if err != nil || strings.Count(out, want+"\n") != 2 || !strings.Contains(out, "  -l ") {
			t.Errorf("%v: got %v\n%s", lang, err, out)
		}
	}
}

func TestWrongLinesSayWhatIsRight(t *testing.T) {
	st := newStage(t)
	for line, want := range map[string]string{
		"lsitar":         "ftps: unknown command: lsitar\ndid you mean \"listar\"?\n",
		"frobnicate":     "ftps: unknown command: frobnicate\n\"help\" lists the commands\n",
		"cd":             "ftps: cd needs more words\nusage: cd FOLDER\n",
		"cd my folder":   "ftps: folder is one word too many for cd; names with blanks go between quotes\nusage: cd FOLDER\n",
		"get -x a":       "ftps: unknown option -x for get\nusage: get | descargar [-r] [-c] REMOTE [LOCAL]\n",
		"get --long a":   "ftps: unknown option --long for get\nusage: get | descargar [-r] [-c] REMOTE [LOCAL]\n",
		"ls -l \"a":      "ftps: a quote was opened and not closed\na backslash makes a quote an ordinary character\n",
		"help frobnicat": "ftps: unknown command: frobnicat\n\"help\" lists the commands\n",
	} {
		_, errs, err := st.run(t, line)
		if errs != want || ftpclient.Class(err) != ftpclient.Usage {
			t.Errorf("%s: class %d\n%s", line, ftpclient.Class(err), errs)
		}
	}
}

func TestOptionsMayStandAnywhereBeforeTheTwoDashes(t *testing.T) {
	st := newStage(t)
	_, _, err := st.run(t, "get docs -rc here\nget -- -r\nquote -- -x --help")
	if err != nil {
		t.Fatal(err)
	}
	want := []Move{
		{"docs", filepath.Join(st.local, "here"), true, true},
		{"-r", filepath.Join(st.local, "-r"), false, false},
	}
	if !slices.Equal(st.mover.got, want) {
		t.Errorf("got %+v", st.mover.got)
	}
	if !slices.Equal(st.server.quoted, []string{"-- -x --help"}) {
		t.Errorf("quoted %q", st.server.quoted)
	}
}

func TestFilesArePlacedAsCpDoes(t *testing.T) {
	st := newStage(t)
	here := st.local
	for _, d := range []string{"dir", "tree"} {
		if err := os.Mkdir(filepath.Join(here, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(here, "f"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	in := func(p string) string { return filepath.Join(here, p) }
	for line, want := range map[string]Move{
		"get a/x.txt":       {"a/x.txt", in("x.txt"), false, false},
		"get x.txt new":     {"x.txt", in("new"), false, false},
		"get x.txt dir":     {"x.txt", in("dir/x.txt"), false, false},
		"get x.txt dir/y":   {"x.txt", in("dir/y"), false, false},
		"get x.txt f":       {"x.txt", in("f"), false, false},
		"get -r docs":       {"docs", in("docs"), true, false},
		"get -r docs/":      {"docs/", in("docs"), true, false},
		"get -r docs dir":   {"docs", in("dir/docs"), true, false},
		"get -r docs other": {"docs", in("other"), true, false},
		"get -r . other":    {".", in("other"), true, false},
		"get -r / dir":      {"/", in("dir"), true, false},
		"get -r ../.. dir":  {"../..", in("dir"), true, false},
	} {
		st.mover.got = nil
		if _, errs, err := st.run(t, line); err != nil || len(st.mover.got) != 1 || st.mover.got[0] != want {
			t.Errorf("%s: got %+v, %v %s", line, st.mover.got, err, errs)
		}
	}
	for line, want := range map[string]Move{
		"put f":                {in("f"), "f", false, false},
		"put f new":            {in("f"), "new", false, false},
		"put f docs":           {in("f"), "docs/f", false, false},
		"put f docs/":          {in("f"), "docs/f", false, false},
		"put f docs/n":         {in("f"), "docs/n", false, false},
		"put -r tree":          {in("tree"), "tree", true, false},
		"put -r tree/ docs":    {in("tree"), "docs/tree", true, false},
		"put -r tree other":    {in("tree"), "other", true, false},
		"put -r . other":       {here, "other", true, false},
		"put -r .":             {here, ".", true, false},
		"subir -c f hello.txt": {in("f"), "hello.txt", false, true},
	} {
		st.mover.put = nil
		if _, errs, err := st.run(t, line); err != nil || len(st.mover.put) != 1 || st.mover.put[0] != want {
			t.Errorf("%s: got %+v, %v %s", line, st.mover.put, err, errs)
		}
	}
	for line, class := range map[string]ftpclient.ClassCode{
		"get x.txt nowhere/": ftpclient.NotFound,
		"get x.txt f/":       ftpclient.Other,
		"put nothing":        ftpclient.NotFound,
		"put tree":           ftpclient.Usage,
		"put f hello.txt/":   ftpclient.Other,
		"put f nowhere/":     ftpclient.NotFound,
	} {
		st.mover.got, st.mover.put = nil, nil
		if _, errs, err := st.run(t, line); ftpclient.Class(err) != class || len(st.mover.got)+len(st.mover.put) > 0 {
			t.Errorf("%s: class %d, moved %v %v: %s", line, ftpclient.Class(err), st.mover.got, st.mover.put, errs)
		}
	}
}

func TestMvMovesIntoAFolder(t *testing.T) {
	st := newStage(t)
	if _, errs, err := st.run(t, "mv hello.txt docs\nmv docs/hello.txt docs/new.txt"); err != nil {
		t.Fatal(err, errs)
	}
	if _, ok := st.server.tree["/docs/new.txt"]; !ok {
		t.Errorf("the tree is %v", st.server.tree)
	}
}

func TestAScriptStopsAtTheFirstFailure(t *testing.T) {
	st := newStage(t)
	_, errs, err := st.run(t, "# a remark\n\nmkdir one\ncd nowhere\nmkdir two\n")
	if err == nil || errs != "257 - made\n550 - No existe\n" {
		t.Errorf("got %v\n%s", err, errs)
	}
	if _, ok := st.server.tree["/two"]; ok {
		t.Error("the script went on")
	}
}

func TestAMarkedLineOfAScriptGoesOnOrIsQuiet(t *testing.T) {
	for script, want := range map[string]string{
		"-cd nowhere; mkdir two":   "550 - No existe\n257 - made\n",
		"@mkdir one; mkdir two":    "257 - made\n",
		"-@cd nowhere; mkdir two":  "257 - made\n",
		"@-cd nowhere\n@mkdir two": "",
		"- cd nowhere; mkdir two":  "550 - No existe\n257 - made\n",
		"-; @; mkdir two":          "257 - made\n",
	} {
		st := newStage(t)
		_, errs, err := st.run(t, script)
		if err != nil || errs != want {
			t.Errorf("%q: got %v\n%s", script, err, errs)
		}
		if _, ok := st.server.tree["/two"]; !ok {
			t.Errorf("%q stopped", script)
		}
	}
	st := newStage(t)
	if _, errs, err := st.run(t, "@cd nowhere; mkdir two"); err == nil || errs != "550 - No existe\n" {
		t.Errorf("a quiet failure gave %v, %q", err, errs)
	}
}

func TestAScriptEndsWhenTheConnectionDoes(t *testing.T) {
	st := newStage(t)
	st.server.lost = true
	if _, _, err := st.run(t, "-cd nowhere; mkdir two"); err == nil {
		t.Error("the script went on without a connection")
	}
}

func TestQuitEndsTheScript(t *testing.T) {
	st := newStage(t)
	if _, _, err := st.run(t, "exit; mkdir two\nmkdir three"); err != nil || len(st.server.tree) != 4 {
		t.Errorf("got %v, %v", err, st.server.tree)
	}
}

func TestACommandsWordsAreNotCutAgain(t *testing.T) {
	st := newStage(t)
	if err := st.Command(context.Background(), []string{"mkdir", "a b;c"}); err != nil {
		t.Fatal(err)
	}
	if _, ok := st.server.tree["/a b;c"]; !ok {
		t.Errorf("the tree is %v", st.server.tree)
	}
}

func TestARefusalIsShownOnceAlsoFromTheDepths(t *testing.T) {
	st := newStage(t)
	// CWD's reply is shown as it comes; MLST is plumbing, and the reply is
	// shown because the command failed with it.
	for line, want := range map[string]string{
		"cd nowhere":   "550 - No existe\n",
		"stat nowhere": "550 - Not found\n",
		"quote NO":     "500 - said NO\n",
		"quote SITE x": "200 - said SITE x\n",
	} {
		if _, errs, _ := st.run(t, line); errs != want {
			t.Errorf("%s: got %q", line, errs)
		}
	}
}

func TestAnInterruptEndsACommandAndIsSaid(t *testing.T) {
	st := newStage(t)
	st.server.block = make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := st.Command(ctx, []string{"ls"})
	if ftpclient.Class(err) != ftpclient.Interrupted || st.err.String() != "ftps: interrupted\n" {
		t.Errorf("got %v, %q", err, st.err.String())
	}
}

func TestTransfersTellALineAFile(t *testing.T) {
	st := newStage(t)
	st.mover.play = func(w Watcher) {
		w.Planned(3, 3<<20)
		w.Started("a", 1<<20, 0)
		w.Moved("a", 1<<20)
		w.Done(FileDone{Name: "a", Bytes: 1 << 20, Took: 1e9})
		w.Done(FileDone{Name: "b\x1b", Err: &ftpclient.NotFoundError{Name: "b\x1b"}})
		w.Done(FileDone{Name: "c", Bytes: 512, Offset: 512, Took: 1e9})
		w.Done(FileDone{Name: "d", Skipped: true})
	}
	st.mover.err = errors.New("some failed")
	_, errs, err := st.run(t, "get -r docs")
	if err == nil {
		t.Error("a failure was lost")
	}
	got := lines(errs)
	if len(got) != 6 || got[0] != "a: 1.0 MiB, 1.0 MiB/s" || !strings.HasPrefix(got[1], `b\x1b: `) ||
		got[2] != "c: 512 B, 512 B/s, continued at 512 B" || got[3] != "d: already there" || got[4] != "4 files, 1.0 MiB" {
		t.Errorf("got\n%s", errs)
	}
	if _, errs, _ := st.run(t, "@-get -r docs"); errs != "" {
		t.Errorf("quiet told %q", errs)
	}
}

func TestTheLocalFolderIsTheSessionsOwn(t *testing.T) {
	st := newStage(t, func(o *Options) { o.Home = t.TempDir() })
	if err := os.MkdirAll(filepath.Join(st.local, "a b", "c"), 0o755); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Getwd()
	start := st.local
	out, errs, err := st.run(t, "lcd 'a b'\nlls\nlcd c\nlpwd\nlcd ..\nlpwd\nlcd ~\nlpwd\nlcd\nlpwd")
	want := "c\n" + start + "/a b/c\n" + start + "/a b\n" + st.Home + "\n" + st.Home + "\n"
	if err != nil || out != want {
		t.Errorf("got %v %s\n%s", err, errs, out)
	}
	if after, _ := os.Getwd(); after != before {
		t.Errorf("the process moved to %s", after)
	}
	if _, errs, err := st.run(t, "lcd nowhere"); ftpclient.Class(err) != ftpclient.NotFound || !strings.HasPrefix(errs, "ftps: ") {
		t.Errorf("got %v %q", err, errs)
	}
}

func TestStatusNamesServerUserAndEncryption(t *testing.T) {
	st := newStage(t, spanish)
	out, _, err := st.run(t, "status")
	if err != nil || !strings.Contains(out, "usuario        diego\n") || !strings.Contains(out, "TLS 1.3, TLS_AES_128_GCM_SHA256") {
		t.Errorf("got %v\n%s", err, out)
	}
}

func TestCatWritesTheContentAndNothingElse(t *testing.T) {
	st := newStage(t)
	out, _, err := st.run(t, "cat a b")
	if err != nil || out != "content of a\ncontent of b\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestAScriptsReadErrorIsTold(t *testing.T) {
	st := newStage(t)
	err := st.Script(context.Background(), io.MultiReader(strings.NewReader("mkdir x\n"), brokenReader{}))
	if err == nil || !strings.Contains(st.err.String(), "broken") {
		t.Errorf("got %v, %q", err, st.err.String())
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken") }
