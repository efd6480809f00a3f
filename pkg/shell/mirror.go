package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"ftps/pkg/fault"
	"ftps/pkg/ftp"
	"ftps/pkg/mirror"
)

// Mirror implements [Files].
func (m Mover) Mirror(ctx context.Context, source, target string, o mirror.MirrorOptions, see func(*mirror.Changes) bool, tell func(mirror.Event)) (mirror.Result, error) {
	t, err := m.transfer(ctx, mirror.Options{Recursive: true}, tell)
	if err != nil {
		return mirror.Result{}, err
	}
	defer t.Close()
	changes, err := t.Compare(ctx, source, target, o)
	if err != nil || !see(changes) {
		return mirror.Result{}, err
	}
	return t.Apply(ctx, changes)
}

// mirrorOptions are those of mirror and sync.
func mirrorOptions() []option {
	return []option{
		{letter: 'R'}, {long: "dry-run"}, {long: "delete"}, {long: "max-delete", takes: true},
		{long: "only-newer"}, {long: "exclude", takes: true}, {long: "include", takes: true}, {long: "json"},
	}
}

// runSync is a mirror that deletes what is gone.
func runSync(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	args.options = append(args.options, option{long: "delete"})
	return runMirror(ctx, s, args, out)
}

func runMirror(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	o := mirror.MirrorOptions{
		Upload: args.has("R"), Delete: args.has("delete"), OnlyNewer: args.has("only-newer"),
		Exclude: args.values["exclude"], Include: args.values["include"],
	}
	for _, v := range args.values["max-delete"] {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return &misuse{fault.New("shell.mirror.max-delete", ftp.Sanitise(v))}
		}
		o.MaxDelete = n
	}
	remote, local := args.operands[0], args.operands[1]
	if o.Upload {
		remote, local = local, remote
	}
	remote, err := s.remotePath(ctx, remote)
	if err != nil {
		return err
	}
	local = s.localPath(local)
	source, target := remote, local
	if o.Upload {
		source, target = local, remote
		defer s.names.clear()
	}
	if args.has("json") && !s.JSON {
		s.JSON = true
		defer func() { s.JSON = false }()
	}
	defer s.Dialogue.hush()()
	dry := args.has("dry-run")
	var seen *mirror.Changes
	w := s.watch(out)
	result, err := s.Files.Mirror(ctx, source, target, o, func(c *mirror.Changes) bool {
		seen = c
		if dry || s.JSON {
			s.showChanges(out, c)
		}
		return !dry
	}, w.tell)
	w.end(result)
	switch {
	case err == nil && seen != nil && dry:
		return s.dryVerdict(seen)
	case err == nil && seen != nil && len(seen.Changes) == 0 && !s.Quiet && !s.JSON:
		fmt.Fprintln(s.Err, s.text("shell.mirror.same", seen.Same))
	}
	var some *mirror.PartialError
	if errors.As(err, &some) {
		return err
	}
	return localFault(err)
}

// dryVerdict fails where the mirror itself would not do as it is asked.
func (s *Session) dryVerdict(c *mirror.Changes) error {
	for _, gap := range c.Gaps {
		fmt.Fprintln(s.Err, s.text("shell.transfer.gap", ftp.Sanitise(gap.Name), explainLine(s, gap.Err)))
	}
	if len(c.Gaps) > 0 {
		first := c.Gaps[0].Err
		if c.Incomplete && c.Options.Delete {
			first = mirror.ErrIncomplete
		}
		return &mirror.PartialError{Gaps: len(c.Gaps), First: first}
	}
	return c.TooMany()
}

// showChanges prints what differs, and totals.
func (s *Session) showChanges(out io.Writer, c *mirror.Changes) {
	for _, change := range c.Changes {
		if s.JSON {
			writeJSON(out, changeObject(change))
			continue
		}
		name, size := ftp.Sanitise(change.Name), ""
		if change.Folder {
			name += "/"
		} else {
			size = Bytes(change.Size)
		}
		note := ""
		switch {
		case change.Type:
			note = s.text("shell.mirror.note.type")
		case change.Kind == mirror.Clashes && change.Kept:
			note = s.text("shell.mirror.note.kept")
		case change.Kind == mirror.Clashes:
			note = s.text("shell.mirror.note.replaced")
		case change.Kept:
			note = s.text("shell.mirror.note.stays")
		}
		if note != "" {
			note = "  (" + note + ")"
		}
		fmt.Fprintf(out, "%-9s  %9s  %s%s\n", s.text("shell.mirror.kind."+string(change.Kind)), size, name, note)
	}
	if s.JSON {
		writeJSON(out, totalsObject(c))
		return
	}
	fmt.Fprintln(out, s.text("shell.mirror.total", c.Count(mirror.IsNew), c.Count(mirror.IsNewer),
		c.Count(mirror.IsGone), c.Count(mirror.Clashes), c.Same, Bytes(c.Bytes)))
}

func changeObject(c mirror.Change) any {
	return struct {
		Event  string `json:"event"`
		Change string `json:"change"`
		Name   string `json:"name"`
		Folder bool   `json:"folder"`
		Size   int64  `json:"size"`
		Kept   bool   `json:"kept"`
	}{"change", string(c.Kind), c.Name, c.Folder, c.Size, c.Kept}
}

func totalsObject(c *mirror.Changes) any {
	return struct {
		Event    string `json:"event"`
		New      int    `json:"new"`
		Newer    int    `json:"newer"`
		Gone     int    `json:"gone"`
		Conflict int    `json:"conflict"`
		Same     int    `json:"same"`
		Bytes    int64  `json:"bytes"`
		Gaps     int    `json:"gaps"`
	}{"plan", c.Count(mirror.IsNew), c.Count(mirror.IsNewer), c.Count(mirror.IsGone),
		c.Count(mirror.Clashes), c.Same, c.Bytes, len(c.Gaps)}
}

func deletedObject(e mirror.Deleted) any {
	return struct {
		Event string `json:"event"`
		Name  string `json:"name"`
	}{"deleted", e.Item.Name()}
}
