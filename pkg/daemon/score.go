package daemon

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/fault"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpserver"
	"ftps/pkg/limit"
	"ftps/pkg/vfs"
)

// misdeeds are what counts against an address, and how many points each
// counts. What honest clients do now and then counts little: whoever types
// his password wrong, climbs above his home with a file manager or cannot
// resume TLS sessions is not to be banned for it. The first row that matches
// decides.
var misdeeds = []misdeed{
	{"foreign-protocol", 25, ended(func(err error) bool { return errors.Is(err, ftpserver.ErrForeign) })},
	{"bytes-behind-auth", 25, ended(func(err error) bool { return errors.Is(err, ftpserver.ErrInjected) })},
	{"endless-line", 10, ended(func(err error) bool { return errors.Is(err, ftp.ErrLineEndless) })},
	{"silence", 2, ended(keyed("config.ended.login"))},
	{"login", 10, func(e event.Event) bool {
		failed, ok := e.(event.LoginFailed)
		return ok && errors.Is(failed.Cause, ftpserver.ErrLogin)
	}},
	{"handshake", 5, func(e event.Event) bool {
		failed, ok := e.(event.HandshakeFailed)
		return ok && !failed.Data && !crowded(failed.Err)
	}},
	{"data-handshake", 1, func(e event.Event) bool {
		failed, ok := e.(event.HandshakeFailed)
		return ok && failed.Data
	}},
	{"control-character", 5, refused(func(verb string, err error) bool { return errors.Is(err, ftp.ErrBadByte) })},
	{"bad-path", 1, refused(func(verb string, err error) bool {
		return errors.Is(err, vfs.ErrEscape) || errors.Is(err, vfs.ErrBadName)
	})},
	{"unknown-command", 2, refused(func(verb string, err error) bool { return verb == "" })},
	{"foreign-ticket", 5, strange("data.refused.account")},
	{"unproven-data", 2, strange("data.refused.bare", "data.refused.unexpected")},
}

type misdeed struct {
	name   string // a word in the log
	points int
	is     func(event.Event) bool
}

// ended matches sessions that ended before anybody logged in, or whose end
// is a misdeed whoever was there.
func ended(why func(error) bool) func(event.Event) bool {
	return func(e event.Event) bool {
		gone, ok := e.(event.Disconnected)
		return ok && gone.Cause != nil && why(gone.Cause)
	}
}

func refused(why func(verb string, err error) bool) func(event.Event) bool {
	return func(e event.Event) bool {
		no, ok := e.(event.CommandRefused)
		return ok && why(no.Verb, no.Cause)
	}
}

func strange(keys ...string) func(event.Event) bool {
	why := keyed(keys...)
	return func(e event.Event) bool {
		no, ok := e.(event.DataRefused)
		return ok && why(no.Cause)
	}
}

// keyed matches errors with one of these rows of the catalogue.
func keyed(keys ...string) func(error) bool {
	return func(err error) bool {
		has := keysOf(err, nil)
		return slices.ContainsFunc(keys, func(key string) bool { return has[key] })
	}
}

// crowded matches the ends of those who had to make room. They are not to
// blame: whoever opens the connections that push others out would have them
// banned.
var crowded = keyed("config.ended.crowded")

// Why a connection from a banned address is refused: for its score, or by
// the administrator, whom no setting stands behind.
var (
	errBanned       = fault.Wrap(ftpserver.ErrBanned, "console.reason.banned")
	errBannedByHand = fault.Wrap(ftpserver.ErrBanned, "console.reason.banned")
)

// scorer is the sink that bans.
type scorer struct {
	d      *Daemon
	scores *limit.Scores
	told   event.Sink // hears of bans

	// Defences that tests switch off, to see the attacks succeed.
	misdeeds []misdeed
	blame    func(event.Event) (event.Session, netip.AddrPort)
	spares   func(netip.Addr) bool
}

func newScorer(d *Daemon, told event.Sink) *scorer {
	return &scorer{d: d, scores: d.scores, told: told, misdeeds: misdeeds, blame: offender, spares: d.scores.Spares}
}

// Handle implements [event.Sink].
func (s *scorer) Handle(e event.Event) {
	for _, m := range s.misdeeds {
		if !m.is(e) {
			continue
		}
		session, peer := s.blame(e)
		span := s.scores.Add(peer.Addr(), m.points)
		if span > 0 {
			s.d.bans.addAutomatic(peer.Addr(), span)
			session.Remote = peer
			s.told.Handle(event.Banned{Session: session, Span: span, Last: m.name})
			s.d.expel(peer.Addr(), session.ID)
		}
		return
	}
}

// offender is whose doing an event is: on a data port the address that
// connected, and not the session that waits there, for anybody behind the
// same address can connect in its place.
func offender(e event.Event) (event.Session, netip.AddrPort) {
	switch e := e.(type) {
	case event.Disconnected:
		return e.Session, e.Remote
	case event.LoginFailed:
		return e.Session, e.Remote
	case event.HandshakeFailed:
		if e.Data {
			return event.Session{}, e.Remote
		}
		return e.Session, e.Remote
	case event.CommandRefused:
		return e.Session, e.Remote
	case event.DataRefused:
		return event.Session{}, e.Peer
	}
	return event.Session{}, netip.AddrPort{}
}

// expel ends the sessions of a banned address that have not logged in, and
// the one that was banned for. Others have shown whose they are: the address
// may be that of a whole office.
func (d *Daemon) expel(addr netip.Addr, id string) {
	for _, s := range d.server.Sessions() {
		at := s.Remote.Addr()
		if limit.Network(at) == limit.Network(addr) && !d.scorer.spares(at) && (s.User == "" || s.ID == id) {
			d.server.Expel(s.Number, d.text("console.reason.banned"))
		}
	}
}

const (
	banTime = 10 * time.Minute
	// mostBanTime is how long a ban may get, and the time in which one of
	// them is forgotten.
	mostBanTime = 24 * time.Hour
)

func scorePolicy(cfg *Config) limit.ScorePolicy {
	return limit.ScorePolicy{
		Limit: cfg.BanScore, Span: cmp.Or(cfg.BanTime, banTime), Most: mostBanTime, Never: cfg.NeverBan,
	}
}
