package daemon

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"ftps/pkg/fault"
	"ftps/pkg/pki"
	"ftps/pkg/vfs/jail"
	"ftps/pkg/wall"
)

// Check validates a configuration and everything it names, and returns all
// that is wrong. It makes and changes nothing; ports are opened and closed.
func Check(cfg Config) []error {
	var wrong []error
	note := func(err error) {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	note(holds())
	_, err := findIdentity(cfg.RunAs, cfg.AllowRoot)
	note(err)
	note(wall.Missing(cfg.Wall))
	for i, files := range cfg.Certs {
		if i == 0 && cfg.MakeCert && absent(files.Cert) && absent(files.Key) {
			continue // will be made
		}
		_, err := pki.LoadPair(files)
		note(err)
	}
	if len(cfg.ACME.Domains) > 0 && cfg.ACME.CA != "" {
		_, err := pki.LoadPool(cfg.ACME.CA)
		note(err)
	}
	if ls, err := listen(&cfg, &sockets{}, nil); err != nil {
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
		return append(wrong, err)
	}
	store, err := connectStore(cfg.S3)
	note(err)
	if err == nil {
		for _, home := range storeHomes(list) {
			note(reachStore(context.Background(), store, home))
		}
	}
	for u := range list.All {
		if inStore(u.Home) {
			continue
		}
		dir := homeOf(cfg.RootDir, u.Home)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			continue // will be made
		}
		home, err := jail.Open(dir, jail.Options{Account: u.Name})
		if err != nil {
			note(fault.Wrap(err, "cli.server.check.home", u.Name, err))
			continue
		}
		home.Close()
	}
	return wrong
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
