package ftpclient

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"

	"ftps/pkg/ftp"
)

const (
	// maxListing bounds the bytes of one listing.
	maxListing = 1 << 30
	// maxLines bounds its lines.
	maxLines = 4_000_000
	// maxListLine is longer than any path with its facts.
	maxListLine = 16 << 10
)

// List yields the entries of a folder, "" being the working folder, without
// "." and "..": by MLSD, else by LIST. An [*UnknownLineError] or a
// [*NameError] is about one line, and the listing goes on behind it,
// incomplete; any other error is the last. The connection is in use until
// the loop ends.
func (c *Conn) List(ctx context.Context, path string) iter.Seq2[ftp.Entry, error] {
	return func(yield func(ftp.Entry, error) bool) {
		if err := c.enter(); err != nil {
			yield(ftp.Entry{}, err)
			return
		}
		l, err := c.openListing(ctx, path)
		if err != nil {
			yield(ftp.Entry{}, err)
			return
		}
		l.run(yield)
	}
}

// errStopped: the loop over a listing was left early.
var errStopped = errors.New("stopped")

// listing is one listing being read.
type listing struct {
	d     io.ReadCloser // its end is the verdict
	most  int64         // bytes
	lines int           // at most
	parse func(line string) (ftp.Entry, error)
}

// openListing begins a listing. The caller has entered the Conn, and the
// listing or the error gives it back.
func (c *Conn) openListing(ctx context.Context, path string) (*listing, error) {
	if (c.features.Has("MLST") || c.features.Has("MLSD")) && !c.noMLSD {
		if err := c.askFacts(ctx); err != nil {
			c.leave()
			return nil, err
		}
		d, err := c.download(ctx, transferKind{verb: "MLSD", arg: path})
		if err == nil {
			return &listing{d: d, most: c.cfg.MaxListing, lines: c.cfg.MaxLines, parse: ftp.ParseFactsLine}, nil
		}
		var reply *ReplyError
		if !errors.As(err, &reply) || reply.Reply.Code != 500 && reply.Reply.Code != 502 {
			return nil, err
		}
		c.noMLSD = true
		if err := c.enter(); err != nil {
			return nil, err
		}
	}
	return c.listOld(ctx, path)
}

// askFacts has the server send the facts that are shown and compared (RFC
// 3659 §7.9), where it does not by itself.
func (c *Conn) askFacts(ctx context.Context) error {
	facts := c.wantedFacts()
	if facts == "" {
		return nil
	}
	_, err := c.command(ctx, "OPTS", "MLST "+facts)
	return err
}

// wantedFacts is what OPTS MLST has to say, once; empty where it need not be
// sent.
func (c *Conn) wantedFacts() string {
	if c.factsAsked {
		return ""
	}
	c.factsAsked = true
	var facts string
	missing := false
	for fact := range strings.SplitSeq(c.features.Param("MLST"), ";") {
		name, on := strings.CutSuffix(strings.TrimSpace(fact), "*")
		wanted := false
		switch strings.ToLower(name) {
		case "type", "size", "modify", "perm", "unix.mode", "unix.owner", "unix.group", "unix.ownername", "unix.groupname":
			wanted = true
		}
		if name != "" && (on || wanted) {
			facts += name + ";"
			missing = missing || !on
		}
	}
	if !missing {
		return ""
	}
	return facts
}

// run yields the entries, and at the end the verdict where it is not good.
func (l *listing) run(yield func(ftp.Entry, error) bool) {
	err := l.each(yield)
	if closeErr := l.d.Close(); err == nil {
		err = closeErr
	}
	if err != nil && err != errStopped {
		yield(ftp.Entry{}, err)
	}
}

// each yields the entries up to the end of the listing.
func (l *listing) each(yield func(ftp.Entry, error) bool) error {
	lines := ftp.NewLineReader(&bounded{r: l.d, left: l.most}, maxListLine)
	for n := 0; ; n++ {
		line, err := lines.ReadLine()
		if err == nil && n >= l.lines {
			return ErrListingTooLong
		}
		var e ftp.Entry
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, ftp.ErrLineEndless):
			return &UnknownLineError{Err: err}
		case errors.Is(err, ftp.ErrLineTooLong):
			err = &UnknownLineError{Err: err}
		case errors.Is(err, io.ErrUnexpectedEOF):
			// The last line has no end: the listing stops in its middle.
			if verdict := l.d.Close(); verdict != nil {
				return verdict
			}
			return &UnknownLineError{Err: err}
		case err != nil:
			return err
		default:
			e, err = l.entry(string(line))
		}
		if err == ftp.ErrNoEntry {
			continue
		}
		if !yield(e, err) {
			return errStopped
		}
	}
}

// entry reads one line. ErrNoEntry means that there is nothing to show.
func (l *listing) entry(line string) (ftp.Entry, error) {
	if strings.TrimSpace(line) == "" {
		return ftp.Entry{}, ftp.ErrNoEntry
	}
	e, err := l.parse(line)
	switch {
	case errors.Is(err, ftp.ErrNoEntry):
		return ftp.Entry{}, ftp.ErrNoEntry
	case err != nil:
		return ftp.Entry{}, &UnknownLineError{Line: line, Err: err}
	case e.Type == ftp.CurrentDir, e.Type == ftp.ParentDir, e.Name == "." && e.Type == ftp.Dir, e.Name == ".." && e.Type == ftp.Dir:
		return ftp.Entry{}, ftp.ErrNoEntry
	}
	return e, checkEntry(e.Name)
}

// bounded fails where io.LimitReader would pretend an end.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrListingTooLong
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
