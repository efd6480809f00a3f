// Package terminal is a pseudo-terminal for tests, and a person at its far
// side who types and waits for what shows.
//
// [Person.Transcript] is every byte that the program wrote, and
// [Person.Screen] what of it a terminal of that size would show in the end.
package terminal

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
)

// Patience is the deadline of every wait.
const Patience = 60 * time.Second

// Person sits at the far side of a pseudo-terminal.
type Person struct {
	Slave *os.File // the program's side

	t             testing.TB
	master        *os.File
	columns, rows int
	more          chan struct{} // something was written
	closed        chan struct{} // nothing more will be

	mu   sync.Mutex
	seen strings.Builder
	read int // how much of it was waited for
}

// Open returns a person at a terminal of that size, which goes with the test.
func Open(t testing.TB, columns, rows int) *Person {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(master, &pty.Winsize{Rows: uint16(rows), Cols: uint16(columns)}); err != nil {
		t.Fatal(err)
	}
	p := &Person{t: t, master: master, Slave: slave, columns: columns, rows: rows,
		more: make(chan struct{}, 1), closed: make(chan struct{})}
	go p.watch()
	t.Cleanup(func() {
		// A reader of the keyboard may still wait for a line; it holds the
		// slave open, and that keeps the master's reader.
		_, _ = master.WriteString("\n\r\n")
		slave.Close()
		select {
		case <-p.closed:
			master.Close()
		case <-time.After(Patience):
			t.Error("someone still reads the terminal")
		}
	})
	return p
}

func (p *Person) watch() {
	defer close(p.closed)
	buf := make([]byte, 4096)
	for {
		n, err := p.master.Read(buf)
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
}

// Types sends keys to the program.
func (p *Person) Types(keys string) {
	p.t.Helper()
	if _, err := p.master.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// Transcript returns all that the program wrote.
func (p *Person) Transcript() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.String()
}

// Sees waits until text appears after what was seen before.
func (p *Person) Sees(text string) {
	p.t.Helper()
	deadline := time.After(Patience)
	for {
		all := p.Transcript()
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

// Ends waits for a program's exit code.
func (p *Person) Ends(code <-chan int, want int) {
	p.t.Helper()
	select {
	case got := <-code:
		if got != want {
			p.t.Errorf("exit code %d, want %d; seen %q", got, want, p.Transcript())
		}
		p.Settle()
	case <-time.After(Patience):
		p.t.Fatalf("did not end; seen %q", p.Transcript())
	}
}

// Screen returns what the terminal shows now, without what is empty at the
// end of lines and of the screen. mask are pairs of old and new text, which
// should be equally long: what differs from run to run must not move the rest.
func (p *Person) Screen(mask ...string) string {
	vt := vt10x.New(vt10x.WithSize(p.columns, p.rows))
	_, _ = vt.Write([]byte(strings.NewReplacer(mask...).Replace(p.Transcript())))
	var b strings.Builder
	for y := range p.rows {
		var line strings.Builder
		for x := range p.columns {
			c := vt.Cell(x, y).Char
			if c == 0 {
				c = ' '
			}
			line.WriteRune(c)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// settled is a title for the terminal's window, which no screen shows.
const settled = "\x1b]0;settled\x07"

// Settle waits until all that was written to the terminal has arrived.
func (p *Person) Settle() {
	p.t.Helper()
	if _, err := p.Slave.WriteString(settled); err != nil {
		p.t.Fatal(err)
	}
	p.Sees(settled)
}

// Golden holds got against a file, or with update writes it there.
func Golden(t testing.TB, path, got string, update bool) {
	t.Helper()
	if update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the screen is not that of %s (-update rewrites it):\n%s\nwant\n%s", path, got, want)
	}
}
