// Package shell is the interactive client: a table of commands, each a few
// steps of packages ftpclient and mirror, and around it words, help,
// completion, history, colour and progress.
//
// It is not a library for transfers; begin with ftpclient for that. A
// [Session] runs lines against a [Server] and writes to io.Writers: results
// to Out, all the rest to Err. Only [Session.Interact] needs a [Terminal].
package shell

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/doctor"
	"ftps/pkg/fault"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

// Server is a connection after login; [Link] is one.
type Server interface {
	Cwd(ctx context.Context, path string) error
	Pwd(ctx context.Context) (string, error)
	Mkdir(ctx context.Context, path string) error
	Rmdir(ctx context.Context, path string) error
	Delete(ctx context.Context, path string) error
	Rename(ctx context.Context, from, to string) error
	List(ctx context.Context, path string) iter.Seq2[ftp.Entry, error]
	Stat(ctx context.Context, path string) (ftp.Entry, error)
	Chmod(ctx context.Context, path string, mode fs.FileMode) error
	HashMethod() (ftpclient.HashMethod, bool)
	SumOf(ctx context.Context, m ftpclient.HashMethod, path string, n, size int64) ([]byte, error)
	Quote(ctx context.Context, line string) (ftp.Reply, error)
	Quit(ctx context.Context) error
	TLS() tls.ConnectionState
	Usable() bool
	// Gone reports that the connection is lost for good.
	Gone() bool
	// Glance lists a folder if the connection stands, and makes no new one.
	Glance(ctx context.Context, path string) iter.Seq2[ftp.Entry, error]
	// Touch makes an empty file, or sets the time of one that is there.
	Touch(ctx context.Context, path string, at time.Time) error
}

// Options are what a session works with.
type Options struct {
	Lang   catalog.Lang
	Server Server // nil: only doctor runs
	// Examination is what doctor does; nil where nobody can.
	Examination func() doctor.Options
	Files       Files
	Dialogue    *Dialogue // nil: replies are not shown

	Out, Err             io.Writer
	ColourOut, ColourErr bool
	JSON                 bool // objects, one a line, on Out

	Host, User string    // for status and messages
	Folder     string    // the local folder to begin in; "" is the process's
	Shell      string    // runs what stands behind "!"; "" is /bin/sh
	In         io.Reader // what such a command reads; nil is nothing
	Home       string    // what lcd without an operand goes to
	Pager      string    // of less; "" is less
	Editor     string    // of edit; "" is vi

	Target    Target // the server, for bookmarks
	Bookmarks string // path of their file; "" is none
	// Go leaves for the server of a bookmark and returns the account there;
	// nil where there is no way.
	Go func(ctx context.Context, b Bookmark) (user string, err error)

	// Progress is the terminal on which transfers draw a bar; without it
	// they tell a line a file, and nothing when Quiet.
	Progress *os.File
	Quiet    bool
}

// Session is one person's, or one script's, work on a server. One goroutine
// uses it.
type Session struct {
	Options
	commands  []command
	colourOut bool
	local     string
	names     names // for completion
	tabTime   time.Duration
	history   *history
	left      bool // quit was said
}

// New returns a session.
func New(o Options) (*Session, error) {
	if o.Dialogue == nil {
		o.Dialogue = NewDialogue(io.Discard, false, false)
	}
	folder, err := filepath.Abs(o.Folder)
	if err != nil {
		return nil, err
	}
	s := &Session{Options: o, commands: table(), colourOut: o.ColourOut && !o.JSON, local: folder, tabTime: tabTime}
	s.names.list = s.glance
	return s, nil
}

func (s *Session) text(key string, args ...any) string { return catalog.Text(s.Lang, key, args...) }

// Command runs one command from its words, as a command line gives them. An
// error has been told when Command returns.
func (s *Session) Command(ctx context.Context, words []string) error {
	return s.tell(s.command(ctx, words, outlet{}))
}

// Script runs lines until the first failure. "-" before a command goes on
// after its failure; "@" keeps back what it would tell. Lines that begin
// with "#" say nothing. An error has been told when Script returns.
func (s *Session) Script(ctx context.Context, r io.Reader) error {
	lines := bufio.NewScanner(r)
	for !s.left && lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "#") {
			continue
		}
		if err := s.Line(ctx, line); err != nil {
			return err
		}
	}
	return s.tell(lines.Err())
}

// Line runs the commands of one line, as [Session.Script] does.
func (s *Session) Line(ctx context.Context, line string) error {
	if rest, ok := escape(line); ok {
		return s.tell(s.command(ctx, []string{"!", rest}, outlet{}))
	}
	commands, err := split(line)
	if err != nil {
		return s.tell(&misuse{fault.New("shell.quote.open")})
	}
	for _, words := range commands {
		words, to, err := outletOf(words)
		if err != nil {
			return s.tell(err)
		}
		if len(words) == 0 || s.left {
			continue
		}
		texts := texts(words)
		if row, ok := s.find(strings.TrimLeft(texts[0], "-@")); ok && row.globs {
			texts = patterns(words)
		}
		rest := strings.TrimLeft(texts[0], "-@")
		marks := texts[0][:len(texts[0])-len(rest)]
		texts[0] = rest
		if rest == "" { // "- ls"
			if texts = texts[1:]; len(texts) == 0 {
				continue
			}
		}
		err = s.marked(ctx, marks, texts, to)
		if err == nil {
			continue
		}
		goOn := strings.Contains(marks, "-") && ctx.Err() == nil && s.Server.Usable() &&
			ftpclient.Class(err) != ftpclient.Interrupted
		if !goOn {
			return err
		}
	}
	return nil
}

func (s *Session) marked(ctx context.Context, marks string, words []string, to outlet) error {
	if !strings.Contains(marks, "@") {
		return s.tell(s.command(ctx, words, to))
	}
	defer s.Dialogue.hush()()
	quiet, errs := s.Quiet, s.Err
	defer func() { s.Quiet, s.Err = quiet, errs }()
	s.Quiet = true
	if strings.Contains(marks, "-") {
		s.Err = io.Discard // neither its success nor its failure matters
		return s.command(ctx, words, to)
	}
	return s.tell(s.command(ctx, words, to))
}

// command finds the row and runs it.
func (s *Session) command(ctx context.Context, words []string, to outlet) error {
	row, ok := s.find(words[0])
	if !ok {
		return s.unknown(words[0])
	}
	if len(words) == 2 && words[1] == "--help" && !row.raw {
		s.helpOn(s.Out, row)
		return nil
	}
	args, err := row.parse(words[1:])
	if err != nil {
		return &usage{err, s.synopsis(row)}
	}
	var objects io.Writer
	if s.JSON && !row.objects {
		objects = s.Out
	}
	s.Dialogue.begin(objects)
	if to != (outlet{}) && !row.prints {
		return &misuse{fault.New("shell.outlet.none", row.names[0])}
	}
	return s.into(ctx, to, func(ctx context.Context, out io.Writer) error { return row.run(ctx, s, args, out) })
}

// usage is a misuse of a known command.
type usage struct {
	error
	synopsis string
}

func (u *usage) Unwrap() error { return u.error }

func (s *Session) tell(err error) error { return s.Tell(err) }

// Leave takes leave of the server after a script, without a word.
func (s *Session) Leave(ctx context.Context) {
	if s.left || !s.Server.Usable() {
		return
	}
	defer s.Dialogue.hush()()
	s.left = true
	_ = s.Server.Quit(ctx)
}

// Interact reads lines from the terminal until the person leaves or the
// connection is lost. Ctrl-C clears the line being typed; while a command
// runs it ends that command only.
func (s *Session) Interact(ctx context.Context, t *Terminal, historyPath string) error {
	// A signal while nothing runs must not leave the terminal in raw mode.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)

	s.history = openHistory(historyPath)
	complete := &completer{session: s, above: t.above, width: t.Width, patience: s.tabTime}
	if err := t.start(complete, s.history.lines); err != nil {
		return s.tell(err)
	}
	defer t.Close()

	for !s.left {
		s.names.open()
		if _, known := s.names.get(""); !known {
			s.names.fetch("")
		}
		line, err := t.readLine(ctx, "ftp> ")
		s.names.shut()
		switch {
		case errors.Is(err, ErrNoAnswer):
			continue
		case errors.Is(err, io.EOF):
			_ = s.interruptible(ctx, func(ctx context.Context) error { return s.Command(ctx, []string{"quit"}) })
			return nil
		case err != nil:
			return err
		case strings.TrimSpace(line) == "":
			continue
		}
		if s.history.add(line) {
			t.remember(strings.TrimSpace(line))
		} else {
			t.remember("")
		}
		err = s.interruptible(ctx, func(ctx context.Context) error { return s.Line(ctx, line) })
		if !s.left && s.Server.Gone() {
			fmt.Fprintln(s.Err, "ftps: "+s.text("shell.lost", s.Host))
			if err == nil {
				err = ftpclient.ErrClosed
			}
			return err
		}
	}
	return nil
}

// interruptible runs f with a context that Ctrl-C ends.
func (s *Session) interruptible(ctx context.Context, f func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	return f(ctx)
}

// localPath returns a local name as the process must open it.
func (s *Session) localPath(name string) string {
	if name == "~" || strings.HasPrefix(name, "~"+string(filepath.Separator)) {
		if s.Home != "" {
			name = s.Home + name[1:]
		}
	}
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.local, name)
}

// note tells something that is no error.
func (s *Session) note(key string, args ...any) { fmt.Fprintln(s.Err, "ftps: "+s.text(key, args...)) }
