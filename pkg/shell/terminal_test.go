//go:build unix

package shell

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/terminal"
	"ftps/pkg/mirror"
)

// person sits at the far side of a pseudo-terminal.
type person struct {
	*terminal.Person
	t *testing.T
}

func newPerson(t *testing.T, columns int) *person {
	t.Helper()
	return &person{terminal.Open(t, columns, 24), t}
}

// prompted waits for the editor's prompt and for the terminal to be raw.
func (p *person) prompted() { p.t.Helper(); p.Sees("ftp> ") }

// sits starts an interactive session on the person's terminal.
func (p *person) sits(change ...func(*Options)) (st *stage, ended chan error) {
	p.t.Helper()
	st = newStage(p.t, append([]func(*Options){func(o *Options) {
		o.Out, o.Err = p.Slave, p.Slave
		o.Dialogue = NewDialogue(p.Slave, false, false)
	}}, change...)...)
	st.tabTime = 30 * time.Second // the machine may be slow; a person would press TAB again
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	p.t.Cleanup(cancel)
	term := NewTerminal(p.Slave, p.Slave)
	ended = make(chan error, 1)
	go func() { ended <- st.Interact(ctx, term, filepath.Join(p.t.TempDir(), "history")) }()
	return st, ended
}

func (p *person) leaves(ended chan error) {
	p.t.Helper()
	p.Types("salir\r")
	p.waits(ended)
}

func (p *person) waits(ended chan error) {
	p.t.Helper()
	select {
	case err := <-ended:
		if err != nil {
			p.t.Error(err)
		}
	case <-time.After(time.Minute):
		p.t.Fatalf("the session did not end; seen %q", p.Transcript())
	}
}

func TestAPersonWorksAtTheTerminal(t *testing.T) {
	p := newPerson(t, 80)
	st, ended := p.sits()
	p.prompted()
	p.Types("listar\r")
	p.Sees("150 - Preparado para recibir datos\r\n")
	p.Sees("docs\r\nhello.txt\r\n")
	p.Sees("226 - Transferencia completada\r\n")
	p.prompted()
	p.Types("cd ..\r")
	p.Sees("550 - Acceso denegado\r\n")
	p.prompted()
	p.Types("CD docs\r")
	p.Sees("250 - Directorio cambiado correctamente\r\n")
	p.prompted()
	p.Types("\r")
	p.prompted()
	p.Types("SALIR\r")
	p.Sees("221 - Cerrando conexión\r\n")
	p.waits(ended)
	if !st.server.left {
		t.Error("the server was not told")
	}
}

func TestTabAtTheTerminal(t *testing.T) {
	p := newPerson(t, 80)
	_, ended := p.sits()
	p.prompted()
	p.Types("desc\t")
	p.Sees("descargar ")
	p.Types("hel\t")
	p.Sees("descargar hello.txt ")
	p.Types("\x15c\t") // Ctrl-U, then an ambiguous word
	p.Sees("cat       cd        chmod     comienzo  crear\r\n")
	p.Types("d do\t")
	p.Sees("cd docs/")
	p.Types("\r")
	p.Sees("250 - Directorio cambiado correctamente")
	p.prompted()
	p.leaves(ended)
}

// Each of these names ends the program when the line editor chooses among
// candidates itself: a common beginning of wide characters makes it index
// past the end, and a name wider than the terminal makes it divide by zero.
func TestNoNameOfAServerBreaksTheLineEditor(t *testing.T) {
	for _, c := range []struct {
		what  string
		width int
		names []string
		types string
		sees  string
	}{
		{"wide common beginning", 80, []string{"日本語", "日本語の本", "日本"}, "get 日\t\t", "日本語の本"},
		{"one is the beginning of the other", 80, []string{"ab", "abc"}, "get a\t\t", "abc"},
		{"wider than the terminal", 20, []string{strings.Repeat("x", 200) + "1", strings.Repeat("x", 200) + "2"}, "get x\t\t", "…"},
		{"wide and wider than the terminal", 20, []string{strings.Repeat("語", 80) + "1", strings.Repeat("語", 80) + "2"}, "get 語\t\t", "…"},
		{"a terminal of no size", 0, []string{"a1", "a2"}, "get a\t\t", "a2"},
		{"a terminal as wide as the prompt", 5, []string{"a1", "a2"}, "get a\t\t\x1b[D\x1b[D", "a2"},
		{"a terminal of one column", 1, []string{"a1", "a2"}, "get a\t\t\x1b[D", "a2"},
		{"escapes in a name", 80, []string{"a\x1b", "a\x1b[2J", "a1", "a2"}, "get a\t\t", "a2"},
		{"a line break in a name", 80, []string{"a\rb", "a\nb", "a1", "a2"}, "get a\t\t", "a2"},
	} {
		t.Run(c.what, func(t *testing.T) {
			p := newPerson(t, c.width)
			_, ended := p.sits(func(o *Options) {
				for _, name := range c.names {
					o.Server.(*server).tree["/"+name] = ftp.Entry{Name: name, Type: ftp.File, Size: 1}
				}
			})
			p.prompted()
			p.Types(c.types)
			p.Sees(c.sees)
			p.Types("\x03") // Ctrl-C
			p.prompted()
			p.leaves(ended)
			if strings.Contains(p.Transcript(), "\x1b[2J") {
				t.Error("a name cleared the screen")
			}
		})
	}
}

func TestLeavingASearchInAnEmptyHistoryIsHarmless(t *testing.T) {
	p := newPerson(t, 80)
	_, ended := p.sits()
	p.prompted()
	p.Types("\x12")
	p.Sees("bck-i-search")
	p.Types("\x03")
	p.Types("\x12")
	p.Sees("bck-i-search")
	p.Types("\x07pwd\r")
	p.Sees("/\r\n")
	p.prompted()
	p.leaves(ended)
}

func TestCtrlCClearsTheLineAndCtrlDLeaves(t *testing.T) {
	p := newPerson(t, 80)
	st, ended := p.sits()
	p.prompted()
	p.Types("mkdir no")
	p.Sees("mkdir no")
	p.Types("\x03")
	p.Sees("^C")
	p.prompted()
	p.Types("\x04")
	p.Sees("221 - Cerrando conexión")
	p.waits(ended)
	if _, ok := st.server.tree["/no"]; ok {
		t.Error("a cleared line was run")
	}
}

func TestWhatWasTypedIsFoundAgain(t *testing.T) {
	p := newPerson(t, 80)
	st, ended := p.sits()
	p.prompted()
	p.Types("pwd\r")
	p.prompted()
	p.Types("quote PASS hunter2\r")
	p.prompted()
	p.Types("\x1b[A\r") // up: the last line that was kept
	p.Sees("pwd")
	p.Sees("/\r\n")
	p.prompted()
	p.leaves(ended)
	if got := st.history.lines; len(got) != 2 || got[0] != "pwd" {
		t.Errorf("history %q", got)
	}
	text, _ := os.ReadFile(st.history.path)
	if strings.Contains(string(text), "hunter2") {
		t.Errorf("the file holds a password: %q", text)
	}
}

func TestControlKeysDoNotGetIntoTheLine(t *testing.T) {
	p := newPerson(t, 80)
	st, ended := p.sits()
	p.prompted()
	p.Types("mkdir a\x0f\x16\x18\x1c\x1db\r")
	p.Sees("257 - made")
	p.prompted()
	p.leaves(ended)
	if _, ok := st.server.tree["/ab"]; !ok {
		t.Errorf("the tree is %v", st.server.tree)
	}
}

func TestAQuestionIsAnsweredBeforeAndAfterTheEditorStarts(t *testing.T) {
	p := newPerson(t, 80)
	term := NewTerminal(p.Slave, p.Slave)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	type answer struct {
		text string
		err  error
	}
	asks := func(ask func(context.Context, string) (string, error), question string) chan answer {
		got := make(chan answer, 1)
		go func() {
			text, err := ask(ctx, question)
			got <- answer{text, err}
		}()
		p.Sees(question)
		return got
	}
	wants := func(got chan answer, want string, wantErr error) {
		t.Helper()
		if a := <-got; a.text != want || !errors.Is(a.err, wantErr) {
			t.Errorf("got %+v", a)
		}
	}

	got := asks(term.Ask, "USUARIO: ")
	p.Types("diego\n")
	wants(got, "diego", nil)

	got = asks(term.AskSecret, "PASS: ")
	p.Types("secreto\n")
	wants(got, "secreto", nil)
	if strings.Contains(p.Transcript(), "secreto") {
		t.Error("the password was shown")
	}

	got = asks(term.Ask, "again? ")
	p.Types("\x04")
	wants(got, "", ErrNoAnswer)

	if err := term.start(nil, nil); err != nil {
		t.Fatal(err)
	}
	got = asks(term.Ask, "yes? ")
	p.Types("sí\r")
	wants(got, "sí", nil)
	asks = func(ask func(context.Context, string) (string, error), question string) chan answer {
		got := make(chan answer, 1)
		go func() {
			text, err := ask(ctx, question)
			got <- answer{text, err}
		}()
		p.Sees(ftp.Sanitise(question))
		return got
	}
	got = asks(term.Ask, "does it end in an escape? \x1b")
	p.Types("no\r")
	wants(got, "no", nil)
	got = asks(term.AskSecret, "PASS2: ")
	p.Types("secreto\n")
	wants(got, "secreto", nil)
	got = asks(term.Ask, "no? ")
	p.Types("\x03")
	wants(got, "", ErrNoAnswer)
	if err := term.Close(); err != nil {
		t.Error(err)
	}
	if strings.Contains(p.Transcript(), "secreto") {
		t.Error("the second password was shown")
	}
}

// A password that was typed the moment its question showed had no end: its
// Enter was kept in one mode of the terminal and read in another.
func TestAPasswordThatIsTypedAtOnceIsRead(t *testing.T) {
	for range 50 {
		p := newPerson(t, 80)
		term := NewTerminal(p.Slave, p.Slave)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		got := make(chan string, 1)
		go func() {
			text, err := term.AskSecret(ctx, "PASS: ")
			if err != nil {
				text = err.Error()
			}
			got <- text
		}()
		p.Sees("PASS: ")
		p.Types("wrong\x15sexx\x7f\x7fñ\x7fcreto\r")
		if text := <-got; text != "secreto" {
			t.Fatalf("read %q", text)
		}
		cancel()
	}
}

func TestAQuestionEndsWithItsContext(t *testing.T) {
	p := newPerson(t, 80)
	term := NewTerminal(p.Slave, p.Slave)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := term.AskSecret(ctx, "PASS: ")
		ended <- err
	}()
	p.Sees("PASS: ")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// The reader is still there; it ends with the next line. What matters is
	// that the terminal shows again what is typed.
	p.Types("visible\n")
	p.Sees("visible")
}

func TestTheSessionEndsWithItsContextAndTheTerminalIsCooked(t *testing.T) {
	p := newPerson(t, 80)
	st := newStage(t, func(o *Options) { o.Out, o.Err = p.Slave, p.Slave })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- st.Interact(ctx, NewTerminal(p.Slave, p.Slave), "") }()
	p.prompted()
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the session did not end")
	}
	p.Types("echoed\n")
	p.Sees("echoed\r\n")
}

func TestALostConnectionEndsTheShell(t *testing.T) {
	p := newPerson(t, 80)
	st, ended := p.sits()
	p.prompted()
	st.server.lost = true
	p.Types("pwd\r")
	p.Sees("the connection to host is lost")
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a lost connection is no success")
		}
	case <-time.After(time.Minute):
		t.Fatal("the shell stays")
	}
}

func TestTheBarNamesTheFileAndStaysOnItsLine(t *testing.T) {
	for _, c := range []struct {
		what  string
		width int
		size  int64
		name  string
		sees  string
	}{
		{"a file", 80, 1 << 20, "notes.txt", "notes.txt 0 B/1.0 MiB   0% ["},
		{"a size that nobody knows", 80, -1, "notes.txt", "notes.txt"},
		{"an empty file", 80, 0, "empty", "empty"},
		{"a name wider than the window", 40, 1 << 20, strings.Repeat("名", 60), "…"},
		{"a name that steers terminals", 80, 1 << 20, "a\x1b[2Jb", `a\x1b[2Jb`},
	} {
		t.Run(c.what, func(t *testing.T) {
			p := newPerson(t, c.width)
			st := newStage(t, func(o *Options) {
				o.Out, o.Err, o.Progress = p.Slave, p.Slave, p.Slave
				o.Dialogue = NewDialogue(p.Slave, false, false)
			})
			item := mirror.Item{Remote: "/" + c.name, Local: c.name, Size: c.size}
			plan := &mirror.Plan{Tree: true, Files: []mirror.Item{item, item}, Bytes: max(c.size, 0)}
			st.mover.play = []mirror.Event{
				mirror.Planned{Plan: plan}, mirror.Started{Item: item},
				mirror.Moved{Item: item, N: c.size / 2}, mirror.Moved{Item: item, N: c.size},
				mirror.Failed{Item: item, Err: ftpclient.ErrTruncated},
				mirror.Done{Item: item, Bytes: max(c.size, 0), Moved: c.size},
			}
			plan.Tree = c.sees != "notes.txt 0 B/1.0 MiB   0% ["
			if err := st.Command(t.Context(), []string{"get", c.name}); err != nil {
				t.Error(err)
			}
			p.Sees(c.sees)
			if strings.Contains(p.Transcript(), "\x1b[2J") {
				t.Error("a name cleared the screen")
			}
			for _, frame := range strings.FieldsFunc(p.Transcript(), func(r rune) bool { return r == '\r' || r == '\n' }) {
				bar := strings.Contains(frame, "%")
				if w := columns(strings.NewReplacer("\x1b[0K", "", "\x1b[2K", "").Replace(frame)); bar && w > c.width {
					t.Errorf("the bar takes %d of %d columns: %q", w, c.width, frame)
				}
			}
		})
	}
}

func TestCtrlCEndsTheCommandAndNotTheSession(t *testing.T) {
	p := newPerson(t, 80)
	cmd := exec.Command(os.Args[0])
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Slave, p.Slave, p.Slave
	cmd.Env = append(os.Environ(), "TERM=dumb", childVariable+"=stuck")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })

	p.prompted()
	p.Types("ls\r")
	p.Sees("150 - ") // and then the server says no more
	p.Types("\x03")
	p.Sees("ftps: interrupted")
	p.prompted()
	p.Types("pwd\r")
	p.Sees("/\r\n")
	p.prompted()
	p.leaves(ended)
}

// bashAt runs bash at the person's terminal until it has its prompt.
func bashAt(t *testing.T, p *person) (ended chan error) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("job control needs bash")
	}
	cmd := exec.Command(bash, "--norc", "--noprofile", "-i")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Slave, p.Slave, p.Slave
	cmd.Env = append(os.Environ(), "PS1=$ ", "TERM=dumb", "HISTFILE=", "LC_ALL=C.UTF-8", childVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	p.Sees("$ ")
	return ended
}

// goesOn has a stopped job come back to its line, and all of it end.
func (p *person) goesOn(bash chan error) {
	p.t.Helper()
	p.Types("fg\n")
	p.Sees("ftp> pw")
	p.Types("d\r")
	p.Sees("/\r\n")
	p.prompted()
	p.Types("salir\r")
	p.Sees("221 - ")
	p.Sees("$ ")
	p.Types("exit\n")
	select {
	case <-bash:
	case <-time.After(terminal.Patience):
		p.t.Fatalf("bash did not end; seen %q", p.Transcript())
	}
}

func TestCtrlZStopsTheJobAndItGoesOnWhereItWas(t *testing.T) {
	p := newPerson(t, 80)
	ended := bashAt(t, p)
	p.Types("'" + os.Args[0] + "'\n")
	p.prompted()
	p.Types("pw")
	p.Sees("ftp> pw")
	p.Types("\x1a")
	p.Sees("Stopped")
	p.Sees("$ ")
	p.Types("echo $((40+2))\n") // the terminal is bash's again, and cooked
	p.Sees("\n42")
	p.Sees("$ ")
	p.goesOn(ended)
}

// On a busy machine the stop that Ctrl-Z asks for came when the shell had
// given up on it: the job went on without its prompt, and at a terminal that
// was not raw. So it does when somebody else stops it.
func TestAJobThatIsStoppedAtAnyTimeGoesOnWhereItWas(t *testing.T) {
	p := newPerson(t, 80)
	ended := bashAt(t, p)
	p.Types("sh -c 'echo it is $$; exec " + os.Args[0] + "'\n")
	p.prompted()
	m := regexp.MustCompile(`it is (\d+)\r`).FindStringSubmatch(p.Transcript())
	if m == nil {
		t.Fatalf("no process in %q", p.Transcript())
	}
	job, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	p.Types("pw")
	p.Sees("ftp> pw")
	if err := syscall.Kill(-job, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.Sees("Stopped")
	p.Sees("$ ")
	p.goesOn(ended)
}

// What is printed while a line is being typed comes above it, in whole lines,
// and the line is there again below: TAB's list, and nothing else, is.
func TestWhatComesWhileALineIsTypedStandsAboveIt(t *testing.T) {
	p := newPerson(t, 40)
	_, ended := p.sits(func(o *Options) {
		for _, name := range []string{"alpha", "alpine"} {
			o.Server.(*server).add("/"+name, ftp.File, 1)
		}
	})
	p.prompted()
	p.Types("get al\t")
	p.Sees("get alp")
	p.Types("\t")
	p.Sees("alpha   alpine\r\n")
	p.Sees("ftp> get alp")
	p.Settle()
	if got := p.Screen(); !strings.HasSuffix(got, "alpha   alpine\nftp> get alp\n") {
		t.Errorf("the screen is\n%s", got)
	}
	p.Types("\x03")
	p.prompted()
	p.leaves(ended)
}

// The editor can only be started again when the one before has let go of the
// keyboard: two readers would share out the keys.
func TestTheKeyboardIsGivenBackAndTakenAgain(t *testing.T) {
	p := newPerson(t, 80)
	term := NewTerminal(p.Slave, p.Slave)
	for range 3 {
		if err := term.start(nil, nil); err != nil {
			t.Fatal(err)
		}
		got := make(chan string, 1)
		go func() {
			line, err := term.readLine(t.Context(), "again> ")
			if err != nil {
				line = err.Error()
			}
			got <- line
		}()
		p.Sees("again> ")
		p.Types("every key\r")
		select {
		case line := <-got:
			if line != "every key" {
				t.Errorf("read %q", line)
			}
		case <-time.After(terminal.Patience):
			t.Fatalf("nothing was read; seen %q", p.Transcript())
		}
		if err := term.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A bar would write over the line being typed: at the prompt there is none,
// also when a transfer has just ended.
func TestNoBarIsDrawnAtThePrompt(t *testing.T) {
	p := newPerson(t, 80)
	_, ended := p.sits(func(o *Options) {
		o.Progress = p.Slave
		item := mirror.Item{Remote: "/a", Local: "a", Size: 1 << 20}
		o.Files.(*mover).play = []mirror.Event{
			mirror.Planned{Plan: &mirror.Plan{Files: []mirror.Item{item}, Bytes: item.Size}},
			mirror.Started{Item: item}, mirror.Moved{Item: item, N: 1 << 19},
			mirror.Done{Item: item, Bytes: 1 << 20, Moved: 1 << 20, Seconds: 1, Verified: mirror.ByHash},
		}
	})
	p.prompted()
	p.Types("get hello.txt\r")
	p.Sees("verified by hash\r\n")
	p.prompted()
	p.Settle()
	if got := p.Screen(); strings.Contains(got, "%") || !strings.HasSuffix(got, "verified by hash\nftp>\n") {
		t.Errorf("the screen is\n%s", got)
	}
	p.leaves(ended)
}
