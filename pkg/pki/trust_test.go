package pki

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

const host = "files.example.org"

// meet lets a client with a policy meet a server with a certificate.
func meet(t *testing.T, p Policy, cert *tls.Certificate) error {
	t.Helper()
	if p.Host == "" {
		p.Host, p.Port = host, DefaultPort
	}
	if p.Roots == nil {
		p.Roots = x509.NewCertPool() // nobody; the system's list is no part of a test
	}
	trust, err := NewTrust(p)
	if err != nil {
		t.Fatal(err)
	}
	_, err = shake(t, serving(cert), trust.ClientConfig(nil))
	if err != nil && !errors.Is(err, ErrTrust) {
		t.Errorf("%v is not ErrTrust", err)
	}
	return err
}

func yes(Question) bool { return true }

func TestAnotherServersCertificateIsRefusedInEveryMode(t *testing.T) {
	ca := newAuthority(t)
	real, fake := selfIssued(host), selfIssued(host)
	vouched := ca.issue(anyKey(), host, nil)
	for name, c := range map[string]struct {
		policy  Policy
		genuine *tls.Certificate
		attack  *tls.Certificate
		cause   error
		key     string
	}{
		"pin":               {Policy{Pins: []Pin{PinOf(real.Leaf)}}, real, fake, ErrPin, "pki.trust.pin"},
		"pin, and a chain":  {Policy{Pins: []Pin{PinOf(real.Leaf)}, Roots: ca.pool()}, real, vouched, ErrPin, "pki.trust.pin"},
		"ask":               {Policy{Mode: Ask, Ask: yes}, real, fake, ErrKeyChanged, "pki.trust.changed"},
		"accept-new":        {Policy{Mode: AcceptNew}, real, fake, ErrKeyChanged, "pki.trust.changed"},
		"known, and chain":  {Policy{Mode: AcceptNew, Roots: ca.pool()}, real, vouched, ErrKeyChanged, "pki.trust.changed"},
		"strict, noted ca":  {Policy{Mode: Strict, Roots: ca.pool()}, vouched, fake, ErrKeyChanged, "pki.trust.lostchain"},
		"ca":                {Policy{Mode: CA, Roots: ca.pool()}, vouched, fake, ErrChain, "pki.trust.chain"},
		"ca, another name":  {Policy{Mode: CA, Roots: ca.pool()}, vouched, ca.issue(anyKey(), "evil.example", nil), ErrChain, "pki.trust.chain"},
		"ca, another's":     {Policy{Mode: CA, Roots: ca.pool()}, vouched, newAuthority(t).issue(anyKey(), host, nil), ErrChain, "pki.trust.chain"},
		"ca note, ask says": {Policy{Mode: Ask, Ask: yes, Roots: ca.pool()}, vouched, fake, ErrKeyChanged, "pki.trust.lostchain"},
	} {
		t.Run(name, func(t *testing.T) {
			// A client that remembers nothing between runs but its file.
			c.policy.KnownHosts = knownIn(t, "")
			if name == "ask" || name == "accept-new" || name == "known, and chain" {
				roots := c.policy.Roots
				c.policy.Roots = nil
				defer func() { c.policy.Roots = roots }()
			}
			if err := meet(t, c.policy, c.genuine); err != nil {
				t.Fatalf("the genuine server: %v", err)
			}
			err := meet(t, c.policy, c.attack)
			if !errors.Is(err, c.cause) {
				t.Fatalf("the attacker: %v, want %v", err, c.cause)
			}
			hasKey(t, err, c.key)

			// With the defence off the same attack succeeds.
			trust, _ := NewTrust(Policy{Host: host, Port: DefaultPort})
			config := trust.ClientConfig(nil)
			config.VerifyConnection = nil
			if _, err := shake(t, serving(c.attack), config); err != nil {
				t.Errorf("the attack is no attack: %v", err)
			}
		})
	}
}

func TestAChangedKeyIsRefusedWithFileLineAndBothPins(t *testing.T) {
	old, fresh := selfIssued(host), selfIssued(host)
	k := knownIn(t, "# mine\n\nother.example ca\n")
	p := Policy{Mode: AcceptNew, KnownHosts: k}
	if err := meet(t, p, old); err != nil {
		t.Fatal(err)
	}
	err := meet(t, p, fresh)
	for _, want := range []string{k.Path(), " 4 ", PinOf(old.Leaf).String(), PinOf(fresh.Leaf).String()} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
}

func TestFirstUseIsAskedOnceAndThenSilent(t *testing.T) {
	cert := selfIssued(host)
	asked := 0
	var question Question
	p := Policy{Mode: Ask, KnownHosts: knownIn(t, ""), Ask: func(q Question) bool {
		asked++
		question = q
		return asked > 1
	}}
	err := meet(t, p, cert)
	if !errors.Is(err, ErrDeclined) || asked != 1 {
		t.Fatalf("declined: %v, asked %d times", err, asked)
	}
	if question.Pin != PinOf(cert.Leaf) || question.Host != host || question.Chain == nil || question.Certificate.Names[0] != host {
		t.Errorf("asked %+v", question)
	}
	if _, err := os.Stat(p.KnownHosts.Path()); err == nil {
		t.Error("a declined key was kept")
	}
	for range 3 {
		if err := meet(t, p, cert); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times, want twice", asked)
	}
	p.Ask = nil
	if err := meet(t, p, cert); err != nil {
		t.Errorf("known, and nobody to ask: %v", err)
	}
}

func TestAnUnknownHostIsRefusedWhenNobodyCanBeAsked(t *testing.T) {
	cert := selfIssued(host)
	for _, mode := range []Mode{Strict, Ask} {
		err := meet(t, Policy{Mode: mode, KnownHosts: knownIn(t, "")}, cert)
		hasKey(t, err, "pki.trust.unknown")
		var unknown *UnknownHostError
		if !errors.As(err, &unknown) || !errors.Is(err, ErrUnknownHost) || unknown.Question.Pin != PinOf(cert.Leaf) {
			t.Errorf("%v: %v", mode, err)
		}
	}
}

func TestAQuestionMayBeAnsweredAfterTheHandshake(t *testing.T) {
	cert := selfIssued(host)
	for name, known := range map[string]*KnownHosts{"kept": knownIn(t, ""), "not kept": nil} {
		trust, err := NewTrust(Policy{Host: host, Port: 2121, KnownHosts: known, Roots: x509.NewCertPool()})
		if err != nil {
			t.Fatal(err)
		}
		_, err = shake(t, serving(cert), trust.ClientConfig(nil))
		var unknown *UnknownHostError
		if !errors.As(err, &unknown) {
			t.Fatal(name, err)
		}
		if err := trust.Accept(unknown.Question); err != nil {
			t.Fatal(name, err)
		}
		if _, err = shake(t, serving(cert), trust.ClientConfig(nil)); err != nil {
			t.Error(name, err)
		}
		if _, err = shake(t, serving(selfIssued(host)), trust.ClientConfig(nil)); !errors.Is(err, ErrKeyChanged) {
			t.Errorf("%s: another key after that: %v", name, err)
		}
	}
}

func TestTheSameKeyPassesInANewCertificateAndAfterItsDates(t *testing.T) {
	key := anyKey()
	first := (*authority)(nil).issue(key, host, nil)
	renewed := (*authority)(nil).issue(key, "renamed.example.org", nil)
	expired := (*authority)(nil).issue(key, host, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	})
	for name, p := range map[string]Policy{
		"pin":   {Pins: []Pin{pinNumber(1), PinOf(first.Leaf)}},
		"known": {Mode: AcceptNew, KnownHosts: knownIn(t, "")},
	} {
		for _, cert := range []*tls.Certificate{first, renewed, expired} {
			if err := meet(t, p, cert); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestAHostThatCameWithAChainIsNotedAndMustKeepOne(t *testing.T) {
	ca := newAuthority(t)
	k := knownIn(t, "")
	asked := false
	p := Policy{Mode: Ask, KnownHosts: k, Roots: ca.pool(), Ask: func(Question) bool { asked = true; return true }}
	// With a valid chain nothing is asked, and the authority may change the key.
	for range 2 {
		if err := meet(t, p, ca.issue(anyKey(), host, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if got := readFile(t, k.Path()); got != host+" ca\n" {
		t.Errorf("noted %q", got)
	}
	for name, cert := range map[string]*tls.Certificate{
		"self-signed":  selfIssued(host),
		"another name": ca.issue(anyKey(), "evil.example", nil),
		"expired": ca.issue(anyKey(), host, func(c *x509.Certificate) {
			c.NotAfter = time.Now().Add(-time.Minute)
		}),
	} {
		err := meet(t, p, cert)
		if !errors.Is(err, ErrKeyChanged) {
			t.Errorf("%s: %v", name, err)
		}
		hasKey(t, err, "pki.trust.lostchain")
	}
	if asked {
		t.Error("a person was asked")
	}
}

func TestUnderCAAKnownKeyIsNotEnough(t *testing.T) {
	ca := newAuthority(t)
	self := selfIssued(host)
	p := Policy{Mode: AcceptNew, KnownHosts: knownIn(t, "")}
	if err := meet(t, p, self); err != nil {
		t.Fatal(err)
	}
	p.Mode, p.Roots = CA, ca.pool()
	if err := meet(t, p, self); !errors.Is(err, ErrChain) {
		t.Errorf("self-signed but known: %v", err)
	}
	before := readFile(t, p.KnownHosts.Path())
	if err := meet(t, p, ca.issue(anyKey(), host, nil)); err != nil {
		t.Errorf("with a chain: %v", err)
	}
	if readFile(t, p.KnownHosts.Path()) != before {
		t.Error("a pinned host was noted otherwise")
	}
}

func TestACertificatesFingerprintGivenAsAPinIsNamed(t *testing.T) {
	cert := selfIssued(host)
	err := meet(t, Policy{Pins: []Pin{sha256.Sum256(cert.Leaf.Raw)}}, cert)
	hasKey(t, err, "pki.trust.pinwhole")
	if !errors.Is(err, ErrPin) {
		t.Error(err)
	}
}

func TestADataConnectionMustShowTheControlsKey(t *testing.T) {
	ca := newAuthority(t)
	key := anyKey()
	control := ca.issue(key, host, nil)
	start := func(t *testing.T) *tls.Config {
		trust, err := NewTrust(Policy{Host: host, Port: DefaultPort, Roots: ca.pool()})
		if err != nil {
			t.Fatal(err)
		}
		client := trust.ClientConfig(nil)
		if _, err := shake(t, serving(control), client); err != nil {
			t.Fatal(err)
		}
		return client
	}
	t.Run("another key, though it has a chain", func(t *testing.T) {
		client := start(t)
		_, err := shake(t, serving(ca.issue(anyKey(), host, nil)), client)
		if !errors.Is(err, ErrDataKey) || !errors.Is(err, ErrTrust) {
			t.Errorf("%v, want ErrDataKey", err)
		}
		hasKey(t, err, "pki.trust.data")
		// Without the coupling the chain alone would let it pass.
		client.InsecureSkipVerify, client.VerifyConnection, client.RootCAs = false, nil, ca.pool()
		if _, err := shake(t, serving(ca.issue(anyKey(), host, nil)), client); err != nil {
			t.Errorf("the attack is no attack: %v", err)
		}
	})
	t.Run("the control's key in another certificate", func(t *testing.T) {
		if _, err := shake(t, serving((*authority)(nil).issue(key, "x.example", nil)), start(t)); err != nil {
			t.Error(err)
		}
	})
	t.Run("the next control connection decides anew", func(t *testing.T) {
		start(t)
		if err := meet(t, Policy{Roots: ca.pool()}, ca.issue(anyKey(), host, nil)); err != nil {
			t.Error(err)
		}
	})
}

func TestAResumedSessionIsVerifiedToo(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cert := selfIssued(host)
		server := serving(cert)
		server.MaxVersion = version
		cache := tls.NewLRUClientSessionCache(1)
		resume := func(pin Pin) (bool, error) {
			trust, err := NewTrust(Policy{Host: host, Port: DefaultPort, Pins: []Pin{pin}})
			if err != nil {
				t.Fatal(err)
			}
			state, err := shake(t, server, trust.ClientConfig(&tls.Config{ClientSessionCache: cache}))
			return state.DidResume, err
		}
		if _, err := resume(PinOf(cert.Leaf)); err != nil {
			t.Fatal(err)
		}
		if resumed, err := resume(PinOf(cert.Leaf)); err != nil || !resumed {
			t.Errorf("resumed %v, %v", resumed, err)
		}
		// The same cache under a policy that pins another key.
		if _, err := resume(pinNumber(1)); !errors.Is(err, ErrPin) {
			t.Errorf("a resumed session passed a pin that is not its server's: %v", err)
		}
		// A control connection and its resumed data connection.
		trust, _ := NewTrust(Policy{Host: host, Port: DefaultPort, Mode: AcceptNew, Roots: x509.NewCertPool()})
		client := trust.ClientConfig(&tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(1)})
		for i := range 2 {
			state, err := shake(t, server, client)
			if err != nil || state.DidResume != (i == 1) {
				t.Errorf("connection %d: resumed %v, %v", i, state.DidResume, err)
			}
		}
	}
}

func TestAFileThatCannotBeWrittenIsToldAndDoesNotRefuse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var told []error
	p := Policy{Mode: AcceptNew, Host: host, Port: DefaultPort, Roots: x509.NewCertPool(),
		KnownHosts: OpenKnownHosts(dir + "/known_hosts"), Warn: func(err error) { told = append(told, err) }}
	// The lock's name is taken by a folder, so nothing can be written.
	if err := os.Mkdir(dir+"/known_hosts.lock", 0o700); err != nil {
		t.Fatal(err)
	}
	trust, err := NewTrust(p)
	if err != nil {
		t.Fatal(err)
	}
	cert := selfIssued(host)
	if _, err := shake(t, serving(cert), trust.ClientConfig(nil)); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 {
		t.Fatalf("told %v", told)
	}
	hasKey(t, told[0], "pki.known.notkept")
	if _, err := shake(t, serving(cert), trust.ClientConfig(nil)); err != nil || len(told) != 1 {
		t.Errorf("again in this run: %v, told %d times", err, len(told))
	}
	if _, err := shake(t, serving(selfIssued(host)), trust.ClientConfig(nil)); !errors.Is(err, ErrKeyChanged) {
		t.Errorf("another key in this run: %v", err)
	}
}

func TestAKnownHostsLineThatCannotBeReadRefusesItsHost(t *testing.T) {
	p := Policy{Mode: AcceptNew, KnownHosts: knownIn(t, host+" sha256//damaged\n")}
	err := meet(t, p, selfIssued(host))
	hasKey(t, err, "pki.trust.known")
	p.Host, p.Port = "other.example", DefaultPort
	if err := meet(t, p, selfIssued("other.example")); err != nil {
		t.Errorf("another host: %v", err)
	}
}

func TestModesAreSpelledAsOnTheCommandLine(t *testing.T) {
	for s, want := range map[string]Mode{"ask": Ask, "accept-new": AcceptNew, "Strict": Strict, "ca": CA} {
		if got, err := ParseMode(s); err != nil || got != want {
			t.Errorf("ParseMode(%q) = %v, %v", s, got, err)
		}
	}
	_, err := ParseMode("yolo")
	hasKey(t, err, "pki.trust.mode")
}
