package ftpclient

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"ftps/pkg/ftp"
)

// oldLists is what the first listings by LIST have shown about a server that
// has no MLSD. No standard says what LIST sends.
type oldLists struct {
	hidden hidden
	zone   time.Duration // what its times are ahead of UTC
	zoned  bool          // zone is known, or never will be
	asked  int           // files that were asked about to find it
}

// hidden says whether "LIST -a" lists names that begin with a dot. A server
// that leaves them out of plain LIST says nothing about it, and whoever
// copies a tree would miss them.
type hidden uint8

const (
	hiddenUnknown hidden = iota
	hiddenByOption
	hiddenNever // or always shown
)

// maxLearned bounds how much of a listing is read before its first entry is
// shown, to learn from it.
const maxLearned = 8 << 20

// listOld lists by LIST. The caller has entered the Conn, and the listing or
// the error gives it back.
func (c *Conn) listOld(ctx context.Context, path string) (*listing, error) {
	if !strings.ContainsAny(path, "*?[]{}~\\\" ") && !strings.HasPrefix(path, "-") {
		return c.listHere(ctx, path)
	}
	// From within: servers take what follows LIST for options and patterns,
	// and a name with a space in it for two.
	back, err := c.pwd(ctx)
	if err == nil {
		_, err = c.expect(ctx, "CWD", path, 2)
	}
	if err != nil {
		c.leave()
		return nil, err
	}
	l, err := c.listHere(ctx, "")
	if err != nil {
		if c.enter() == nil {
			c.expect(ctx, "CWD", back, 2)
			c.leave()
		}
		return nil, err
	}
	l.d.(*oldListing).after(func() { c.expect(context.WithoutCancel(ctx), "CWD", back, 2) })
	return l, nil
}

// listHere sends LIST, with -a unless that is known to be of no use.
func (c *Conn) listHere(ctx context.Context, path string) (*listing, error) {
	if c.old.hidden == hiddenNever {
		return c.listPlain(ctx, path)
	}
	known := c.old.hidden == hiddenByOption
	l, err := c.listAs(ctx, strings.TrimSuffix("-a "+path, " "), path)
	var reply *ReplyError
	switch {
	case known:
		return l, err
	case err == nil && (c.old.hidden == hiddenByOption || l.d.(*oldListing).broken()):
		return l, nil
	case err == nil:
		// No "." in it: the server takes the option for a name, or needs
		// none.
		l.d.Close()
	case !errors.As(err, &reply) || !c.Usable():
		return nil, err
	}
	if err := c.enter(); err != nil {
		return nil, err
	}
	l, err = c.listPlain(ctx, path)
	if err == nil {
		c.old.hidden = hiddenNever
	}
	return l, err
}

func (c *Conn) listPlain(ctx context.Context, path string) (*listing, error) {
	return c.listAs(ctx, path, path)
}

// listAs sends LIST with arg, which lists path, and learns from what comes
// while there is something to learn.
func (c *Conn) listAs(ctx context.Context, arg, path string) (*listing, error) {
	d, err := c.download(ctx, transferKind{verb: "LIST", arg: arg})
	if err != nil {
		return nil, err
	}
	o := &oldListing{c: c, rest: d}
	now := time.Now()
	l := &listing{d: o, most: c.cfg.MaxListing, lines: c.cfg.MaxLines, parse: func(line string) (ftp.Entry, error) {
		e, err := ftp.ParseListLine(line, now)
		if !e.Precise && !e.ModTime.IsZero() {
			e.ModTime = e.ModTime.Add(-c.old.zone)
		}
		return e, err
	}}
	if c.old.zoned && c.old.hidden != hiddenUnknown {
		return l, nil
	}
	if err := o.read(); err != nil {
		return nil, err
	}
	return l, c.learn(ctx, l, o, path)
}

// learn looks through the beginning of a listing, mostly all of it.
func (c *Conn) learn(ctx context.Context, l *listing, o *oldListing, path string) error {
	var clocks []ftp.Entry
	for line := range bytes.Lines(o.head) {
		e, err := ftp.ParseListLine(strings.TrimRight(string(line), "\r\n"), time.Now())
		if err != nil {
			continue
		}
		if e.Type == ftp.CurrentDir || e.Type == ftp.ParentDir {
			c.old.hidden = hiddenByOption
		}
		if len(clocks) < maxZoneFiles && e.Type == ftp.File && !e.Precise && checkEntry(e.Name) == nil &&
			(e.ModTime.Hour() != 0 || e.ModTime.Minute() != 0) { // else it may be a mere date
			clocks = append(clocks, e)
		}
	}
	if o.rest != nil || c.old.zoned {
		return nil // the server is still sending, or there is nothing to ask
	}
	if err := c.findZone(ctx, clocks, path); err != nil {
		l.d.Close()
		return err
	}
	return nil
}

// maxZoneFiles is how many files of a listing are asked about, and
// maxZoneAsked how many in all.
const maxZoneFiles, maxZoneAsked = 3, 12

// findZone compares the times of a listing, which are the server's own, with
// those of MDTM, which are UTC (RFC 3659 §3). The offset is that of today: a
// file from the other half of the year may be an hour off, which only MDTM
// of that file would show, and no entry is said to be precise.
func (c *Conn) findZone(ctx context.Context, files []ftp.Entry, folder string) error {
	if len(c.features.lines) > 0 && !c.features.Has("MDTM") {
		c.old.zoned = true
		return nil
	}
	for _, e := range files {
		c.old.asked++
		r, err := c.command(ctx, "MDTM", joinPath(folder, e.Name))
		if err != nil {
			return err
		}
		if r.Code == 500 || r.Code == 502 {
			c.old.zoned = true
			return nil
		}
		t, err := ftp.ParseTime(strings.TrimSpace(r.Lines[0]))
		if r.Code != 213 || err != nil {
			continue
		}
		if zone, ok := zoneOffset(e.ModTime, t); ok {
			c.old.zone, c.old.zoned = zone, true
			return nil
		}
	}
	c.old.zoned = c.old.asked >= maxZoneAsked
	return nil
}

// zoneOffset is the whole quarters of an hour between a time of a listing and
// the same in UTC. Zones lie between 12 hours behind and 14 ahead; anything
// else is another file, or a changed one.
func zoneOffset(listed, utc time.Time) (time.Duration, bool) {
	diff := listed.Truncate(time.Minute).Sub(utc.Truncate(time.Minute))
	zone := diff.Round(15 * time.Minute)
	return zone, diff == zone && -12*time.Hour <= zone && zone <= 14*time.Hour
}

// joinPath is not path.Join: what a server calls a folder is not to be
// cleaned into another one.
func joinPath(folder, name string) string {
	if folder == "" || strings.HasSuffix(folder, "/") {
		return folder + name
	}
	return folder + "/" + name
}

// oldListing is what LIST sends: its beginning, where that has been read to
// learn from, and the rest. Until Close it holds the Conn.
type oldListing struct {
	c       *Conn
	head    []byte // read
	given   int    // and handed out
	rest    *Download
	verdict error // once rest has ended
	then    func()
	closed  bool
}

// read reads ahead. An error gives the Conn back.
func (o *oldListing) read() error {
	var b bytes.Buffer
	_, err := io.CopyN(&b, o.rest, maxLearned)
	o.head = b.Bytes()
	if err == nil {
		return nil // there is more
	}
	verdict := o.rest.Close()
	o.rest = nil
	if verdict == nil {
		verdict = io.EOF
	}
	o.verdict = verdict
	if err := o.c.enter(); err != nil {
		if verdict != io.EOF {
			err = verdict // that the connection is closed by now tells less
		}
		return err
	}
	return nil
}

// broken reports whether the listing has ended badly already.
func (o *oldListing) broken() bool { return o.rest == nil && o.verdict != io.EOF }

// after has f run once the dialogue is in step again.
func (o *oldListing) after(f func()) {
	if o.rest != nil {
		o.rest.t.after = f
	} else {
		o.then = f
	}
}

// Read implements io.Reader.
func (o *oldListing) Read(p []byte) (int, error) {
	if o.given < len(o.head) {
		n := copy(p, o.head[o.given:])
		o.given += n
		return n, nil
	}
	if o.rest != nil {
		return o.rest.Read(p)
	}
	return 0, o.verdict
}

// Close implements io.Closer.
func (o *oldListing) Close() error {
	if o.rest != nil {
		return o.rest.Close()
	}
	if !o.closed {
		o.closed = true
		if o.then != nil && o.c.Usable() {
			o.then()
		}
		o.c.leave()
	}
	if o.verdict == io.EOF {
		return nil
	}
	return o.verdict
}
