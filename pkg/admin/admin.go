// Package admin is how an administrator talks to a running server: one table
// of commands ([Commands]) that act on a [Server] and write to an io.Writer,
// and the console that reads them from a terminal.
//
// The commands know no terminal, and the console no command: [Socket] serves
// the same table to other processes of the same user.
package admin

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ftps/pkg/catalog"
	"ftps/pkg/ftpserver"
	"ftps/pkg/vfs"
)

// Server is what the commands act on. Its methods may be called from any
// goroutine and return soon.
type Server interface {
	// Sessions are those of this server and, after an upgrade, of the old one
	// that finishes its own; numbers are of both together.
	Sessions() []Session
	Kick(number int, reason string) bool

	// Ban refuses connections from addr until the end of the run, or for a
	// time if that is not zero, and ends its sessions; it returns how many. An
	// IPv6 address stands for its /64, because one customer holds so many.
	Ban(addr netip.Addr, d time.Duration) (kicked int)
	Unban(addr netip.Addr) bool
	Bans() []Ban

	Users() []User
	Stats() Stats

	// Reload reads settings, accounts and certificates again. What is wrong
	// leaves the old ones in force. Fixed are the settings that differ now and
	// take hold only with the next start.
	Reload() (fixed []string, err error)

	Level() slog.Level
	SetLevel(slog.Level)

	// Upgrade starts the program anew, which takes this server's place once it
	// is ready; running sessions finish here. An error says why this one goes
	// on alone.
	Upgrade() (version string, pid int, err error)

	// Drain refuses new connections and stops once the last session ended.
	Drain()
	// Stop tells every session 421 and ends the run.
	Stop()
}

// Session is somebody who is connected.
type Session struct {
	ftpserver.Snapshot

	Old bool // to the server that this one took the place of
}

// Ban is an address, or an IPv6 network, that may not connect.
type Ban struct {
	Network netip.Prefix
	Until   time.Time // zero is the end of the run

	Automatic bool // for what the address did, not by the administrator
}

func (b Ban) String() string {
	if b.Network.Addr().Is4() {
		return b.Network.Addr().String()
	}
	return b.Network.String()
}

// User is an account as the administrator sees it.
type User struct {
	Name     string
	Home     string
	Perm     vfs.Perm
	Active   bool // neither disabled nor expired
	Sessions int  // logged in now
}

// Stats are the server's counters since its start.
type Stats struct {
	Version      string
	Since        time.Time
	Sessions     int
	Connections  int64
	Logins       int64
	LoginsFailed int64
	Uploads      int64 // whole ones
	Downloads    int64
	Failed       int64 // transfers of either direction
	BytesIn      int64
	BytesOut     int64
	Users        int
	UsersFault   error // why the accounts in use are not those of the file, or nil
	CertExpires  time.Time
	Draining     bool
	Elder        bool  // an older server still has sessions
	Wall         int   // the version of Landlock behind which the process is, 0 for none
	NoWall       error // why there is none, or nil
}

// Env is where a command runs.
type Env struct {
	Server Server
	Lang   catalog.Lang
	Out    io.Writer
	JSON   bool // one object a line, for programs

	// Ask puts a question and returns the answer, or an error if there is
	// nobody to ask. Where it is nil, to give the command is to mean it.
	Ask func(question string) (string, error)

	// Rates remembers what list saw the last time; nil for no memory.
	Rates *Rates
}

func (e *Env) text(key string, args ...any) string { return catalog.Text(e.Lang, key, args...) }

// say writes one sentence and a line end in a single Write: lines that are
// told beside a line being typed must be whole.
func (e *Env) say(key string, args ...any) {
	fmt.Fprintln(e.Out, e.text(key, args...))
}

// visible makes what came from the net fit for a terminal: control
// characters, marks that turn the direction of writing, and bytes that are
// not UTF-8 are shown escaped.
func visible(s string) string {
	clean := true
	for _, r := range s {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch _, size := utf8.DecodeRuneInString(s[i:]); {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// since writes a span of time for a person: 42s, 3m10s, 5h02m, 3d4h.
func since(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// size writes a number of bytes for a person: 812 B, 4.2 MiB.
func size(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1024, 0
	for value >= 1024 && unit < 4 {
		value /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[unit])
}
