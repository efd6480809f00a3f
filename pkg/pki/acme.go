package pki

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"ftps/pkg/fault"
)

// IssuerOptions say for which names to have certificates issued, and by whom.
type IssuerOptions struct {
	Domains   []string
	Cache     string          // folder of the account's key, keys and certificates; made 0700
	Directory string          // URL of the authority's directory; "" is Let's Encrypt
	CA        string          // PEM file of who vouches for that URL; "" is the system's
	Agent     string          // what to call ourselves there
	Loaded    func(*Pair)     // a certificate is in use from now on; or nil
	Failed    func(err error) // one could not be had or renewed, and is tried for again; or nil

	retry time.Duration // after a failure; tests alone
}

// Issuer has certificates issued by ACME (RFC 8555), and renewed when a third
// of their time is left. Handshakes never wait for it: they take what the
// [Keeper] has.
type Issuer struct {
	opt     IssuerOptions
	manager *autocert.Manager
	ctx     context.Context    // of what is under way to the authority
	stop    context.CancelFunc // ends it
	asked   *asked
	most    int // challenges at once

	mu        sync.Mutex
	pairs     []*Pair // as Domains; nil where there is none yet
	obtaining string  // the domain that Run asks for, until the cache is asked
}

// NewIssuer makes the folder and takes from it what is still valid.
func NewIssuer(o IssuerOptions) (*Issuer, error) {
	if err := os.MkdirAll(o.Cache, 0o700); err != nil {
		return nil, fault.Wrap(err, "pki.acme.cache", o.Cache, err)
	}
	// Keys lie in it, and the authority's account.
	if err := os.Chmod(o.Cache, 0o700); err != nil {
		return nil, fault.Wrap(err, "pki.acme.cache", o.Cache, err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if o.CA != "" {
		pool, err := LoadPool(o.CA)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	if o.retry == 0 {
		o.retry = retryFirst
	}
	ctx, stop := context.WithCancel(context.Background())
	i := &Issuer{opt: o, ctx: ctx, stop: stop, most: challengeMost, pairs: make([]*Pair, len(o.Domains))}
	i.asked = &asked{base: ending{ctx, transport}}
	i.manager = &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		HostPolicy: autocert.HostWhitelist(o.Domains...),
		Cache:      cache{autocert.DirCache(o.Cache), i},
		Client: &acme.Client{
			DirectoryURL: o.Directory,
			UserAgent:    o.Agent,
			HTTPClient:   &http.Client{Transport: i.asked, Timeout: time.Minute},
		},
	}
	if o.Directory == "" {
		i.manager.Client.DirectoryURL = autocert.DefaultACMEDirectory
	}
	for _, domain := range o.Domains {
		if data, err := os.ReadFile(filepath.Join(o.Cache, domain)); err == nil {
			i.take(domain, data)
		}
	}
	return i, nil
}

// Files returns where the certificate of a domain is kept.
func (o IssuerOptions) Files(domain string) Files {
	path := filepath.Join(o.Cache, domain)
	return Files{Cert: path, Key: path}
}

// Pairs returns what was issued so far.
func (i *Issuer) Pairs() []*Pair {
	i.mu.Lock()
	defer i.mu.Unlock()
	var all []*Pair
	for _, pair := range i.pairs {
		if pair != nil {
			all = append(all, pair)
		}
	}
	return all
}

// cache is where the manager keeps what was issued; it is there that the
// issuer hears of it, before anybody else.
type cache struct {
	autocert.DirCache
	issuer *Issuer
}

// Put implements [autocert.Cache].
func (c cache) Put(ctx context.Context, name string, data []byte) error {
	if err := c.DirCache.Put(ctx, name, data); err != nil {
		return err
	}
	c.issuer.take(name, data)
	return nil
}

// Get implements [autocert.Cache]. The manager renews by a clock of its own,
// tells nobody how that went, and begins by asking here: its context ends when
// the try is over.
func (c cache) Get(ctx context.Context, name string) ([]byte, error) {
	if before := c.issuer.renewing(name); before != nil {
		requests := c.issuer.asked.count()
		context.AfterFunc(ctx, func() { c.issuer.tried(name, before, requests) })
	}
	return c.DirCache.Get(ctx, name)
}

// renewing returns what the manager asks the cache about in order to renew it;
// nil if it asks for another reason.
func (i *Issuer) renewing(name string) *Pair {
	i.mu.Lock()
	obtaining := i.obtaining == name
	if obtaining {
		i.obtaining = "" // Run is told of the error
	}
	i.mu.Unlock()
	if obtaining {
		return nil
	}
	return i.pair(name)
}

// pair returns what is in use for a domain, nil for none.
func (i *Issuer) pair(domain string) *Pair {
	i.mu.Lock()
	defer i.mu.Unlock()
	if at := slices.Index(i.opt.Domains, domain); at >= 0 {
		return i.pairs[at]
	}
	return nil
}

// tried tells of a renewal that asked the authority and brought nothing. One
// that the manager put off, as it does when its clock was early, asks nobody.
func (i *Issuer) tried(domain string, before *Pair, requests int) {
	if i.pair(domain) != before || i.asked.count() == requests || i.ctx.Err() != nil || i.opt.Failed == nil {
		return
	}
	err := i.asked.trouble()
	i.opt.Failed(fault.Wrap(err, "pki.acme.kept", domain, err))
}

// take puts a certificate of the cache in use. The cache holds other things
// too: keys of the account, answers to challenges.
func (i *Issuer) take(name string, data []byte) {
	for at, domain := range i.opt.Domains {
		if domain != name {
			continue
		}
		loaded, err := tls.X509KeyPair(data, data)
		if err != nil || time.Now().After(loaded.Leaf.NotAfter) {
			return // the manager has another issued
		}
		pair := &Pair{Files: i.opt.Files(domain), TLS: &loaded, Pin: PinOf(loaded.Leaf), Issued: true}
		i.mu.Lock()
		i.pairs[at] = pair
		i.mu.Unlock()
		if i.opt.Loaded != nil {
			i.opt.Loaded(pair)
		}
		return
	}
}

// Tries that fail are counted by the authorities: five an hour, for Let's
// Encrypt.
const (
	retryFirst = 2 * time.Minute
	retryLast  = time.Hour
)

// Run has issued what is missing, and sees to it that all is renewed, until
// ctx ends.
func (i *Issuer) Run(ctx context.Context) {
	defer i.stop()
	wait := i.opt.retry
	for {
		missing := false
		for _, domain := range i.opt.Domains {
			err := i.obtain(ctx, domain)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				missing = true
				if i.opt.Failed != nil {
					i.opt.Failed(fault.Wrap(err, "pki.acme.failed", domain, err))
				}
			}
		}
		i.mu.Lock()
		i.obtaining = "" // the manager may have known without asking
		i.mu.Unlock()
		if !missing {
			// From here on the manager renews by its own clock.
			<-ctx.Done()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
			wait = min(2*wait, retryLast)
		}
	}
}

// obtain asks the manager as a handshake would, for a key of the one kind that
// is used here.
func (i *Issuer) obtain(ctx context.Context, domain string) error {
	i.mu.Lock()
	i.obtaining = domain
	i.mu.Unlock()
	done := make(chan error, 1)
	go func() { // it knows no context: what ends it is that its requests fail
		_, err := i.manager.GetCertificate(&tls.ClientHelloInfo{
			ServerName:       domain,
			SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
			SupportedCurves:  []tls.CurveID{tls.CurveP256},
			CipherSuites:     []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		})
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		i.stop()
		<-done
		return ctx.Err()
	}
}

// ending is a transport whose requests end with ctx too.
type ending struct {
	ctx  context.Context
	base http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (e ending) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(e.ctx, cancel)
	answer, err := e.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		stop()
		cancel()
		return nil, err
	}
	answer.Body = &endingBody{answer.Body, func() { stop(); cancel() }}
	return answer, nil
}

// endingBody is an answer's body that lets go of its context.
type endingBody struct {
	io.ReadCloser
	release func()
}

func (b *endingBody) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}
