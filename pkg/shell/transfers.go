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
	// GetSome and PutSome move names of one folder into another.
	GetSome(ctx context.Context, items []mirror.Item, local string, o mirror.Options, tell func(mirror.Event)) (mirror.Result, error)
	PutSome(ctx context.Context, local string, names []string, remote string, o mirror.Options, tell func(mirror.Event)) (mirror.Result, error)
	// Mirror compares two folders, shows what differs to see, and where that
	// returns true makes the target equal to the source.
	Mirror(ctx context.Context, source, target string, o mirror.MirrorOptions, see func(*mirror.Changes) bool, tell func(mirror.Event)) (mirror.Result, error)
	// Read writes a remote file, from an offset on, to out.
	Read(ctx context.Context, remote string, offset int64, out io.Writer) error
}

// Mover is the Files of a session that has a server.
type Mover struct {
	Link   *Link
	Config mirror.Config // all but Conn, Dial, Site, Retries and Progress
}

// Get implements [Files].
func (m Mover) Get(ctx context.Context, remote, local string, o mirror.Options, tell func(mirror.Event)) (mirror.Result, error) {
	t, err := m.transfer(ctx, o, tell)
	if err != nil {
		return mirror.Result{}, err
	}
	defer t.Close()
	return t.Get(ctx, remote, local, o)
}

// Put implements [Files].
func (m Mover) Put(ctx context.Context, local, remote string, o mirror.Options, tell func(mirror.Event)) (mirror.Result, error) {
	t, err := m.transfer(ctx, o, tell)
	if err != nil {
		return mirror.Result{}, err
	}
	defer t.Close()
	return t.Put(ctx, local, remote, o)
}

// GetSome implements [Files].
func (m Mover) GetSome(ctx context.Context, items []mirror.Item, local string, o mirror.Options, tell func(mirror.Event)) (mirror.Result, error) {
	t, err := m.transfer(ctx, mirror.Options{Recursive: true}, tell)
	if err != nil {
		return mirror.Result{}, err
	}
	defer t.Close()
	return t.GetSome(ctx, items, local, o)
}

// PutSome implements [Files].
func (m Mover) PutSome(ctx context.Context, local string, names []string, remote string, o mirror.Options, tell func(mirror.Event)) (mirror.Result, error) {
	t, err := m.transfer(ctx, mirror.Options{Recursive: true}, tell)
	if err != nil {
		return mirror.Result{}, err
	}
	defer t.Close()
	return t.PutSome(ctx, local, names, remote, o)
}

// transfer is a new one for each command: further connections live as long
// as there are many files to move, and a single file goes over the session's
// own, whose replies the person sees.
func (m Mover) transfer(ctx context.Context, o mirror.Options, tell func(mirror.Event)) (*mirror.Transfer, error) {
	conn, err := m.Link.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c, config := m.Link.Connector, m.Config
	config.Conn, config.Dial, config.Progress = conn, c.Another, tell
	config.Retries, config.Site = m.Link.Retries, c.User()+"@"+c.Target.Address()
	if !o.Recursive {
		config.Jobs = max(1, o.Segments)
	}
	return mirror.New(config), nil
}

// Read implements [Files]. Where the connection breaks it goes on behind what
// was written, if the file is still the same.
func (m Mover) Read(ctx context.Context, remote string, offset int64, out io.Writer) error {
	var before ftp.Entry
	known := false // before is what the server said of the file at first
	for attempt := 0; ; attempt++ {
		conn, err := m.Link.Conn(ctx)
		if err != nil {
			return err
		}
		now := ftp.Entry{}
		if m.Link.Retries > 0 {
			if now, err = conn.Stat(ctx, remote); err != nil && conn.Usable() {
				return err
			}
		}
		switch {
		case err != nil:
		case !known:
			before, known = now, true
		case now.Size != before.Size || !now.ModTime.Equal(before.ModTime):
			return mirror.ErrChanged
		}
		written := counted{w: out}
		if err == nil {
			err = read(ctx, conn, remote, offset, &written)
		}
		offset += written.n
		if err == nil || written.err != nil || !ftpclient.Again(err) || attempt >= m.Link.Retries || ctx.Err() != nil {
			return err
		}
	}
}

func read(ctx context.Context, conn *ftpclient.Conn, remote string, offset int64, out io.Writer) error {
	d, err := conn.Retrieve(ctx, remote, offset)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, d)
	if closing := d.Close(); err == nil {
		err = closing
	}
	return err
}

// counted counts what was written, and keeps why no more was.
type counted struct {
	w   io.Writer
	n   int64
	err error
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	c.err = err
	return n, err
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
	defer s.names.clear()
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
