package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/config"
	"ftps/pkg/event"
	"ftps/pkg/users"
	"ftps/pkg/vfs"
)

func TestARefusalForASettingNamesTheSettingInTheLog(t *testing.T) {
	small, reader, away, closed, crowded := account("small"), account("reader"), account("away"), account("closed"), account("crowded")
	small.Quota = 10
	reader.Perm = vfs.Read | vfs.List
	away.AllowFrom = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	closed.Disabled = true
	crowded.MaxSessions = 1
	h := newHost(t, small, reader, away, closed, crowded)
	h.cfg.MaxPerAddress = 9
	d, end := h.start()

	c := h.login(d, "small")
	if code := c.Upload(make([]byte, 100), "STOR much"); code != 552 {
		t.Errorf("over the quota: %d", code)
	}
	h.login(d, "reader").Cmd(550, "DELE something")
	h.login(d, "crowded")
	for _, user := range []string{"away", "closed", "crowded"} {
		c := h.secure(d)
		c.Cmd(331, "USER %s", user)
		c.Send("PASS secreto")
		if got, _, err := c.Read(); err != nil || got < 400 {
			t.Errorf("%s: %d, %v", user, got, err)
		}
		c.Cmd(221, "QUIT")
		c.ExpectClosed()
	}
	for last := 220; last == 220; { // one more than may be
		var err error
		if last, _, err = h.dial(d).Read(); err != nil || last != 220 && last != 421 {
			t.Fatalf("the greeting: %d, %v", last, err)
		}
	}
	end()
	named := make(map[string]bool)
	for _, line := range h.log.lines() {
		if name, ok := line["setting"].(string); ok {
			named[name] = true
		}
	}
	for _, name := range []string{"quota", "permissions", "allow_from", "disabled", "max_sessions", "max_connections_per_address"} {
		if !named[name] {
			t.Errorf("no line names %s; named are %v", name, named)
		}
	}
}

func TestEverySettingThatARefusalNamesExists(t *testing.T) {
	known := []string{"quota", "permissions", "max_sessions", "allow_from", "disabled", "expires", "client_cert"}
	for _, row := range config.Settings() {
		known = append(known, row.Key())
	}
	for _, s := range settings {
		if !slices.Contains(known, s.name) {
			t.Errorf("there is no setting %s", s.name)
		}
		if _, ok := catalog.Lookup(s.key); s.key != "" && !ok {
			t.Errorf("there is no row %s", s.key)
		}
		if s.err != nil && settingOf(fmt.Errorf("wrapped: %w", errors.Join(errors.New("other"), s.err))) != s.name {
			t.Errorf("%v does not lead to %s", s.err, s.name)
		}
	}
	if got := settingOf(users.ErrWrongPassword); got != "" {
		t.Errorf("a wrong password names %q", got)
	}
}

func TestAnUploadThatIsNotAsAnnouncedIsNoErrorOfTheServer(t *testing.T) {
	h := newHost(t, account("diego"))
	d, end := h.start()
	c := h.login(d, "diego")
	c.Cmd(200, "ALLO 5")
	if code := c.Upload([]byte("three bytes more than that"), "STOR x"); code != 451 {
		t.Errorf("STOR: %d", code)
	}
	end()
	if line := h.log.wait(t, "transfer"); line["level"] != slog.LevelWarn.String() {
		t.Errorf("%v", line)
	}
}

func TestTheTraceShowsTheDialogueAndNoSecret(t *testing.T) {
	h := newHost(t, account("diego"))
	level := new(slog.LevelVar)
	h.cfg.Level, h.cfg.LogLevel = level, slog.LevelDebug
	h.cfg.Log = slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: level}))
	d, end := h.start()
	c := h.login(d, "diego")
	c.Cmd(257, "PWD")
	c.Cmd(500, "secreto")
	c.Cmd(500, "SECRETO secreto")
	c.Cmd(202, "ACCT secreto")
	c.Cmd(221, "QUIT")
	end()
	d.SetLevel(slog.LevelInfo)
	if d.tracing() {
		t.Error("a trace at level info")
	}
	var said []string
	for _, l := range h.log.lines() {
		if l["msg"] == "heard" || l["msg"] == "said" {
			said = append(said, l["msg"].(string)+" "+l["line"].(string))
		}
		if raw := fmt.Sprint(l); strings.Contains(strings.ToLower(raw), "secreto") {
			t.Errorf("a secret is in the log: %s", raw)
		}
	}
	for _, want := range []string{"heard AUTH TLS", "heard USER diego", "heard PASS ****", "heard PWD", "heard ****", "heard ACCT ****"} {
		if !slices.Contains(said, want) {
			t.Errorf("no line %q in %q", want, said)
		}
	}
	if !slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "said 257 ") }) {
		t.Errorf("no reply to PWD in %q", said)
	}
}

func TestWhatNobodyMeantToHappenIsAnError(t *testing.T) {
	for _, e := range []event.Event{
		event.CommandRefused{Verb: "SIZE", Code: 451, Cause: errors.New("panic: index out of range")},
		event.TransferDone{Verb: "RETR", Code: 451, Cause: errors.New("input/output error")},
		event.Trouble{Where: "session 12345678", Err: errors.New("panic")},
	} {
		h := newHost(t)
		d := &Daemon{cfg: h.cfg, log: h.cfg.Log}
		d.record(e)
		if lines := h.log.lines(); len(lines) != 1 || lines[0]["level"] != slog.LevelError.String() {
			t.Errorf("%T: %v", e, lines)
		}
	}
}

// Nothing that is to be changed in the settings stands behind a ban by hand.
func TestABanByHandNamesNoSettingInTheLog(t *testing.T) {
	h := newHost(t)
	d, _ := h.start()
	byHand, byScore := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")
	d.Ban(byHand, 0)
	d.bans.addAutomatic(byScore, time.Hour)
	for addr, want := range map[netip.Addr]string{byHand: "", byScore: "ban_score"} {
		if _, err := d.admit(addr); err == nil || settingOf(err) != want {
			t.Errorf("%v: %v names %q", addr, err, settingOf(err))
		}
	}
}
