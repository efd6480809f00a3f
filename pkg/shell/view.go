package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"ftps/pkg/fault"
	"ftps/pkg/ftp"
	"ftps/pkg/mirror"
)

func runCat(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	defer s.Dialogue.hush()()
	for _, name := range args.operands {
		if err := s.Files.Read(ctx, name, 0, out); err != nil {
			return err
		}
	}
	return nil
}

// runLess shows files in the person's pager; without a terminal there is
// nothing to page.
func runLess(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	if s.In == nil {
		return runCat(ctx, s, args, out)
	}
	pager := s.Pager
	if pager == "" {
		pager = "less"
	}
	return s.into(ctx, outlet{command: pager}, func(ctx context.Context, out io.Writer) error { return runCat(ctx, s, args, out) })
}

// lineCount is the -n of head and tail.
func lineCount(args arguments) (int, error) {
	n := 10
	for _, v := range args.values["n"] {
		var err error
		if n, err = strconv.Atoi(v); err != nil || n < 0 {
			return 0, &misuse{fault.New("shell.lines.bad", ftp.Sanitise(v))}
		}
	}
	return n, nil
}

// heading parts several files.
func heading(out io.Writer, names []string, i int) {
	if len(names) < 2 {
		return
	}
	if i > 0 {
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "==> %s <==\n", ftp.Sanitise(names[i]))
}

func runHead(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	n, err := lineCount(args)
	if err != nil {
		return err
	}
	defer s.Dialogue.hush()()
	for i, name := range args.operands {
		heading(out, args.operands, i)
		if n == 0 {
			continue
		}
		if err := s.Files.Read(ctx, name, 0, &firstLines{out, n}); err != nil && !errors.Is(err, errRead) {
			return err
		}
	}
	return nil
}

// errRead: enough has been read.
var errRead = errors.New("shell: read enough")

// firstLines lets some lines pass.
type firstLines struct {
	w    io.Writer
	left int
}

func (f *firstLines) Write(b []byte) (int, error) {
	end := 0
	for f.left > 0 && end < len(b) {
		i := bytes.IndexByte(b[end:], '\n')
		if i < 0 {
			end = len(b)
			break
		}
		end += i + 1
		f.left--
	}
	n, err := f.w.Write(b[:end])
	if err == nil && f.left == 0 {
		err = errRead
	}
	return n, err
}

const (
	// tailFirst is what tail reads at first of a file's end; it doubles up to
	// tailMost until it holds the lines.
	tailFirst = 64 << 10
	tailMost  = 64 << 20
	// tailPause is how often tail -f looks.
	tailPause = time.Second
)

func runTail(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	n, err := lineCount(args)
	if err != nil {
		return err
	}
	defer s.Dialogue.hush()()
	names := args.operands
	if args.has("f") && len(names) > 1 {
		return &misuse{fault.New("shell.tail.one")}
	}
	var at int64
	for i, name := range names {
		heading(out, names, i)
		if at, err = s.tail(ctx, name, n, out); err != nil {
			return err
		}
	}
	if args.has("f") {
		return s.follow(ctx, names[0], at, out)
	}
	return nil
}

// tail writes a file's last lines and returns where they end.
func (s *Session) tail(ctx context.Context, name string, n int, out io.Writer) (int64, error) {
	e, err := s.Server.Stat(ctx, name)
	switch {
	case err != nil:
		return 0, err
	case isFolder(e):
		return 0, mirror.ErrIsFolder
	}
	for chunk := int64(tailFirst); ; chunk *= 2 {
		from := max(0, e.Size-chunk)
		var b bytes.Buffer
		if err := s.Files.Read(ctx, name, from, &b); err != nil {
			return 0, err
		}
		last, all := lastLines(b.Bytes(), n)
		if all && from > 0 && chunk < tailMost {
			continue
		}
		_, err := out.Write(last)
		return from + int64(b.Len()), err
	}
}

// lastLines returns the last n lines, and whether these begin where b does.
func lastLines(b []byte, n int) (last []byte, all bool) {
	at := len(b)
	if at > 0 && b[at-1] == '\n' {
		at--
	}
	if n == 0 {
		return nil, false
	}
	for range n {
		if at = bytes.LastIndexByte(b[:at], '\n'); at < 0 {
			return b, true
		}
	}
	return b[at+1:], false
}

// follow writes what a file grows by, until ctx ends. One that became shorter
// is another one, and is shown from its beginning.
func (s *Session) follow(ctx context.Context, name string, at int64, out io.Writer) error {
	for {
		select {
		case <-time.After(tailPause):
		case <-ctx.Done():
			return ctx.Err()
		}
		e, err := s.Server.Stat(ctx, name)
		if err != nil {
			return err
		}
		if e.Size < at {
			fmt.Fprintln(s.Err, "ftps: "+s.text("shell.tail.shorter", ftp.Sanitise(name)))
			at = 0
		}
		if e.Size == at {
			continue
		}
		w := counted{w: out}
		err = s.Files.Read(ctx, name, at, &w)
		at += w.n
		if err != nil {
			return err
		}
	}
}
