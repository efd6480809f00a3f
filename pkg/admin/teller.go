package admin

import (
	"time"

	"fmt"
	"io"

	"ftps/pkg/catalog"
	"ftps/pkg/event"
)

// Teller tells the administrator who comes and goes, one sentence an event.
// It writes whole lines to W, from whichever goroutine hands it the event.
type Teller struct {
	Lang catalog.Lang
	W    io.Writer
}

// Tells reports whether a [Teller] says something about an event; a log on
// the same screen need not repeat it.
func Tells(e event.Event) bool {
	switch e.(type) {
	case event.Connected, event.LoggedIn, event.FolderChanged, event.Kicked, event.Banned, event.Disconnected:
		return true
	}
	return false
}

// Handle implements [event.Sink].
func (t Teller) Handle(e event.Event) {
	switch e := e.(type) {
	case event.Connected:
		t.say("console.event.connected", e.Number, e.Remote)
	case event.LoggedIn:
		t.say("console.event.login", e.Number, who(e.Session))
	case event.FolderChanged:
		t.say("console.event.folder", e.Number, who(e.Session), visible(e.Folder))
	case event.Kicked:
		if e.Reason != "" {
			t.say("console.event.kickedfor", e.Number, who(e.Session), visible(e.Reason))
		} else {
			t.say("console.event.kicked", e.Number, who(e.Session))
		}
	case event.Banned:
		t.say("console.event.banned", BanOf(e.Remote.Addr(), time.Time{}), e.Span, e.Last)
	case event.Disconnected:
		t.say("console.event.gone", e.Number, who(e.Session))
	}
}

func (t Teller) say(key string, args ...any) {
	fmt.Fprintln(t.W, catalog.Text(t.Lang, key, args...))
}

func who(s event.Session) string {
	if s.User != "" {
		return s.User
	}
	return s.Remote.String()
}
