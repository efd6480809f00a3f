// Package daemon puts the server's parts together and runs them until it is
// told to stop: accounts and their homes, certificates, ports, limits, the
// protocol engine, the log.
//
// [New] does everything that can fail, and binds the ports; [Daemon.Run]
// serves. A Daemon is what package admin's commands act on.
package daemon

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ftps/pkg/admin"
	"ftps/pkg/catalog"
	"ftps/pkg/dataport"
	"ftps/pkg/event"
	"ftps/pkg/ftpserver"
	"ftps/pkg/limit"
	"ftps/pkg/pki"
	"ftps/pkg/wall"
	"ftps/pkg/watch"
	"ftps/pkg/xferlog"
)

// Daemon is a server that is ready to run.
type Daemon struct {
	cfg       Config
	live      atomic.Pointer[Config] // cfg with what a reload changed
	listeners *listeners
	public    *public
	keeper    *pki.Keeper
	issuer    *pki.Issuer    // or nil
	clientCAs *x509.CertPool // nil where no client is asked for a certificate
	server    *ftpserver.Server
	ports     *dataport.Ports
	backend   *backend
	conns     *limit.Connections
	bans      bans
	scores    *limit.Scores
	scorer    *scorer
	counters  counters
	queue     *queue
	socket    *admin.Socket // or nil
	metrics   *metrics      // or nil
	wall      *wall.Wall    // or nil
	noWall    error         // why there is none
	xferlog   *xferlog.Log  // or nil
	hooks     []told
	log       *slog.Logger

	sockets   *sockets
	ring      *keyring
	keysRead  watch.Stamp // what the file of keys looked like when it was first read
	pulse     *pulse      // or nil
	born      *birth      // or nil
	asked     questions
	elder     atomic.Bool
	left      atomic.Bool // a successor is there
	upgrading sync.Mutex
	handing   chan handing
	over      chan struct{} // closed when the run ends

	keysReading  sync.Mutex
	reloading    sync.Mutex            // held from reading a file until what it says is in force
	settingsRead watch.Stamp           // what that file looked like when New was given what it says
	fileRead     func()                // tests alone: called while a list is read and not in force yet
	usersFault   atomic.Pointer[error] // why the file's accounts are not in use
	draining     atomic.Bool
	drain        chan struct{}
	stop         chan struct{}
	stopOnce     sync.Once
	drainOnce    sync.Once
}

// New checks the configuration, loads what it names, binds the ports and
// drops privileges. After an error nothing stays open.
func New(cfg Config) (_ *Daemon, err error) {
	cfg.Grace = cmp.Or(cfg.Grace, 10*time.Second)
	cfg.UpgradeLimit = cmp.Or(cfg.UpgradeLimit, upgradeLimit)
	cfg.DrainTimeout = cmp.Or(cfg.DrainTimeout, time.Hour)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Told == nil {
		cfg.Told = func(event.Event) bool { return false }
	}
	d := &Daemon{
		cfg: cfg, log: cfg.Log,
		drain: make(chan struct{}), stop: make(chan struct{}),
		handing: make(chan handing), over: make(chan struct{}), pulse: newPulse(),
		conns: limit.NewConnections(cmp.Or(cfg.MaxConnections, maxConnections), cmp.Or(cfg.MaxPerAddress, maxPerAddress)),
	}
	if cfg.Settings != "" {
		d.settingsRead = watch.Look(cfg.Settings)
	}
	d.scores = limit.NewScores(scorePolicy(&cfg))
	d.live.Store(&cfg)
	if cfg.Level == nil {
		d.cfg.Level = new(slog.LevelVar)
	}
	d.cfg.Level.Set(cfg.LogLevel)
	d.public = newPublic(cfg.PublicIP)
	d.counters.since = time.Now()
	if err := holds(); err != nil {
		return nil, err
	}
	if err := d.findSockets(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.release()
		}
	}()
	var identity *identity
	if d.born == nil { // else it is who the old server has become
		if identity, err = findIdentity(cfg.RunAs, cfg.AllowRoot); err != nil {
			return nil, err
		}
	}
	// Keys may be root's alone: they are read before privileges are dropped.
	if err := d.openIssuer(identity); err != nil {
		return nil, err
	}
	if d.keeper, err = d.openKeeper(); err != nil {
		return nil, err
	}
	if cfg.ClientCA != "" {
		if d.clientCAs, err = pki.LoadPool(cfg.ClientCA); err != nil {
			return nil, err
		}
	}
	if d.listeners, err = listen(&cfg, d.sockets, d.pulse); err != nil {
		return nil, err
	}
	if err := d.openMetrics(); err != nil {
		return nil, err
	}
	folder := d.socketFolder(identity)
	d.listeners.behind(cfg.ProxyFrom, d.proxyRefused)
	if err := prepareRoot(cfg.RootDir, cfg.MakeRoot, identity); err != nil {
		return nil, err
	}
	if err := identity.become(); err != nil {
		return nil, err
	}
	if err := d.openSocket(folder); err != nil {
		return nil, err
	}
	if d.sockets.activated {
		if err := d.sockets.unused(); err != nil {
			return nil, err
		}
	}
	// From here on everything is done as it will be done while serving.
	if cfg.Xferlog != "" {
		if d.xferlog, err = d.openXferlog(); err != nil {
			return nil, err
		}
	}
	if err := d.openHooks(); err != nil {
		return nil, err
	}
	list, err := loadUsers(cfg.Users)
	if err != nil {
		return nil, err
	}
	if err := checkHook(&cfg, list); err != nil {
		return nil, err
	}
	if d.backend, err = newBackend(cfg, list); err != nil {
		return nil, err
	}
	if d.public.name != "" {
		d.renewPublic(context.Background(), publicFirst)
	}
	tickets := d.tlsConfig()
	if err := d.openKeys(tickets); err != nil {
		return nil, err
	}
	d.queue = newQueue(d.hear)
	sink := event.Sinks{&d.counters, event.Func(d.enqueue)}
	if d.metrics != nil {
		sink = append(sink, d.metrics)
	}
	d.scorer = newScorer(d, sink)
	sink = append(sink, d.scorer)
	d.ports = dataport.New(dataport.Config{Listeners: d.listeners.data, TLS: tickets, Sink: sink, Connect: cfg.DataTimeout})
	d.server = ftpserver.New(ftpserver.Config{
		Backend:  d.backend,
		SumsKept: cfg.S3.Endpoint != nil,
		Ports:    d.ports,
		Sink:     sink,
		Lang:     cfg.Lang,
		Version:  cfg.Version,
		Banner:   cfg.Banner,
		PublicIP: d.public.now,
		KnowsHost: func(name string) bool {
			_, known := d.keeper.Choose(name)
			return known
		},
		Admit:            d.admit,
		Trace:            d.tracing,
		MaxBeforeLogin:   cfg.MaxBeforeLogin,
		HandshakeTimeout: cfg.HandshakeTimeout,
		LoginTimeout:     cfg.LoginTimeout,
		IdleTimeout:      cfg.IdleTimeout,
		StallTimeout:     cfg.StallTimeout,
		SessionTimeout:   cfg.SessionTimeout,
		MinRate:          cfg.MinRate,
	})
	if d.born != nil {
		d.takeOver(d.born)
	}
	// Last: from here on nothing outside of the table can be opened.
	if err := d.shut(list); err != nil {
		return nil, err
	}
	return d, nil
}

// release closes what a New that failed had opened.
func (d *Daemon) release() {
	if d.listeners != nil {
		d.listeners.close()
	}
	if d.socket != nil {
		d.socket.Close()
	}
	if d.metrics != nil {
		d.metrics.l.Close()
	}
	if d.xferlog != nil {
		d.xferlog.Close()
	}
	d.closeHooks()
	d.sockets.close()
}

// tlsConfig is the ring of ticket keys for control and data connections.
func (d *Daemon) tlsConfig() *tls.Config {
	cfg := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: d.keeper.GetCertificate,
		// Offered, never demanded: a client that names none is served.
		NextProtos: []string{"ftp", "ftp-data"},
	}
	if d.clientCAs != nil {
		// Asked for, not demanded: other accounts have passwords.
		cfg.ClientAuth, cfg.ClientCAs = tls.VerifyClientCertIfGiven, d.clientCAs
	}
	return cfg
}

// proxyRefused notes a connection of a trusted address that had no good
// header. There is no session yet: it is a line of its own.
func (d *Daemon) proxyRefused(peer netip.AddrPort, cause error) {
	d.log.Warn("proxy-refused", "peer", peer.String(), "cause", catalog.Explain(d.lang(), cause))
}

// admit decides whether an address may connect.
func (d *Daemon) admit(addr netip.Addr) (release func(), err error) {
	if d.draining.Load() {
		return nil, errDraining
	}
	// A score may have banned the whole /64 of an address that has none.
	switch banned, automatic := d.bans.find(addr); {
	case banned && !automatic:
		return nil, errBannedByHand
	case banned && !d.scorer.spares(addr):
		return nil, errBanned
	}
	return d.conns.Admit(addr)
}

// lang is the language of the log.
func (d *Daemon) lang() catalog.Lang {
	if live := d.live.Load(); live != nil {
		return live.Lang
	}
	return d.cfg.Lang
}

func (d *Daemon) text(key string, args ...any) string { return catalog.Text(d.lang(), key, args...) }

// Control returns the address of the control port.
func (d *Daemon) Control() netip.AddrPort { return addrPort(d.listeners.control) }

// Implicit returns the address of the port with implicit TLS, if there is
// one.
func (d *Daemon) Implicit() (netip.AddrPort, bool) {
	if d.listeners.implicit == nil {
		return netip.AddrPort{}, false
	}
	return addrPort(d.listeners.implicit), true
}

// DataPorts returns the ports of data connections, ascending.
func (d *Daemon) DataPorts() []int {
	var ports []int
	for _, l := range d.listeners.data {
		ports = append(ports, int(addrPort(l).Port()))
	}
	slices.Sort(ports)
	return ports
}

// Pin returns the pin of the first certificate.
func (d *Daemon) Pin() pki.Pin { return d.keeper.Pairs()[0].Pin }

// Accounts returns how many accounts there are.
func (d *Daemon) Accounts() int { return d.backend.verifier.List().Len() }
