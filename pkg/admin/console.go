package admin

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/chzyer/readline"

	"ftps/pkg/catalog"
)

// Console reads commands from a terminal. What others want to show on that
// terminal meanwhile goes through [Console.Writer].
type Console struct {
	env Env
	rl  *readline.Instance
	in  *readline.CancelableStdin

	mu      sync.Mutex // one line at a time
	partial []byte     // what Writer was given after the last line end
	closing sync.Once
}

const prompt = "ftps> "

// NewConsole takes over a terminal; Close gives it back. There may be one
// console in a process.
func NewConsole(server Server, lang catalog.Lang, in, out *os.File) (*Console, error) {
	var before *readline.State // of the terminal
	keys := readline.NewCancelableStdin(in)
	rl, err := readline.NewEx(&readline.Config{
		Prompt:       prompt,
		Stdin:        keys,
		Stdout:       out,
		Stderr:       out,
		AutoComplete: completer{server},
		FuncIsTerminal: func() bool {
			return readline.IsTerminal(int(in.Fd())) && readline.IsTerminal(int(out.Fd()))
		},
		FuncGetWidth: func() int { return width(out) },
		FuncMakeRaw: func() (err error) {
			before, err = readline.MakeRaw(int(in.Fd()))
			return err
		},
		FuncExitRaw: func() error {
			if before == nil {
				return nil
			}
			return readline.Restore(int(in.Fd()), before)
		},
		// Ctrl-Z would stop the process group, the shell's script with it.
		FuncFilterInputRune: func(r rune) (rune, bool) { return r, r != readline.CharCtrlZ },
	})
	if err != nil {
		return nil, err
	}
	c := &Console{rl: rl, in: keys}
	c.env = Env{Server: server, Lang: lang, Out: c.Writer(), Ask: c.ask}
	return c, nil
}

func width(out *os.File) int {
	w, _, err := readline.GetSize(int(out.Fd()))
	if err != nil || w < 20 {
		return 80
	}
	return w
}

// Run reads and executes commands until exit, the terminal's end, or Close.
// It reports whether the server was told to stop; after Ctrl-D it was not.
func (c *Console) Run() (stopped bool) {
	for {
		line, err := c.rl.Readline()
		switch {
		case errors.Is(err, readline.ErrInterrupt):
			if line != "" {
				continue // Ctrl-C gives up the line, a second one the server
			}
			c.env.Server.Stop()
			return true
		case err != nil:
			return false
		}
		err = Run(&c.env, line)
		switch {
		case errors.Is(err, ErrLeave):
			return true
		case errors.Is(err, readline.ErrInterrupt), errors.Is(err, io.EOF):
		case err != nil:
			io.WriteString(c.env.Out, catalog.Explain(c.env.Lang, err)+"\n")
		}
	}
}

// ask puts a question where the prompt was: readline has one instance, and
// the answer must come through it.
func (c *Console) ask(question string) (string, error) {
	c.rl.SetPrompt(question)
	defer c.rl.SetPrompt(prompt)
	return c.rl.Readline()
}

// Close gives the terminal back and makes Run return.
func (c *Console) Close() {
	c.closing.Do(func() {
		c.in.Close() // first: rl.Close waits for the reader, and does not wake it
		c.rl.Close()
	})
}

// Writer returns a writer for lines that are to appear above the line being
// typed. It holds back what has no line end yet: readline draws whole lines
// only.
func (c *Console) Writer() io.Writer { return lineWriter{c} }

type lineWriter struct{ c *Console }

func (w lineWriter) Write(p []byte) (int, error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.c.partial = append(w.c.partial, p...)
	end := strings.LastIndexByte(string(w.c.partial), '\n') + 1
	if end == 0 {
		return len(p), nil
	}
	_, err := w.c.rl.Stdout().Write(w.c.partial[:end])
	w.c.partial = append(w.c.partial[:0], w.c.partial[end:]...)
	return len(p), err
}

// completer completes the commands' names and their first arguments: ids,
// accounts and addresses. All are plain ASCII, which readline's own drawing
// of candidates can bear.
type completer struct{ server Server }

// Do implements readline.AutoCompleter.
func (c completer) Do(line []rune, pos int) (rest [][]rune, shared int) {
	typed := string(line[:pos])
	words := strings.Fields(typed)
	if strings.HasSuffix(typed, " ") {
		words = append(words, "")
	}
	var all []string
	switch len(words) {
	case 0, 1:
		words = append(words, "")
		for _, row := range Commands() {
			all = append(all, row.Names[0])
		}
		typed = strings.ToLower(words[0])
	case 2:
		typed = words[1]
		for _, row := range Commands() {
			if slices.Contains(row.Names, strings.ToLower(words[0])) {
				all = row.Offers(func(command string) string {
					var out strings.Builder
					_ = Run(&Env{Server: c.server, Out: &out, JSON: true}, command)
					return out.String()
				})
			}
		}
	}
	for _, word := range all {
		if more, ok := strings.CutPrefix(word, typed); ok {
			rest = append(rest, []rune(more+" "))
		}
	}
	return rest, len([]rune(typed))
}
