// Package event says what happened on a server, as small structs, and names
// the one-method [Sink] that listens.
//
// The protocol engine emits events and neither logs nor counts; the log, the
// metrics, the failed-login limiter and the administrator's console are
// sinks. No event has a field for a password, so none can be logged.
package event

import (
	"net/netip"
	"time"
)

// Sink receives events. Handle is called from many goroutines, often on the
// path of a reply: it must not block and must not keep the session waiting; only where what an
// audit needs would be lost may it wait for some seconds.
type Sink interface {
	Handle(Event)
}

// Event is one of the structs below.
type Event interface {
	event()
}

// Session says which session an event belongs to.
type Session struct {
	ID     string         // the log id, random, on every log line
	Number int            // the small number that list shows, from 0
	Remote netip.AddrPort // the client's control address
	User   string         // the account after login, else empty
}

// Connected: a control connection was accepted. Refused is why it is told 421
// and no more, nil for one that is served.
type Connected struct {
	Session
	Refused error
}

// Secured: the control connection's TLS handshake succeeded.
type Secured struct {
	Session
	Version uint16 // crypto/tls version number
	Cipher  uint16 // crypto/tls cipher suite number
	Resumed bool   // an earlier session of TLS
}

// HandshakeFailed: a TLS handshake did not succeed. Data says on which kind
// of connection.
type HandshakeFailed struct {
	Session
	Data bool
	Err  error
}

// LoggedIn: an account logged in.
type LoggedIn struct{ Session }

// LoginFailed: a login was refused. Name is what the client called itself.
type LoginFailed struct {
	Session
	Name  string
	Cause error
}

// FolderChanged: the working folder changed.
type FolderChanged struct {
	Session
	Folder string
}

// CommandRefused: a command got a 4yz or 5yz reply.
type CommandRefused struct {
	Session
	Verb  string // from the table, or "" for an unknown verb
	Code  int
	Cause error // what the client was not told, or nil
}

// Line: a line of the dialogue, told only while somebody traces it. What
// might hold a secret is masked.
type Line struct {
	Session
	Sent bool // by the server
	Text string
}

// Direction of a transfer, seen from the server.
type Direction uint8

// The directions.
const (
	Download Direction = iota // RETR
	Upload                    // STOR, APPE, STOU
	Listing                   // LIST, NLST, MLSD
)

// String returns "download", "upload" or "listing".
func (d Direction) String() string {
	switch d {
	case Upload:
		return "upload"
	case Listing:
		return "listing"
	}
	return "download"
}

// DataRefused: a data connection came that may not carry the transfer.
type DataRefused struct {
	Session
	Peer  netip.AddrPort
	Cause error
}

// TransferStarted: the 150 was sent.
type TransferStarted struct {
	Session
	Direction Direction
	Verb      string
	Name      string // rooted path in the user's tree
}

// TransferDone: a transfer has its verdict. Code is the final reply's.
type TransferDone struct {
	Session
	Direction Direction
	Verb      string
	Name      string
	Bytes     int64
	Offset    int64
	ASCII     bool // TYPE A
	Duration  time.Duration
	Code      int
	Bound     string // how the data connection was bound: session, account, none
	Cause     error  // nil for a whole transfer
}

// Changed: the tree was changed by a command other than an upload.
type Changed struct {
	Session
	Verb string
	Name string
	To   string // RNTO's new name, else empty
}

// Kicked: the administrator, or a change of the account, ended the session.
type Kicked struct {
	Session
	Reason string
}

// Banned: what an address did added up to a ban. Remote is the address, with
// the port from which it did the last of it; ID is empty where that was on a
// data port.
type Banned struct {
	Session
	Span time.Duration
	Last string // the misdeed that filled the score
}

// Disconnected: the control connection is gone.
type Disconnected struct {
	Session
	Duration time.Duration
	Cause    error // nil after QUIT
}

// TurnedAway: connections were not admitted, and ended before they were
// sessions. Remote is the last of them.
type TurnedAway struct {
	Remote netip.AddrPort
	Number int64
	Cause  error
}

// Trouble: something went wrong that belongs to no reply, such as an Accept
// that failed for lack of descriptors.
type Trouble struct {
	Where string
	Err   error
}

func (Connected) event()       {}
func (Secured) event()         {}
func (HandshakeFailed) event() {}
func (LoggedIn) event()        {}
func (LoginFailed) event()     {}
func (FolderChanged) event()   {}
func (CommandRefused) event()  {}
func (DataRefused) event()     {}
func (Line) event()            {}
func (TransferStarted) event() {}
func (TransferDone) event()    {}
func (Changed) event()         {}
func (Kicked) event()          {}
func (Banned) event()          {}
func (Disconnected) event()    {}
func (TurnedAway) event()      {}
func (Trouble) event()         {}

// Sinks hands each event to every sink in turn.
type Sinks []Sink

// Handle implements [Sink].
func (s Sinks) Handle(e Event) {
	for _, sink := range s {
		sink.Handle(e)
	}
}

// Func is a function as a [Sink].
type Func func(Event)

// Handle implements [Sink].
func (f Func) Handle(e Event) { f(e) }

// Discard is the sink that listens to nothing.
var Discard Sink = Func(func(Event) {})
