package daemon

import (
	"context"
	"os"
	"path/filepath"

	"ftps/pkg/admin"
	"ftps/pkg/fault"
	"ftps/pkg/hook"
	"ftps/pkg/pki"
	"ftps/pkg/users"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/jail"
	"ftps/pkg/wall"
)

// Check validates a configuration and everything it names, and returns all
// that is wrong, and what keeps nothing from starting but wants a look. It
// makes and changes nothing; ports are opened and closed.
func Check(cfg Config) (wrong, warnings []error) {
	note := func(err error) {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	note(holds())
	who, err := findIdentity(cfg.RunAs, cfg.AllowRoot)
	note(err)
	note(wall.Missing(cfg.Wall))
	for i, files := range cfg.Certs {
		if i == 0 && cfg.MakeCert && absent(files.Cert) && absent(files.Key) {
			continue // will be made
		}
		pair, err := pki.LoadPair(files)
		note(err)
		if err == nil {
			warnings = append(warnings, pair.Warnings...)
		}
	}
	if cfg.TicketKeys != "" {
		_, err := pki.LoadTicketKeys(cfg.TicketKeys)
		note(err)
	}
	if len(cfg.ACME.Domains) > 0 && cfg.ACME.CA != "" {
		_, err := pki.LoadPool(cfg.ACME.CA)
		note(err)
	}
	if socket := running(&cfg); socket != "" {
		warnings = append(warnings, fault.New("cli.server.check.running", socket))
	} else if ls, err := listen(&cfg, &sockets{}, nil); err != nil {
		note(err)
	} else {
		ls.close()
	}
	if p := newPublic(cfg.PublicIP); p.name != "" {
		_, err := p.find(context.Background(), publicLimit)
		note(err)
	}
	note(checkRoot(cfg.RootDir, cfg.MakeRoot))
	list, err := loadUsers(cfg.Users)
	if err != nil {
		return append(wrong, err), warnings
	}
	if cfg.Hook != "" {
		note(hook.CheckProgram(cfg.Hook))
		note(checkHook(&cfg, list))
	}
	store, err := connectStore(cfg.S3)
	note(err)
	if warning := clearWire(cfg.S3); warning != nil && err == nil {
		warnings = append(warnings, warning)
	}
	if err == nil {
		for _, home := range storeHomes(list) {
			note(reachStore(context.Background(), store, home))
		}
	}
	for u := range list.All {
		if inStore(u.Home) {
			continue
		}
		failed, warning := checkHome(cfg.RootDir, u, who)
		note(failed)
		if warning != nil {
			warnings = append(warnings, warning)
		}
	}
	return wrong, warnings
}

// running returns the admin socket of a server that runs with this
// configuration already, and has its ports.
func running(cfg *Config) string {
	if cfg.AdminSocket != "" && cfg.AdminSocket != AutoSocket {
		server, err := admin.Dial(cfg.AdminSocket)
		if err != nil {
			return ""
		}
		server.Close()
		return cfg.AdminSocket
	}
	if cfg.AdminSocket == AutoSocket {
		for _, path := range admin.Live(os.Geteuid(), os.Getenv) {
			if filepath.Base(path) == filepath.Base(admin.SocketIn("", cfg.ControlPort)) {
				return path
			}
		}
	}
	return ""
}

// checkHome holds an account's home against what the account may do there. A
// home that cannot be written to is a warning alone: those below a folder that
// is closed on purpose are many.
func checkHome(root string, u *users.User, who *identity) (failed, warning error) {
	dir := homeOf(root, u.Home)
	if absent(dir) { // will be made
		above := filepath.Dir(dir)
		for absent(above) && above != filepath.Dir(above) {
			above = filepath.Dir(above)
		}
		if info, err := os.Stat(above); err == nil && info.IsDir() && !who.mayWrite(above) && !absent(root) {
			return fault.New("cli.server.check.make", u.Name, dir, above), nil
		}
		return nil, nil
	}
	home, err := jail.Open(dir, jail.Options{Account: u.Name})
	if err != nil {
		return fault.Wrap(err, "cli.server.check.home", u.Name, err), nil
	}
	home.Close()
	const writes = vfs.Write | vfs.Append | vfs.Delete | vfs.Rename | vfs.Mkdir
	if u.Perm&writes != 0 && !who.mayWrite(dir) {
		return nil, fault.New("cli.server.check.closed", u.Name, dir)
	}
	return nil, nil
}

// checkRoot is prepareRoot without its effects.
func checkRoot(dir string, mayMake bool) error {
	if !absent(dir) || !mayMake {
		return prepareRoot(dir, false, nil)
	}
	parent := filepath.Dir(dir)
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		return fault.New("cli.server.root.missing", parent)
	}
	return nil
}
