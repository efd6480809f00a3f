package daemon

import (
	"os"
	"strconv"
	"strings"

	"ftps/pkg/admin"
)

// socketFolder returns where the admin socket is to be made by itself, and
// makes the folder while root still can; "" where it cannot be.
func (d *Daemon) socketFolder(who *identity) string {
	if d.cfg.AdminSocket != AutoSocket {
		return ""
	}
	folder := admin.RuntimeFolder(os.Geteuid(), os.Getenv)
	if who != nil {
		folder += "-" + strconv.Itoa(who.uid)
	}
	err := admin.MakeFolder(folder, os.Geteuid())
	if who != nil {
		if err != nil { // who made it the last time owns it
			err = admin.MakeFolder(folder, who.uid)
		} else {
			err = who.own(folder)
		}
	}
	if err != nil {
		d.log.Warn("no-admin-socket", "cause", d.cause(err))
		return ""
	}
	return folder
}

// openSocket opens the admin socket. One that was not asked for may fail: a
// server without it serves.
func (d *Daemon) openSocket(folder string) (err error) {
	defer func() {
		if d.socket != nil {
			d.sockets.note(forAdmin, d.cfg.AdminSocket, d.socket.Listener())
		}
	}()
	if l := d.sockets.take(forAdmin, d.cfg.AdminSocket); l != nil {
		d.sockets.taken = d.sockets.taken[:len(d.sockets.taken)-1] // noted above
		d.socket, err = admin.Inherit(l)
		return err
	}
	switch {
	case d.cfg.AdminSocket == "":
		return nil
	case d.cfg.AdminSocket != AutoSocket:
		d.socket, err = admin.Listen(d.cfg.AdminSocket)
		return err
	case folder == "":
		return nil
	}
	if d.socket, err = admin.Listen(admin.SocketIn(folder, int(d.Control().Port()))); err != nil {
		d.socket = nil
		d.log.Warn("no-admin-socket", "cause", d.cause(err))
	}
	return nil
}

// commanded notes what somebody did over the admin socket.
func (d *Daemon) commanded(uid int, words []string, err error) {
	if words == nil {
		d.log.Warn("admin-refused", "uid", uid, "cause", d.cause(err))
		return
	}
	level := d.log.Info
	if words[0] == "list" || words[0] == "stats" { // again and again
		level = d.log.Debug
	}
	if err != nil && err != admin.ErrLeave {
		level("admin", "uid", uid, "command", strings.Join(words, " "), "cause", d.cause(err))
		return
	}
	level("admin", "uid", uid, "command", strings.Join(words, " "))
}
