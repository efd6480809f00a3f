package xferlog

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ftps/pkg/event"
)

var ended = time.Date(2026, 2, 7, 9, 52, 49, 0, time.UTC)

func upload(name string) event.TransferDone {
	return event.TransferDone{
		Session:   event.Session{Remote: netip.MustParseAddrPort("192.0.2.7:4000"), User: "diego"},
		Direction: event.Upload, Verb: "STOR", Name: name, Bytes: 1234, Duration: 2600 * time.Millisecond, Code: 226,
	}
}

func TestALineIsInTheFormOfXferlog(t *testing.T) {
	failed := upload("/docs/a.txt")
	failed.Direction, failed.ASCII, failed.Code, failed.Duration = event.Download, true, 426, 0
	for want, e := range map[string]event.TransferDone{
		"Sat Feb  7 09:52:49 2026 3 192.0.2.7 1234 /docs/a.txt b _ i r diego ftp 0 * c\n": upload("/docs/a.txt"),
		"Sat Feb  7 09:52:49 2026 1 192.0.2.7 1234 /docs/a.txt a _ o r diego ftp 0 * i\n": failed,
	} {
		if got := Line(e, ended); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestNoNameForgesALineOrAField(t *testing.T) {
	plain := len(strings.Fields(Line(upload("/a"), ended)))
	for _, name := range []string{
		"/a b", "/a\nSat Feb  7 09:52:49 2026 1 192.0.2.8 1 /x b _ i r ana ftp 0 * c", "/a\rb", "/a\tb", "/\x1b[2J",
		"/\u0085", "/\u2028", "/\u202e", "/\u00a0", "/\xff\xfe", "",
	} {
		line := Line(upload(name), ended)
		if n := len(strings.Fields(line)); n != plain || strings.Count(line, "\n") != 1 || strings.ContainsAny(line, "\x1b\r\t\u202e\u0085\u2028") {
			t.Errorf("%q makes %q", name, line)
		}
	}
	if got := word("/añ/日本"); got != "/añ/日本" {
		t.Errorf("%q", got)
	}
}

func TestARotatedLogIsWrittenAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xferlog")
	var failures []error
	l, err := Open(path, func(err error) { failures = append(failures, err) })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	read := func(path, want string) {
		t.Helper()
		raw, err := os.ReadFile(path)
		if err != nil || strings.Count(string(raw), "\n") != 1 || !strings.Contains(string(raw), want) {
			t.Errorf("%s: %q, %v", path, raw, err)
		}
	}
	l.Handle(upload("/one"))
	if err := os.Rename(path, path+".1"); err != nil { // logrotate without any signal
		t.Fatal(err)
	}
	l.Handle(upload("/two"))
	read(path+".1", "/one")
	read(path, "/two")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Handle(upload("/three"))
	read(path, "/three")

	// Nothing of this is a transfer of a file.
	l.Handle(event.TransferDone{Direction: event.Listing, Code: 226})
	l.Handle(event.LoggedIn{})
	read(path, "/three")

	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	l.Handle(upload("/four"))
	l.Handle(upload("/five"))
	if len(failures) != 1 || !errors.Is(failures[0], os.ErrNotExist) {
		t.Errorf("told of %v", failures)
	}
}
