package pki

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"sync"

	"ftps/pkg/fault"
)

// Mode says what becomes of a host that nobody vouches for.
type Mode uint8

// The modes.
const (
	Ask       Mode = iota // a person decides
	AcceptNew             // the first key is taken; a changed one is refused
	Strict                // refused
	CA                    // a valid chain is demanded of every host, known or not
)

// ParseMode reads a mode as --trust spells it.
func ParseMode(s string) (Mode, error) {
	for m := Ask; m <= CA; m++ {
		if strings.EqualFold(s, m.String()) {
			return m, nil
		}
	}
	return Ask, fault.New("pki.trust.mode", shorten(s))
}

// String returns the mode as --trust spells it.
func (m Mode) String() string {
	return [...]string{"ask", "accept-new", "strict", "ca"}[m]
}

// Policy says whom a client trusts. What decides, in this order:
//
//  1. Pins. If there are any they alone decide.
//  2. KnownHosts. A host that is in it must show one of its keys, or a valid
//     chain if it is noted as "ca".
//  3. A valid chain for the host's name; the host is then noted as "ca".
//  4. Mode; a key that is accepted is noted.
//
// Under the mode [CA] a valid chain is needed and is enough, whatever
// KnownHosts says; only pins stand above it.
//
// A key that is pinned or known passes in any certificate, also in one whose
// dates are over or that bears another name: the key is the identity, and its
// certificate is only how it is carried.
type Policy struct {
	Host string // as the person typed it; the chain must be for this name
	Port int

	Pins       []Pin
	Mode       Mode
	KnownHosts *KnownHosts    // nil: nothing is known and nothing is kept
	Roots      *x509.CertPool // nil: the system's

	// Ask puts a question to a person and is called within the handshake, so
	// that a peer may lose patience meanwhile. Where Ask is nil the handshake
	// fails with an [*UnknownHostError]; the caller may ask then, call
	// [Trust.Accept] and connect again.
	Ask func(Question) bool
	// Warn hears what did not keep a host from being trusted, such as a
	// known_hosts that cannot be written. It may be nil.
	Warn func(error)
}

// Basis is what made a policy trust a host.
type Basis uint8

// The bases.
const (
	Untrusted   Basis = iota // nothing did
	ByPin                    // one of Policy.Pins
	ByKnownHost              // known_hosts has the key
	ByChain                  // a valid chain, whether or not known_hosts asks for one
	ByFirstUse               // nobody vouches for it; the mode, or a person, took its key
)

// Question is what a person is asked about a host that is not known.
type Question struct {
	Host        string // as known_hosts would have it
	Pin         Pin
	Certificate Description
	Chain       error // why its chain does not vouch for it
}

// Message returns the key and the arguments of the question's row.
func (q Question) Message() (key string, args []any) {
	return "pki.trust.ask", []any{q.Host, q.Pin.String(), q.Certificate.Subject,
		strings.Join(q.Certificate.Names, ", "), day(q.Certificate.NotAfter), q.Chain}
}

// UnknownHostError is the refusal of a host that nobody vouches for.
type UnknownHostError struct{ Question Question }

// Error implements error, for logs.
func (e *UnknownHostError) Error() string { return ErrUnknownHost.Error() + " " + e.Question.Host }

// Unwrap makes it an [ErrUnknownHost].
func (e *UnknownHostError) Unwrap() error { return ErrUnknownHost }

// Trust applies a policy to any number of connections to its host, at the same
// time if need be: a person is asked once.
type Trust struct {
	policy Policy
	host   string // as in known_hosts

	mu     sync.Mutex // one decision at a time
	memory Known      // what was learnt in this run, should the file not hold it
	basis  Basis      // of the latest decision
	met    bool       // a key was taken in this run
}

// NewTrust returns the policy at work.
func NewTrust(p Policy) (*Trust, error) {
	host, err := HostKey(p.Host, p.Port)
	if err != nil {
		return nil, err
	}
	return &Trust{policy: p, host: host}, nil
}

// ClientConfig returns a copy of base (which may be nil) for one control
// connection and its data connections: see [Trust.VerifyConnection].
func (t *Trust) ClientConfig(base *tls.Config) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if base != nil {
		config = base.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = t.name()
	}
	config.InsecureSkipVerify = true // VerifyConnection decides
	config.VerifyConnection = t.VerifyConnection()
	return config
}

// VerifyConnection returns a function for tls.Config, together with
// InsecureSkipVerify. Each control connection needs one of its own, and shares
// it with its data connections: the first handshake that passes is the
// control's, and every later one must show the same key. (Not
// VerifyPeerCertificate: crypto/tls does not call that on a resumed session,
// which would then pass unseen.) A resumed session carries the certificate of
// the handshake that it stems from and so passes if that was the control's.
//
// Its errors are faults whose cause is an [ErrTrust].
func (t *Trust) VerifyConnection() func(tls.ConnectionState) error {
	var mu sync.Mutex
	var control *Pin
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return fault.Wrap(ErrNoCertificate, "pki.trust.nothing", t.host)
		}
		pin := PinOf(state.PeerCertificates[0])
		mu.Lock()
		defer mu.Unlock()
		if control == nil {
			if err := t.decide(state.PeerCertificates); err != nil {
				return err
			}
			control = &pin
			return nil
		}
		if pin != *control {
			return fault.Wrap(ErrDataKey, "pki.trust.data", t.host, control.String(), pin.String())
		}
		return nil
	}
}

// Accept notes the key of an [UnknownHostError] that a person has accepted.
func (t *Trust) Accept(q Question) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.learnPin(q.Pin)
}

// Basis tells why the host was trusted when it was last met.
func (t *Trust) Basis() Basis {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.basis
}

// Chain returns nil if a certificate (the first of certs, the others being
// those between it and an authority) is valid for the host, now, and leads to
// an authority; else a fault that says why not. It decides nothing.
func (t *Trust) Chain(certs []*x509.Certificate) error { return t.chain(certs) }

func (t *Trust) decide(certs []*x509.Certificate) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	basis, err := t.weigh(certs)
	if err != nil {
		basis = Untrusted
	}
	t.basis = basis
	return err
}

// weigh is the order of Policy's comment.
func (t *Trust) weigh(certs []*x509.Certificate) (Basis, error) {
	p, pin := &t.policy, PinOf(certs[0])

	if len(p.Pins) > 0 {
		return ByPin, t.pinned(certs[0])
	}
	if p.Mode == CA {
		if err := t.chain(certs); err != nil {
			return Untrusted, fault.Wrap(trustError{ErrChain, err}, "pki.trust.chain", t.host, err)
		}
		if known, err := t.known(); err != nil {
			t.warn(err)
		} else if !known.CA && len(known.Pins) == 0 {
			return ByChain, t.learnCA()
		}
		return ByChain, nil
	}
	known, err := t.known()
	if err != nil {
		return Untrusted, fault.Wrap(trustError{ErrTrust, err}, "pki.trust.known", t.host, err)
	}
	if slices.Contains(known.Pins, pin) {
		if t.met {
			return ByFirstUse, nil
		}
		return ByKnownHost, nil
	}
	chain := t.chain(certs)
	switch {
	case known.CA && chain == nil:
		return ByChain, nil
	case known.CA && len(known.Pins) == 0:
		return Untrusted, fault.Wrap(trustError{ErrKeyChanged, chain}, "pki.trust.lostchain", t.host, t.where(), known.Line, pin.String(), chain)
	case len(known.Pins) > 0:
		return Untrusted, fault.Wrap(ErrKeyChanged, "pki.trust.changed", t.host, t.where(), known.Line, join(known.Pins), pin.String())
	case chain == nil:
		return ByChain, t.learnCA()
	}
	return ByFirstUse, t.firstUse(certs[0], chain)
}

// pinned lets a pinned key pass, and nothing else.
func (t *Trust) pinned(leaf *x509.Certificate) error {
	pin := PinOf(leaf)
	if slices.Contains(t.policy.Pins, pin) {
		return nil
	}
	if slices.Contains(t.policy.Pins, sha256.Sum256(leaf.Raw)) {
		return fault.Wrap(ErrPin, "pki.trust.pinwhole", t.host, pin.String())
	}
	return fault.Wrap(ErrPin, "pki.trust.pin", t.host, join(t.policy.Pins), pin.String())
}

func (t *Trust) firstUse(leaf *x509.Certificate, chain error) error {
	pin := PinOf(leaf)
	q := Question{Host: t.host, Pin: pin, Certificate: Describe(leaf), Chain: chain}
	switch {
	case t.policy.Mode == AcceptNew:
	case t.policy.Mode == Ask && t.policy.Ask != nil:
		if !t.policy.Ask(q) {
			return fault.Wrap(ErrDeclined, "pki.trust.declined", t.host)
		}
	default:
		return fault.Wrap(&UnknownHostError{q}, "pki.trust.unknown", t.host, pin.String(), chain)
	}
	return t.learnPin(pin)
}

// known merges the file and this run's memory.
func (t *Trust) known() (Known, error) {
	known := Known{}
	if t.policy.KnownHosts != nil {
		var err error
		if known, err = t.policy.KnownHosts.Lookup(t.policy.Host, t.policy.Port); err != nil {
			return Known{}, err
		}
	}
	if known.Line == 0 {
		return t.memory, nil
	}
	return known, nil
}

func (t *Trust) learnPin(pin Pin) error {
	t.met = true
	return t.learn(Known{Pins: []Pin{pin}}, func(k *KnownHosts) error {
		return k.LearnPin(t.policy.Host, t.policy.Port, pin)
	})
}

func (t *Trust) learnCA() error {
	return t.learn(Known{CA: true}, func(k *KnownHosts) error {
		return k.LearnCA(t.policy.Host, t.policy.Port)
	})
}

// learn keeps what was decided. A file that cannot be written is no reason to
// turn a trusted host away; it is told, and remembered for this run. That the
// host became known otherwise meanwhile is one.
func (t *Trust) learn(what Known, write func(*KnownHosts) error) error {
	if t.policy.KnownHosts != nil {
		err := write(t.policy.KnownHosts)
		if errors.Is(err, ErrKeyChanged) {
			return err
		}
		if err != nil {
			t.warn(fault.Wrap(err, "pki.known.notkept", t.host, err))
		}
	}
	t.memory = what
	return nil
}

func (t *Trust) warn(err error) {
	if t.policy.Warn != nil {
		t.policy.Warn(err)
	}
}

func (t *Trust) where() string {
	if t.policy.KnownHosts != nil {
		return t.policy.KnownHosts.Path()
	}
	return "-"
}

// name is the host as TLS and certificates have it.
func (t *Trust) name() string {
	name := strings.TrimSuffix(strings.Trim(t.policy.Host, "[]"), ".")
	name, _, _ = strings.Cut(name, "%") // an IPv6 zone is this machine's own
	return name
}

// chain returns nil if the certificate is valid for the host, now, and leads
// to an authority.
func (t *Trust) chain(certs []*x509.Certificate) error {
	between := x509.NewCertPool()
	for _, cert := range certs[1:] {
		between.AddCert(cert)
	}
	_, err := certs[0].Verify(x509.VerifyOptions{
		DNSName:       t.name(),
		Roots:         t.policy.Roots,
		Intermediates: between,
	})
	return chainFault(err)
}

// chainFault puts crypto/x509's reasons into the catalogue's words.
func chainFault(err error) error {
	var (
		name    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		system  x509.SystemRootsError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &name):
		return fault.Wrap(err, "pki.chain.name", printable(name.Host))
	case errors.As(err, &unknown):
		return fault.Wrap(err, "pki.chain.unknown")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fault.Wrap(err, "pki.chain.dates", day(invalid.Cert.NotBefore), day(invalid.Cert.NotAfter))
	case errors.As(err, &system):
		return fault.Wrap(err, "pki.chain.system")
	}
	return fault.Wrap(err, "pki.chain.other", printable(err.Error()))
}

// trustError is a kind of refusal together with what led to it.
type trustError struct{ kind, cause error }

func (e trustError) Error() string   { return e.kind.Error() + ": " + e.cause.Error() }
func (e trustError) Unwrap() []error { return []error{e.kind, e.cause} }

func join(pins []Pin) string {
	texts := make([]string, len(pins))
	for i, p := range pins {
		texts[i] = p.String()
	}
	return strings.Join(texts, ", ")
}
