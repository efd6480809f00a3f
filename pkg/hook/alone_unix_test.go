//go:build unix

package hook

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A program that ends in time may leave others behind, each run some.
func TestWhatAHookLeavesBehindEndsWithIt(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, "left")
	if err := syscall.Mkfifo(left, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := NewProgram(ProgramOptions{Path: script(t, "exec 3>'"+left+"'\nsleep 600 2>/dev/null &\nexit 0\n")})
	if err != nil {
		t.Fatal(err)
	}
	p.Handle(upload("/a"))
	// It ends when nobody holds the other end open any more.
	gone := make(chan error, 1)
	go func() {
		_, err := os.ReadFile(left)
		gone <- err
	}()
	finish(t, p)
	select {
	case err := <-gone:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("what it left behind goes on")
	}
	if p.Counts() != (Counts{Delivered: 1}) {
		t.Errorf("%+v", p.Counts())
	}
}
