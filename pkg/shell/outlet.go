package shell

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"

	"ftps/pkg/fault"
)

// outlet is where a command's result goes instead of standard output: into a
// file ("> file", ">> file") or to a command of this machine ("| cmd"). The
// zero outlet is standard output.
type outlet struct {
	file    string
	append  bool
	command string
}

// outletOf takes the outlet off the end of a command's words.
func outletOf(words []word) (rest []word, to outlet, err error) {
	for i, w := range words {
		if !w.operator {
			continue
		}
		switch behind := words[i+1:]; {
		case len(behind) != 1 || behind[0].operator || i == 0:
			return nil, to, &misuse{fault.New("shell.outlet.bad", w.text)}
		case w.text == "|":
			to.command = behind[0].text
		default:
			to.file, to.append = behind[0].text, w.text == ">>"
		}
		return words[:i], to, nil
	}
	return words, to, nil
}

// into runs a command against the outlet.
func (s *Session) into(ctx context.Context, to outlet, run func(context.Context, io.Writer) error) error {
	if to == (outlet{}) {
		return run(ctx, s.Out)
	}
	colour := s.colourOut
	s.colourOut = false
	defer func() { s.colourOut = colour }()
	if to.command != "" {
		return s.pipe(ctx, to.command, run)
	}
	how := os.O_TRUNC
	if to.append {
		how = os.O_APPEND
	}
	f, err := os.OpenFile(s.localPath(to.file), os.O_WRONLY|os.O_CREATE|how, 0o666)
	if err != nil {
		return localFault(err)
	}
	err = run(ctx, f)
	if closing := f.Close(); err == nil && closing != nil {
		err = localFault(closing)
	}
	return err
}

// pipe runs a command into one of this machine. When that has read enough,
// the other is ended, and that is no failure.
func (s *Session) pipe(ctx context.Context, line string, run func(context.Context, io.Writer) error) error {
	cmd := s.localCommand(ctx, line)
	cmd.Stdin = nil
	in, err := cmd.StdinPipe()
	if err == nil {
		cmd.Stdout = s.Out
		err = cmd.Start()
	}
	if err != nil {
		return localFault(err)
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	w := &reader{Writer: in, gone: stop}
	err = run(running, w)
	_ = in.Close()
	ended := localEnd(ctx, cmd.Wait())
	if err != nil && !w.left {
		return err
	}
	return ended
}

// reader is a command that may stop reading.
type reader struct {
	io.Writer
	gone func()
	left bool
}

func (r *reader) Write(b []byte) (int, error) {
	n, err := r.Writer.Write(b)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
		r.left = true
		r.gone()
	}
	return n, err
}

// localCommand is a command line of the person's, run by their shell in the
// local folder.
func (s *Session) localCommand(ctx context.Context, line string, args ...string) *exec.Cmd {
	name, words := s.Shell, []string(nil)
	if name == "" {
		name = "/bin/sh"
	}
	if line != "" {
		words = append([]string{"-c", line}, args...)
	}
	cmd := exec.CommandContext(ctx, name, words...)
	cmd.Dir, cmd.Stdin, cmd.Stderr = s.local, s.In, s.Err
	// Ctrl-C reaches the command by itself; how it ends is its own affair.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	return cmd
}

// localEnd is how a local command ended.
func localEnd(ctx context.Context, err error) error {
	var ended *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &ended):
		return fault.Wrap(err, "shell.local.command", ended.ExitCode())
	}
	return localFault(err)
}
