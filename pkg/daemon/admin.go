package daemon

import (
	"sync/atomic"
	"time"

	"ftps/pkg/admin"
	"ftps/pkg/catalog"
	"ftps/pkg/event"
	"ftps/pkg/fault"
	"ftps/pkg/users"
)

var _ admin.Server = (*Daemon)(nil)

// Why a connection or a login is refused, for the log.
var (
	errDraining = fault.New("console.reason.draining")
	errChanged  = fault.New("console.reason.changed")
)

// Sessions implements [admin.Server].
func (d *Daemon) Sessions() (all []admin.Session) {
	for _, s := range d.askElder(question{}).Sessions { // their numbers are lower
		all = append(all, admin.Session{Snapshot: s, Old: true})
	}
	for _, s := range d.server.Sessions() {
		all = append(all, admin.Session{Snapshot: s})
	}
	return all
}

// Kick implements [admin.Server].
func (d *Daemon) Kick(number int, reason string) bool {
	return d.server.Kick(number, reason) || d.askElder(question{Kick: &number, Reason: reason}).Kicked
}

// Users implements [admin.Server].
func (d *Daemon) Users() []admin.User {
	sessions := make(map[string]int)
	for _, s := range d.Sessions() {
		sessions[s.User]++
	}
	var accounts []admin.User
	now := time.Now()
	for u := range d.backend.verifier.List().All {
		accounts = append(accounts, admin.User{
			Name: u.Name, Home: u.Home, Perm: u.Perm,
			Active: !u.Disabled && !u.Expired(now), Sessions: sessions[u.Name],
		})
	}
	return accounts
}

// Stats implements [admin.Server].
func (d *Daemon) Stats() admin.Stats {
	c := &d.counters
	s := admin.Stats{
		Version:      d.cfg.Version,
		Since:        c.since,
		Sessions:     len(d.server.Sessions()),
		Connections:  c.connections.Load(),
		Logins:       c.logins.Load(),
		LoginsFailed: c.loginsFailed.Load(),
		Uploads:      c.uploads.Load(),
		Downloads:    c.downloads.Load(),
		Failed:       c.failed.Load(),
		BytesIn:      c.bytesIn.Load(),
		BytesOut:     c.bytesOut.Load(),
		Users:        d.Accounts(),
		CertExpires:  d.keeper.Expires(),
		Draining:     d.draining.Load(),
		Elder:        d.elder.Load(),
		NoWall:       d.noWall,
	}
	if d.wall != nil {
		s.Wall = d.wall.ABI
	}
	if err := d.usersFault.Load(); err != nil {
		s.UsersFault = *err
	}
	return s
}

// Drain implements [admin.Server].
func (d *Daemon) Drain() {
	d.draining.Store(true)
	d.drainOnce.Do(func() { close(d.drain) })
}

// Stop implements [admin.Server].
func (d *Daemon) Stop() { d.stopOnce.Do(func() { close(d.stop) }) }

// usersKept notes that the file cannot be used: the last good list holds.
func (d *Daemon) usersKept(err error) {
	d.usersFault.Store(&err)
	d.log.Error("users-kept", "file", d.cfg.Users, "accounts", d.Accounts(), "cause", catalog.Explain(d.lang(), err))
}

// usersChanged puts accounts that were read again in force, and ends the
// sessions of those that are gone, closed or changed.
func (d *Daemon) usersChanged(list *users.List) {
	d.usersFault.Store(nil)
	// Tickets of an account that is no longer what it was are worthless, those
	// of ended sessions too: another session of the account would take them.
	// Nobody has logged in to the new one yet.
	for u := range d.backend.verifier.List().All {
		if now, ok := list.Lookup(u.Name); !ok || !sameButRates(now, u) {
			d.ports.ForgetAccount(u.Name)
		}
	}
	stale := d.backend.exchange(list)
	for _, s := range d.server.Sessions() {
		if stale[s.ID] {
			d.server.Kick(s.Number, d.text("console.reason.changed"))
		}
	}
	for u := range list.All {
		if u.Disabled {
			continue
		}
		if err := makeHome(d.cfg.RootDir, u.Home); err != nil {
			d.log.Error("home", "user", u.Name, "cause", catalog.Explain(d.lang(), err))
		}
	}
	d.log.Info("users", "file", d.cfg.Users, "accounts", list.Len(), "kicked", len(stale))
}

// counters are a sink that counts.
type counters struct {
	since                             time.Time
	connections, logins, loginsFailed atomic.Int64
	uploads, downloads, failed        atomic.Int64
	bytesIn, bytesOut                 atomic.Int64
}

// Handle implements [event.Sink].
func (c *counters) Handle(e event.Event) {
	switch e := e.(type) {
	case event.Connected:
		if e.Refused == nil {
			c.connections.Add(1)
		}
	case event.LoggedIn:
		c.logins.Add(1)
	case event.LoginFailed:
		c.loginsFailed.Add(1)
	case event.TransferDone:
		c.transfer(e)
	}
}

func (c *counters) transfer(e event.TransferDone) {
	if e.Direction == event.Upload {
		c.bytesIn.Add(e.Bytes)
	} else {
		c.bytesOut.Add(e.Bytes)
	}
	switch {
	case e.Code >= 400:
		c.failed.Add(1)
	case e.Direction == event.Upload:
		c.uploads.Add(1)
	case e.Direction == event.Download:
		c.downloads.Add(1)
	}
}
