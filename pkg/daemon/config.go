package daemon

import (
	"io/fs"
	"log/slog"
	"net/netip"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/dataport"
	"ftps/pkg/event"
	"ftps/pkg/handover"
	"ftps/pkg/pki"
	"ftps/pkg/wall"
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
