package main

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// tty is the far side of a pseudo-terminal.
type tty struct {
	t      *testing.T
	master *os.File
	more   chan struct{} // something was written
	closed chan struct{}

	mu   sync.Mutex
	seen strings.Builder
	read int // how much of it was waited for
}

func newTTY(t *testing.T, master, slave *os.File) *tty {
	p := &tty{t: t, master: master, more: make(chan struct{}, 1), closed: make(chan struct{})}
	go func() {
		defer close(p.closed)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			p.mu.Lock()
			p.seen.Write(buf[:n])
			p.mu.Unlock()
			select {
			case p.more <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		// A reader of the keyboard may still wait for a line; it holds the
		// slave open, and that keeps the master's reader.
		_, _ = master.WriteString("\n\r\n")
		slave.Close()
		select {
		case <-p.closed:
			master.Close()
		case <-time.After(5 * time.Second):
			t.Error("someone still reads the terminal")
		}
	})
	return p
}

func (p *tty) types(keys string) {
	p.t.Helper()
	if _, err := p.master.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

func (p *tty) screen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.String()
}

// sees waits until text appears after what was seen before.
func (p *tty) sees(text string) {
	p.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		all := p.screen()
		if i := strings.Index(all[p.read:], text); i >= 0 {
			p.read += i + len(text)
			return
		}
		select {
		case <-p.more:
		case <-deadline:
			p.t.Fatalf("did not see %q in %q", text, all[p.read:])
		}
	}
}

// ends waits for the program's exit code.
func (p *tty) ends(code chan int, want int) {
	p.t.Helper()
	select {
	case got := <-code:
		if got != want {
			p.t.Errorf("exit code %d, want %d; seen %q", got, want, p.screen())
		}
	case <-time.After(20 * time.Second):
		p.t.Fatalf("did not end; seen %q", p.screen())
	}
}
