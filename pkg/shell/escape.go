package shell

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"

	"ftps/pkg/fault"
)

// escape returns what stands behind "!" in a line: a command of the local
// machine, in its own shell's words and with its own ";".
func escape(line string) (rest string, ok bool) {
	return strings.CutPrefix(strings.TrimSpace(line), "!")
}

// runLocal runs a local command, or the person's shell, in the local folder.
func runLocal(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	name, words := s.Shell, []string(nil)
	if name == "" {
		name = "/bin/sh"
	}
	if line := strings.TrimSpace(strings.Join(args.operands, " ")); line != "" {
		words = []string{"-c", line}
	}
	cmd := exec.CommandContext(ctx, name, words...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = s.local, s.In, out, s.Err
	// Ctrl-C reaches the command by itself; how it ends is its own affair.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &ended):
		return fault.Wrap(err, "shell.local.command", ended.ExitCode())
	}
	return localFault(err)
}
