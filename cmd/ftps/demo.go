package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ftps/pkg/config"
	"ftps/pkg/daemon"
	"ftps/pkg/fault"
	"ftps/pkg/pki"
	"ftps/pkg/users"
	"ftps/pkg/vfs"
	"ftps/pkg/wall"
)

// demo is a throwaway account, certificate and folder. The zero demo is a
// server that is none.
type demo struct {
	on       bool
	dir      string
	user     string
	password string
	keeper   *pki.Keeper
}

// newDemo makes all of it in a new folder that only this user may enter.
func newDemo(ctx context.Context) (_ *demo, err error) {
	d := &demo{on: true, user: "demo", password: users.Generate()}
	if d.dir, err = os.MkdirTemp("", "ftps-demo-"); err != nil {
		return nil, fault.Wrap(err, "cli.demo.failed", err)
	}
	defer func() {
		if err != nil {
			d.remove()
			err = fault.Wrap(err, "cli.demo.failed", err)
		}
	}()
	cert, err := pki.MakeTemporary("127.0.0.1", "localhost")
	if err != nil {
		return nil, err
	}
	d.keeper = pki.KeepTemporary(cert)
	hash, err := users.Hash(d.password, users.DefaultCost)
	if err != nil {
		return nil, err
	}
	account := users.User{Name: d.user, Hash: hash, Home: d.user, Perm: vfs.ReadWrite}
	if _, err := (users.File{Path: d.usersFile()}).Add(ctx, account); err != nil {
		return nil, err
	}
	if err := os.WriteFile(d.passwordFile(), []byte(d.password+"\n"), 0o600); err != nil {
		return nil, err
	}
	return d, d.fill()
}

func (d *demo) root() string         { return filepath.Join(d.dir, "srv") }
func (d *demo) usersFile() string    { return filepath.Join(d.dir, "users.yaml") }
func (d *demo) passwordFile() string { return filepath.Join(d.dir, "password") }

// fill puts a few files into the home, to have something to look at.
func (d *demo) fill() error {
	home := filepath.Join(d.root(), d.user)
	for _, folder := range []string{"docs", "fotos", "uploads"} {
		if err := os.MkdirAll(filepath.Join(home, folder), 0o750); err != nil {
			return err
		}
	}
	var numbers []byte
	for range 1 << 20 / 64 {
		numbers = append(numbers, "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDE\n"...)
	}
	for name, content := range map[string][]byte{
		"hello.txt":         []byte("hello, world\nhola, mundo\n"),
		"docs/año nuevo.md": []byte("# ñandú\n"),
		"docs/empty":        nil,
		"1MiB.txt":          numbers,
	} {
		if err := os.WriteFile(filepath.Join(home, name), content, 0o640); err != nil {
			return err
		}
	}
	return nil
}

// apply turns a configuration into the demo's: loopback only, its own folder,
// account and certificate, and free ports instead of busy ones, unless
// someone named the port.
func (d *demo) apply(set *config.Server, cfg *daemon.Config) {
	if !d.on {
		return
	}
	cfg.Host = "127.0.0.1"
	cfg.PublicIP = set.PublicIP
	cfg.RootDir, cfg.Users, cfg.MakeRoot = d.root(), d.usersFile(), false
	cfg.Certs, cfg.Keeper, cfg.MakeCert = nil, d.keeper, false
	cfg.FreeControl = !set.Named("control-port")
	cfg.FreeData = !set.Named("data-port")
	cfg.RunAs = ""
	// What remove does at the end.
	cfg.Reach = append(cfg.Reach, wall.Folder{For: "demo", Path: d.dir, Access: wall.Tree},
		wall.Folder{For: "demo", Path: filepath.Dir(d.dir), Access: wall.Remove})
	if !set.Named("admin-socket") { // nothing is to be left behind
		cfg.AdminSocket = filepath.Join(d.dir, "admin.sock")
	}
	cfg.AllowRoot = true
}

// remove leaves nothing behind. What is in the folder goes first: a server
// behind its wall may remove the folder itself, and not look at the one
// above.
func (d *demo) remove() {
	if !d.on {
		return
	}
	entries, _ := os.ReadDir(d.dir)
	for _, e := range entries {
		os.RemoveAll(filepath.Join(d.dir, e.Name()))
	}
	os.Remove(d.dir)
}

// watchParent ends a demo whose "go run" is gone: that does not pass SIGTERM
// on, and the folder would stay.
func (d *demo) watchParent(ctx context.Context, self string, stop func()) {
	if !d.on || !strings.HasPrefix(self, "go ") {
		return
	}
	parent := os.Getppid()
	go func() {
		tick := time.NewTicker(300 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if os.Getppid() != parent {
					stop()
				}
			}
		}
	}()
}
