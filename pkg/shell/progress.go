package shell

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"ftps/pkg/catalog"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

// Watcher is told how a transfer goes, from any number of goroutines.
type Watcher interface {
	// Planned tells how much there is to move; more may be found later, and
	// then it is called again with the new totals. Less than 0 is unknown.
	Planned(files int, bytes int64)
	// Started tells that a file begins, at offset when it is resumed.
	Started(name string, size, offset int64)
	// Moved tells of bytes that went over the wire.
	Moved(name string, n int64)
	// Done tells of a file's end.
	Done(f FileDone)
}

// FileDone is a file's end.
type FileDone struct {
	Name    string
	Bytes   int64 // moved now
	Offset  int64 // where the transfer began: beyond 0 it was resumed
	Took    time.Duration
	SHA256  string // in hex, where it was computed
	Skipped bool   // it was there already
	Err     error  // nil: it arrived and was verified
}

// watch shows a transfer: as a bar on a terminal, else as a line a file, or
// as objects.
type watch struct {
	mu      sync.Mutex
	session *Session
	out     io.Writer // objects go here
	bar     *progressbar.ProgressBar
	width   int
	many    bool
	quiet   bool
	objects bool

	name         string // the file that the bar names
	files, ended int
	bytes, moved int64
}

func (s *Session) watcher(m Move, out io.Writer) *watch {
	w := &watch{session: s, out: out, many: m.Recursive, quiet: s.Quiet, objects: s.JSON, files: -1, bytes: -1}
	if s.Progress != nil && !s.Quiet && !s.JSON {
		w.width = terminalWidth(s.Progress)
		w.bar = progressbar.NewOptions64(-1,
			progressbar.OptionSetWriter(s.Progress),
			progressbar.OptionSetTheme(progressbar.ThemeASCII),
			progressbar.OptionShowBytes(true),
			progressbar.OptionShowTotalBytes(true),
			progressbar.OptionUseIECUnits(true),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetWidth(max(w.width-70, 8)),
			progressbar.OptionUseANSICodes(true),
			progressbar.OptionClearOnFinish(),
		)
	}
	return w
}

// Planned implements Watcher.
func (w *watch) Planned(files int, bytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files, w.bytes = files, bytes
	if w.bar != nil && bytes >= 0 {
		w.bar.ChangeMax64(max(bytes, 1))
	}
}

// Started implements Watcher.
func (w *watch) Started(name string, size, offset int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.name = name
	if w.objects {
		writeJSON(w.out, struct {
			Event  string `json:"event"`
			Name   string `json:"name"`
			Size   int64  `json:"size,omitempty"`
			Offset int64  `json:"offset,omitempty"`
		}{"start", name, max(size, 0), offset})
	}
	if w.bar != nil {
		w.bar.Describe(w.description())
		if offset > 0 {
			_ = w.bar.Add64(offset)
		}
	}
}

// description is the file's name, and how many are done of how many.
func (w *watch) description() string {
	count := ""
	if w.many {
		count = fmt.Sprintf(" %d", w.ended)
		if w.files >= 0 {
			count += fmt.Sprintf("/%d", w.files)
		}
	}
	return shorten(ftp.Sanitise(w.name), max(w.width/3-len(count), 8)) + count
}

// Moved implements Watcher.
func (w *watch) Moved(name string, n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moved += n
	if w.bar == nil {
		return
	}
	if name != w.name {
		w.name = name
		w.bar.Describe(w.description())
	}
	// The bar ends itself at its maximum, and the last file may have grown.
	if state := w.bar.State(); w.bytes >= 0 && state.CurrentNum+n >= state.Max {
		w.bar.ChangeMax64(state.CurrentNum + n + 1)
	}
	_ = w.bar.Add64(n)
}

// Done implements Watcher.
func (w *watch) Done(f FileDone) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended++
	switch {
	case w.objects:
		writeJSON(w.out, doneObject(w.session, f))
	case f.Err != nil:
		// A single file's failure is the command's, which tells it.
		if w.many {
			w.line(ftp.Sanitise(f.Name) + ": " + explainFile(w.session, f.Err))
		}
	case w.quiet || w.many && w.bar != nil:
	case f.Skipped:
		w.line(w.session.text("shell.transfer.skipped", ftp.Sanitise(f.Name)))
	default:
		key := "shell.transfer.done"
		if f.Offset > 0 {
			key = "shell.transfer.resumed"
		}
		w.line(w.session.text(key, ftp.Sanitise(f.Name), Bytes(f.Bytes), Bytes(rate(f.Bytes, f.Took)), Bytes(f.Offset)))
	}
	if w.bar != nil {
		w.bar.Describe(w.description())
	}
}

// line tells something without damage to the bar.
func (w *watch) line(text string) {
	if w.bar != nil {
		_ = w.bar.Clear()
	}
	fmt.Fprintln(w.session.Err, text)
}

func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bar != nil {
		_ = w.bar.Clear()
		_ = w.bar.Exit()
		w.bar = nil
	}
	if w.many && !w.objects && !w.quiet {
		fmt.Fprintln(w.session.Err, w.session.text("shell.transfer.total", w.ended, Bytes(w.moved)))
	}
}

func rate(n int64, took time.Duration) int64 {
	if took <= 0 {
		return n
	}
	return int64(float64(n) / took.Seconds())
}

// explainFile is an error in one line: a tree's list of failures has no room
// for hints.
func explainFile(s *Session, err error) string {
	return firstLine(catalog.Explain(s.Lang, err))
}

type doneJSON struct {
	Event   string  `json:"event"`
	Name    string  `json:"name"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
	SHA256  string  `json:"sha256,omitempty"`
	Resumed bool    `json:"resumed"`
	Skipped bool    `json:"skipped,omitempty"`
	Exit    int     `json:"exit"`
	Message string  `json:"message,omitempty"`
}

func doneObject(s *Session, f FileDone) doneJSON {
	o := doneJSON{
		Event: "done", Name: f.Name, Bytes: f.Bytes, Seconds: f.Took.Seconds(),
		SHA256: f.SHA256, Resumed: f.Offset > 0, Skipped: f.Skipped,
	}
	if f.Err != nil {
		o.Exit = int(ftpclient.Class(f.Err))
		o.Message = explainFile(s, f.Err)
	}
	return o
}
