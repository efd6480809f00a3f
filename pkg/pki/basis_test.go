package pki

import (
	"crypto/x509"
	"testing"
)

func TestABasisSaysWhyAHostIsTrusted(t *testing.T) {
	ca := newAuthority(t)
	own, vouched := selfIssued(host), ca.issue(anyKey(), host, nil)
	known := knownIn(t, host+" "+PinOf(own.Leaf).String()+"\n")
	for name, c := range map[string]struct {
		policy Policy
		want   Basis
		chain  bool
	}{
		"pin":              {Policy{Pins: []Pin{PinOf(own.Leaf)}}, ByPin, false},
		"another pin":      {Policy{Pins: []Pin{PinOf(vouched.Leaf)}}, Untrusted, false},
		"known":            {Policy{KnownHosts: known}, ByKnownHost, false},
		"first use":        {Policy{Mode: AcceptNew, KnownHosts: knownIn(t, "")}, ByFirstUse, false},
		"a person says so": {Policy{Mode: Ask, Ask: yes}, ByFirstUse, false},
		"nobody":           {Policy{Mode: Strict}, Untrusted, false},
		"chain":            {Policy{Mode: Strict, Roots: ca.pool()}, ByChain, true},
		"ca":               {Policy{Mode: CA, Roots: ca.pool()}, ByChain, true},
		"noted as ca":      {Policy{Roots: ca.pool(), KnownHosts: knownIn(t, host+" ca\n")}, ByChain, true},
	} {
		cert := own
		if c.chain {
			cert = vouched
		}
		c.policy.Host, c.policy.Port = host, DefaultPort
		if c.policy.Roots == nil {
			c.policy.Roots = newAuthority(t).pool()
		}
		trust, err := NewTrust(c.policy)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second connection knows no other reason than the first
			shake(t, serving(cert), trust.ClientConfig(nil))
			if got := trust.Basis(); got != c.want {
				t.Errorf("%s: basis %d, want %d", name, got, c.want)
			}
		}
		if err := trust.Chain([]*x509.Certificate{cert.Leaf}); (err == nil) != c.chain {
			t.Errorf("%s: chain: %v", name, err)
		}
	}
}
