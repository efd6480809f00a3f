package daemon

import (
	"cmp"
	"errors"
	"io/fs"
	"log/slog"

	manager "github.com/coreos/go-systemd/v22/daemon"

	"ftps/pkg/ftpserver"
	"ftps/pkg/users"
)

// Reload implements [admin.Server]. Settings and accounts are read and
// checked before any of them is swapped: after an error in one nothing has
// changed. A certificate or keys of tickets that cannot be read leave the old
// ones in use and nothing else behind.
//
// Of the settings Lang, Banner, LogLevel, Umask, NoSync, Reuse, the limits of
// connections, the timeouts of the control connection, the least rate and
// what bans change; they hold for new sessions.
func (d *Daemon) Reload() (fixed []string, err error) {
	defer func() {
		if err != nil {
			d.log.Error("reload-refused", "cause", d.cause(err))
		}
	}()
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if !d.left.Load() {
		d.notifyReloading()
		defer d.notify(manager.SdNotifyReady)
	}
	next := *d.live.Load()
	if d.cfg.Reread != nil {
		if next, fixed, err = d.cfg.Reread(); err != nil {
			return nil, d.outside(err)
		}
	}
	list, err := d.loadUsersAgain()
	if err != nil {
		d.usersKept(err)
		return nil, err
	}
	d.usersChanged(list)
	d.change(next)
	if d.xferlog != nil { // as after SIGHUP of who rotates it
		if err := d.xferlog.Reopen(); err != nil {
			d.log.Error("xferlog", "file", d.cfg.Xferlog, "cause", d.cause(err))
		}
	}
	d.log.Info("reloaded")
	for _, name := range fixed {
		d.log.Warn("setting-kept", "setting", name)
	}
	return fixed, errors.Join(d.rereadKeys(), d.keeper.Reload())
}

// rereadUsers is a reload of the accounts alone, as their file changed.
func (d *Daemon) rereadUsers() {
	// Whoever reads the file puts what it read in force before anybody reads
	// it again: else a list that was read before a change could come after the
	// one that has it, and an account that is gone would be back.
	d.reloading.Lock()
	defer d.reloading.Unlock()
	list, err := d.loadUsersAgain()
	if err != nil {
		d.usersKept(err)
		return
	}
	d.usersChanged(list)
}

// loadUsersAgain reads the accounts. A file that is gone is a mistake, unless
// there was none, and so is a home that needs a restart.
func (d *Daemon) loadUsersAgain() (*users.List, error) {
	list, err := users.Load(d.cfg.Users)
	if errors.Is(err, fs.ErrNotExist) && d.Accounts() == 0 {
		list, err = users.NewList(), nil
	}
	if d.fileRead != nil {
		d.fileRead()
	}
	if err == nil {
		err = d.admits(list)
	}
	return list, err
}

// change puts the settings in force that can change while running.
func (d *Daemon) change(next Config) {
	before := d.live.Load()
	live := *before
	live.Lang, live.Banner, live.LogLevel = next.Lang, next.Banner, next.LogLevel
	live.Umask, live.NoSync, live.Reuse = next.Umask, next.NoSync, next.Reuse
	live.MaxConnections, live.MaxPerAddress = next.MaxConnections, next.MaxPerAddress
	live.MaxBeforeLogin = next.MaxBeforeLogin
	live.HandshakeTimeout, live.LoginTimeout = next.HandshakeTimeout, next.LoginTimeout
	live.IdleTimeout, live.StallTimeout = next.IdleTimeout, next.StallTimeout
	live.SessionTimeout, live.MinRate = next.SessionTimeout, next.MinRate
	live.BanScore, live.BanTime, live.NeverBan = next.BanScore, next.BanTime, next.NeverBan
	if live.LogLevel != before.LogLevel { // else the one that log-level set stays
		d.cfg.Level.Set(live.LogLevel)
	}
	d.live.Store(&live)
	d.backend.live.Store(&live)
	d.conns.Limit(cmp.Or(live.MaxConnections, maxConnections), cmp.Or(live.MaxPerAddress, maxPerAddress))
	d.scores.Policy(scorePolicy(&live))
	d.server.Change(func(c *ftpserver.Config) {
		c.Lang, c.Banner, c.MaxBeforeLogin = live.Lang, live.Banner, live.MaxBeforeLogin
		c.HandshakeTimeout, c.LoginTimeout = live.HandshakeTimeout, live.LoginTimeout
		c.IdleTimeout, c.StallTimeout = live.IdleTimeout, live.StallTimeout
		c.SessionTimeout, c.MinRate = live.SessionTimeout, live.MinRate
	})
}

// Level implements [admin.Server].
func (d *Daemon) Level() slog.Level { return d.cfg.Level.Level() }

// SetLevel implements [admin.Server].
func (d *Daemon) SetLevel(l slog.Level) { d.cfg.Level.Set(l) }
