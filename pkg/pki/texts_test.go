package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ftps/pkg/catalog"
	"ftps/pkg/fault"
	"ftps/pkg/pki"
)

// state is what a client sees of a server with a certificate.
func state(cert *tls.Certificate) tls.ConnectionState {
	return tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert.Leaf}}
}

func TestEveryKeyHasASentence(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range regexp.MustCompile(`"(pki\.[a-z.]+)"`).FindAllStringSubmatch(string(text), -1) {
			found++
			if _, ok := catalog.Lookup(key[1]); !ok {
				t.Errorf("%s: no row %s", file, key[1])
			}
		}
	}
	if found < 30 {
		t.Errorf("found %d keys only", found)
	}
}

func TestRefusalsReadWellInBothLanguages(t *testing.T) {
	first, err := pki.MakeTemporary("files.example.org")
	if err != nil {
		t.Fatal(err)
	}
	second, err := pki.MakeTemporary("other.example.org")
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, []byte("noted.example.org ca\nfiles.example.org "+pki.PinOf(first.Leaf).String()+"\nbad.example.org x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refusal := func(host string, p pki.Policy) error {
		p.Host, p.Port, p.KnownHosts = host, pki.DefaultPort, pki.OpenKnownHosts(known)
		trust, err := pki.NewTrust(p)
		if err != nil {
			return err
		}
		return trust.VerifyConnection()(state(second))
	}
	_, badPin := pki.ParsePin("100% wrong")
	_, missing := pki.LoadPair(pki.Files{Cert: "no.crt", Key: "no.key"})
	_, made := pki.Make(pki.MakeOptions{Files: pki.Files{Cert: "a", Key: "b"}, Names: []string{"no name"}})
	unknown := refusal("new.example.org", pki.Policy{Mode: pki.Strict})
	var asked *pki.UnknownHostError
	if !errors.As(unknown, &asked) {
		t.Fatal(unknown)
	}
	key, args := asked.Question.Message()
	received := pki.PinOf(second.Leaf).String()
	for name, c := range map[string]struct {
		err  error
		says []string
	}{
		"changed":   {refusal("files.example.org", pki.Policy{}), []string{known, "2", pki.PinOf(first.Leaf).String(), received}},
		"lostchain": {refusal("noted.example.org", pki.Policy{}), []string{known, "1", received, "--ca", "noted.example.org"}},
		"unknown":   {unknown, []string{received, "--pin", "--trust accept-new"}},
		"question":  {fault.New(key, args...), []string{received, "other.example.org", "new.example.org"}},
		"ca":        {refusal("new.example.org", pki.Policy{Mode: pki.CA}), []string{"--ca", "--pin"}},
		"pin":       {refusal("new.example.org", pki.Policy{Pins: []pki.Pin{{1}}}), []string{received, pki.Pin{1}.String()}},
		"bad line":  {refusal("bad.example.org", pki.Policy{}), []string{known, "3", `"x"`}},
		"bad host":  {refusal("a b", pki.Policy{}), []string{`"a b"`}},
		"bad pin":   {badPin, []string{"100% wrong", "ftps cert show"}},
		"missing":   {missing, []string{"no.crt"}},
		"name":      {made, []string{`"no name"`}},
	} {
		for _, lang := range catalog.Languages {
			text := catalog.Explain(lang, c.err)
			if strings.Contains(text, "%!") || strings.Contains(text, "pki.") {
				t.Errorf("%s in %v: %s", name, lang, text)
			}
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("%s in %v does not say %q: %s", name, lang, want, text)
				}
			}
		}
	}
}
