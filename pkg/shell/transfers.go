package shell

import (
	"context"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"ftps/pkg/fault"
	"ftps/pkg/ftp"
)

// Files moves whole files and trees between the two sides.
type Files interface {
	// Get brings m.From of the server to the local m.To; Put takes the local
	// m.From to m.To on the server. The error is nil when everything arrived
	// and was verified.
	Get(ctx context.Context, m Move, w Watcher) error
	Put(ctx context.Context, m Move, w Watcher) error
	// Cat writes a remote file to out.
	Cat(ctx context.Context, name string, out io.Writer) error
}

// Move is one get or put. The target is where the source itself goes, not
// the folder around it.
type Move struct {
	From, To  string
	Recursive bool // From is a folder
	Resume    bool // go on where an earlier attempt ended
}

func runGet(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	from := args.operands[0]
	to, err := s.inLocalFolder(s.localPath(args.operand(1, ".")), args.operand(1, "."), base(from))
	if err != nil {
		return err
	}
	return s.move(ctx, Move{from, to, args.has("r"), args.has("c")}, s.Files.Get, out)
}

func runPut(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	defer s.changed()
	from := s.localPath(args.operands[0])
	info, err := os.Stat(from)
	if err != nil {
		return localFault(err)
	}
	if info.IsDir() && !args.has("r") {
		return &misuse{fault.New("shell.put.folder", ftp.Sanitise(args.operands[0]))}
	}
	name := filepath.Base(from)
	if name == string(filepath.Separator) || filepath.Clean(args.operands[0]) == "." {
		name = "" // what is in it, not itself
	}
	to := name
	if target := args.operand(1, ""); target != "" {
		if to, err = s.inRemoteFolder(ctx, target, name); err != nil {
			return err
		}
	}
	if to == "" {
		to = "."
	}
	return s.move(ctx, Move{from, to, args.has("r"), args.has("c")}, s.Files.Put, out)
}

// base is the name that a remote path has here: "" where it is the name of
// no entry, so that what is in the folder goes straight into the target.
func base(remote string) string {
	switch name := path.Base(remote); name {
	case ".", "..", "/":
		return ""
	default:
		return name
	}
}

// inLocalFolder returns where to put something called name, as cp places
// things. typed is the target as the person wrote it.
func (s *Session) inLocalFolder(target, typed, name string) (string, error) {
	info, err := os.Stat(target)
	switch {
	case err == nil && info.IsDir():
		return filepath.Join(target, name), nil
	case err == nil && strings.HasSuffix(typed, string(filepath.Separator)):
		return "", fault.New("shell.local.notfolder", ftp.Sanitise(typed))
	case err != nil && strings.HasSuffix(typed, string(filepath.Separator)):
		return "", localFault(err)
	}
	return target, nil
}

// move runs a transfer and shows how it goes. The replies to a single file
// are shown; a tree has too many.
func (s *Session) move(ctx context.Context, m Move, run func(context.Context, Move, Watcher) error, out io.Writer) error {
	if m.Recursive {
		defer s.Dialogue.hush()()
	}
	w := s.watcher(m, out)
	err := run(ctx, m, w)
	w.close()
	return err
}

func runCat(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	for _, name := range args.operands {
		if err := s.Files.Cat(ctx, name, out); err != nil {
			return err
		}
	}
	return nil
}
