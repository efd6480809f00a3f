//go:build unix

package admin

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"ftps/pkg/catalog"
)

// terminal is the far end of a pseudo-terminal: what a person types and sees.
type terminal struct {
	t    *testing.T
	keys *os.File

	mu   sync.Mutex
	seen strings.Builder
	more chan struct{}
}

func openTerminal(t *testing.T) (*terminal, *os.File) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	if err := pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 100}); err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, keys: master, more: make(chan struct{}, 1)}
	var reading sync.WaitGroup
	reading.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			if err != nil {
				return
			}
			term.mu.Lock()
			term.seen.Write(b[:n])
			term.mu.Unlock()
			select {
			case term.more <- struct{}{}:
			default:
			}
		}
	})
	t.Cleanup(func() {
		// A read of either end keeps it open, and each waits for the other
		// to close: a last key wakes readline's.
		slave.Close()
		master.WriteString("\n")
		reading.Wait()
		master.Close()
	})
	return term, slave
}

func (term *terminal) types(keys string) {
	term.t.Helper()
	if _, err := term.keys.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
}

// sees waits until what was shown since the last call holds want, and
// forgets everything up to it.
func (term *terminal) sees(want string) {
	term.t.Helper()
	deadline := time.After(time.Minute)
	for {
		term.mu.Lock()
		seen := term.seen.String()
		if _, after, ok := strings.Cut(seen, want); ok {
			term.seen.Reset()
			term.seen.WriteString(after)
			term.mu.Unlock()
			return
		}
		term.mu.Unlock()
		select {
		case <-term.more:
		case <-deadline:
			term.t.Fatalf("did not see %q in %q", want, seen)
		}
	}
}

// startConsole runs a console on a pseudo-terminal; over yields what Run
// returned.
func startConsole(t *testing.T, f *fake, lang catalog.Lang) (*terminal, *Console, <-chan bool) {
	t.Helper()
	term, slave := openTerminal(t)
	c, err := NewConsole(f, lang, slave, slave)
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan bool, 1)
	go func() { over <- c.Run() }()
	t.Cleanup(c.Close)
	term.sees(prompt)
	for !c.rl.Terminal.IsReading() { // readline's own Close needs its reader to run
		runtime.Gosched()
	}
	return term, c, over
}

func waitFor(t *testing.T, over <-chan bool) bool {
	t.Helper()
	select {
	case stopped := <-over:
		return stopped
	case <-time.After(time.Minute):
		t.Fatal("the console did not end")
		return false
	}
}

func TestAConsoleSessionAsThePersonSeesIt(t *testing.T) {
	f := newFake()
	term, _, over := startConsole(t, f, catalog.Spanish)
	term.types("list\n")
	term.sees("USUARIO")
	term.sees("diego")
	term.sees(prompt)
	term.types("kick 0\n")
	term.sees("¿Expulsar al cliente 0 (diego)? [s/N]")
	term.types("n\n")
	term.sees("se queda")
	term.types("kick 0\n")
	term.sees("[s/N]")
	term.types("s\n")
	term.sees(prompt)
	term.types("nada\n")
	term.sees(`comando desconocido "nada"`)
	term.types("exit\n")
	if !waitFor(t, over) || f.stopped != 1 || len(f.kicked) != 1 {
		t.Errorf("stopped %d times, kicked %v", f.stopped, f.kicked)
	}
}

func TestALineBeingTypedSurvivesWhatIsToldMeanwhile(t *testing.T) {
	f := newFake()
	term, c, over := startConsole(t, f, catalog.English)
	term.types("sta")
	term.sees("sta")
	fmt.Fprint(c.Writer(), "half a line, ")
	fmt.Fprint(c.Writer(), "then the rest\nand another\nand a beginning")
	// The typed line is wiped, the whole lines stand alone, and it is drawn
	// again below them.
	term.sees("\rhalf a line, then the rest\r\nand another\r\n")
	term.sees(prompt + "sta")
	term.types("ts\n")
	term.sees("Connections: 41")
	term.types("exit\n")
	waitFor(t, over)
	term.mu.Lock()
	defer term.mu.Unlock()
	if strings.Contains(term.seen.String(), "and a beginning") {
		t.Error("a line without an end was drawn")
	}
}

func TestTabCompletesACommand(t *testing.T) {
	term, _, over := startConsole(t, newFake(), catalog.English)
	term.types("sta\t\n")
	term.sees("Connections: 41")
	term.types("exit\n")
	waitFor(t, over)
}

func TestCtrlCGivesUpTheLineAndThenStopsTheServer(t *testing.T) {
	f := newFake()
	term, _, over := startConsole(t, f, catalog.English)
	term.types("kick 0")
	term.sees("kick 0")
	term.types("\x03")
	term.sees(prompt)
	if f.stopped != 0 {
		t.Fatal("the first Ctrl-C stopped the server")
	}
	term.types("\x03")
	if !waitFor(t, over) || f.stopped != 1 {
		t.Errorf("stopped %d times", f.stopped)
	}
}

func TestCtrlDLeavesTheServerRunningAndCtrlZDoesNothing(t *testing.T) {
	f := newFake()
	term, _, over := startConsole(t, f, catalog.English)
	term.types("\x1astats\n")
	term.sees("Connections: 41")
	term.sees(prompt) // between two lines the terminal is not raw, and keeps Ctrl-D for itself
	term.types("\x04")
	if waitFor(t, over) || f.stopped != 0 {
		t.Errorf("stopped %d times", f.stopped)
	}
}

func TestCloseEndsAConsoleThatWaitsForKeys(t *testing.T) {
	_, c, over := startConsole(t, newFake(), catalog.English)
	c.Close()
	if waitFor(t, over) {
		t.Error("Close stopped the server")
	}
}

func TestTabCompletesWhomToKick(t *testing.T) {
	f := crowd()
	for typed, want := range map[string]string{
		"ki": "ck ", "kick d": "iego ", "KICK 192.0.2.7": " ", "expulsar 2001": ":db8::7 ", "ban 192.0.2.7": " ",
		"log-level w": "arn ", "kick diego ": "", "kick nobody": "", "unban ": "", "list ": "",
	} {
		rest, _ := completer{f}.Do([]rune(typed), len([]rune(typed)))
		var got []string
		for _, r := range rest {
			got = append(got, string(r))
		}
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || got[0] != want) {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
	rest, _ := completer{f}.Do([]rune("kick "), 5)
	if len(rest) != 8 { // four numbers, of which one is an account as well; diego; three addresses
		t.Errorf("%q", rest)
	}
}
