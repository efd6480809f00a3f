package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"ftps/pkg/catalog"
	"ftps/pkg/doctor"
	"ftps/pkg/fault"
	"ftps/pkg/ftpclient"
)

// Examination says how to examine the server: with connections of its own,
// trusted and logged in as this one is.
func (c *Connector) Examination() doctor.Options {
	d := c.Dialogue.beside()
	config := c.config(d)
	config.TLS = nil
	o := doctor.Options{
		Config: config, Host: c.Target.Host, Base: c.Base, Trust: c.Trust, Folder: c.Target.Folder,
		Again: func(ctx context.Context, conn *ftpclient.Conn) error { return conn.Login(ctx, c.user, c.password) },
	}
	o.Login = o.Again
	if c.user == "" { // nobody has logged in yet
		o.Login = c.login
	}
	if c.Terminal != nil && c.Ask {
		o.Accept = c.askTrust
	}
	return o
}

func runDoctor(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	if s.Examination == nil {
		return ftpclient.ErrClosed
	}
	o := s.Examination()
	if s.Server != nil {
		speak := s.Dialogue.hush()
		folder, err := s.Server.Pwd(ctx)
		speak()
		if err == nil {
			o.Folder = folder
		}
	}
	var ill *illness
	count := map[doctor.State]int{}
	asJSON := s.JSON || args.has("json")
	err := doctor.Examine(ctx, o, func(f doctor.Finding) {
		count[f.State]++
		if class := f.Class(); class != ftpclient.Done {
			if ill == nil {
				ill = &illness{class: class}
			}
			ill.many++
		}
		if asJSON {
			writeJSON(out, s.findingObject(f))
			return
		}
		s.showFinding(out, f)
	})
	if err != nil {
		return err
	}
	if !asJSON {
		fmt.Fprintln(out, s.text("doctor.summary", count[doctor.Good]+count[doctor.Bad]+count[doctor.Untried],
			count[doctor.Good], count[doctor.Bad], count[doctor.Untried]))
	}
	if ill != nil {
		ill.error = fault.New("doctor.ill", ill.many)
		return ill
	}
	return nil
}

// illness is the verdict on a server with which files cannot be moved safely;
// its class is that of the first finding that says so.
type illness struct {
	error
	class ftpclient.ClassCode
	many  int
}

func (i *illness) Unwrap() error { return i.error }

// Class implements ftpclient.Classified.
func (i *illness) Class() ftpclient.ClassCode { return i.class }

// words returns what was found and the advice, each in one line. Many a
// failure's own text has a hint in its further lines; the finding's remedy
// stands in its place.
func (s *Session) words(f doctor.Finding) (found, remedy string) {
	found, _, _ = strings.Cut(catalog.Explain(s.Lang, f.Found), "\n")
	if f.Remedy != nil {
		remedy = catalog.Explain(s.Lang, f.Remedy)
	}
	return ftpclient.Printable(found), ftpclient.Printable(remedy)
}

// marks are how a finding begins.
var marks = map[doctor.State]struct{ sign, colour string }{
	doctor.Good: {"✓", green}, doctor.Bad: {"✗", red}, doctor.Untried: {"–", yellow},
}

// The columns of a finding: its name's width, and where lines end.
const nameWidth, lineWidth = 13, 80

func (s *Session) showFinding(out io.Writer, f doctor.Finding) {
	found, remedy := s.words(f)
	name := s.text("doctor.check." + f.Check)
	name += strings.Repeat(" ", max(0, nameWidth-columns(name)))
	indent := strings.Repeat(" ", nameWidth+4)
	mark := marks[f.State]
	lines := fold(found, lineWidth-len(indent))
	fmt.Fprintf(out, "%s %s  %s\n", paint(s.colourOut, mark.colour, mark.sign), name, lines[0])
	for _, line := range lines[1:] {
		fmt.Fprintln(out, indent+line)
	}
	if remedy == "" {
		return
	}
	for i, line := range fold(remedy, lineWidth-len(indent)-2) {
		arrow := "→ "
		if i > 0 {
			arrow = "  "
		}
		fmt.Fprintln(out, indent+arrow+line)
	}
}

// fold breaks a text between words into lines of at most width cells, but for
// a word that is wider.
func fold(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case columns(*last)+1+columns(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// findingObject is a finding for programs: the keys stay, whatever the
// language.
func (s *Session) findingObject(f doctor.Finding) any {
	found, remedy := s.words(f)
	object := struct {
		Event     string  `json:"event"`
		Check     string  `json:"check"`
		State     string  `json:"state"`
		Essential bool    `json:"essential"`
		Found     string  `json:"found"`
		Key       string  `json:"key,omitempty"`
		Remedy    string  `json:"remedy,omitempty"`
		RemedyKey string  `json:"remedy_key,omitempty"`
		Exit      int     `json:"exit"`
		Seconds   float64 `json:"seconds"`
	}{Event: "check", Check: f.Check, State: f.State.String(), Essential: f.Essential, Found: found,
		Remedy: remedy, Exit: int(f.Class()), Seconds: f.Took.Seconds()}
	var keyed interface{ Message() (string, []any) }
	if errors.As(f.Found, &keyed) {
		object.Key, _ = keyed.Message()
	}
	if f.Remedy != nil {
		object.RemedyKey = f.Remedy.Key
	}
	return object
}
