package ftpserver

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/vfs"
)

// maxLine bounds a command line, in bytes: a verb, a path of the longest kind,
// and room for an argument before it.
const maxLine = vfs.MaxPath + 512

// line is what the reader heard: a command line, or why there is none.
type line struct {
	text []byte
	err  error
}

// reader reads the control connection one line at a time, and only when
// asked: between two requests no read is in flight, so that AUTH can put TLS
// under the connection.
//
// A session reads by itself, with here, and whoever has something else for it
// rings: handing each line from one goroutine to another costs more than the
// rest of a NOOP, and a goroutine that only reads costs every session a stack.
// While the session works itself, and listens for an ABOR beside that, the
// line comes through out.
type reader struct {
	conn  net.Conn
	lines *ftp.LineReader
	alarm *alarm
	out   chan line // holds one, so that no goroutine waits for a session that has ended
	asked bool      // a line is on its way to out; it belongs to the session
	timed bool      // here has left deadlines
}

func newReader(conn net.Conn, a *alarm) *reader {
	return &reader{conn: conn, lines: ftp.NewLineReader(conn, maxLine), alarm: a, out: make(chan line, 1)}
}

// ask requests the next line, unless one is already on its way.
func (r *reader) ask() {
	if r.asked {
		return
	}
	r.asked = true
	r.untime()
	go func() {
		text, err := r.lines.ReadLine()
		r.out <- line{text, err}
	}()
}

// heard notes that the line asked for has come.
func (r *reader) heard() { r.asked = false }

// here reads a line on the session's own goroutine until the clock runs out,
// the alarm rings, or there is something else to see to; ok is false then.
// What came of a line is kept for the next read.
func (r *reader) here(until time.Time, elsewhere func() bool) (l line, ok bool) {
	r.timed = true
	r.alarm.set(r.conn, until)
	defer r.alarm.off()
	if elsewhere() {
		return line{}, false
	}
	l.text, l.err = r.lines.ReadLine()
	return l, !errors.Is(l.err, os.ErrDeadlineExceeded)
}

// untime takes the deadlines away that here has left.
func (r *reader) untime() {
	if r.timed {
		r.timed = false
		r.conn.SetDeadline(time.Time{})
	}
}

// buffered returns how many bytes came behind the last line.
func (r *reader) buffered() int { return r.lines.Buffered() }

// more reports whether the next line is here already, in the hands of nobody.
func (r *reader) more() bool { return !r.asked && r.lines.Whole() }

// wait returns when no read is in flight any more; closing the connection
// ends that one.
func (r *reader) wait() {
	if r.asked {
		<-r.out
		r.asked = false
	}
}

// alarm wakes a session that reads by itself. It is one for the whole session,
// whatever AUTH puts under the connection.
type alarm struct {
	mu   sync.Mutex
	conn net.Conn // that is being read, or nil
}

func (a *alarm) set(conn net.Conn, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conn = conn
	// For writing as well: RFC 8446 §4.6.3 has a read answer a KeyUpdate, and
	// whoever does not take that answer must not hold the read for ever.
	conn.SetDeadline(until)
}

func (a *alarm) off() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conn = nil
}

// ring makes the read fail that is under way. Whoever rings has put before
// where the session will find it: a session that is about to read looks there
// once more behind set.
func (a *alarm) ring() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.conn != nil {
		a.conn.SetDeadline(time.Unix(1, 0))
	}
}
