package ftpclient

import (
	"bytes"
	"crypto/tls"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// sessions is the TLS session cache of one control connection. crypto/tls
// finds sessions by server name, which control and data connections share
// here, so it needs to hold one. A cache shared among control connections
// would resume another one's session, and strict servers refuse that.
type sessions struct {
	mu     sync.Mutex
	latest *tls.ClientSessionState
}

func (s *sessions) Get(string) (*tls.ClientSessionState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest, s.latest != nil
}

func (s *sessions) Put(_ string, session *tls.ClientSessionState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest = session
}

// dataSessions resumes what the control connection has and keeps nothing
// that a data connection brings: its tickets descend from the control's, but
// servers want the control's own.
type dataSessions struct{ *sessions }

func (dataSessions) Put(string, *tls.ClientSessionState) {}

// tlsConfigs returns the configurations of the control connection and of its
// data connections; the second is complete once the control's key is known.
func tlsConfigs(base *tls.Config, serverName string) (control, data *tls.Config) {
	if base == nil {
		base = &tls.Config{}
	}
	cache := &sessions{}
	control = base.Clone()
	control.ServerName = serverName
	control.ClientSessionCache = cache
	if control.MinVersion < tls.VersionTLS12 {
		control.MinVersion = tls.VersionTLS12
	}
	if control.NextProtos == nil {
		control.NextProtos = []string{"ftp"}
	}
	data = control.Clone()
	data.ClientSessionCache = dataSessions{cache}
	if base.NextProtos == nil {
		// "ftp" too, for servers that know that name alone and use one
		// configuration for both kinds of connection.
		data.NextProtos = []string{"ftp-data", "ftp"}
	}
	return control, data
}

// sameKey makes a VerifyConnection that wants the key of the control
// connection, which the caller's own rule has accepted. VerifyConnection
// runs on resumed connections as well; VerifyPeerCertificate would not. other
// notes a mismatch: crypto/tls may return the end of its context instead.
func sameKey(control tls.ConnectionState, other *atomic.Bool) func(tls.ConnectionState) error {
	var key []byte
	if len(control.PeerCertificates) > 0 {
		key = control.PeerCertificates[0].RawSubjectPublicKeyInfo
	}
	return func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 || !bytes.Equal(cs.PeerCertificates[0].RawSubjectPublicKeyInfo, key) {
			other.Store(true)
			return ErrOtherKey
		}
		return nil
	}
}

// expiredToo has a session resumed also where the dates of its certificate
// are over. Whether they matter is for the caller's VerifyConnection to say,
// which may know the server by its key alone; but crypto/tls drops such
// sessions by itself, and a server that wants them resumed would refuse every
// transfer. So after the control connection's handshake the clock of both
// configurations goes after by as much as the certificate is late.
//
// Without InsecureSkipVerify crypto/tls judges the dates, by the same clock,
// and that stays.
func expiredToo(control, data *tls.Config) (after func(tls.ConnectionState)) {
	if !control.InsecureSkipVerify || control.Time != nil {
		return func(tls.ConnectionState) {}
	}
	var late atomic.Int64
	clock := func() time.Time { return time.Now().Add(-time.Duration(late.Load())) }
	control.Time, data.Time = clock, clock
	return func(state tls.ConnectionState) {
		if len(state.PeerCertificates) == 0 {
			return
		}
		if over := time.Since(state.PeerCertificates[0].NotAfter); over > 0 {
			late.Store(int64(over + time.Hour))
		}
	}
}

// settled narrows what a data connection's hello offers to what the server
// has chosen for the control connection. A hello brings a key for each group
// that it expects to be taken, and a group that was not guessed costs a round
// trip more (RFC 8446 §4.1.4), so that what is not used would be paid for with
// every file. Nothing is lost by it: the same server had the whole choice just
// before. One that chose a hybrid keeps the choice, for a data connection that
// does not resume has no other exchange to lean on.
func settled(data *tls.Config, control tls.ConnectionState) {
	if control.Version == tls.VersionTLS12 {
		data.MaxVersion = tls.VersionTLS12 // whose hello brings no keys
	}
	if data.CurvePreferences != nil {
		return
	}
	// In the order in which crypto/tls prefers them: it brings a key for the
	// first.
	groups := []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	if i := slices.Index(groups, control.CurveID); i >= 0 {
		data.CurvePreferences = groups[i:]
	}
}
