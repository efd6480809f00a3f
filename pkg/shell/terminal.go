package shell

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/chzyer/readline"
	"golang.org/x/term"

	"ftps/pkg/ftp"
)

// ErrNoAnswer is returned where a question was left with Ctrl-C or Ctrl-D.
var ErrNoAnswer = errors.New("shell: no answer")

// Terminal is where a person sits. Everything that is asked of them goes
// through one Terminal: there can be one reader of the keyboard only.
//
// Before the shell starts, questions are read a line at a time in the
// terminal's own mode; then the line editor takes over.
type Terminal struct {
	in, out *os.File
	editor  *readline.Instance // nil before start
	stdin   *readline.CancelableStdin
	signals []chan os.Signal // that are listened to
}

// NewTerminal returns the terminal of a process; both files must be one.
func NewTerminal(in, out *os.File) *Terminal {
	return &Terminal{in: in, out: out}
}

// IsTerminal reports whether f is a terminal.
func IsTerminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }

// Width returns the number of columns. Below 20 the line editor's arithmetic
// fails (at 5, the length of the prompt, it never ends), so less is never
// told to it.
func (t *Terminal) Width() int {
	return terminalWidth(t.out)
}

func terminalWidth(f *os.File) int {
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return max(width, 20)
}

// Ask shows a question and reads one line.
func (t *Terminal) Ask(ctx context.Context, question string) (string, error) {
	// The editor looks behind an escape character for a colour, also where
	// the question ends.
	question = ftp.Sanitise(question)
	if t.editor != nil {
		return t.readLine(ctx, question)
	}
	return t.ask(ctx, question, t.cookedLine)
}

// AskSecret shows a question and reads one line that is not shown.
func (t *Terminal) AskSecret(ctx context.Context, question string) (string, error) {
	fd := int(t.in.Fd())
	// A person who leaves with Ctrl-C must find the echo switched on again.
	state, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	// And off before the question shows: who has the answer ready would see
	// its first letters.
	if _, err := readline.MakeRaw(fd); err != nil {
		return "", err
	}
	answer, err := t.ask(ctx, question, t.secretLine)
	_ = term.Restore(fd, state)
	_, _ = io.WriteString(t.out, "\n")
	return answer, err
}

func (t *Terminal) ask(ctx context.Context, question string, read func() (string, error)) (string, error) {
	if _, err := io.WriteString(t.out, question); err != nil {
		return "", err
	}
	type answer struct {
		line string
		err  error
	}
	// A read from a terminal cannot be called off. When ctx ends first the
	// program is about to end too, and the reader with it.
	got := make(chan answer, 1)
	go func() {
		line, err := read()
		got <- answer{line, err}
	}()
	select {
	case a := <-got:
		if errors.Is(a.err, io.EOF) {
			return "", ErrNoAnswer
		}
		return a.line, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// cookedLine reads up to the line's end, a byte at a time: what follows
// belongs to whoever reads next.
func (t *Terminal) cookedLine() (string, error) {
	var line []byte
	one := make([]byte, 1)
	for {
		n, err := t.in.Read(one)
		if n == 1 {
			if one[0] == '\n' {
				return strings.TrimSuffix(string(line), "\r"), nil
			}
			line = append(line, one[0])
		}
		if err != nil {
			return "", err
		}
	}
}

// secretLine reads one line in raw mode, where the terminal does nothing by
// itself: it neither shows what is typed nor edits it. The mode is not
// changed once the question stands: what is typed ahead is kept by the
// terminal in the mode of that moment, and a line that ended in one mode has
// no end in the other.
func (t *Terminal) secretLine() (string, error) {
	var line []byte
	one := make([]byte, 1)
	for {
		n, err := t.in.Read(one)
		if err != nil {
			return "", err
		}
		if n == 0 {
			continue
		}
		switch one[0] {
		case '\r', '\n':
			return string(line), nil
		case 0x03: // Ctrl-C: what the terminal would have sent
			if self, err := os.FindProcess(os.Getpid()); err == nil {
				_ = self.Signal(os.Interrupt)
			}
			return "", io.EOF
		case 0x04: // Ctrl-D
			if len(line) == 0 {
				return "", io.EOF
			}
		case 0x15: // Ctrl-U
			line = line[:0]
		case 0x08, 0x7f: // backspace
			_, size := utf8.DecodeLastRune(line)
			line = line[:len(line)-size]
		default:
			line = append(line, one[0])
		}
	}
}

// start hands the keyboard to the line editor.
func (t *Terminal) start(complete readline.AutoCompleter, history []string) error {
	fd := int(t.in.Fd())
	var mode sync.Mutex
	var cooked *readline.State // before it was made raw
	var isRaw bool
	raw := func() error {
		mode.Lock()
		defer mode.Unlock()
		before, err := readline.MakeRaw(fd)
		if err == nil {
			cooked, isRaw = before, true
		}
		return err
	}
	exitRaw := func() error {
		mode.Lock()
		defer mode.Unlock()
		if cooked == nil {
			return nil
		}
		isRaw = false
		return readline.Restore(fd, cooked)
	}
	// rawAgain takes the terminal back from whoever had it while the job was
	// stopped, where a line is being read.
	rawAgain := func() bool {
		mode.Lock()
		defer mode.Unlock()
		if isRaw {
			_ = readline.Restore(fd, cooked)
			_, _ = readline.MakeRaw(fd)
		}
		return isRaw
	}
	t.stdin = readline.NewCancelableStdin(t.in)
	editor, err := readline.NewEx(&readline.Config{
		Stdin:        t.stdin,
		Stdout:       t.out,
		Stderr:       t.out,
		AutoComplete: complete,
		// The history file is ours: the editor would make it readable for
		// everyone, and would save every line.
		DisableAutoSaveHistory: true,
		FuncGetWidth:           t.Width,
		FuncIsTerminal:         func() bool { return true },
		FuncMakeRaw:            raw,
		FuncExitRaw:            exitRaw,
		FuncOnWidthChanged:     t.watchWidth,
		FuncFilterInputRune: func(r rune) (rune, bool) {
			if r == readline.CharCtrlZ {
				_ = exitRaw()
				suspend()
				_ = raw()
				t.editor.Refresh()
			}
			return filterRune(r), true
		},
	})
	if err != nil {
		return err
	}
	t.editor = editor
	t.watchWoken(func() {
		if rawAgain() {
			editor.Refresh()
		}
	})
	for _, line := range history {
		_ = editor.SaveHistory(line)
	}
	if len(history) == 0 {
		// With no line at all, leaving a search crashes the editor.
		_ = editor.SaveHistory("")
	}
	return nil
}

// filterRune lets through what the editor knows. The rest, of which it would
// put control characters into the line, becomes a bell, which it ignores: to
// swallow a key outright would leave it reading beside the next command.
func filterRune(r rune) rune {
	const known = "\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x10\x12\x13\x14\x15\x17\x19\x7f"
	switch {
	case r == 0, r >= ' ' && plain(string(r)), strings.ContainsRune(known, r):
		return r
	case r <= readline.MetaBackward && r >= readline.MetaBackspace:
		return r
	}
	return readline.CharBell
}

// readLine reads a line with the editor. Ctrl-C gives errInterrupted, and
// Ctrl-D on an empty line io.EOF.
func (t *Terminal) readLine(ctx context.Context, prompt string) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = t.stdin.Close() })
	defer stop()
	t.editor.SetPrompt(prompt)
	line, err := t.editor.Readline()
	if err != nil && ctx.Err() != nil {
		return "", ctx.Err()
	}
	if errors.Is(err, readline.ErrInterrupt) {
		return "", ErrNoAnswer
	}
	return line, err
}

// above writes whole lines above the line being typed.
func (t *Terminal) above(lines string) {
	_, _ = io.WriteString(t.editor.Stdout(), lines)
}

// remember puts a line where the arrow keys find it; an empty one discards
// what was typed.
func (t *Terminal) remember(line string) { _ = t.editor.SaveHistory(line) }

// Close gives the terminal back as it was.
func (t *Terminal) Close() error {
	if t.editor == nil {
		return nil
	}
	for _, heard := range t.signals {
		signal.Stop(heard)
		close(heard)
	}
	t.signals = nil
	// Its own Close waits for a read that only this ends.
	_ = t.stdin.Close()
	err := t.editor.Close()
	t.editor = nil
	return err
}
