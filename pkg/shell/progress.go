package shell

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"ftps/pkg/catalog"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
	"ftps/pkg/mirror"
)

// watch shows a transfer: as a bar on a terminal, else as a line a file, or
// as objects.
type watch struct {
	session *Session
	out     io.Writer // objects go here

	mu    sync.Mutex
	bar   *progressbar.ProgressBar
	width int
	plan  *mirror.Plan
	name  string            // the file that the bar names
	moved map[int]int64     // by item under way: what is there of it
	told  map[int]time.Time // by item: when an object last told of it
	pace  pace
	whole int64     // of the items that are done
	ended int       // how many those are
	drawn time.Time // when the bar was last drawn
}

func (s *Session) watch(out io.Writer) *watch {
	return &watch{session: s, out: out, moved: make(map[int]int64), told: make(map[int]time.Time)}
}

// draws reports whether there is a terminal to draw a bar on.
func (w *watch) draws() bool {
	return w.session.Progress != nil && !w.session.Quiet && !w.session.JSON
}

// tell is called with each event, from many goroutines.
func (w *watch) tell(e mirror.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := e.(type) {
	case mirror.Planned:
		w.plan = e.Plan
		w.begin()
	case mirror.Started:
		w.name = e.Item.Local
		w.moved[e.Item.ID] = e.Offset
		w.told[e.Item.ID] = time.Now()
		w.pace.add(time.Now(), 0)
		w.object(startObject(e))
		w.draw()
	case mirror.Comparing:
		w.name = e.Item.Local
		w.moved[e.Item.ID] = 0
		w.line("shell.transfer.comparing", ftp.Sanitise(e.Item.Local), Bytes(e.Bytes))
		w.draw()
	case mirror.Moved:
		now := time.Now()
		w.moved[e.Item.ID] += e.N
		w.pace.add(now, e.N)
		if now.Sub(w.told[e.Item.ID]) >= time.Second {
			w.told[e.Item.ID] = now
			w.object(progressObject(e.Item, w.moved[e.Item.ID], w.pace.rate(now)))
		}
		w.name = e.Item.Local
		w.draw()
	case mirror.Restarted:
		w.moved[e.Item.ID] = 0
		w.line("shell.transfer.restarted", ftp.Sanitise(e.Item.Local), explainLine(w.session, e.Reason))
		w.draw()
	case mirror.Retrying:
		w.line("shell.transfer.retrying", ftp.Sanitise(e.Item.Local), explainLine(w.session, e.Err), e.Attempt)
	case mirror.Done:
		w.finish(e.Item, e.Bytes)
		w.object(doneObject(e))
		w.done(e)
		w.draw()
	case mirror.Deleted:
		w.object(deletedObject(e))
		if !w.session.Quiet {
			w.line("shell.transfer.deleted", ftp.Sanitise(e.Item.Local))
		}
	case mirror.Failed:
		w.finish(e.Item, 0)
		w.object(failedObject(w.session, e.Item.Name(), e.Err))
		// A single file's failure is the command's, which tells it.
		if w.plan != nil && w.plan.Tree {
			w.line("shell.transfer.failed", ftp.Sanitise(e.Item.Local), explainLine(w.session, e.Err))
		}
	case mirror.Left: // on a terminal the last line counts them
		w.object(leftObject(w.session, e))
	case mirror.Skipped:
		w.line("shell.transfer.leftout", ftp.Sanitise(e.Name), explainLine(w.session, e.Reason))
	case mirror.Gap:
		w.object(failedObject(w.session, e.Name, e.Err))
		w.line("shell.transfer.gap", ftp.Sanitise(e.Name), explainLine(w.session, e.Err))
	}
}

func (w *watch) finish(item mirror.Item, bytes int64) {
	delete(w.moved, item.ID)
	delete(w.told, item.ID)
	if !item.Folder {
		w.whole += bytes
		w.ended++
	}
}

// done tells a file's end, where there is no bar that has shown it.
func (w *watch) done(e mirror.Done) {
	name := ftp.Sanitise(e.Item.Local)
	key := "shell.transfer.done"
	switch {
	case w.session.Quiet || w.plan != nil && w.plan.Tree && w.draws():
		return
	case e.Verified == mirror.Present:
		w.line("shell.transfer.present", name)
		return
	case e.Resumed:
		key = "shell.transfer.resumed"
	}
	w.line(key, name, Bytes(e.Bytes), Bytes(rate(e.Moved, e.Seconds)), w.session.text("shell.verified."+e.Verified.String()))
	if e.Verified == mirror.Unclean {
		w.line("shell.transfer.unclean", name)
	}
}

// begin makes the bar, now that it is known how much there is to move.
func (w *watch) begin() {
	if !w.draws() || w.bar != nil {
		return
	}
	w.width = terminalWidth(w.session.Progress)
	max := w.plan.Bytes
	for _, f := range w.plan.Files {
		if f.Size < 0 {
			max = -1 // nobody knows: a bar without an end
		}
	}
	w.bar = progressbar.NewOptions64(max,
		progressbar.OptionSetWriter(w.session.Progress),
		progressbar.OptionSetTheme(progressbar.ThemeASCII),
		// Its own figures count what a resumed file had before as moved at
		// once; ours stand in the description.
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false),
		// Where the size is unknown it would draw from a goroutine of its own,
		// also when all is over and the prompt is back.
		progressbar.OptionSetSpinnerChangeInterval(0),
		progressbar.OptionSetWidth(barWidth(w.width)),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionClearOnFinish(),
	)
	bar := w.bar
	w.session.Dialogue.drawing(func() { _ = bar.Clear() })
}

// drawEvery is how often the bar moves at most.
const drawEvery = 100 * time.Millisecond

// draw moves the bar to what is there of all files.
func (w *watch) draw() {
	// Events come by the thousand. The bar has a throttle too, which lets the
	// description pass and keeps back the bytes that belong to it.
	if w.bar == nil || time.Since(w.drawn) < drawEvery {
		return
	}
	w.drawn = time.Now()
	total := w.whole
	for _, n := range w.moved {
		total += n
	}
	w.bar.Describe(w.description(total))
	// At its end the bar goes away by itself, and the last reply is still to
	// come; a file may have grown too.
	if limit := w.bar.GetMax64(); limit >= 0 && total >= limit {
		total = limit - 1
	}
	_ = w.bar.Set64(max(total, 0))
}

// description is the file's name, how many are done of how many, the bytes,
// the rate and the time left.
func (w *watch) description(total int64) string {
	now := time.Now()
	count, bytes, rate := "", Bytes(total), ""
	if w.plan.Tree {
		count = fmt.Sprintf("%d/%d", w.ended, len(w.plan.Files))
	}
	rest := int64(-1)
	if end := w.bar.GetMax64(); end >= 0 {
		bytes += "/" + Bytes(end)
		rest = max(end-total, 0)
	}
	if r := w.pace.rate(now); r > 0 {
		rate = Bytes(r) + "/s"
	}
	return describe(w.width, ftp.Sanitise(w.name), count, bytes, rate, w.pace.left(now, rest))
}

// line tells something without damage to the bar.
func (w *watch) line(key string, args ...any) {
	if w.session.JSON {
		return // told by an object
	}
	if w.bar != nil {
		_ = w.bar.Clear()
	}
	fmt.Fprintln(w.session.Err, w.session.text(key, args...))
}

func (w *watch) object(v any) {
	if w.session.JSON {
		writeJSON(w.out, v)
	}
}

// end takes the bar away and sums up.
func (w *watch) end(r mirror.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bar != nil {
		w.session.Dialogue.drawing(nil)
		_ = w.bar.Clear()
		_ = w.bar.Exit()
		w.bar = nil
	}
	if w.plan != nil && w.plan.Tree && !w.session.Quiet {
		args := []any{r.Files, Bytes(r.Bytes), Bytes(rate(r.Bytes, r.Seconds))}
		if len(r.Failed)+r.Left == 0 {
			w.line("shell.transfer.total", args...)
		} else {
			w.line("shell.transfer.total.some", append(args, len(r.Failed), r.Left)...)
		}
	}
}

func rate(n int64, seconds float64) int64 {
	if seconds <= 0 {
		return n
	}
	return int64(float64(n) / seconds)
}

// explainLine is an error in one line: a list of files has no room for
// hints.
func explainLine(s *Session, err error) string {
	return firstLine(catalog.Explain(s.Lang, err))
}

// The objects of --json. Names are paths on the server.

func startObject(e mirror.Started) any {
	return struct {
		Event  string `json:"event"`
		Name   string `json:"name"`
		Size   int64  `json:"size"`
		Offset int64  `json:"offset"`
	}{"start", e.Item.Name(), e.Item.Size, e.Offset}
}

func doneObject(e mirror.Done) any {
	return struct {
		Event    string  `json:"event"`
		Name     string  `json:"name"`
		Bytes    int64   `json:"bytes"`
		Moved    int64   `json:"moved"`
		SHA256   string  `json:"sha256,omitempty"`
		Seconds  float64 `json:"seconds"`
		Resumed  bool    `json:"resumed"`
		Verified string  `json:"verified"`
	}{"done", e.Item.Name(), e.Bytes, e.Moved, hex.EncodeToString(e.SHA256), e.Seconds, e.Resumed, e.Verified.String()}
}

func progressObject(item mirror.Item, bytes, rate int64) any {
	return struct {
		Event string `json:"event"`
		Name  string `json:"name"`
		Bytes int64  `json:"bytes"`
		Size  int64  `json:"size"`
		Rate  int64  `json:"rate"`
	}{"progress", item.Name(), bytes, item.Size, rate}
}

func leftObject(s *Session, e mirror.Left) any {
	return struct {
		Event   string `json:"event"`
		Name    string `json:"name"`
		Message string `json:"message"`
	}{"left", e.Item.Name(), explainLine(s, e.Err)}
}

func failedObject(s *Session, name string, err error) any {
	code := 0
	var reply *ftpclient.ReplyError
	if errors.As(err, &reply) {
		code = reply.Reply.Code
	}
	message, hint, _ := strings.Cut(catalog.Explain(s.Lang, err), "\n")
	return struct {
		Event   string `json:"event"`
		Name    string `json:"name"`
		Exit    int    `json:"exit"`
		Code    int    `json:"code,omitempty"`
		Message string `json:"message"`
		Hint    string `json:"hint,omitempty"`
	}{"failed", name, int(ftpclient.Class(err)), code, message, hint}
}
