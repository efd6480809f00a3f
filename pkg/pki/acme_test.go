package pki

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/acme"
)

// issuing is an issuer whose authority the test is, and a keeper that has a
// pair of files beside it.
func issuing(t *testing.T, o IssuerOptions) (*Issuer, *Keeper) {
	t.Helper()
	if o.Cache == "" {
		o.Cache = filepath.Join(t.TempDir(), "acme")
	}
	issuer, err := NewIssuer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(issuer.stop)
	files := pairIn(t)
	write(t, files, selfIssued("localhost"))
	k, err := NewKeeper(KeeperOptions{Files: []Files{files}, Issuer: issuer})
	if err != nil {
		t.Fatal(err)
	}
	return issuer, k
}

// bundle is a key and a certificate as they lie in the cache.
func bundle(cert *tls.Certificate) []byte {
	var b bytes.Buffer
	pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(cert.PrivateKey))})
	pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	return b.Bytes()
}

func shown(t *testing.T, k *Keeper, name string) *x509.Certificate {
	t.Helper()
	state, err := shake(t, &tls.Config{GetCertificate: k.GetCertificate}, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	return state.PeerCertificates[0]
}

func TestWhatIsIssuedIsShownFromThatMomentOn(t *testing.T) {
	ca := newAuthority(t)
	var loaded []*Pair
	issuer, k := issuing(t, IssuerOptions{Domains: []string{"ftp.example.com"}, Loaded: func(p *Pair) { loaded = append(loaded, p) }})
	if got := shown(t, k, "ftp.example.com"); got.DNSNames[0] != "localhost" {
		t.Errorf("before the first is issued: %v", got.DNSNames)
	}
	key := anyKey()
	for n := range 3 {
		next := ca.issue(key, "ftp.example.com", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Duration(n+1) * time.Hour) })
		if err := issuer.manager.Cache.Put(t.Context(), "ftp.example.com", bundle(next)); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"ftp.example.com", "", "elsewhere.example.com"} {
			if got := shown(t, k, name); !got.Equal(next.Leaf) {
				t.Errorf("%d, asked for %q: %v", n, name, got.DNSNames)
			}
		}
		if len(loaded) != n+1 || !loaded[n].Issued {
			t.Errorf("told of %d", len(loaded))
		}
	}
	if got := shown(t, k, "localhost"); got.DNSNames[0] != "localhost" {
		t.Errorf("the files' own name: %v", got.DNSNames)
	}
	if got := k.Pairs()[0]; got.Pin != PinOf(loaded[2].TLS.Leaf) {
		t.Error("the pin is not that of what is issued")
	}

	// Another start takes it from the cache, which is nobody else's to read.
	if info, err := os.Stat(issuer.opt.Cache); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	_, again := issuing(t, IssuerOptions{Domains: []string{"ftp.example.com"}, Cache: issuer.opt.Cache})
	if got := shown(t, again, ""); !got.Equal(loaded[2].TLS.Leaf) {
		t.Errorf("after a start: %v", got.DNSNames)
	}
}

func TestNothingOfTheCacheButAValidCertificateIsShown(t *testing.T) {
	issuer, k := issuing(t, IssuerOptions{Domains: []string{"ftp.example.com"}})
	old := newAuthority(t).issue(anyKey(), "ftp.example.com", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	for name, data := range map[string][]byte{
		"ftp.example.com":       bundle(old),
		"ftp.example.com+token": bundle(selfIssued("ftp.example.com")),
		"acme_account+key":      []byte("x"),
	} {
		issuer.take(name, data)
	}
	if got := shown(t, k, "ftp.example.com"); got.DNSNames[0] != "localhost" {
		t.Errorf("%v, until %v", got.DNSNames, got.NotAfter)
	}
}

func TestOneThatRenewsItselfIsWarnedOfWhenItIsLate(t *testing.T) {
	issuer, k := issuing(t, IssuerOptions{Domains: []string{"ftp.example.com"}})
	now := time.Now()
	cert := newAuthority(t).issue(anyKey(), "ftp.example.com", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = now.Add(-time.Minute), now.Add(7*24*time.Hour) // always less than 14 days
	})
	issuer.take("ftp.example.com", bundle(cert))
	if got := k.Expiring(now); len(got) != 0 {
		t.Errorf("just issued: %v", got)
	}
	got := k.Expiring(now.Add(6 * 24 * time.Hour))
	if len(got) != 1 {
		t.Fatalf("a day before its end: %v", got)
	}
	hasKey(t, got[0], "pki.acme.late")
	if !k.Expires().Equal(cert.Leaf.NotAfter) {
		t.Errorf("expires %v", k.Expires())
	}
}

func TestOneOfFilesIsWarnedOfFourteenDaysAhead(t *testing.T) {
	files := pairIn(t)
	write(t, files, selfIssued("localhost"))
	k := keep(t, files)
	end := k.Expires()
	for ahead, want := range map[time.Duration]int{soon + time.Hour: 0, soon - time.Hour: 1} {
		if got := k.Expiring(end.Add(-ahead)); len(got) != want {
			t.Errorf("%v ahead: %v", ahead, got)
		}
	}
}

func TestChallengesAreAnsweredAndNothingElseIs(t *testing.T) {
	issuer, _ := issuing(t, IssuerOptions{Domains: []string{"ftp.example.com"}, Directory: "https://127.0.0.1:1/"})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- issuer.Serve(ctx, l) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()

	token := selfIssued("ftp.example.com")
	cache := issuer.manager.Cache
	if err := cache.Put(ctx, "abc+http-01", []byte("abc.thumbprint")); err != nil {
		t.Fatal(err)
	}
	// The form in which the manager keeps it: an EC key first.
	raw := must(x509.MarshalPKCS8PrivateKey(token.PrivateKey))
	var b bytes.Buffer
	pem.Encode(&b, &pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
	pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: token.Certificate[0]})
	if err := cache.Put(ctx, "ftp.example.com+token", b.Bytes()); err != nil {
		t.Fatal(err)
	}

	get := func(host, path string) (int, string) {
		t.Helper()
		r := must(http.NewRequestWithContext(ctx, "GET", "http://"+l.Addr().String()+path, nil))
		r.Host = host
		answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(body)
	}
	if code, body := get("ftp.example.com", "/.well-known/acme-challenge/abc"); code != 200 || body != "abc.thumbprint" {
		t.Errorf("HTTP-01: %d %q", code, body)
	}
	if code, _ := get("ftp.example.com:5002", "/.well-known/acme-challenge/abc"); code != 200 {
		t.Errorf("HTTP-01 at another port: %d", code)
	}
	for host, path := range map[string]string{
		"ftp.example.com":   "/.well-known/acme-challenge/other",
		"other.example.com": "/.well-known/acme-challenge/abc",
		"ftp.example.com.":  "/",
	} {
		if code, body := get(host, path); code < 400 {
			t.Errorf("%s%s: %d %q", host, path, code, body)
		}
	}

	dial := func(name string, protos ...string) (*x509.Certificate, error) {
		conn, err := (&tls.Dialer{Config: &tls.Config{ServerName: name, NextProtos: protos, InsecureSkipVerify: true}}).DialContext(ctx, "tcp", l.Addr().String())
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
	}
	if got, err := dial("ftp.example.com", acme.ALPNProto); err != nil || !got.Equal(token.Leaf) {
		t.Errorf("TLS-ALPN-01: %v", err)
	}
	for name, protos := range map[string][]string{"ftp.example.com": {"http/1.1"}, "other.example.com": {acme.ALPNProto}, "": nil} {
		if _, err := dial(name, protos...); err == nil {
			t.Errorf("%q %v was answered", name, protos)
		}
	}
	if entries := must(os.ReadDir(issuer.opt.Cache)); len(entries) != 2 {
		t.Errorf("somebody's hello had a certificate asked for: %v", entries)
	}
}

// Anybody reaches the port of challenges, and the server needs its
// descriptors for others.
func TestAFloodOfSlowRequestsHoldsNoMorePlacesAtThePortOfChallengesThanThereAre(t *testing.T) {
	if n := slowRequests(t, challengeMost, challengeTime/2); n < 20 {
		t.Errorf("more than %d are held: %d of 20 beyond were turned away", challengeMost, n)
	}
}

// The negative control.
func TestWithoutABoundAFloodOfSlowRequestsIsHeldWhole(t *testing.T) {
	if n := slowRequests(t, 10*challengeMost, challengeTime/5); n > 0 {
		t.Errorf("%d were turned away: this shows nothing", n)
	}
}

// slowRequests sends 20 requests more than there should be places for, none of
// which ends, to a port that has so many places, and counts those that were
// closed at once, as far as it can in the time.
func slowRequests(t *testing.T, places int, wait time.Duration) (turnedAway int) {
	issuer, _ := issuing(t, IssuerOptions{Domains: []string{"ftp.example.com"}, Directory: "https://127.0.0.1:1/"})
	issuer.most = places
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- issuer.Serve(ctx, l) }()

	const beyond = 20
	var conns []net.Conn
	closed := make(chan bool, challengeMost+beyond)
	for range challengeMost + beyond {
		conn := must(net.Dial("tcp", l.Addr().String()))
		defer conn.Close()
		conns = append(conns, conn)
		// A request that never ends. Those that are let in are heard out; the
		// others are closed at once.
		conn.Write([]byte("GET / HTTP/1.1\r\n"))
	}
	began := time.Now()
	for _, conn := range conns {
		go func() {
			io.Copy(io.Discard, conn)
			closed <- time.Since(began) < challengeTime/2
		}()
	}
	quiet := time.NewTimer(wait)
	defer quiet.Stop()
	for turnedAway < beyond {
		select {
		case early := <-closed:
			if early {
				turnedAway++
			}
			continue
		case <-quiet.C:
		}
		break
	}
	cancel() // ends those that are held
	if err := <-done; err != nil {
		t.Error(err)
	}
	return turnedAway
}

func TestAnAuthorityThatFailsIsAskedAgainAndHoldsNothingUp(t *testing.T) {
	asked := make(chan struct{}, 100)
	authority := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer authority.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 100)
	issuer, k := issuing(t, IssuerOptions{
		Domains: []string{"ftp.example.com"}, Directory: authority.URL, CA: ca, retry: 10 * time.Millisecond,
		Failed: func(err error) { failed <- err },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); issuer.Run(ctx) }()
	for range 2 {
		select {
		case err := <-failed:
			hasKey(t, err, "pki.acme.failed")
		case <-time.After(30 * time.Second):
			t.Fatal("nobody was told")
		}
	}
	if got := shown(t, k, "ftp.example.com"); got.DNSNames[0] != "localhost" {
		t.Errorf("meanwhile: %v", got.DNSNames)
	}
	cancel()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
	if len(asked) == 0 {
		t.Error("the authority was not asked")
	}
}

// The manager that renews drops its errors: an administrator heard nothing
// before the certificate was about to end.
func TestARenewalThatFailsIsToldWithTheAuthoritysReason(t *testing.T) {
	authority := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many of them"}`)
	}))
	defer authority.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	due := newAuthority(t).issue(anyKey(), "ftp.example.com", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-3*time.Hour), time.Now().Add(time.Minute)
	})
	if err := os.WriteFile(filepath.Join(cache, "ftp.example.com"), bundle(due), 0o600); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 100)
	issuer, k := issuing(t, IssuerOptions{
		Domains: []string{"ftp.example.com"}, Cache: cache, Directory: authority.URL, CA: ca,
		Failed: func(err error) { failed <- err },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); issuer.Run(ctx) }()
	select {
	case err := <-failed:
		hasKey(t, err, "pki.acme.kept")
		var said *acme.Error
		if !errors.As(err, &said) || said.Detail != "too many of them" {
			t.Errorf("%v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nobody was told")
	}
	if got := shown(t, k, ""); !got.Equal(due.Leaf) {
		t.Errorf("meanwhile: %v", got.DNSNames)
	}
	cancel()
	<-done
	if len(failed) > 0 {
		t.Errorf("told of one failure twice: %v", <-failed)
	}
}

func TestTheReasonOfAnAuthoritysRefusalIsFoundWhereverItStands(t *testing.T) {
	for body, c := range map[string]struct {
		status int
		want   string
	}{
		`{"type":"urn:x","detail":"no"}`: {403, "403 urn:x: no"},
		`not even JSON`:                  {502, "502 : "},
		`{"status":"invalid","challenges":[{"type":"http-01"},{"error":{"type":"urn:y","detail":"refused","status":400}}]}`: {200, "400 urn:y: refused"},
		`{"type":"urn:ietf:params:acme:error:badNonce"}`:                                                                    {400, ""},
		`{"status":"valid","challenges":[{}]}`:                                                                              {200, ""},
		"-----BEGIN CERTIFICATE-----":                                                                                       {200, ""},
	} {
		got := ""
		if err := reason(c.status, []byte(body)); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q", body, got)
		}
	}
}
