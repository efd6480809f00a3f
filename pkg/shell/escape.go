package shell

import (
	"context"
	"io"
	"strings"
)

// escape returns what stands behind "!" in a line: a command of the local
// machine, in its own shell's words and with its own ";".
func escape(line string) (rest string, ok bool) {
	return strings.CutPrefix(strings.TrimSpace(line), "!")
}

// runLocal runs a local command, or the person's shell, in the local folder.
func runLocal(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	cmd := s.localCommand(ctx, strings.TrimSpace(strings.Join(args.operands, " ")))
	cmd.Stdout = out
	return localEnd(ctx, cmd.Run())
}
