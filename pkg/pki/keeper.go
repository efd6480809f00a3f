package pki

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ftps/pkg/fault"
)

// KeeperOptions say what to keep and whom to tell. The callbacks may be nil;
// they are called from Watch and Reload.
type KeeperOptions struct {
	Files  []Files       // at least one; the first is for clients that name none
	Issuer *Issuer       // its certificates come before those of files; or nil
	Poll   time.Duration // how often Watch looks; zero means half a second
	Loaded func(*Pair)   // a pair was loaded again
	Failed func(error)   // a changed pair could not be loaded: the old one stays
	Warned func(error)   // a pair is in use but has a flaw
}

// Keeper holds a server's certificates and hands them to handshakes. They are
// read again when their files change: a pair that cannot be used leaves the
// old one where it was.
type Keeper struct {
	opt   KeeperOptions
	pairs atomic.Pointer[[]*Pair] // never nil, never empty; replaced whole

	mu    sync.Mutex // one reload at a time
	tried []stamp    // what each pair's files looked like when last loaded
}

// NewKeeper loads every pair. All must be good.
func NewKeeper(o KeeperOptions) (*Keeper, error) {
	if len(o.Files) == 0 {
		return nil, fault.New("pki.keeper.empty")
	}
	if o.Poll <= 0 {
		o.Poll = 500 * time.Millisecond
	}
	k := &Keeper{opt: o}
	pairs := make([]*Pair, len(o.Files))
	for i, files := range o.Files {
		k.tried = append(k.tried, stampOf(files))
		pair, err := LoadPair(files)
		if err != nil {
			return nil, err
		}
		pairs[i] = pair
	}
	k.pairs.Store(&pairs)
	for _, pair := range pairs {
		k.warn(pair)
	}
	return k, nil
}

// KeepTemporary returns a keeper of a pair that has no files.
func KeepTemporary(cert *tls.Certificate) *Keeper {
	k := &Keeper{opt: KeeperOptions{Poll: time.Hour}}
	k.pairs.Store(&[]*Pair{{TLS: cert, Pin: PinOf(cert.Leaf)}})
	return k
}

// Pairs returns what is in use now: what was issued, then the files in their
// order.
func (k *Keeper) Pairs() []*Pair {
	files := *k.pairs.Load()
	if k.opt.Issuer == nil {
		return files
	}
	return append(k.opt.Issuer.Pairs(), files...)
}

// Expiring returns a warning for each certificate in use that ends within 14
// days; one that renews itself is late when less than a quarter of its time is
// left.
func (k *Keeper) Expiring(now time.Time) (warnings []error) {
	for _, pair := range k.Serving() {
		leaf := pair.TLS.Leaf
		left := leaf.NotAfter.Sub(now)
		switch {
		case pair.Issued && left < min(soon, leaf.NotAfter.Sub(leaf.NotBefore)/4):
			warnings = append(warnings, fault.New("pki.acme.late", pair.Files.Cert, leaf.NotAfter.UTC().Format(time.RFC3339)))
		case !pair.Issued && left < soon:
			warnings = append(warnings, fault.New("pki.cert.soon", pair.Files.Cert, day(leaf.NotAfter)))
		}
	}
	return warnings
}

// Serving returns the certificates that clients are to see: those of
// [Keeper.Pairs], without self-signed ones that only stand in for what is
// issued.
func (k *Keeper) Serving() (serving []*Pair) {
	pairs := k.Pairs()
	issued := k.opt.Issuer != nil && len(k.opt.Issuer.Pairs()) == len(k.opt.Issuer.opt.Domains)
	for _, pair := range pairs {
		if !issued || !selfSigned(pair.TLS.Leaf) {
			serving = append(serving, pair)
		}
	}
	return serving
}

// Expires returns when the first of the certificates ends.
func (k *Keeper) Expires() time.Time {
	var first time.Time
	for _, pair := range k.Serving() {
		if end := pair.TLS.Leaf.NotAfter; first.IsZero() || end.Before(first) {
			first = end
		}
	}
	return first
}

// Choose returns the certificate for a name, as SNI or HOST gives it. For a
// name that no certificate has it returns the first and false.
func (k *Keeper) Choose(name string) (cert *tls.Certificate, named bool) {
	name = strings.TrimSuffix(name, ".")
	pairs := k.Pairs()
	for _, pair := range pairs {
		if name != "" && pair.TLS.Leaf.VerifyHostname(name) == nil {
			return pair.TLS, true
		}
	}
	return pairs[0].TLS, false
}

// GetCertificate is for tls.Config. Where several certificates have the name,
// or none has, it takes the first whose kind of key the client supports.
func (k *Keeper) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.TrimSuffix(hello.ServerName, ".")
	pairs := k.Pairs()
	var usable *tls.Certificate
	for _, pair := range pairs {
		if unnamed(hello).SupportsCertificate(pair.TLS) != nil {
			continue
		}
		if name != "" && pair.TLS.Leaf.VerifyHostname(name) == nil {
			return pair.TLS, nil
		}
		if usable == nil {
			usable = pair.TLS
		}
	}
	if usable == nil {
		usable = pairs[0].TLS // the handshake fails with the right alert
	}
	return usable, nil
}

// unnamed is hello without its name: SupportsCertificate would ask for that
// too, and a client that pins a key is served under any name.
func unnamed(hello *tls.ClientHelloInfo) *tls.ClientHelloInfo {
	h := *hello
	h.ServerName = ""
	return &h
}

// Watch reads pairs again when their files change, until ctx ends. A change
// counts once it has been still for a poll, so that a key and a certificate
// that are replaced one after the other are read together.
func (k *Keeper) Watch(ctx context.Context) {
	tick := time.NewTicker(k.opt.Poll)
	defer tick.Stop()
	last := k.stamps()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := k.stamps()
		for i := range now {
			if now[i].same(last[i]) {
				_ = k.reload(i, false) // told to Failed
			}
		}
		last = now
	}
}

// Reload reads every pair now, changed or not.
func (k *Keeper) Reload() error {
	var errs []error
	for i := range k.opt.Files {
		errs = append(errs, k.reload(i, true))
	}
	return errors.Join(errs...)
}

// reload reads one pair if its files changed since they were last read, for
// better or worse.
func (k *Keeper) reload(i int, force bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	files := k.opt.Files[i]
	now := stampOf(files) // before the files are read: what changes after is seen later
	if !force && now.same(k.tried[i]) {
		return nil
	}
	k.tried[i] = now
	pair, err := LoadPair(files)
	if err != nil {
		if k.opt.Failed != nil {
			k.opt.Failed(err)
		}
		return err
	}
	pairs := append([]*Pair(nil), *k.pairs.Load()...)
	pairs[i] = pair
	k.pairs.Store(&pairs)
	if k.opt.Loaded != nil {
		k.opt.Loaded(pair)
	}
	k.warn(pair)
	return nil
}

func (k *Keeper) warn(pair *Pair) {
	if k.opt.Warned == nil {
		return
	}
	for _, w := range pair.Warnings {
		k.opt.Warned(w)
	}
}

func (k *Keeper) stamps() []stamp {
	s := make([]stamp, len(k.opt.Files))
	for i, files := range k.opt.Files {
		s[i] = stampOf(files)
	}
	return s
}

// stamp is what a pair's files look like from outside; nil for one that is not
// there.
type stamp [2]fs.FileInfo

func stampOf(files Files) (s stamp) {
	for i, path := range []string{files.Cert, files.Key} {
		if info, err := os.Stat(path); err == nil {
			s[i] = info
		}
	}
	return s
}

func (s stamp) same(t stamp) bool {
	for i := range s {
		a, b := s[i], t[i]
		if a == nil || b == nil {
			if a != b {
				return false
			}
			continue
		}
		if !os.SameFile(a, b) || a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime()) || a.Mode() != b.Mode() {
			return false
		}
	}
	return true
}
