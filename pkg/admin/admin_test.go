package admin

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ftps/pkg/catalog"
	"ftps/pkg/event"
	"ftps/pkg/ftpserver"
	"ftps/pkg/vfs"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// What readline leaves behind after Close: it watches the width of
		// the terminal, waits for a prefill, and has an end of file that
		// nobody wants any more.
		goleak.IgnoreAnyFunction("github.com/chzyer/readline.DefaultOnWidthChanged.func1.1"),
		goleak.IgnoreAnyFunction("github.com/chzyer/readline.(*FillableStdin).ioloop.func1"),
		goleak.IgnoreTopFunction("github.com/chzyer/readline.(*Operation).ioloop"),
	)
}

// fake is a server that remembers what it was told.
type fake struct {
	mu       sync.Mutex
	sessions []ftpserver.Snapshot
	old      []ftpserver.Snapshot // of the server before it
	kicked   []int
	reasons  []string
	banned   map[netip.Addr]time.Duration
	stopped  int
	drained  int
	reload   error
	level    slog.Level
}

func newFake() *fake {
	return &fake{
		banned: make(map[netip.Addr]time.Duration),
		sessions: []ftpserver.Snapshot{
			{Number: 0, User: "diego", Remote: netip.MustParseAddrPort("192.0.2.7:4000"), Folder: "/docs", Command: "CWD", TLS: "TLS 1.3", Since: time.Now(), Active: time.Now()},
			{Number: 3, Remote: netip.MustParseAddrPort("192.0.2.8:4000"), Since: time.Now(), Active: time.Now()},
		},
	}
}

func (f *fake) Sessions() (all []Session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.sessions {
		all = append(all, Session{Snapshot: s})
	}
	for _, s := range f.old {
		all = append(all, Session{Snapshot: s, Old: true})
	}
	return all
}

func (f *fake) Kick(number int, reason string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kicked = append(f.kicked, number)
	f.reasons = append(f.reasons, reason)
	return true
}

func (f *fake) Ban(addr netip.Addr, d time.Duration) int { f.banned[addr] = d; return 1 }

func (f *fake) Unban(addr netip.Addr) bool {
	_, ok := f.banned[addr]
	delete(f.banned, addr)
	return ok
}

func (f *fake) Users() []User {
	return []User{{Name: "diego", Home: "diego", Perm: vfs.ReadWrite, Active: true, Sessions: 1}, {Name: "eva", Home: "eva"}}
}
func (f *fake) Stats() Stats              { return Stats{Since: time.Now(), Connections: 41, BytesIn: 5 << 20} }
func (f *fake) Reload() ([]string, error) { return []string{"control-port"}, f.reload }
func (f *fake) Level() slog.Level         { return f.level }
func (f *fake) SetLevel(l slog.Level)     { f.level = l }
func (f *fake) Bans() (all []Ban) {
	for addr := range f.banned {
		all = append(all, BanOf(addr, time.Time{}))
	}
	return all
}
func (f *fake) Upgrade() (string, int, error) { return "2.0", 42, nil }
func (f *fake) Drain()                        { f.drained++ }

func (f *fake) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped++
}

// run executes one line and returns what was shown.
func run(t *testing.T, f *fake, lang catalog.Lang, line, answer string) string {
	t.Helper()
	var out bytes.Buffer
	e := &Env{Server: f, Lang: lang, Out: &out, Ask: func(q string) (string, error) {
		out.WriteString(q + "\n")
		if answer == "" {
			return "", io.EOF
		}
		return answer, nil
	}}
	if err := Run(e, line); err != nil {
		out.WriteString(catalog.Explain(lang, err) + "\n")
	}
	return out.String()
}

func TestListShowsWhoIsConnectedInBothLanguages(t *testing.T) {
	f := newFake()
	for lang, want := range map[catalog.Lang][]string{
		catalog.English: {"USER", "diego", "192.0.2.7:4000", "/docs", "3", "-"},
		catalog.Spanish: {"USUARIO", "diego"},
	} {
		for _, word := range []string{"list", "LIST", "listar"} {
			shown := run(t, f, lang, word, "")
			for _, w := range want {
				if !strings.Contains(shown, w) {
					t.Errorf("%v: %q lacks %q", lang, shown, w)
				}
			}
		}
	}
	f.sessions = nil
	if shown := run(t, f, catalog.Spanish, "list", ""); !strings.Contains(shown, "No hay clientes") {
		t.Errorf("nobody: %q", shown)
	}
}

func TestKickAsksFirstAndOnlyYesKicks(t *testing.T) {
	for answer, kicks := range map[string]bool{"y": true, "YES": true, "s": true, "sí": true, "n": false, "x": false, "": false} {
		f := newFake()
		run(t, f, catalog.Spanish, "kick 3 too slow", answer)
		if got := len(f.kicked) == 1; got != kicks {
			t.Errorf("answer %q: kicked %v", answer, f.kicked)
		}
		if kicks && (f.kicked[0] != 3 || f.reasons[0] != "too slow") {
			t.Errorf("kicked %v for %q", f.kicked, f.reasons)
		}
	}
}

func TestKickOfNobodyIsRefusedWithoutAQuestion(t *testing.T) {
	f := newFake()
	for _, line := range []string{"kick 1", "kick x", "kick -1", "kick", "kick 192.0.2.77"} {
		if shown := run(t, f, catalog.English, line, "y"); strings.Contains(shown, "[y/N]") || len(f.kicked) > 0 || shown == "" {
			t.Errorf("%s: %q", line, shown)
		}
	}
}

func TestBanAndUnbanCheckTheirWords(t *testing.T) {
	f := newFake()
	run(t, f, catalog.English, "ban 192.0.2.9 30m", "")
	if f.banned[netip.MustParseAddr("192.0.2.9")] != 30*time.Minute {
		t.Error("not banned")
	}
	for _, line := range []string{"ban somewhere", "ban 192.0.2.9 soon", "ban 192.0.2.9 -5m", "unban 192.0.2.10"} {
		if shown := run(t, f, catalog.English, line, ""); shown == "" || len(f.banned) != 1 {
			t.Errorf("%s: %q", line, shown)
		}
	}
	run(t, f, catalog.English, "unban 192.0.2.9", "")
	if len(f.banned) != 0 {
		t.Error("still banned")
	}
}

func TestTheOtherCommandsReachTheServer(t *testing.T) {
	f := newFake()
	if shown := run(t, f, catalog.English, "users", ""); !strings.Contains(shown, "diego") || !strings.Contains(shown, "inactive") {
		t.Errorf("users: %q", shown)
	}
	if shown := run(t, f, catalog.English, "stats", ""); !strings.Contains(shown, "Connections: 41") || !strings.Contains(shown, "5.0 MiB") {
		t.Errorf("stats: %q", shown)
	}
	f.reload = errors.New("line 3")
	if shown := run(t, f, catalog.English, "reload", ""); !strings.Contains(shown, "line 3") {
		t.Errorf("reload: %q", shown)
	}
	run(t, f, catalog.English, "drain", "")
	if f.drained != 1 {
		t.Error("not drained")
	}
	if err := Run(&Env{Server: f, Out: io.Discard}, "exit"); !errors.Is(err, ErrLeave) || f.stopped != 1 {
		t.Errorf("exit: %v", err)
	}
}

func TestEveryCommandHasItsWordsInBothLanguages(t *testing.T) {
	shown := run(t, newFake(), catalog.Spanish, "ayuda", "")
	for _, c := range Commands() {
		if !strings.Contains(shown, c.Names[0]) {
			t.Errorf("help lacks %s", c.Names[0])
		}
		for _, key := range []string{c.Help, c.Args} {
			if _, ok := catalog.Lookup(key); key != "" && !ok {
				t.Errorf("no row %s", key)
			}
		}
	}
}

func TestAnUnknownCommandIsShownEscaped(t *testing.T) {
	shown := run(t, newFake(), catalog.English, "\x1b[2Jhello", "")
	if strings.ContainsRune(shown, 0x1b) || !strings.Contains(shown, "unknown command") {
		t.Errorf("%q", shown)
	}
}

func TestTheTellerSaysWhoComesAndGoesAndHidesNothing(t *testing.T) {
	var out bytes.Buffer
	teller := Teller{catalog.Spanish, &out}
	s := event.Session{Number: 2, Remote: netip.MustParseAddrPort("192.0.2.7:4000")}
	events := []event.Event{event.Connected{Session: s}}
	s.User = "diego"
	events = append(events, event.LoggedIn{Session: s},
		event.FolderChanged{Session: s, Folder: "/a\x1b]0;owned\x07"},
		event.Kicked{Session: s}, event.Disconnected{Session: s}, event.Trouble{})
	for _, e := range events {
		before := out.Len()
		teller.Handle(e)
		if (out.Len() > before) != Tells(e) {
			t.Errorf("%T: Tells disagrees", e)
		}
	}
	want := "Se conectó el cliente 2 desde 192.0.2.7:4000\n" +
		"El cliente 2 es diego\n" +
		"El cliente 2 (diego) entró en /a\\x1b]0;owned\\x07\n" +
		"Expulsado el cliente 2 (diego)\n" +
		"Se desconectó el cliente 2 (diego)\n"
	if out.String() != want {
		t.Errorf("told\n%swant\n%s", out.String(), want)
	}
}
