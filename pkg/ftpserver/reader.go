package ftpserver

import (
	"io"

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
type reader struct {
	lines   *ftp.LineReader
	request chan struct{} // closed by stop
	out     chan line     // holds one, so that the goroutine never waits for a session that has ended
	ended   chan struct{}
	asked   bool // a request is open; like stopped, it belongs to the session
	stopped bool
}

func newReader(r io.Reader) *reader {
	rd := &reader{
		lines:   ftp.NewLineReader(r, maxLine),
		request: make(chan struct{}),
		out:     make(chan line, 1),
		ended:   make(chan struct{}),
	}
	go func() {
		defer close(rd.ended)
		for range rd.request {
			text, err := rd.lines.ReadLine()
			rd.out <- line{text, err}
		}
	}()
	return rd
}

// ask requests the next line, unless one is already on its way.
func (r *reader) ask() {
	if !r.asked {
		r.asked = true
		r.request <- struct{}{}
	}
}

// heard notes that the line asked for has come.
func (r *reader) heard() { r.asked = false }

// buffered returns how many bytes came behind the last line.
func (r *reader) buffered() int { return r.lines.Buffered() }

// stop makes the goroutine end after the read in flight; closing the
// connection ends that one.
func (r *reader) stop() {
	if !r.stopped {
		r.stopped = true
		close(r.request)
	}
}

// wait returns when the goroutine has ended.
func (r *reader) wait() { <-r.ended }
