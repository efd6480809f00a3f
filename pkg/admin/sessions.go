package admin

import (
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/fault"
	"ftps/pkg/limit"
)

func list(e *Env, _ []string) error {
	sessions, now := e.Server.Sessions(), time.Now()
	rates := e.Rates.next(sessions, now)
	if e.JSON {
		for i, s := range sessions {
			e.object(sessionObject(s, rates[i], now))
		}
		return nil
	}
	if len(sessions) == 0 {
		e.say("console.list.none")
		return nil
	}
	var rows [][]string
	old := false
	for i, s := range sessions {
		bytes, rate := "", ""
		if s.Transfer != "" {
			bytes, rate = size(s.Bytes), size(int64(rates[i]))+"/s"
		}
		version, _, _ := strings.Cut(s.TLS, " TLS_") // the suite is for the log
		number := strconv.Itoa(s.Number)
		if s.Old {
			number, old = number+"*", true
		}
		rows = append(rows, []string{
			number, dash(s.User), s.Remote.String(), dash(version),
			since(now.Sub(s.Since)), since(now.Sub(s.Active)), dash(s.Command), dash(visible(s.Folder)),
			dash(visible(s.Transfer)), dash(bytes), dash(rate), dash(s.Bound),
		})
	}
	e.table(e.text("console.list.head"), rows)
	if old {
		e.say("console.list.old")
	}
	return nil
}

func sessionObject(s Session, rate float64, now time.Time) map[string]any {
	o := map[string]any{
		"id": s.Number, "session": s.ID, "user": s.User, "address": s.Remote.String(), "tls": s.TLS,
		"since": s.Since, "idle": now.Sub(s.Active).Seconds(), "command": s.Command, "folder": s.Folder,
	}
	if s.Old {
		o["old_server"] = true
	}
	if s.Transfer != "" {
		direction := event.Download
		if s.Upload {
			direction = event.Upload
		}
		o["file"], o["direction"], o["bytes"], o["rate"], o["bound"] = s.Transfer, direction.String(), s.Bytes, int64(rate), s.Bound
	}
	return o
}

// Rates are what list saw the last time, so that it can tell how fast a
// transfer is now and not only on the whole.
type Rates struct {
	mu   sync.Mutex
	seen map[string]sample // by the session's log id
}

type sample struct {
	at, began time.Time
	bytes     int64
}

// sampleLives is how long ago the last time may be.
const sampleLives = 10 * time.Second

// next returns the rate of each session's transfer, in bytes a second.
func (r *Rates) next(sessions []Session, now time.Time) []float64 {
	if r == nil {
		r = &Rates{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	seen, rates := make(map[string]sample), make([]float64, len(sessions))
	for i, s := range sessions {
		if s.Transfer == "" {
			continue
		}
		from := sample{at: s.Began}
		if last := r.seen[s.ID]; last.began.Equal(s.Began) && now.Sub(last.at) < sampleLives {
			from = last
		}
		if span := now.Sub(from.at).Seconds(); span > 0 {
			rates[i] = float64(s.Bytes-from.bytes) / span
		}
		seen[s.ID] = sample{now, s.Began, s.Bytes}
	}
	r.seen = seen
	return rates
}

// kick ends a session by its number, or all of an account or an address.
func kick(e *Env, args []string) error {
	chosen := choose(e.Server.Sessions(), args[0])
	if len(chosen) == 0 {
		return fault.New("console.kick.none", visible(args[0]))
	}
	if e.Ask != nil {
		question := e.text("console.kick.sure", chosen[0].Number, who(session(chosen[0])))
		if len(chosen) > 1 {
			question = e.text("console.kick.sureall", len(chosen), visible(args[0]))
		}
		answer, err := e.Ask(question + " ")
		if err != nil {
			return err
		}
		if !yes(answer) {
			e.say("console.kick.kept", visible(args[0]))
			return nil
		}
	}
	kicked := 0
	for _, s := range chosen {
		if e.Server.Kick(s.Number, strings.Join(args[1:], " ")) {
			kicked++
		}
	}
	if kicked == 0 {
		return fault.New("console.kick.none", visible(args[0])) // they left while we asked
	}
	if e.Ask == nil { // the console is told by the event
		e.say("console.kick.done", kicked)
	}
	return nil
}

// choose returns the sessions that a word means: a session's number first,
// since an account's name may be one too.
func choose(sessions []Session, word string) []Session {
	var byUser, byAddress []Session
	addr, _ := netip.ParseAddr(word)
	for _, s := range sessions {
		switch {
		case strconv.Itoa(s.Number) == word:
			return []Session{s}
		case s.User == word:
			byUser = append(byUser, s)
		case addr.IsValid() && s.Remote.Addr() == addr.Unmap(), s.Remote.String() == word:
			byAddress = append(byAddress, s)
		}
	}
	if len(byUser) > 0 {
		return byUser
	}
	return byAddress
}

func session(s Session) event.Session {
	return event.Session{ID: s.ID, Number: s.Number, Remote: s.Remote, User: s.User}
}

// yes understands both languages, whichever is spoken.
func yes(answer string) bool {
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes", "s", "si", "sí":
		return true
	}
	return false
}

// BanOf returns what a ban of addr covers.
func BanOf(addr netip.Addr, until time.Time) Ban {
	addr = limit.Network(addr)
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	return Ban{Network: netip.PrefixFrom(addr, bits), Until: until}
}

// banned reads an address, or a network as bans shows it.
func banned(word string) (netip.Addr, error) {
	if p, err := netip.ParsePrefix(word); err == nil && p == BanOf(p.Addr(), time.Time{}).Network {
		return p.Addr(), nil
	}
	addr, err := netip.ParseAddr(word)
	if err != nil {
		return addr, fault.New("console.ban.address", visible(word))
	}
	return addr, nil
}

func ban(e *Env, args []string) error {
	addr, err := banned(args[0])
	if err != nil {
		return err
	}
	var d time.Duration
	if len(args) > 1 {
		if d, err = time.ParseDuration(args[1]); err != nil || d <= 0 {
			return fault.New("console.ban.time", visible(args[1]))
		}
	}
	kicked := e.Server.Ban(addr, d)
	e.say("console.ban.done", BanOf(addr, time.Time{}), kicked)
	return nil
}

func unban(e *Env, args []string) error {
	addr, err := banned(args[0])
	if err != nil {
		return err
	}
	if !e.Server.Unban(addr) {
		return fault.New("console.unban.none", BanOf(addr, time.Time{}))
	}
	e.say("console.unban.done", BanOf(addr, time.Time{}))
	return nil
}

func bans(e *Env, _ []string) error {
	all := e.Server.Bans()
	if len(all) == 0 && !e.JSON {
		e.say("console.bans.none")
		return nil
	}
	var rows [][]string
	for _, b := range all {
		o, left := map[string]any{"address": b.String()}, e.text("console.bans.forever")
		if !b.Until.IsZero() {
			o["until"], left = b.Until, since(time.Until(b.Until))
		}
		by := e.text("console.bans.admin")
		if b.Automatic {
			o["automatic"], by = true, e.text("console.bans.automatic")
		}
		if e.JSON {
			e.object(o)
		}
		rows = append(rows, []string{b.String(), left, by})
	}
	if !e.JSON {
		e.table(e.text("console.bans.head"), rows)
	}
	return nil
}
