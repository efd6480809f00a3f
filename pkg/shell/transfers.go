package shell

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"ftps/pkg/fault"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
	"ftps/pkg/mirror"
)

// Files moves files and trees between the two sides. Remote paths are
// absolute, local ones too, and targets are meant as cp means them.
type Files interface {
	Get(ctx context.Context, remote, local string, o mirror.Options, tell func(mirror.Event)) (mirror.Result, error)
	Put(ctx context.Context, local, remote string, o mirror.Options, tell func(mirror.Event)) (mirror.Result, error)
	// Mirror compares two folders, shows what differs to see, and where that
	// returns true makes the target equal to the source.
	Mirror(ctx context.Context, source, target string, o mirror.MirrorOptions, see func(*mirror.Changes) bool, tell func(mirror.Event)) (mirror.Result, error)
	// Cat writes a remote file to out.
	Cat(ctx context.Context, remote string, out io.Writer) error
}

// Mover is the Files of a session that has a server.
type Mover struct {
	Conn   *ftpclient.Conn // the session's own
	Config mirror.Config   // all but Conn and Progress
}

// Get implements [Files].
func (m Mover) Get(ctx context.Context, remote, local string, o mirror.Options, tell func(mirror.Event)) (mirror.Result, error) {
	t := m.transfer(o, tell)
	defer t.Close()
	return t.Get(ctx, remote, local, o)
}

// Put implements [Files].
func (m Mover) Put(ctx context.Context, local, remote string, o mirror.Options, tell func(mirror.Event)) (mirror.Result, error) {
	t := m.transfer(o, tell)
	defer t.Close()
	return t.Put(ctx, local, remote, o)
}

// transfer is a new one for each command: further connections live as long
// as there are many files to move, and a single file goes over the session's
// own, whose replies the person sees.
func (m Mover) transfer(o mirror.Options, tell func(mirror.Event)) *mirror.Transfer {
	config := m.Config
	config.Conn, config.Progress = m.Conn, tell
	if !o.Recursive {
		config.Jobs = max(1, o.Segments)
	}
	return mirror.New(config)
}

// Cat implements [Files].
func (m Mover) Cat(ctx context.Context, remote string, out io.Writer) error {
	d, err := m.Conn.Retrieve(ctx, remote, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, d)
	if closing := d.Close(); err == nil {
		err = closing
	}
	return err
}

func runGet(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	remote, err := s.remotePath(ctx, args.operands[0])
	if err != nil {
		return err
	}
	segments := 0
	for _, v := range args.values["j"] {
		if segments, err = strconv.Atoi(v); err != nil || segments < 1 || segments > maxSegments {
			return &misuse{fault.New("shell.get.segments", maxSegments, ftp.Sanitise(v))}
		}
	}
	local := s.localTarget(args.operand(1, "."))
	return s.move(args, out, func(o mirror.Options, tell func(mirror.Event)) (mirror.Result, error) {
		o.Segments = segments
		return s.Files.Get(ctx, remote, local, o, tell)
	})
}

// maxSegments bounds -j of get: beyond it a server sees an attack.
const maxSegments = 32

func runPut(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	defer s.changed()
	remote, err := s.remotePath(ctx, args.operand(1, ""))
	if err != nil {
		return err
	}
	local := s.localSource(args.operands[0])
	return s.move(args, out, func(o mirror.Options, tell func(mirror.Event)) (mirror.Result, error) {
		return s.Files.Put(ctx, local, remote, o, tell)
	})
}

// move runs a transfer and shows how it goes. The replies to a single file
// are shown; a tree has too many.
func (s *Session) move(args arguments, out io.Writer, run func(mirror.Options, func(mirror.Event)) (mirror.Result, error)) error {
	o := mirror.Options{Recursive: args.has("r"), Resume: args.has("c")}
	if o.Recursive {
		defer s.Dialogue.hush()()
	}
	w := s.watch(out)
	result, err := run(o, w.tell)
	w.end(result)
	var some *mirror.PartialError
	if errors.As(err, &some) {
		return err
	}
	return localFault(err)
}

// remotePath makes a path of the server absolute: further connections begin
// in another folder than this one is in. The path is not cleaned; what ".."
// leads to is the server's to say.
func (s *Session) remotePath(ctx context.Context, name string) (string, error) {
	if strings.HasPrefix(name, "/") {
		return name, nil
	}
	defer s.Dialogue.hush()()
	folder, err := s.Server.Pwd(ctx)
	if err != nil {
		return "", err
	}
	if name == "" {
		return folder, nil
	}
	return strings.TrimSuffix(folder, "/") + "/" + name, nil
}

// localTarget is where to put things: a slash at its end says that it must
// be a folder, and stays.
func (s *Session) localTarget(typed string) string {
	target := s.localPath(typed)
	if strings.HasSuffix(typed, "/") && !strings.HasSuffix(target, "/") {
		target += "/"
	}
	return target
}

// localSource is what to send. "." and ".." stay what they are at the end of
// a path: the content of a folder, not the folder by its name.
func (s *Session) localSource(typed string) string {
	source := s.localPath(typed)
	if base := filepath.Base(typed); base == "." || base == ".." {
		source = strings.TrimSuffix(source, "/") + "/."
	}
	return source
}

func runCat(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	defer s.Dialogue.hush()()
	for _, name := range args.operands {
		if err := s.Files.Cat(ctx, name, out); err != nil {
			return err
		}
	}
	return nil
}
