package daemon

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ftps/pkg/fault"
	"ftps/pkg/users"
	"ftps/pkg/wall"
)

// folders is the table of what the process reaches after its start. Whoever
// has the daemon open something later adds its folder here.
func (d *Daemon) folders(list *users.List) []wall.Folder {
	var table []wall.Folder
	add := func(what string, access wall.Access, paths ...string) {
		for _, path := range paths {
			table = append(table, wall.Folder{For: what, Path: path, Access: access})
		}
	}
	add("homes", wall.Tree, d.cfg.RootDir)
	for u := range list.All {
		if inStore(u.Home) {
			continue
		}
		// One below the root may be a symlink that leads elsewhere.
		if home := homeOf(d.cfg.RootDir, u.Home); !below(d.cfg.RootDir, home) {
			add("homes", wall.Tree, home)
		}
	}
	add("accounts", wall.Read, wall.FolderOf(d.cfg.Users)...)
	for _, pair := range d.cfg.Certs {
		add("certificates", wall.Read, wall.FolderOf(pair.Cert)...)
		add("certificates", wall.Read, wall.FolderOf(pair.Key)...)
	}
	if d.cfg.Settings != "" {
		add("settings", wall.Read, wall.FolderOf(d.cfg.Settings)...)
	}
	if d.cfg.ClientCA != "" {
		add("authorities", wall.Read, wall.FolderOf(d.cfg.ClientCA)...)
	}
	if d.cfg.TicketKeys != "" {
		add("ticket-keys", wall.Read, wall.FolderOf(d.cfg.TicketKeys)...)
	}
	if d.cfg.Xferlog != "" {
		add("xferlog", wall.Tree, wall.FolderOf(d.cfg.Xferlog)...) // the rotated one is made anew
	}
	if d.socket != nil {
		add("admin-socket", wall.Socket, filepath.Dir(d.socket.Path()))
	}
	if d.issuer != nil {
		add("acme", wall.Tree, d.cfg.ACME.Cache)
	}
	if d.cfg.Hook != "" {
		// The program stands behind the wall too: it has what programs need to
		// run, the homes, and a place for what is of the moment.
		add("hook", wall.Run, wall.FolderOf(d.cfg.Hook)...)
		add("hook", wall.Run, "/bin", "/usr", "/lib", "/lib64")
		add("hook", wall.Read, "/etc")
		add("hook", wall.Tree, os.TempDir(), "/dev")
	}
	if d.calls() {
		// Where systems keep the authorities that vouch for https.
		add("authorities", wall.Read, "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates")
	}
	if d.public.name != "" || d.calls() {
		for _, file := range []string{"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"} {
			add("resolver", wall.Read, wall.FolderOf(file)...)
		}
	}
	if d.born == nil { // else it is another process's that is within reach
		add("itself", wall.Read, "/proc/self")
	}
	table = append(table, wall.Program()...)
	return append(table, d.cfg.Reach...)
}

// calls reports whether the server calls others, by https or by name.
func (d *Daemon) calls() bool {
	return d.issuer != nil || d.cfg.Webhook != "" || d.cfg.S3.Endpoint != nil
}

// below reports whether path, or what it leads to, lies below root.
func below(root, path string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return false
	}
	rel, err := filepath.Rel(root, real)
	return err == nil && filepath.IsLocal(rel)
}

// shut builds the wall, and says so.
func (d *Daemon) shut(list *users.List) error {
	_ = time.Now().Local().String() // reads the zone's file, which lies outside
	if d.born != nil && d.born.hello.WallABI > 0 {
		w, err := wall.Inherited(d.born.hello.WallABI, d.born.hello.Wall, d.folders(list))
		d.wall = w
		return err
	}
	w, why, err := wall.Shut(d.cfg.Wall, d.folders(list))
	switch {
	case err != nil:
		return err
	case w != nil:
		d.wall = w
		d.warnWide(d.folders(list))
		d.log.Info("landlock", "version", w.ABI, "folders", w.Lines())
	case why != nil:
		d.noWall = why
		level := d.log.Warn
		if d.cfg.Wall == wall.Off {
			level = d.log.Info
		}
		level("no-landlock", "cause", d.cause(why))
	}
	return nil
}

// wide are folders that hold much that is not the server's, and warned are
// the rows of the table whose folder the administrator can move elsewhere.
var (
	wide   = []string{"/", "/etc", "/var/log"}
	warned = []string{"accounts", "settings", "ticket-keys", "xferlog"}
)

// warnWide tells of files that bring one of those within reach, whole.
func (d *Daemon) warnWide(table []wall.Folder) {
	for _, f := range table {
		if path, err := filepath.Abs(f.Path); err == nil && slices.Contains(warned, f.For) && slices.Contains(wide, path) {
			d.log.Warn("wide-folder", "folder", path, "for", f.For, "cause", d.text("wall.wide", path))
		}
	}
}

// admits returns an error if an account's home is out of reach, or holds the
// program of --hook. A closed account's may be out of reach.
func (d *Daemon) admits(list *users.List) error {
	for u := range list.All {
		if home := homeOf(d.cfg.RootDir, u.Home); !u.Disabled && !inStore(home) && !d.wall.Admits(home, wall.Tree) {
			return fault.New("wall.home", u.Name, fault.New("wall.outside", home))
		}
	}
	return checkHook(&d.cfg, list)
}

// outside tells of a file that may not be read whether it is the wall that
// keeps it away.
func (d *Daemon) outside(err error) error {
	var path *os.PathError
	if errors.Is(err, fs.ErrPermission) && errors.As(err, &path) && !d.wall.Admits(filepath.Dir(path.Path), wall.Read) {
		return fault.Wrap(err, "wall.outside", path.Path)
	}
	return err
}
