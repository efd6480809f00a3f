package daemon

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"ftps/pkg/fault"
	"ftps/pkg/pki"
	"ftps/pkg/users"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/jail"
	"ftps/pkg/vfs/s3fs"
)

// S3 is where homes in an object store are, and who asks for them.
type S3 struct {
	Endpoint  *url.URL // nil is no store
	Region    string   // "" asks the store
	AccessKey string
	SecretKey string
	CA        string // PEM file of the authorities that vouch for the store, or ""
	InClear   bool   // a store on another machine may be spoken to without TLS
}

// storeLimit bounds what a login, or the start, waits for a store to answer.
const storeLimit = 15 * time.Second

// sweepEvery is how often broken uploads in stores are looked for.
const sweepEvery = 24 * time.Hour

// inStore reports whether a home is no folder of this machine.
func inStore(home string) bool {
	_, _, ok := s3fs.ParseHome(home)
	return ok
}

// connectStore prepares the store of the configuration; nil is none.
func connectStore(c S3) (*s3fs.Store, error) {
	if c.Endpoint == nil {
		return nil, nil
	}
	if err := clearWire(c); err != nil && !c.InClear {
		return nil, fault.Wrap(err, "cli.server.store.refused", c.Endpoint.Redacted())
	}
	options := s3fs.Options{Endpoint: c.Endpoint, Region: c.Region, AccessKey: c.AccessKey, SecretKey: c.SecretKey}
	if c.CA != "" {
		pool, err := pki.LoadPool(c.CA)
		if err != nil {
			return nil, err
		}
		options.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	return s3fs.Connect(options)
}

// clearWire is about a store on another machine that is spoken to without TLS:
// files and listings could be read and changed on their way, against all that
// the server promises. Only who has a wire that nobody else reaches may ask
// for it, and is warned.
func clearWire(c S3) error {
	if c.Endpoint == nil || c.Endpoint.Scheme == "https" {
		return nil
	}
	host := c.Endpoint.Hostname()
	if addr, err := netip.ParseAddr(host); host == "localhost" || err == nil && addr.IsLoopback() {
		return nil
	}
	return fault.New("cli.server.store.clear", c.Endpoint.Redacted())
}

// storeTree returns the tree of a home in the store.
func storeTree(store *s3fs.Store, home string) (*s3fs.FS, error) {
	bucket, prefix, _ := s3fs.ParseHome(home)
	if store == nil {
		return nil, fault.New("cli.server.store.none", home)
	}
	return store.Open(bucket, prefix), nil
}

// reachStore asks the store for a home's bucket.
func reachStore(ctx context.Context, store *s3fs.Store, home string) error {
	bucket, _, _ := s3fs.ParseHome(home)
	if store == nil {
		return fault.New("cli.server.store.none", home)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, storeLimit, vfs.ErrUnavailable)
	defer cancel()
	if err := store.Check(ctx, bucket); err != nil {
		return fault.Wrap(errors.Join(vfs.ErrUnavailable, err), "cli.server.store.away", bucket, store.Endpoint(), err)
	}
	return nil
}

// storeHomes are the homes in the store that the accounts of a list have,
// without those that lie in another one.
func storeHomes(list *users.List) []string {
	var homes []string
	for u := range list.All {
		if bucket, prefix, ok := s3fs.ParseHome(u.Home); ok && !u.Disabled {
			homes = append(homes, "s3://"+bucket+"/"+prefix)
		}
	}
	slices.SortFunc(homes, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
	var outer []string
	for _, home := range homes {
		if !slices.ContainsFunc(outer, func(o string) bool { return strings.HasPrefix(home, o) }) {
			outer = append(outer, home)
		}
	}
	return outer
}

// tendStore says at the start which homes cannot be reached, and removes
// then and daily what broken uploads left in the store.
func (d *Daemon) tendStore(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	if warning := clearWire(d.cfg.S3); warning != nil {
		d.log.Warn("store-clear", "endpoint", d.cfg.S3.Endpoint.Redacted(), "cause", d.cause(warning))
	}
	for {
		for _, home := range storeHomes(d.backend.verifier.List()) {
			d.sweepStore(ctx, home)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (d *Daemon) sweepStore(ctx context.Context, home string) {
	err := reachStore(ctx, d.backend.store, home)
	removed := 0
	if err == nil {
		tree, _ := storeTree(d.backend.store, home)
		if removed, err = tree.Sweep(ctx, partsLive); err != nil {
			err = fault.Wrap(err, "vfs.sweep.failed", home, err)
		}
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		d.log.Warn("store", "home", home, "cause", d.cause(err))
	case removed > 0:
		d.log.Info("sweep", "folder", home, "parts", removed)
	}
}

// openCounted opens a folder that others' homes lie in, to be counted.
func (b *backend) openCounted(folder string) (vfs.FS, error) {
	if inStore(folder) {
		return storeTree(b.store, folder)
	}
	return jail.Open(folder, jail.Options{})
}

// openHome opens an account's home, wherever it is.
func (b *backend) openHome(ctx context.Context, u *users.User) (vfs.FS, error) {
	if inStore(u.Home) {
		if err := reachStore(ctx, b.store, u.Home); err != nil {
			return nil, err
		}
		return storeTree(b.store, u.Home)
	}
	if err := makeHome(b.cfg.RootDir, u.Home); err != nil {
		return nil, err
	}
	live := b.live.Load()
	return jail.Open(homeOf(b.cfg.RootDir, u.Home), jail.Options{
		Account: u.Name, Umask: live.Umask, NoSync: live.NoSync,
	})
}
