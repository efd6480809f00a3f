// Package xferlog writes the transfer log of wu-ftpd, which vsftpd and
// ProFTPD write too and many tools read: one line a file that was sent or
// received, in the form of xferlog(5).
package xferlog

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"ftps/pkg/event"
)

// fileMode is that of a log that is made: names are the accounts' business,
// so the group may read and nobody else.
const fileMode = 0o640

// Log is a transfer log. It is a sink of events.
type Log struct {
	path   string
	failed func(error)
	now    func() time.Time

	mu     sync.Mutex
	file   *os.File
	broken bool // told already
}

// Open opens the log, or makes it. failed is told when a line cannot be
// written, once until the next one can.
func Open(path string, failed func(error)) (*Log, error) {
	l := &Log{path: path, failed: failed, now: time.Now}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Log) open() (err error) {
	l.file, err = os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, fileMode)
	return err
}

// Reopen closes the file and opens what has its name now.
func (l *Log) Reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reopen()
}

func (l *Log) reopen() error {
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
	return l.open()
}

// Close closes the file.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// Handle implements [event.Sink].
func (l *Log) Handle(e event.Event) {
	done, ok := e.(event.TransferDone)
	if !ok || done.Direction == event.Listing {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.write(Line(done, l.now()))
	if err != nil && !l.broken && l.failed != nil {
		l.failed(err)
	}
	l.broken = err != nil
}

func (l *Log) write(line string) error {
	// A log that was renamed away to be rotated is not written to any more.
	if !l.current() {
		if err := l.reopen(); err != nil {
			return err
		}
	}
	_, err := l.file.WriteString(line)
	return err
}

// current reports whether the open file is the one of that name.
func (l *Log) current() bool {
	if l.file == nil {
		return false
	}
	open, err := l.file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(l.path)
	return err == nil && os.SameFile(open, named)
}

// Line is a transfer in the form of xferlog(5): when it ended, seconds,
// address, bytes, name, type (a or b), special action (none), direction
// (i or o), access (r, a real user), user, service, no identity by RFC 931,
// and whether it is complete.
func Line(e event.TransferDone, ended time.Time) string {
	kind, direction, status := "b", "o", "c"
	if e.ASCII {
		kind = "a"
	}
	if e.Direction == event.Upload {
		direction = "i"
	}
	if e.Code >= 400 {
		status = "i"
	}
	return strings.Join([]string{
		ended.Format(time.ANSIC),
		strconv.FormatInt(max(1, int64(e.Duration.Round(time.Second)/time.Second)), 10), // as vsftpd has it, never 0
		e.Remote.Addr().String(),
		strconv.FormatInt(e.Bytes, 10),
		word(e.Name),
		kind, "_", direction, "r",
		word(e.User),
		"ftp", "0", "*", status,
	}, " ") + "\n"
}

// word is a name as one word of a line: what would end the word or the line,
// or moves a terminal's cursor, is an underscore, as ProFTPD has it.
func word(name string) string {
	if name == "" {
		return "-"
	}
	var b strings.Builder
	for i, r := range name {
		_, size := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && size == 1 || !unicode.IsPrint(r) || unicode.IsSpace(r) {
			r = '_'
		}
		b.WriteRune(r)
	}
	return b.String()
}
