package shell

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"strings"

	"ftps/pkg/catalog"
	"ftps/pkg/fault"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

func runHelp(_ context.Context, s *Session, args arguments, out io.Writer) error {
	if len(args.operands) > 0 {
		row, ok := s.find(args.operands[0])
		if !ok {
			return s.unknown(args.operands[0])
		}
		s.helpOn(out, row)
		return nil
	}
	width := 0
	for i := range s.commands {
		width = max(width, columns(s.synopsis(&s.commands[i])))
	}
	for i := range s.commands {
		row := &s.commands[i]
		line := s.synopsis(row)
		fmt.Fprintf(out, "%s%s  %s\n", line, strings.Repeat(" ", width-columns(line)), s.text("shell.help."+row.names[0]))
	}
	fmt.Fprintln(out, s.text("shell.help.more"))
	return nil
}

// helpOn tells about one command.
func (s *Session) helpOn(out io.Writer, row *command) {
	fmt.Fprintln(out, s.synopsis(row))
	fmt.Fprintln(out, "  "+s.text("shell.help."+row.names[0]))
	if long := "shell.long." + row.names[0]; has(long) {
		fmt.Fprintln(out, "  "+strings.ReplaceAll(s.text(long), "\n", "\n  "))
	}
	for _, o := range row.options {
		fmt.Fprintf(out, "  %-6s  %s\n", o, s.text("shell.option."+row.names[0]+"."+o.key()))
	}
}

func has(key string) bool {
	_, ok := catalog.Lookup(key)
	return ok
}

func runQuit(ctx context.Context, s *Session, _ arguments, _ io.Writer) error {
	s.left = true
	return s.Server.Quit(ctx)
}

func runQuote(ctx context.Context, s *Session, args arguments, _ io.Writer) error {
	defer s.names.clear()
	// The reply is the result, whatever the verb.
	speak := s.Dialogue.hush()
	reply, err := s.Server.Quote(ctx, strings.Join(args.operands, " "))
	speak()
	if err != nil {
		return err
	}
	if reply.Code >= 400 {
		return &ftpclient.ReplyError{Command: strings.ToUpper(args.operands[0]), Reply: reply}
	}
	s.Dialogue.answered(reply)
	return nil
}

func runStatus(ctx context.Context, s *Session, _ arguments, out io.Writer) error {
	state := s.Server.TLS()
	rows := [][2]string{
		{"host", ftp.Sanitise(s.Host)},
		{"user", ftp.Sanitise(s.User)},
		{"tls", tls.VersionName(state.Version) + ", " + tls.CipherSuiteName(state.CipherSuite)},
	}
	speak := s.Dialogue.hush()
	folder, err := s.Server.Pwd(ctx)
	speak()
	if err != nil {
		return err
	}
	rows = append(rows, [2]string{"folder", ftp.Sanitise(folder)}, [2]string{"local", ftp.Sanitise(s.local)})
	s.columns(out, "shell.status.", rows)
	return nil
}

func runHistory(_ context.Context, s *Session, _ arguments, out io.Writer) error {
	if s.history == nil {
		return fault.New("shell.history.none")
	}
	for i, line := range s.history.lines {
		fmt.Fprintf(out, "%5d  %s\n", i+1, line)
	}
	return nil
}
