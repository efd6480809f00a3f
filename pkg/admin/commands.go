package admin

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"ftps/pkg/fault"
	"ftps/pkg/ftpserver"
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
	Run      func(e *Env, args []string) error
}

// Commands returns the table, in the order in which help shows it.
func Commands() []Command {
	return []Command{
		{Names: []string{"list", "listar"}, Help: "console.help.list", Run: list},
		{Names: []string{"kick", "expulsar"}, Args: "console.args.kick", Help: "console.help.kick", Min: 1, Max: -1, Run: kick},
		{Names: []string{"ban", "vetar"}, Args: "console.args.ban", Help: "console.help.ban", Min: 1, Max: 2, Run: ban},
		{Names: []string{"unban", "readmitir"}, Args: "console.args.unban", Help: "console.help.unban", Min: 1, Max: 1, Run: unban},
		{Names: []string{"users", "usuarios"}, Help: "console.help.users", Run: users},
		{Names: []string{"stats", "cifras"}, Help: "console.help.stats", Run: stats},
		{Names: []string{"reload", "recargar"}, Help: "console.help.reload", Run: reload},
		{Names: []string{"drain", "vaciar"}, Help: "console.help.drain", Run: drain},
		{Names: []string{"help", "ayuda", "?"}, Help: "console.help.help", Run: help},
		{Names: []string{"exit", "salir", "quit"}, Help: "console.help.exit", Run: exit},
	}
}

// Run executes one line. An empty line does nothing. It returns ErrLeave
// after exit, and otherwise what the administrator has to be told.
func Run(e *Env, line string) error {
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil
	}
	for _, c := range Commands() {
		if !slices.Contains(c.Names, strings.ToLower(words[0])) {
			continue
		}
		args := words[1:]
		if len(args) < c.Min || c.Max >= 0 && len(args) > c.Max {
			return fault.New("console.usage", strings.TrimSpace(c.Names[0]+" "+c.args(e)))
		}
		return c.Run(e, args)
	}
	return fault.New("console.unknown", visible(words[0]))
}

func (c Command) args(e *Env) string {
	if c.Args == "" {
		return ""
	}
	return e.text(c.Args)
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

func list(e *Env, _ []string) error {
	sessions := e.Server.Sessions()
	if len(sessions) == 0 {
		e.say("console.list.none")
		return nil
	}
	var rows [][]string
	for _, s := range sessions {
		doing := s.Command
		if s.Transfer != "" {
			doing = visible(s.Transfer) + " " + size(s.Bytes)
		}
		rows = append(rows, []string{
			strconv.Itoa(s.Number), dash(s.User), s.Remote.String(), since(time.Since(s.Since)),
			since(time.Since(s.Active)), dash(visible(s.Folder)), dash(doing), dash(s.TLS),
		})
	}
	e.table(e.text("console.list.head"), rows)
	return nil
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func kick(e *Env, args []string) error {
	number, err := strconv.Atoi(args[0])
	if err != nil {
		return fault.New("console.kick.number", visible(args[0]))
	}
	i := slices.IndexFunc(e.Server.Sessions(), func(s ftpserver.Snapshot) bool { return s.Number == number })
	if i < 0 {
		return fault.New("console.kick.none", number)
	}
	who := name(e.Server.Sessions(), number)
	answer, err := e.Ask(e.text("console.kick.sure", number, who) + " ")
	if err != nil {
		return err
	}
	if !yes(answer) {
		e.say("console.kick.kept", number)
		return nil
	}
	if !e.Server.Kick(number, strings.Join(args[1:], " ")) {
		return fault.New("console.kick.none", number) // it left while we asked
	}
	return nil // the event says that it happened
}

// name is who has a session: the account, else the address.
func name(sessions []ftpserver.Snapshot, number int) string {
	for _, s := range sessions {
		if s.Number == number {
			if s.User != "" {
				return s.User
			}
			return s.Remote.String()
		}
	}
	return "-"
}

// yes understands both languages, whichever is spoken.
func yes(answer string) bool {
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes", "s", "si", "sí":
		return true
	}
	return false
}

func ban(e *Env, args []string) error {
	addr, err := netip.ParseAddr(args[0])
	if err != nil {
		return fault.New("console.ban.address", visible(args[0]))
	}
	var d time.Duration
	if len(args) > 1 {
		if d, err = time.ParseDuration(args[1]); err != nil || d <= 0 {
			return fault.New("console.ban.time", visible(args[1]))
		}
	}
	kicked := e.Server.Ban(addr, d)
	e.say("console.ban.done", addr, kicked)
	return nil
}

func unban(e *Env, args []string) error {
	addr, err := netip.ParseAddr(args[0])
	if err != nil {
		return fault.New("console.ban.address", visible(args[0]))
	}
	if !e.Server.Unban(addr) {
		return fault.New("console.unban.none", addr)
	}
	e.say("console.unban.done", addr)
	return nil
}

func users(e *Env, _ []string) error {
	accounts := e.Server.Users()
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
	e.say("console.stats",
		since(time.Since(s.Since)), s.Sessions, s.Connections, s.Logins, s.LoginsFailed,
		s.Uploads, size(s.BytesIn), s.Downloads, size(s.BytesOut), s.Failed,
		s.Users, s.CertExpires.Format(time.DateOnly))
	if s.UsersFault != nil {
		e.say("console.stats.users", s.UsersFault)
	}
	if s.Draining {
		e.say("console.drain.on")
	}
	return nil
}

func reload(e *Env, _ []string) error {
	if err := e.Server.Reload(); err != nil {
		return err
	}
	e.say("console.reload.done")
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
		rows = append(rows, []string{"  " + strings.TrimSpace(c.Names[0]+" "+c.args(e)), e.text(c.Help)})
	}
	e.table(e.text("console.help.head"), rows)
	return nil
}

func exit(e *Env, _ []string) error {
	e.Server.Stop()
	return ErrLeave
}
