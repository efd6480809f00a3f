package daemon

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ftps/pkg/catalog"
	"ftps/pkg/fault"
	"ftps/pkg/pki"
	"ftps/pkg/users"
	"ftps/pkg/vfs/jail"
)

// folderMode is that of folders the server makes: the group may look.
const folderMode = 0o750

// prepareRoot checks the root folder, or makes it for who will serve.
func prepareRoot(dir string, mayMake bool, who *identity) error {
	info, err := os.Stat(dir)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fault.New("cli.server.root.file", dir)
	case !errors.Is(err, fs.ErrNotExist):
		return fault.Wrap(err, "cli.server.root.failed", dir, err)
	case !mayMake:
		return fault.Wrap(err, "cli.server.root.missing", dir)
	}
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return fault.Wrap(err, "cli.server.root.failed", dir, err)
	}
	return who.own(dir)
}

// homeOf returns an account's home on the disk.
func homeOf(root, home string) string {
	if filepath.IsAbs(home) || inStore(home) {
		return home
	}
	return filepath.Join(root, home)
}

// makeHome makes an account's home where there is none.
func makeHome(root, home string) error {
	if inStore(home) {
		return nil
	}
	dir := homeOf(root, home)
	if _, err := os.Stat(dir); err == nil {
		return nil // jail.Open says what is wrong with it
	}
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return fault.Wrap(err, "cli.server.home", dir, err)
	}
	return nil
}

// loadUsers loads the accounts. Where there is no file there are none: that
// is how a server begins.
func loadUsers(path string) (*users.List, error) {
	list, err := users.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return users.NewList(), nil
	}
	return list, err
}

// openKeeper loads the certificates, and makes the first one if it may.
func (d *Daemon) openKeeper() (*pki.Keeper, error) {
	if d.cfg.Keeper != nil {
		return d.cfg.Keeper, nil
	}
	if d.cfg.MakeCert && absent(d.cfg.Certs[0].Cert) && absent(d.cfg.Certs[0].Key) {
		if _, err := pki.Make(pki.MakeOptions{Files: d.cfg.Certs[0], Names: d.names()}); err != nil {
			return nil, err
		}
		d.log.Info("certificate-made", "file", d.cfg.Certs[0].Cert)
	}
	return pki.NewKeeper(pki.KeeperOptions{
		Files:  d.cfg.Certs,
		Issuer: d.issuer,
		Loaded: d.certificateLoaded,
		Failed: d.certificateFailed,
		Warned: func(err error) { d.log.Warn("certificate", "cause", catalog.Explain(d.lang(), err)) },
	})
}

// names are what a made certificate is to be valid for, beside the machine's
// own names and addresses.
func (d *Daemon) names() []string {
	var names []string
	if d.cfg.Host != "" {
		names = append(names, strings.Trim(d.cfg.Host, "[]"))
	}
	if d.cfg.PublicIP != "" {
		names = append(names, d.cfg.PublicIP)
	}
	return names
}

func absent(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// sweep removes what broken uploads left behind, in the root folder and in
// homes outside of it.
func (d *Daemon) sweep(ctx context.Context) {
	dirs := []string{d.cfg.RootDir}
	for u := range d.backend.verifier.List().All {
		if filepath.IsAbs(u.Home) {
			dirs = append(dirs, u.Home)
		}
	}
	for _, dir := range dirs {
		swept, err := jail.Sweep(ctx, dir, partsLive)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			d.log.Warn("sweep", "cause", d.cause(fault.Wrap(err, "vfs.sweep.failed", dir, err)))
		case swept != jail.Swept{}:
			d.log.Info("sweep", "folder", dir, "temporaries", swept.Temporaries, "parts", swept.Parts, "bytes", swept.Bytes)
		}
	}
}
