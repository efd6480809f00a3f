package shell

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"ftps/pkg/catalog"
	"ftps/pkg/ftp"
)

// Dialogue shows a person what the server says. Its Reply and Trace are the
// hooks of an ftpclient.Config, from before the connection is made.
//
// One command of the shell is several of FTP. What is shown is what answers
// the person: that a transfer begins and how it ended, not how its data
// connection was arranged. Verbose shows all of it.
type Dialogue struct {
	mu      sync.Mutex
	out     io.Writer
	colour  bool
	verbose bool
	mute    bool
	clear   func()    // takes away what is being drawn on out, or nil
	json    io.Writer // where replies go as objects, or nil
	hushed  int
	held    []ftp.Reply // final replies that wait for a result to be shown
	holding bool
	sent    []string  // the verbs whose replies are still to come
	shown   ftp.Reply // the last refusal that was shown
}

// NewDialogue returns one that writes to out.
func NewDialogue(out io.Writer, colour, verbose bool) *Dialogue {
	return &Dialogue{out: out, colour: colour, verbose: verbose}
}

// Connecting tells, when verbose, that a connection is being made.
func (d *Dialogue) Connecting(lang catalog.Lang, t Target) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.verbose {
		fmt.Fprintln(d.out, catalog.Text(lang, "shell.connecting", ftp.Sanitise(t.Host), t.Port))
	}
}

// beside is for a further connection, whose replies matter only to who wants
// to see all.
func (d *Dialogue) beside() *Dialogue {
	return &Dialogue{out: d.out, colour: d.colour, verbose: d.verbose, mute: !d.verbose, hushed: 1}
}

// answers are the verbs whose replies answer a person. The greeting answers
// none.
var answers = []string{
	"", "USER", "PASS", "CWD", "CDUP", "MKD", "RMD", "DELE", "RNTO",
	"RETR", "STOR", "APPE", "LIST", "NLST", "MLSD", "QUIT",
}

// Trace notes which commands replies will belong to, and shows the line when
// verbose. Passwords arrive masked.
func (d *Dialogue) Trace(sent bool, line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !sent {
		return // Reply shows it
	}
	verb, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
	d.sent = append(d.sent, strings.ToUpper(verb))
	if d.verbose {
		d.clean()
		fmt.Fprintf(d.out, "> %s\n", ftp.Sanitise(strings.TrimRight(line, "\r\n")))
	}
}

// Reply shows a reply, if it is one for a person.
func (d *Dialogue) Reply(r ftp.Reply) {
	d.mu.Lock()
	defer d.mu.Unlock()
	// Commands may have been sent ahead: replies come in their order, and
	// each ends with one that is not preliminary (RFC 959 §5.4).
	verb := ""
	if len(d.sent) > 0 {
		verb = d.sent[0]
		if r.Code >= 200 {
			d.sent = d.sent[1:]
		}
	}
	if d.mute {
		return
	}
	if d.verbose || r.Code == 421 || d.hushed == 0 && slices.Contains(answers, verb) {
		d.show(r)
	}
}

func (d *Dialogue) show(r ftp.Reply) {
	if d.holding && r.Code >= 200 && !d.verbose {
		d.held = append(d.held, r)
		return
	}
	if r.Code >= 400 {
		d.shown = r
	}
	if d.json != nil {
		writeJSON(d.json, struct {
			Event string `json:"event"`
			Code  int    `json:"code"`
			Text  string `json:"text"`
		}{"reply", r.Code, replyText(r)})
		if !d.verbose {
			return
		}
	}
	d.clean()
	_, _ = io.WriteString(d.out, formatReply(r.Code, r.Lines, d.colour))
}

func (d *Dialogue) clean() {
	if d.clear != nil {
		d.clear()
	}
}

// drawing says how to take away what is drawn on the same terminal, so that
// a reply finds an empty line; nil when nothing is drawn any more.
func (d *Dialogue) drawing(clear func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clear = clear
}

// refused shows a refusal that has not been shown yet.
func (d *Dialogue) refused(r ftp.Reply) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shown.Code == r.Code && slices.Equal(d.shown.Lines, r.Lines) {
		return
	}
	d.show(r)
}

// answered shows a reply that is a command's result. Verbose has shown it.
func (d *Dialogue) answered(r ftp.Reply) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.verbose && d.hushed == 0 {
		d.show(r)
	}
}

// hush keeps replies back until the returned function is called.
func (d *Dialogue) hush() (speak func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hushed++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.hushed--
	}
}

// mutely is hush for a connection whose end is no news either.
func (d *Dialogue) mutely() (speak func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.mute
	d.mute = !d.verbose
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.mute = before
	}
}

// anew forgets what a connection that is no more had been asked.
func (d *Dialogue) anew() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sent = nil
}

// hold keeps final replies back until the returned function is called, so
// that a listing stands between the reply that it begins and the one that it
// is complete.
func (d *Dialogue) hold() (release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.holding = true
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		held := d.held
		d.held, d.holding = nil, false
		for _, r := range held {
			d.show(r)
		}
	}
}

// begin starts a command of the shell. Its replies go to objects as well, if
// it has no result of its own to put there.
func (d *Dialogue) begin(objects io.Writer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shown, d.json = ftp.Reply{}, objects
	d.sent = nil // nothing is awaited; servers differ in how they answer ABOR
}

// replyText joins a reply's lines, without the dash that our own server puts
// before them.
func replyText(r ftp.Reply) string {
	lines := make([]string, len(r.Lines))
	for i, line := range r.Lines {
		lines[i] = strings.TrimPrefix(strings.TrimSpace(line), "- ")
	}
	return strings.Join(lines, "\n")
}

// writeJSON writes one object and a line end. Names that are not UTF-8 lose
// their bad bytes; that is what JSON can hold.
func writeJSON(w io.Writer, v any) {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v)
}
