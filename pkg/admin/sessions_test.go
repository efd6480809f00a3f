package admin

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/ftpserver"
)

// ordered runs a line as the socket does: to give the command is to mean it.
func ordered(t *testing.T, f *fake, line string, asJSON bool) string {
	t.Helper()
	var out strings.Builder
	if err := Run(&Env{Server: f, Lang: catalog.English, Out: &out, JSON: asJSON}, line); err != nil {
		return catalog.Explain(catalog.English, err)
	}
	return out.String()
}

func crowd() *fake {
	f := newFake()
	at := func(number int, user, remote string) {
		f.sessions = append(f.sessions, ftpserver.Snapshot{Number: number, User: user, Remote: netip.MustParseAddrPort(remote)})
	}
	at(4, "diego", "192.0.2.8:5000")
	at(5, "3", "[2001:db8::7]:5000")
	return f
}

func TestKickTakesAnIdAnAccountOrAnAddress(t *testing.T) {
	for word, want := range map[string][]int{
		"0": {0}, "diego": {0, 4}, "192.0.2.8": {3, 4}, "192.0.2.8:5000": {4}, "2001:db8::7": {5},
		"3":                {3}, // the session, not the account of that name
		"::ffff:192.0.2.7": {0},
	} {
		f := crowd()
		shown := ordered(t, f, "kick "+word+" so it is", false)
		if len(f.kicked) != len(want) || !strings.Contains(shown, "Sessions ended") {
			t.Errorf("kick %s: %v, %q", word, f.kicked, shown)
			continue
		}
		for i := range want {
			if f.kicked[i] != want[i] || f.reasons[i] != "so it is" {
				t.Errorf("kick %s: %v %q", word, f.kicked, f.reasons)
			}
		}
	}
}

func TestKickOfSeveralAsksOnceAndSaysHowMany(t *testing.T) {
	f := crowd()
	if shown := run(t, f, catalog.Spanish, "kick diego", "n"); !strings.Contains(shown, "los 2 clientes de diego") || len(f.kicked) > 0 {
		t.Errorf("%q, kicked %v", shown, f.kicked)
	}
}

func TestABanOfAnIPv6AddressIsShownAsItsNetwork(t *testing.T) {
	f := newFake()
	shown := ordered(t, f, "ban 2001:db8::7", false)
	if !strings.Contains(shown, "2001:db8::/64 is refused") {
		t.Errorf("%q", shown)
	}
	if shown := ordered(t, f, "bans", false); !strings.Contains(shown, "2001:db8::/64") || !strings.Contains(shown, "the whole run") {
		t.Errorf("%q", shown)
	}
	if shown := ordered(t, f, "unban 2001:db8::/48", false); !strings.Contains(shown, "is not an address") {
		t.Errorf("another network: %q", shown)
	}
}

func TestListShowsWhatIsMovedAndHowFast(t *testing.T) {
	f, now := newFake(), time.Now()
	began := now.Add(-4 * time.Second)
	f.sessions[0].Transfer, f.sessions[0].Began, f.sessions[0].Bytes, f.sessions[0].Bound = "/big\u202e.bin", began, 4<<20, "session"
	f.sessions[0].ID = "ab12"
	rates := &Rates{}
	if r := rates.next(f.Sessions(), now); int(r[0]) != 1<<20 {
		t.Errorf("on the whole: %v", r)
	}
	f.sessions[0].Bytes += 10 << 20
	if r := rates.next(f.Sessions(), now.Add(time.Second)); int(r[0]) != 10<<20 {
		t.Errorf("since the last time: %v", r)
	}
	f.sessions[0].Began, f.sessions[0].Bytes = now, 2<<20
	if r := rates.next(f.Sessions(), now.Add(2*time.Second)); int(r[0]) != 1<<20 {
		t.Errorf("the next file: %v", r)
	}
	shown := ordered(t, f, "list", true)
	if strings.ContainsRune(shown, 0x202e) {
		t.Error("a mark that turns the line came through")
	}
	var o map[string]any
	if err := json.Unmarshal([]byte(strings.SplitN(shown, "\n", 2)[0]), &o); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"id": 0.0, "user": "diego", "file": "/big\u202e.bin", "bytes": 2097152.0, "direction": "download", "bound": "session"} {
		if o[key] != want {
			t.Errorf("%s is %v in %s", key, o[key], shown)
		}
	}
	if text := ordered(t, f, "list", false); !strings.Contains(text, "iB/s") || !strings.Contains(text, "session") {
		t.Errorf("%s", text)
	}
}

func TestTheLogLevelIsShownAndSet(t *testing.T) {
	f := newFake()
	if shown := ordered(t, f, "log-level", false); !strings.Contains(shown, "level info") {
		t.Errorf("%q", shown)
	}
	if shown := ordered(t, f, "log-level debug", false); !strings.Contains(shown, "level debug") || f.level != -4 {
		t.Errorf("%q", shown)
	}
	if shown := ordered(t, f, "log-level loud", false); !strings.Contains(shown, "not a level") || f.level != -4 {
		t.Errorf("%q", shown)
	}
}

func TestReloadNamesWhatWaitsForTheNextStart(t *testing.T) {
	if shown := ordered(t, newFake(), "reload", false); !strings.Contains(shown, "control-port cannot change while the server runs") {
		t.Errorf("%q", shown)
	}
}

func TestSessionsOfTheServerBeforeAnUpgradeAreListedMarkedAndKicked(t *testing.T) {
	f := crowd()
	f.old = []ftpserver.Snapshot{{Number: 1, User: "eva", Remote: netip.MustParseAddrPort("192.0.2.9:4000")}}
	shown := ordered(t, f, "list", false)
	if !strings.Contains(shown, "\n1* ") || !strings.Contains(shown, "eva") || strings.Contains(shown, "\n0* ") ||
		!strings.HasSuffix(shown, "* connected to the server before the upgrade\n") {
		t.Errorf("%s", shown)
	}
	objects := ordered(t, f, "list", true)
	if strings.Count(objects, `"old_server":true`) != 1 {
		t.Errorf("%s", objects)
	}
	for _, word := range []string{"1", "eva", "192.0.2.9"} {
		f.kicked = nil
		if ordered(t, f, "kick "+word, false); len(f.kicked) != 1 || f.kicked[0] != 1 {
			t.Errorf("kick %s: %v", word, f.kicked)
		}
	}
}
