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
	"ftps/pkg/mirror"
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

func TestRepliesFindTheirCommandsWhenThoseAreSentAhead(t *testing.T) {
	var b strings.Builder
	d := NewDialogue(&b, false, false)
	for _, line := range []string{"TYPE I", "EPSV", "RETR a", "CWD b"} {
		d.Trace(true, line+"\r\n")
	}
	for _, code := range []int{200, 229, 150, 226, 250} {
		d.Reply(ftp.Reply{Code: code, Lines: []string{"ok"}})
	}
	if b.String() != "150 - ok\n226 - ok\n250 - ok\n" {
		t.Errorf("got\n%s", b.String())
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
	item := mirror.Item{Remote: "/docs/notes.txt", Local: "notes.txt", Size: 5}
	st.mover.play = []mirror.Event{
		mirror.Planned{Plan: &mirror.Plan{Files: []mirror.Item{item}, Bytes: 5}},
		mirror.Started{Item: item}, mirror.Moved{Item: item, N: 5}, mirror.Done{Item: item, Bytes: 5, Moved: 5},
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
		if err != nil || !strings.HasPrefix(out, want) || len(lines(out)) != len(table())+2 {
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
		"get -x a":       "ftps: unknown option -x for get\nusage: get | descargar [-r] [-c] [-j N] REMOTE [LOCAL]\n",
		"get --long a":   "ftps: unknown option --long for get\nusage: get | descargar [-r] [-c] [-j N] REMOTE [LOCAL]\n",
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
	want := []moved{
		{"/docs", filepath.Join(st.local, "here"), mirror.Options{Recursive: true, Resume: true}},
		{"/-r", st.local, mirror.Options{}},
	}
	if !slices.Equal(st.mover.got, want) {
		t.Errorf("got %+v", st.mover.got)
	}
	if !slices.Equal(st.server.quoted, []string{"-- -x --help"}) {
		t.Errorf("quoted %q", st.server.quoted)
	}
}

func TestTransfersNameAbsolutePathsAsTheyWereMeant(t *testing.T) {
	st := newStage(t)
	here := st.local
	tree := mirror.Options{Recursive: true}
	if _, _, err := st.run(t, "cd docs"); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]moved{
		"get x.txt":       {"/docs/x.txt", here, mirror.Options{}},
		"get a/x.txt new": {"/docs/a/x.txt", here + "/new", mirror.Options{}},
		"get /x.txt dir/": {"/x.txt", here + "/dir/", mirror.Options{}},
		"get -c x /tmp/y": {"/docs/x", "/tmp/y", mirror.Options{Resume: true}},
		"get -r . other":  {"/docs/.", here + "/other", tree},
		"get -r .. other": {"/docs/..", here + "/other", tree},
		"get -r sub/":     {"/docs/sub/", here, tree},
	} {
		st.mover.got = nil
		if _, errs, err := st.run(t, line); err != nil || len(st.mover.got) != 1 || st.mover.got[0] != want {
			t.Errorf("%s: got %+v, %v %s", line, st.mover.got, err, errs)
		}
	}
	for line, want := range map[string]moved{
		"put f":            {here + "/f", "/docs", mirror.Options{}},
		"put f new":        {here + "/f", "/docs/new", mirror.Options{}},
		"put /tmp/f /d/":   {"/tmp/f", "/d/", mirror.Options{}},
		"put -r . other":   {here + "/.", "/docs/other", tree},
		"subir -r tree .":  {here + "/tree", "/docs/.", tree},
		"SUBIR -c f 'a b'": {here + "/f", "/docs/a b", mirror.Options{Resume: true}},
	} {
		st.mover.put = nil
		if _, errs, err := st.run(t, line); err != nil || len(st.mover.put) != 1 || st.mover.put[0] != want {
			t.Errorf("%s: got %+v, %v %s", line, st.mover.put, err, errs)
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
	if ftpclient.Class(err) != ftpclient.Interrupted || !strings.HasSuffix(st.err.String(), "ftps: interrupted\n") {
		t.Errorf("got %v, %q", err, st.err.String())
	}
}

func TestTransfersTellALineAFile(t *testing.T) {
	st := newStage(t)
	item := func(id int, name string, size int64) mirror.Item {
		return mirror.Item{ID: id, Remote: "/docs/" + name, Local: name, Size: size}
	}
	a, b, c, d := item(0, "a", 1<<20), item(1, "b\x1b", 5), item(2, "c", 1024), item(3, "d", 7)
	st.mover.play = []mirror.Event{
		mirror.Planned{Plan: &mirror.Plan{Tree: true, Files: []mirror.Item{a, b, c, d}}},
		mirror.Skipped{Name: "link", Reason: mirror.ErrSymlink},
		mirror.Gap{Name: "gap\x1b", Err: &ftpclient.UnknownLineError{Line: "??"}},
		mirror.Started{Item: a}, mirror.Moved{Item: a, N: 1 << 20},
		mirror.Done{Item: a, Bytes: 1 << 20, Moved: 1 << 20, Seconds: 1, Verified: mirror.ByHash},
		mirror.Started{Item: b},
		mirror.Retrying{Item: b, Attempt: 1, Err: ftpclient.ErrTruncated},
		mirror.Failed{Item: b, Err: &ftpclient.NotFoundError{Name: "b\x1b"}},
		mirror.Started{Item: c, Offset: 512}, mirror.Moved{Item: c, N: 512},
		mirror.Done{Item: c, Bytes: 1024, Moved: 512, Seconds: 1, Resumed: true, Verified: mirror.BySize},
		mirror.Done{Item: d, Bytes: 7, Verified: mirror.Present},
	}
	st.mover.result = mirror.Result{Files: 3, Bytes: 1<<20 + 512, Seconds: 2, Failed: []mirror.Failure{{Name: "b"}}}
	st.mover.err = &mirror.PartialError{Failed: 1, Of: 4, First: errors.New("first")}
	_, errs, err := st.run(t, "get -r docs")
	if ftpclient.Class(err) != ftpclient.SomeFailed {
		t.Errorf("class %d of %v", ftpclient.Class(err), err)
	}
	if strings.Contains(errs, "\x1b") {
		t.Errorf("a name reached the terminal as it was: %q", errs)
	}
	for _, want := range []string{
		"link: left out: ", `gap\x1b: not seen: `, "a: 1.0 MiB, 1.0 MiB/s, verified by hash\n", `b\x1b: `, "; trying again (1)\n",
		"c: 1.0 KiB, 512 B/s, verified by size, continued\n", "d: already there\n",
		"3 files, 1.0 MiB, 512.2 KiB/s; failed: 1; left undone: 0\n",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("no %q in\n%s", want, errs)
		}
	}
	if _, errs, _ := st.run(t, "@-get -r docs"); errs != "" {
		t.Errorf("quiet told %q", errs)
	}
}

func TestFilesThatWereLeftWhenTheRunEndedAreTold(t *testing.T) {
	st := newStage(t)
	a, b := mirror.Item{Remote: "/a", Local: "a", Size: 1}, mirror.Item{ID: 1, Remote: "/b", Local: "b", Size: 1}
	full := &ftpclient.ReplyError{Command: "STOR", Reply: ftp.Reply{Code: 552, Lines: []string{"full"}}}
	st.mover.play = []mirror.Event{
		mirror.Planned{Plan: &mirror.Plan{Tree: true, Files: []mirror.Item{a, b}}},
		mirror.Failed{Item: a, Err: full}, mirror.Left{Item: b, Err: full},
	}
	st.mover.result = mirror.Result{Left: 1, Failed: []mirror.Failure{{Name: "/a", Err: full}}}
	st.mover.err = full
	_, errs, err := st.run(t, "put -r x")
	if ftpclient.Class(err) != ftpclient.NoSpace || !strings.Contains(errs, "0 files, 0 B, 0 B/s; failed: 1; left undone: 1\n") {
		t.Errorf("%v in\n%s", err, errs)
	}
	st.JSON = true
	if out, _, _ := st.run(t, "put -r x"); !strings.Contains(out, `{"event":"left","name":"/b","message":"`) {
		t.Errorf("no object for it in\n%s", out)
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

func TestAnExclamationMarkRunsALocalCommandInTheLocalFolder(t *testing.T) {
	st := newStage(t)
	out, errs, err := st.run(t, "!pwd; echo \"a  b\" | tr a-z A-Z\n ! echo again")
	if err != nil || out != st.local+"\nA  B\nagain\n" {
		t.Errorf("got %q %q %v", out, errs, err)
	}
	if _, errs, err := st.run(t, "!exit 3\nmkdir two"); err == nil || errs != "ftps: the command ended with code 3\n" {
		t.Errorf("got %q %v", errs, err)
	}
}

func TestAComparisonInPlaceOfAHashIsSaidInOneLine(t *testing.T) {
	for lang, want := range map[catalog.Lang]string{
		catalog.English: "notes.txt: the server tells no hash: the first 3 B are fetched again and compared",
		catalog.Spanish: "notes.txt: el servidor no da ningún hash: se traen de nuevo los primeros 3 B y se comparan",
	} {
		st := newStage(t, func(o *Options) { o.Lang = lang })
		item := mirror.Item{Remote: "/docs/notes.txt", Local: "notes.txt", Size: 5}
		st.mover.play = []mirror.Event{
			mirror.Planned{Plan: &mirror.Plan{Files: []mirror.Item{item}, Bytes: 5}},
			mirror.Comparing{Item: item, Bytes: 3}, mirror.Started{Item: item}, mirror.Moved{Item: item, N: 5},
			mirror.Done{Item: item, Bytes: 5, Moved: 5, Resumed: true},
		}
		_, errs, err := st.run(t, "cd docs\nget -c notes.txt")
		if err != nil || strings.Count(errs, want) != 1 {
			t.Errorf("%v:\n%s", err, errs)
		}
	}
}
