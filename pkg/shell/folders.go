package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"ftps/pkg/fault"
	"ftps/pkg/ftp"
)

func runCd(ctx context.Context, s *Session, args arguments, _ io.Writer) error {
	err := s.Server.Cwd(ctx, args.operands[0])
	if err == nil {
		s.names.clear()
	}
	return err
}

func runPwd(ctx context.Context, s *Session, _ arguments, out io.Writer) error {
	folder, err := s.Server.Pwd(ctx)
	if err != nil {
		return err
	}
	if s.JSON {
		writeJSON(out, struct {
			Path string `json:"path"`
		}{folder})
		return nil
	}
	fmt.Fprintln(out, ftp.Sanitise(folder))
	return nil
}

// each runs one step for every operand and stops at the first failure.
func each(names []string, step func(name string) error) error {
	for _, name := range names {
		if err := step(name); err != nil {
			return err
		}
	}
	return nil
}

func runMkdir(ctx context.Context, s *Session, args arguments, _ io.Writer) error {
	return each(args.operands, func(name string) error {
		err := s.Server.Mkdir(ctx, name)
		if err == nil {
			s.names.made(name, ftp.Dir)
		}
		return err
	})
}

func runRmdir(ctx context.Context, s *Session, args arguments, _ io.Writer) error {
	return each(args.operands, func(name string) error { return s.gone(name, s.Server.Rmdir(ctx, name)) })
}

func runRm(ctx context.Context, s *Session, args arguments, _ io.Writer) error {
	return each(args.operands, func(name string) error { return s.gone(name, s.Server.Delete(ctx, name)) })
}

// gone notes that a name was removed.
func (s *Session) gone(name string, err error) error {
	if err == nil {
		s.names.removed(name)
	}
	return err
}

// runTouch makes empty files, and gives those that are there the time of now.
func runTouch(ctx context.Context, s *Session, args arguments, _ io.Writer) error {
	defer s.Dialogue.hush()()
	return each(args.operands, func(name string) error {
		err := s.Server.Touch(ctx, name, time.Now())
		if err == nil {
			s.names.made(name, ftp.File)
		}
		return err
	})
}

func runMv(ctx context.Context, s *Session, args arguments, _ io.Writer) error {
	defer s.names.clear()
	from, to := args.operands[0], args.operands[1]
	to, err := s.inRemoteFolder(ctx, to, path.Base(from))
	if err != nil {
		return err
	}
	return s.Server.Rename(ctx, from, to)
}

// inRemoteFolder returns where to put something called base, as cp places
// things: into target where that is a folder, else as target.
func (s *Session) inRemoteFolder(ctx context.Context, target, base string) (string, error) {
	defer s.Dialogue.hush()()
	e, err := s.Server.Stat(ctx, target)
	switch {
	case err == nil && isFolder(e):
		return path.Join(target, base), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case !s.Server.Usable():
		return "", err
	case strings.HasSuffix(target, "/"):
		if err == nil {
			err = fault.New("shell.remote.notfolder", ftp.Sanitise(target))
		}
		return "", err
	}
	return target, nil
}

func runLcd(_ context.Context, s *Session, args arguments, _ io.Writer) error {
	target := s.Home
	if len(args.operands) > 0 || target == "" {
		target = s.localPath(args.operand(0, "/"))
	}
	info, err := os.Stat(target)
	if err != nil {
		return localFault(err)
	}
	if !info.IsDir() {
		return fault.New("shell.local.notfolder", ftp.Sanitise(target))
	}
	s.local = target
	return nil
}

func runLpwd(_ context.Context, s *Session, _ arguments, out io.Writer) error {
	fmt.Fprintln(out, ftp.Sanitise(s.local))
	return nil
}

// localFault gives the common failures of the local file system a sentence
// in the person's language.
func localFault(err error) error {
	var p *fs.PathError
	if !errors.As(err, &p) {
		return err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.Wrap(err, "shell.local.missing", ftp.Sanitise(p.Path))
	case errors.Is(err, fs.ErrPermission):
		return fault.Wrap(err, "shell.local.denied", ftp.Sanitise(p.Path))
	}
	return fault.Wrap(err, "shell.local.failed", ftp.Sanitise(p.Path), p.Err.Error())
}
