package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"

	"ftps/pkg/catalog"
	"ftps/pkg/fault"
)

// ErrLeave is what a command returns after which the console has nothing
// left to do.
var ErrLeave = errors.New("admin: the server was told to stop")

// Command is one row of the table.
type Command struct {
	Names    []string // the first is the one that help shows
	Args     string   // key of the words for its arguments, or ""
	Help     string   // key of what it does
	Min, Max int      // arguments; Max < 0 is any number
	JSON     bool     // has a form for programs
	Watch    bool     // is worth seeing again and again
	first    offer    // what TAB offers
	Run      func(e *Env, args []string) error
}

// Commands returns the table, in the order in which help shows it.
func Commands() []Command {
	return []Command{
		{Names: []string{"list", "listar"}, Help: "console.help.list", JSON: true, Watch: true, Run: list},
		{Names: []string{"kick", "expulsar"}, Args: "console.args.kick", Help: "console.help.kick", Min: 1, Max: -1, first: offer{from: "list", fields: []string{"id", "user", "address"}}, Run: kick},
		{Names: []string{"ban", "vetar"}, Args: "console.args.ban", Help: "console.help.ban", Min: 1, Max: 2, first: offer{from: "list", fields: []string{"address"}}, Run: ban},
		{Names: []string{"unban", "readmitir"}, Args: "console.args.unban", Help: "console.help.unban", Min: 1, Max: 1, first: offer{from: "bans", fields: []string{"address"}}, Run: unban},
		{Names: []string{"bans", "vetos"}, Help: "console.help.bans", JSON: true, Run: bans},
		{Names: []string{"users", "usuarios"}, Help: "console.help.users", JSON: true, Run: users},
		{Names: []string{"stats", "cifras"}, Help: "console.help.stats", JSON: true, Run: stats},
		{Names: []string{"reload", "recargar"}, Help: "console.help.reload", Run: reload},
		{Names: []string{"upgrade", "actualizar"}, Help: "console.help.upgrade", Run: upgrade},
		{Names: []string{"drain", "vaciar"}, Help: "console.help.drain", Run: drain},
		{Names: []string{"log-level", "nivel"}, Args: "console.args.level", Help: "console.help.level", Max: 1, first: offer{words: []string{"debug", "error", "info", "warn"}}, Run: level},
		{Names: []string{"help", "ayuda", "?"}, Help: "console.help.help", Run: help},
		{Names: []string{"exit", "salir", "quit"}, Help: "console.help.exit", Run: exit},
	}
}

// Run executes one line. An empty line does nothing. It returns ErrLeave
// after exit, and otherwise what the administrator has to be told.
func Run(e *Env, line string) error {
	return RunWords(e, strings.Fields(line))
}

// RunWords is Run for a line that is in words already.
func RunWords(e *Env, words []string) error {
	if len(words) == 0 {
		return nil
	}
	for _, c := range Commands() {
		if !slices.Contains(c.Names, strings.ToLower(words[0])) {
			continue
		}
		args := words[1:]
		if len(args) < c.Min || c.Max >= 0 && len(args) > c.Max {
			return fault.New("console.usage", c.Usage(e.Lang))
		}
		return c.Run(e, args)
	}
	return fault.New("console.unknown", visible(words[0]))
}

// Usage is how the command is typed.
func (c Command) Usage(lang catalog.Lang) string {
	if c.Args == "" {
		return c.Names[0]
	}
	return c.Names[0] + " " + catalog.Text(lang, c.Args)
}

// table writes rows in columns, in one piece.
func (e *Env) table(head string, rows [][]string) {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	t.Write([]byte(head + "\n"))
	for _, row := range rows {
		t.Write([]byte(strings.Join(row, "\t") + "\n"))
	}
	t.Flush()
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	e.Out.Write([]byte(strings.Join(lines, "\n") + "\n"))
}

// object writes one line for a program. Names come from the net: what JSON
// leaves as it is may still turn a line round on the terminal of who reads it.
func (e *Env) object(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of plain values
	}
	var line []byte
	for _, r := range string(text) {
		switch high, low := utf16.EncodeRune(r); {
		case r <= '~' || unicode.IsPrint(r):
			line = append(line, string(r)...)
		case r > 0xffff:
			line = fmt.Appendf(line, `\u%04x\u%04x`, high, low)
		default:
			line = fmt.Appendf(line, `\u%04x`, r)
		}
	}
	e.Out.Write(append(line, '\n'))
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func users(e *Env, _ []string) error {
	accounts := e.Server.Users()
	if e.JSON {
		for _, u := range accounts {
			e.object(map[string]any{"name": u.Name, "home": u.Home, "permissions": u.Perm.String(), "active": u.Active, "sessions": u.Sessions})
		}
		return nil
	}
	if len(accounts) == 0 {
		e.say("console.users.none")
		return nil
	}
	var rows [][]string
	for _, u := range accounts {
		state := e.text("console.users.active")
		if !u.Active {
			state = e.text("console.users.inactive")
		}
		rows = append(rows, []string{u.Name, visible(u.Home), u.Perm.String(), state, strconv.Itoa(u.Sessions)})
	}
	e.table(e.text("console.users.head"), rows)
	return nil
}

func stats(e *Env, _ []string) error {
	s := e.Server.Stats()
	if e.JSON {
		fault := ""
		if s.UsersFault != nil {
			fault = catalog.Explain(e.Lang, s.UsersFault)
		}
		e.object(map[string]any{
			"since": s.Since, "sessions": s.Sessions, "connections": s.Connections,
			"logins": s.Logins, "logins_failed": s.LoginsFailed,
			"uploads": s.Uploads, "downloads": s.Downloads, "failed": s.Failed,
			"bytes_in": s.BytesIn, "bytes_out": s.BytesOut,
			"users": s.Users, "users_fault": fault, "certificate_expires": s.CertExpires,
			"version": s.Version, "upgraded_from_serves": s.Elder,
			"draining": s.Draining, "bans": len(e.Server.Bans()),
			"landlock": s.Wall,
		})
		return nil
	}
	e.say("console.stats.version", s.Version)
	e.say("console.stats",
		since(time.Since(s.Since)), s.Sessions, s.Connections, s.Logins, s.LoginsFailed,
		s.Uploads, size(s.BytesIn), s.Downloads, size(s.BytesOut), s.Failed,
		s.Users, s.CertExpires.Format(time.DateOnly))
	switch {
	case s.Wall > 0:
		e.say("wall.on", s.Wall)
	case s.NoWall != nil:
		e.say("wall.without", catalog.Explain(e.Lang, s.NoWall))
	}
	if s.UsersFault != nil {
		e.say("console.stats.users", catalog.Explain(e.Lang, s.UsersFault))
	}
	if s.Elder {
		e.say("console.stats.elder")
	}
	if s.Draining {
		e.say("console.drain.on")
	}
	return nil
}

func reload(e *Env, _ []string) error {
	fixed, err := e.Server.Reload()
	if err != nil {
		return err
	}
	e.say("console.reload.done")
	for _, name := range fixed {
		e.say("console.reload.fixed", name)
	}
	return nil
}

func level(e *Env, args []string) error {
	if len(args) > 0 {
		var l slog.Level
		if err := l.UnmarshalText([]byte(args[0])); err != nil {
			return fault.New("console.level.unknown", visible(args[0]))
		}
		e.Server.SetLevel(l)
	}
	e.say("console.level.is", strings.ToLower(e.Server.Level().String()))
	return nil
}

func upgrade(e *Env, _ []string) error {
	version, pid, err := e.Server.Upgrade()
	if err != nil {
		return err
	}
	e.say("console.upgrade.done", version, pid)
	return nil
}

func drain(e *Env, _ []string) error {
	e.Server.Drain()
	e.say("console.drain.on")
	return nil
}

func help(e *Env, _ []string) error {
	var rows [][]string
	for _, c := range Commands() {
		rows = append(rows, []string{"  " + c.Usage(e.Lang), e.text(c.Help)})
	}
	e.table(e.text("console.help.head"), rows)
	return nil
}

func exit(e *Env, _ []string) error {
	e.Server.Stop()
	return ErrLeave
}
