package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"ftps/pkg/fault"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

func runLs(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	defer s.Dialogue.hold()()
	folder := args.operand(0, "")
	entries, missed, err := s.list(ctx, folder)
	if err != nil {
		// A file is no folder to list (RFC 3659 §7.2.1 has servers answer
		// 501), but a person who names one wants to see it.
		if folder == "" || ctx.Err() != nil || !s.Server.Usable() {
			return err
		}
		one, ok := s.file(ctx, folder)
		if !ok {
			return err
		}
		entries = []ftp.Entry{one}
	}
	s.show(out, entries, args.has("l"), args.has("json"))
	if missed > 0 {
		return &incomplete{fault.New("shell.ls.missed", missed)}
	}
	return nil
}

// incomplete is a listing of which not every line was understood.
type incomplete struct{ error }

func (i *incomplete) Unwrap() error { return i.error }

// Class implements ftpclient.Classified.
func (*incomplete) Class() ftpclient.ClassCode { return ftpclient.SomeFailed }

// list returns a folder's entries by name, and how many lines it could not
// use; each of these has been told.
func (s *Session) list(ctx context.Context, folder string) (entries []ftp.Entry, missed int, err error) {
	for e, err := range s.Server.List(ctx, folder) {
		var line *ftpclient.UnknownLineError
		var name *ftpclient.NameError
		switch {
		case errors.As(err, &line):
			missed++
			fmt.Fprintln(s.Err, "ftps: "+s.text("shell.ls.line", ftp.Sanitise(line.Line)))
		case errors.As(err, &name):
			missed++
			fmt.Fprintln(s.Err, "ftps: "+s.text("shell.ls.name", ftp.Sanitise(name.Name)))
		case err != nil:
			return nil, missed, err
		case e.Type == ftp.CurrentDir || e.Type == ftp.ParentDir:
		default:
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b ftp.Entry) int { return strings.Compare(a.Name, b.Name) })
	s.names.put(namesKey(folder), entries)
	return entries, missed, nil
}

// file returns what name is, if it is anything but a folder.
func (s *Session) file(ctx context.Context, name string) (ftp.Entry, bool) {
	defer s.Dialogue.hush()()
	e, err := s.Server.Stat(ctx, name)
	if err != nil || isFolder(e) {
		return e, false
	}
	e.Name = name
	return e, true
}

func isFolder(e ftp.Entry) bool {
	return e.Type == ftp.Dir || e.Type == ftp.CurrentDir || e.Type == ftp.ParentDir
}

// show writes entries as names, as lines with type, size and time, or as
// objects.
func (s *Session) show(out io.Writer, entries []ftp.Entry, long, objects bool) {
	for _, e := range entries {
		switch {
		case objects || s.JSON:
			writeJSON(out, object(e))
		case long:
			fmt.Fprintf(out, "%c %14s  %-16s  %s\n", typeLetter(e), size(e), local16(e.ModTime), s.name(e))
		default:
			fmt.Fprintln(out, s.name(e))
		}
	}
}

func (s *Session) name(e ftp.Entry) string {
	return paint(s.colourOut && isFolder(e), blue, ftp.Sanitise(e.Name))
}

func typeLetter(e ftp.Entry) byte {
	switch {
	case isFolder(e):
		return 'd'
	case e.Type == ftp.Link:
		return 'l'
	case e.Type == ftp.File:
		return '-'
	}
	return '?'
}

func typeName(e ftp.Entry) string {
	switch typeLetter(e) {
	case 'd':
		return "dir"
	case 'l':
		return "link"
	case '-':
		return "file"
	}
	return "other"
}

func size(e ftp.Entry) string {
	if e.Size < 0 || isFolder(e) {
		return "-"
	}
	return fmt.Sprint(e.Size)
}

// local16 shows a time in the person's zone, to the minute.
func local16(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// entryObject is an entry as --json writes it. What is not known is left out.
type entryObject struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Size     *int64 `json:"size,omitempty"`
	Modified string `json:"modified,omitempty"`
}

func object(e ftp.Entry) entryObject {
	o := entryObject{Name: e.Name, Type: typeName(e)}
	if e.Size >= 0 && !isFolder(e) {
		o.Size = &e.Size
	}
	if !e.ModTime.IsZero() {
		o.Modified = e.ModTime.UTC().Format(time.RFC3339)
	}
	return o
}

func runStat(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	for _, name := range args.operands {
		e, err := s.Server.Stat(ctx, name)
		if err != nil {
			return err
		}
		if args.has("json") || s.JSON {
			writeJSON(out, object(e))
			continue
		}
		rows := [][2]string{{"name", ftp.Sanitise(e.Name)}, {"type", s.text("shell.type." + typeName(e))}, {"size", size(e)}, {"modified", local16(e.ModTime)}}
		if e.HasMode {
			rows = append(rows, [2]string{"mode", e.Mode.Perm().String()})
		}
		if e.Perm != "" {
			rows = append(rows, [2]string{"perm", ftp.Sanitise(e.Perm)})
		}
		s.columns(out, "shell.stat.", rows)
	}
	return nil
}

// columns writes rows of a translated label and a value.
func (s *Session) columns(out io.Writer, prefix string, rows [][2]string) {
	width := 0
	for _, r := range rows {
		width = max(width, columns(s.text(prefix+r[0])))
	}
	for _, r := range rows {
		label := s.text(prefix + r[0])
		fmt.Fprintf(out, "%s%s  %s\n", label, strings.Repeat(" ", width-columns(label)), r[1])
	}
}

func runLls(_ context.Context, s *Session, args arguments, out io.Writer) error {
	entries, err := os.ReadDir(s.localPath(args.operand(0, "")))
	if err != nil {
		return localFault(err)
	}
	for _, e := range entries {
		fmt.Fprintln(out, paint(s.colourOut && e.IsDir(), blue, ftp.Sanitise(e.Name())))
	}
	return nil
}
