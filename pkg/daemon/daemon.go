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
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	manager "github.com/coreos/go-systemd/v22/daemon"

	"ftps/pkg/admin"
	"ftps/pkg/catalog"
	"ftps/pkg/dataport"
	"ftps/pkg/event"
	"ftps/pkg/ftpserver"
	"ftps/pkg/handover"
	"ftps/pkg/limit"
	"ftps/pkg/pki"
	"ftps/pkg/wall"
	"ftps/pkg/watch"
	"ftps/pkg/xferlog"
)

// Off is the value of a port that is not opened.
const Off = -1

// AutoSocket is an admin socket in the runtime folder, if that can be.
const AutoSocket = "auto"

// Config is what to serve and how. RootDir, Users and either Certs or Keeper
// are required.
type Config struct {
	Host         string // "" is every address
	ControlPort  int    // 0 is a port that the system chooses
	ImplicitPort int    // Off, or as ControlPort
	FirstData    int    // 0 is one port that the system chooses
	LastData     int
	FreeControl  bool           // where the control port is busy, take one that is free
	FreeData     bool           // where a data port is busy, take other ones
	PublicIP     string         // IPv4 address to tell in PASV, a name to look up for it, or ""
	ProxyFrom    []netip.Prefix // whose connections begin with a PROXY header
	RunAs        string         // user to become once the ports are open, or ""
	AllowRoot    bool           // serve as root although RunAs does not say so

	RootDir  string
	MakeRoot bool   // make the root folder where there is none
	Users    string // path of users.yaml; where there is none, there are no accounts
	Umask    fs.FileMode
	NoSync   bool

	Certs    []pki.Files
	MakeCert bool        // make the first pair where neither file exists
	Keeper   *pki.Keeper // replaces Certs
	ClientCA string      // PEM file of the authorities of client certificates, or ""
	Reuse    dataport.Reuse

	TicketKeys string // path of the keys of TLS tickets that servers share, or ""

	ACME       pki.IssuerOptions // without Domains nothing is issued
	ACMEListen []string          // addresses where challenges are answered

	// Limits and clocks; 0 is the default.
	MaxConnections   int           // control connections at once; 2000
	MaxPerAddress    int           // from one address; 200
	MaxBeforeLogin   int           // and of those that have not logged in; see ftpserver.Config
	HandshakeTimeout time.Duration // see ftpserver.Config
	LoginTimeout     time.Duration
	IdleTimeout      time.Duration
	StallTimeout     time.Duration
	SessionTimeout   time.Duration // for a whole session; 0 is no limit
	MinRate          int64         // bytes a second that a transfer must at least move; 0 is no limit
	DataTimeout      time.Duration // for a data connection to come; see dataport.Config

	BanScore int            // the score that bans an address; 0 is never
	BanTime  time.Duration  // of the first ban; 10 min
	NeverBan []netip.Prefix // addresses that have no score

	Lang    catalog.Lang
	Banner  string
	Version string // of the program

	// Settings is the file that Reread reads: a change of it is a reload. ""
	// is none.
	Settings string

	// Reread reads the settings again for a reload, and names those that
	// differ from the start's and cannot change while the server runs. Of the
	// Config only the fields that [Daemon.Reload] names are used. Nil is a
	// server whose settings do not change.
	Reread func() (cfg Config, fixed []string, err error)

	AdminSocket   string // path, AutoSocket, or "" for none
	Metrics       string // address of /metrics and /healthz, or ""
	Webhook       string // URL, or "" for none
	WebhookSecret []byte // that signs what is posted there
	Hook          string // path of a program that is run, or ""
	HookTimeout   time.Duration

	S3 S3 // where homes in an object store are

	Xferlog  string         // path of the transfer log, or ""
	Level    *slog.LevelVar // of Log, to be changed while running; or nil
	LogLevel slog.Level     // what Level is to be

	// Program and Args start a successor; without Program there can be none.
	// Elder is the link to the server whose successor this is, or nil.
	Program      string
	Args         []string
	Elder        *handover.Link
	UpgradeLimit time.Duration // for a successor to be ready; 30 s
	DrainTimeout time.Duration // for the sessions of an old server; 1 h

	Log    *slog.Logger           // nil discards
	Told   func(event.Event) bool // whether an event may be left out of the log; nil is never
	Events event.Sink             // hears every event, in order, on one goroutine; or nil
	Grace  time.Duration          // for running transfers at the end; 10 s

	// Wall is how the process is confined once everything is open; Reach are
	// folders that are needed beside those of this Config.
	Wall  wall.Mode
	Reach []wall.Folder
}

// Limits of a server that was given none: what one machine bears, and what
// no honest client exceeds.
const (
	maxConnections = 2000
	maxPerAddress  = 200
	partsLive      = 24 * time.Hour
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
	defer func() {
		if err != nil {
			d.sockets.close()
		}
	}()
	if d.listeners, err = listen(&cfg, d.sockets, d.pulse); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.listeners.close()
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
		}
	}()
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

// Run serves until ctx ends or [Daemon.Stop]; then every session is told 421,
// and running transfers may finish for the grace period, or until now ends
// it. Everything is closed when it returns. It is called once.
func (d *Daemon) Run(ctx context.Context, now <-chan struct{}) error {
	defer close(d.over)
	serving, endServing := context.WithCancel(ctx)
	defer endServing()
	carrying, endCarrying := context.WithCancel(context.Background())
	defer endCarrying()
	// What one server alone may do, as against its successor.
	leading, endLeading := context.WithCancel(serving)
	defer endLeading()

	var all, front sync.WaitGroup
	if d.xferlog != nil {
		defer d.xferlog.Close()
	}
	defer d.closeHooks()
	defer d.queue.close() // last: it tells what the others do
	defer all.Wait()
	defer endCarrying()
	if d.born != nil {
		if err := d.succeed(ctx); err != nil {
			d.listeners.close()
			d.ports.Close()
			if d.socket != nil {
				d.socket.Keep() // it is the old server's
				d.socket.Close()
			}
			if d.metrics != nil {
				d.metrics.l.Close()
			}
			return err
		}
		all.Go(func() {
			defer context.AfterFunc(carrying, d.born.link.Shut)()
			d.heedElder()
		})
	}
	all.Go(func() { d.report("data", d.ports.Serve(carrying)) })
	front.Go(func() { d.report("control", d.server.Serve(serving, d.listeners.control, false)) })
	if l := d.listeners.implicit; l != nil {
		front.Go(func() { d.report("implicit", d.server.Serve(serving, l, true)) })
	}
	defer front.Wait()
	all.Go(func() { d.turnKeys(leading) })
	all.Go(func() { d.guard(leading) })
	all.Go(func() { d.keeper.Watch(serving) })
	if d.issuer != nil {
		all.Go(func() { d.issuer.Run(leading) })
		for _, l := range d.listeners.acme {
			all.Go(func() { d.report("acme", d.issuer.Serve(leading, l)) })
		}
	}
	all.Go(func() { _ = watch.File(serving, d.cfg.Users, watch.Stamp{}, d.rereadUsers) })
	if file := d.cfg.Settings; file != "" && d.cfg.Reread != nil {
		all.Go(func() { _ = watch.File(serving, file, d.settingsRead, func() { _, _ = d.Reload() }) }) // told to the log
	}
	all.Go(func() { d.sweep(serving) })
	if d.backend.store != nil {
		defer d.backend.store.Close()
		all.Go(func() { d.tendStore(serving) })
	}
	all.Go(func() { d.housekeeping(serving) })
	all.Go(func() { d.followPublic(serving) })
	if d.socket != nil {
		all.Go(func() { d.socket.Serve(leading, d, d.commanded) })
	}
	if d.metrics != nil {
		scraped, endScraped := context.WithCancel(carrying)
		defer endScraped()
		defer context.AfterFunc(leading, func() {
			if d.left.Load() {
				endScraped() // the successor is asked from now on
			}
		})()
		all.Go(func() { d.report("metrics", d.metrics.serve(scraped)) })
	}
	d.notify(manager.SdNotifyReady)
	d.notifyStatus()

	span := d.cfg.Grace
	if next := d.wait(ctx); next != nil {
		// Nothing that has come is lost: the loops end when what they have
		// accepted is here.
		retire(d.listeners.control)
		if d.listeners.implicit != nil {
			retire(d.listeners.implicit)
		}
		front.Wait()
		d.handOver(*next)
		endLeading()
		alone := make(chan struct{})
		all.Go(func() {
			defer context.AfterFunc(carrying, next.link.Shut)()
			d.heedHeir(next.link)
			close(alone)
		})
		span = d.waitForSessions(ctx, alone)
	} else {
		d.notify(manager.SdNotifyStopping)
	}
	endServing()
	d.log.Info("stopping")
	grace, cancel := context.WithTimeout(context.Background(), span)
	defer cancel()
	if now != nil {
		go func() {
			select {
			case <-now:
				cancel()
			case <-grace.Done():
			}
		}()
	}
	if err := d.server.Shutdown(grace); err != nil {
		d.log.Warn("cut", "cause", catalog.Explain(d.lang(), err))
	}
	d.ports.Close()
	return nil
}

// retire closes a port without cutting what has come to it.
func retire(l net.Listener) {
	if r, ok := l.(interface{ Retire() }); ok {
		r.Retire()
		return
	}
	l.Close()
}

// waitForSessions returns when an old server is to end, and how long
// transfers that are still running may take then.
func (d *Daemon) waitForSessions(ctx context.Context, alone <-chan struct{}) time.Duration {
	limit := time.NewTimer(d.cfg.DrainTimeout)
	defer limit.Stop()
	began := time.Now()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for d.conns.Open() > 0 {
		select {
		case <-ctx.Done():
			return d.cfg.Grace
		case <-d.stop:
			return d.cfg.Grace
		case <-limit.C:
			return d.cfg.Grace
		case <-alone: // no data connection comes any more
			return max(d.cfg.DrainTimeout-time.Since(began), d.cfg.Grace)
		case <-look.C:
		}
	}
	return d.cfg.Grace
}

// wait returns when the run is to end, or with the successor that is ready.
func (d *Daemon) wait(ctx context.Context) *handing {
	select {
	case <-ctx.Done():
		return nil
	case <-d.stop:
		return nil
	case next := <-d.handing:
		return &next
	case <-d.drain:
	}
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for d.conns.Open() > 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-d.stop:
			return nil
		case <-look.C:
		}
	}
	return nil
}

func (d *Daemon) report(where string, err error) {
	if err != nil {
		d.log.Error("listener", "where", where, "cause", catalog.Explain(d.lang(), err))
	}
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

// housekeeping ends the sessions of accounts that expire while it runs, and
// warns of certificates that do, once a day.
func (d *Daemon) housekeeping(ctx context.Context) {
	var warned time.Time
	var memory memory
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	often := time.NewTicker(2 * time.Second)
	defer often.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-often.C:
			memory.glance()
		case now := <-tick.C:
			d.expire(now)
			memory.look()
			if now.Sub(warned) >= 24*time.Hour {
				warned = now
				d.warnExpiring(now)
			}
			if !d.left.Load() {
				d.notifyStatus()
			}
		}
	}
}

func (d *Daemon) expire(now time.Time) {
	for u := range d.backend.verifier.List().All {
		if u.Expired(now) {
			d.server.KickAccount(u.Name, d.text("console.reason.expired"))
		}
	}
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
