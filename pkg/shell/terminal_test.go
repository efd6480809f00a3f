package shell

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
	"ftps/pkg/mirror"
)

// person sits at the far side of a pseudo-terminal.
type person struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	mu     sync.Mutex
	seen   strings.Builder
	more   chan struct{} // something was written
	read   int           // how much of it was waited for
	all    chan struct{} // the screen is closed
}

func newPerson(t *testing.T, columns uint16) *person {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, master: master, slave: slave, more: make(chan struct{}, 1), all: make(chan struct{})}
	go func() {
		defer close(p.all)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			p.mu.Lock()
			p.seen.Write(buf[:n])
			p.mu.Unlock()
			select {
			case p.more <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		// The editor's reader may still wait for a line; it holds the slave
		// open, and that keeps the master's reader.
		_, _ = master.WriteString("\n\r\n")
		slave.Close()
		select {
		case <-p.all:
			master.Close()
		case <-time.After(5 * time.Second):
			t.Error("someone still reads the terminal")
		}
	})
	return p
}

func (p *person) types(keys string) {
	p.t.Helper()
	if _, err := p.master.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// sees waits until text appears after what was seen before.
func (p *person) sees(text string) {
	p.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		p.mu.Lock()
		all := p.seen.String()
		p.mu.Unlock()
		if i := strings.Index(all[p.read:], text); i >= 0 {
			p.read += i + len(text)
			return
		}
		select {
		case <-p.more:
		case <-deadline:
			p.t.Fatalf("did not see %q in %q", text, all[p.read:])
		}
	}
}

func (p *person) screen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.String()
}

// prompted waits for the editor's prompt and for the terminal to be raw.
func (p *person) prompted() { p.t.Helper(); p.sees("ftp> ") }

// sits starts an interactive session on the person's terminal.
func (p *person) sits(change ...func(*Options)) (st *stage, ended chan error) {
	p.t.Helper()
	st = newStage(p.t, append([]func(*Options){func(o *Options) {
		o.Out, o.Err = p.slave, p.slave
		o.Dialogue = NewDialogue(p.slave, false, false)
	}}, change...)...)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	p.t.Cleanup(cancel)
	terminal := NewTerminal(p.slave, p.slave)
	ended = make(chan error, 1)
	go func() { ended <- st.Interact(ctx, terminal, filepath.Join(p.t.TempDir(), "history")) }()
	return st, ended
}

func (p *person) leaves(ended chan error) {
	p.t.Helper()
	p.types("salir\r")
	p.waits(ended)
}

func (p *person) waits(ended chan error) {
	p.t.Helper()
	select {
	case err := <-ended:
		if err != nil {
			p.t.Error(err)
		}
	case <-time.After(10 * time.Second):
		p.t.Fatalf("the session did not end; seen %q", p.screen())
	}
}

func TestAPersonWorksAtTheTerminal(t *testing.T) {
	p := newPerson(t, 80)
	st, ended := p.sits()
	p.prompted()
	p.types("listar\r")
	p.sees("150 - Preparado para recibir datos\r\n")
	p.sees("docs\r\nhello.txt\r\n")
	p.sees("226 - Transferencia completada\r\n")
	p.prompted()
	p.types("cd ..\r")
	p.sees("550 - Acceso denegado\r\n")
	p.prompted()
	p.types("CD docs\r")
	p.sees("250 - Directorio cambiado correctamente\r\n")
	p.prompted()
	p.types("\r")
	p.prompted()
	p.types("SALIR\r")
	p.sees("221 - Cerrando conexión\r\n")
	p.waits(ended)
	if !st.server.left {
		t.Error("the server was not told")
	}
}

func TestTabAtTheTerminal(t *testing.T) {
	p := newPerson(t, 80)
	_, ended := p.sits()
	p.prompted()
	p.types("desc\t")
	p.sees("descargar ")
	p.types("hel\t")
	p.sees("descargar hello.txt ")
	p.types("\x15c\t") // Ctrl-U, then an ambiguous word
	p.sees("cat    cd     chmod\r\n")
	p.types("d do\t")
	p.sees("cd docs/")
	p.types("\r")
	p.sees("250 - Directorio cambiado correctamente")
	p.prompted()
	p.leaves(ended)
}

// Each of these names ends the program when the line editor chooses among
// candidates itself: a common beginning of wide characters makes it index
// past the end, and a name wider than the terminal makes it divide by zero.
func TestNoNameOfAServerBreaksTheLineEditor(t *testing.T) {
	for _, c := range []struct {
		what  string
		width uint16
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
			st, ended := p.sits()
			for _, name := range c.names {
				st.server.tree["/"+name] = ftp.Entry{Name: name, Type: ftp.File, Size: 1}
			}
			p.prompted()
			p.types(c.types)
			p.sees(c.sees)
			p.types("\x03") // Ctrl-C
			p.prompted()
			p.leaves(ended)
			if strings.Contains(p.screen(), "\x1b[2J") {
				t.Error("a name cleared the screen")
			}
		})
	}
}

func TestLeavingASearchInAnEmptyHistoryIsHarmless(t *testing.T) {
	p := newPerson(t, 80)
	_, ended := p.sits()
	p.prompted()
	p.types("\x12")
	p.sees("bck-i-search")
	p.types("\x03")
	p.types("\x12")
	p.sees("bck-i-search")
	p.types("\x07pwd\r")
	p.sees("/\r\n")
	p.prompted()
	p.leaves(ended)
}

func TestCtrlCClearsTheLineAndCtrlDLeaves(t *testing.T) {
	p := newPerson(t, 80)
	st, ended := p.sits()
	p.prompted()
	p.types("mkdir no")
	p.sees("mkdir no")
	p.types("\x03")
	p.sees("^C")
	p.prompted()
	p.types("\x04")
	p.sees("221 - Cerrando conexión")
	p.waits(ended)
	if _, ok := st.server.tree["/no"]; ok {
		t.Error("a cleared line was run")
	}
}

func TestWhatWasTypedIsFoundAgain(t *testing.T) {
	p := newPerson(t, 80)
	st, ended := p.sits()
	p.prompted()
	p.types("pwd\r")
	p.prompted()
	p.types("quote PASS hunter2\r")
	p.prompted()
	p.types("\x1b[A\r") // up: the last line that was kept
	p.sees("pwd")
	p.sees("/\r\n")
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
	p.types("mkdir a\x0f\x16\x18\x1c\x1db\r")
	p.sees("257 - made")
	p.prompted()
	p.leaves(ended)
	if _, ok := st.server.tree["/ab"]; !ok {
		t.Errorf("the tree is %v", st.server.tree)
	}
}

func TestAQuestionIsAnsweredBeforeAndAfterTheEditorStarts(t *testing.T) {
	p := newPerson(t, 80)
	terminal := NewTerminal(p.slave, p.slave)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
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
		p.sees(question)
		return got
	}
	wants := func(got chan answer, want string, wantErr error) {
		t.Helper()
		if a := <-got; a.text != want || !errors.Is(a.err, wantErr) {
			t.Errorf("got %+v", a)
		}
	}

	got := asks(terminal.Ask, "USUARIO: ")
	p.types("diego\n")
	wants(got, "diego", nil)

	got = asks(terminal.AskSecret, "PASS: ")
	p.types("secreto\n")
	wants(got, "secreto", nil)
	if strings.Contains(p.screen(), "secreto") {
		t.Error("the password was shown")
	}

	got = asks(terminal.Ask, "again? ")
	p.types("\x04")
	wants(got, "", ErrNoAnswer)

	if err := terminal.start(nil, nil); err != nil {
		t.Fatal(err)
	}
	got = asks(terminal.Ask, "yes? ")
	p.types("sí\r")
	wants(got, "sí", nil)
	asks = func(ask func(context.Context, string) (string, error), question string) chan answer {
		got := make(chan answer, 1)
		go func() {
			text, err := ask(ctx, question)
			got <- answer{text, err}
		}()
		p.sees(ftp.Sanitise(question))
		return got
	}
	got = asks(terminal.Ask, "does it end in an escape? \x1b")
	p.types("no\r")
	wants(got, "no", nil)
	got = asks(terminal.AskSecret, "PASS2: ")
	p.types("secreto\n")
	wants(got, "secreto", nil)
	got = asks(terminal.Ask, "no? ")
	p.types("\x03")
	wants(got, "", ErrNoAnswer)
	if err := terminal.Close(); err != nil {
		t.Error(err)
	}
	if strings.Contains(p.screen(), "secreto") {
		t.Error("the second password was shown")
	}
}

// A password that was typed the moment its question showed had no end: its
// Enter was kept in one mode of the terminal and read in another.
func TestAPasswordThatIsTypedAtOnceIsRead(t *testing.T) {
	for range 50 {
		p := newPerson(t, 80)
		terminal := NewTerminal(p.slave, p.slave)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		got := make(chan string, 1)
		go func() {
			text, err := terminal.AskSecret(ctx, "PASS: ")
			if err != nil {
				text = err.Error()
			}
			got <- text
		}()
		p.sees("PASS: ")
		p.types("wrong\x15sexx\x7f\x7fñ\x7fcreto\r")
		if text := <-got; text != "secreto" {
			t.Fatalf("read %q", text)
		}
		cancel()
	}
}

func TestAQuestionEndsWithItsContext(t *testing.T) {
	p := newPerson(t, 80)
	terminal := NewTerminal(p.slave, p.slave)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := terminal.AskSecret(ctx, "PASS: ")
		ended <- err
	}()
	p.sees("PASS: ")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// The reader is still there; it ends with the next line. What matters is
	// that the terminal shows again what is typed.
	p.types("visible\n")
	p.sees("visible")
}

func TestTheSessionEndsWithItsContextAndTheTerminalIsCooked(t *testing.T) {
	p := newPerson(t, 80)
	st := newStage(t, func(o *Options) { o.Out, o.Err = p.slave, p.slave })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- st.Interact(ctx, NewTerminal(p.slave, p.slave), "") }()
	p.prompted()
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the session did not end")
	}
	p.types("echoed\n")
	p.sees("echoed\r\n")
}

func TestALostConnectionEndsTheShell(t *testing.T) {
	p := newPerson(t, 80)
	st, ended := p.sits()
	p.prompted()
	st.server.lost = true
	p.types("pwd\r")
	p.sees("the connection to host is lost")
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a lost connection is no success")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the shell stays")
	}
}

func TestTheBarNamesTheFileAndStaysOnItsLine(t *testing.T) {
	for _, c := range []struct {
		what  string
		width uint16
		size  int64
		name  string
		sees  string
	}{
		{"a file", 80, 1 << 20, "notes.txt", "notes.txt   0% ["},
		{"a size that nobody knows", 80, -1, "notes.txt", "notes.txt"},
		{"an empty file", 80, 0, "empty", "empty"},
		{"a name wider than the window", 40, 1 << 20, strings.Repeat("名", 60), "…"},
		{"a name that steers terminals", 80, 1 << 20, "a\x1b[2Jb", `a\x1b[2Jb`},
	} {
		t.Run(c.what, func(t *testing.T) {
			p := newPerson(t, c.width)
			st := newStage(t, func(o *Options) {
				o.Out, o.Err, o.Progress = p.slave, p.slave, p.slave
				o.Dialogue = NewDialogue(p.slave, false, false)
			})
			item := mirror.Item{Remote: "/" + c.name, Local: c.name, Size: c.size}
			plan := &mirror.Plan{Tree: true, Files: []mirror.Item{item, item}, Bytes: max(c.size, 0)}
			st.mover.play = []mirror.Event{
				mirror.Planned{Plan: plan}, mirror.Started{Item: item},
				mirror.Moved{Item: item, N: c.size / 2}, mirror.Moved{Item: item, N: c.size},
				mirror.Failed{Item: item, Err: ftpclient.ErrTruncated},
				mirror.Done{Item: item, Bytes: max(c.size, 0), Moved: c.size},
			}
			plan.Tree = c.sees != "notes.txt   0% ["
			if err := st.Command(t.Context(), []string{"get", c.name}); err != nil {
				t.Error(err)
			}
			p.sees(c.sees)
			if strings.Contains(p.screen(), "\x1b[2J") {
				t.Error("a name cleared the screen")
			}
			for _, frame := range strings.FieldsFunc(p.screen(), func(r rune) bool { return r == '\r' || r == '\n' }) {
				bar := strings.Contains(frame, "%")
				if w := columns(strings.NewReplacer("\x1b[0K", "", "\x1b[2K", "").Replace(frame)); bar && w > int(c.width) {
					t.Errorf("the bar takes %d of %d columns: %q", w, c.width, frame)
				}
			}
		})
	}
}

func TestCtrlCEndsTheCommandAndNotTheSession(t *testing.T) {
	p := newPerson(t, 80)
	cmd := exec.Command(os.Args[0])
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.slave, p.slave, p.slave
	cmd.Env = append(os.Environ(), "TERM=dumb", childVariable+"=stuck")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })

	p.prompted()
	p.types("ls\r")
	p.sees("150 - ") // and then the server says no more
	p.types("\x03")
	p.sees("ftps: interrupted")
	p.prompted()
	p.types("pwd\r")
	p.sees("/\r\n")
	p.prompted()
	p.leaves(ended)
}

func TestCtrlZStopsTheJobAndItGoesOnWhereItWas(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("job control needs bash")
	}
	p := newPerson(t, 80)
	cmd := exec.Command(bash, "--norc", "--noprofile", "-i")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.slave, p.slave, p.slave
	cmd.Env = append(os.Environ(), "PS1=$ ", "TERM=dumb", "HISTFILE=", childVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })

	p.sees("$ ")
	p.types("'" + os.Args[0] + "'\n")
	p.prompted()
	p.types("pw")
	p.sees("ftp> pw")
	p.types("\x1a")
	p.sees("Stopped")
	p.sees("$ ")
	p.types("echo $((40+2))\n") // the terminal is bash's again, and cooked
	p.sees("\n42")
	p.sees("$ ")
	p.types("fg\n")
	p.sees("ftp> pw")
	p.types("d\r")
	p.sees("/\r\n")
	p.prompted()
	p.types("salir\r")
	p.sees("221 - ")
	p.sees("$ ")
	p.types("exit\n")
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatalf("bash did not end; seen %q", p.screen())
	}
}
