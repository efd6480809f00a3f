package pki

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// kept is a keeper at work, with what it told.
type kept struct {
	*Keeper
	failed chan error
	loaded chan *Pair
}

func keep(t *testing.T, files ...Files) *kept {
	t.Helper()
	k := &kept{failed: make(chan error, 100), loaded: make(chan *Pair, 100)}
	var err error
	k.Keeper, err = NewKeeper(KeeperOptions{
		Files:  files,
		Poll:   time.Second,
		Failed: func(err error) { k.failed <- err },
		Loaded: func(p *Pair) { k.loaded <- p },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); k.Watch(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return k
}

func (k *kept) pinFor(t *testing.T, name string) Pin {
	t.Helper()
	state, err := shake(t, &tls.Config{GetCertificate: k.GetCertificate}, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	return PinOf(state.PeerCertificates[0])
}

func TestKeeperTakesANewPairAndNoHandshakeFailsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := pairIn(t)
		first, second := selfIssued("a.example"), selfIssued("a.example")
		write(t, files, first)
		k := keep(t, files)

		stop := make(chan struct{})
		var clients sync.WaitGroup
		for range 4 {
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(100 * time.Millisecond):
					}
					state, err := shake(t, &tls.Config{GetCertificate: k.GetCertificate}, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true})
					if err != nil {
						t.Error(err)
						return
					}
					if pin := PinOf(state.PeerCertificates[0]); pin != PinOf(first.Leaf) && pin != PinOf(second.Leaf) {
						t.Errorf("served %v", pin)
					}
				}
			})
		}
		for range 3 {
			for _, cert := range []*tls.Certificate{second, first, second} {
				// A poll falls between the two files now and then: it is not told as a
				// failure, because the pair has not been still for a poll.
				writeKey(t, files.Key, cert)
				time.Sleep(900 * time.Millisecond)
				writeCert(t, files.Cert, cert)
				time.Sleep(3 * time.Second)
				if got := k.pinFor(t, "a.example"); got != PinOf(cert.Leaf) {
					t.Errorf("served %v, want %v", got, PinOf(cert.Leaf))
				}
			}
		}
		close(stop)
		clients.Wait()
		if len(k.failed) != 0 {
			t.Errorf("told as a failure: %v", <-k.failed)
		}
		if len(k.loaded) != 9 {
			t.Errorf("loaded %d times, want 9", len(k.loaded))
		}
	})
}

func TestKeeperStaysWithTheOldPairAndSaysSoOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := pairIn(t)
		first, second := selfIssued("a.example"), selfIssued("a.example")
		write(t, files, first)
		k := keep(t, files)

		writeKey(t, files.Key, second)
		time.Sleep(time.Minute)
		if got := k.pinFor(t, ""); got != PinOf(first.Leaf) {
			t.Error("a half-replaced pair was served")
		}
		if len(k.failed) != 1 {
			t.Fatalf("told %d times, want once", len(k.failed))
		}
		if err := <-k.failed; !errors.Is(err, ErrMismatch) {
			t.Error(err)
		}
		os.Remove(files.Cert)
		time.Sleep(time.Minute)
		if err := <-k.failed; !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		writeCert(t, files.Cert, second)
		time.Sleep(time.Minute)
		if got := k.pinFor(t, ""); got != PinOf(second.Leaf) {
			t.Error("the healed pair was not taken")
		}
		if !k.Expires().Equal(second.Leaf.NotAfter) {
			t.Errorf("expires %v", k.Expires())
		}
	})
}

func TestKeeperReloadsOnDemand(t *testing.T) {
	files := pairIn(t)
	write(t, files, selfIssued("a.example"))
	k := keep(t, files)
	second := selfIssued("a.example")
	write(t, files, second)
	if err := k.Reload(); err != nil {
		t.Fatal(err)
	}
	if k.Pairs()[0].Pin != PinOf(second.Leaf) {
		t.Error("the old pair is still there")
	}
	writeKey(t, files.Key, selfIssued("a.example"))
	if err := k.Reload(); !errors.Is(err, ErrMismatch) {
		t.Error(err)
	}
}

func TestKeeperChoosesByName(t *testing.T) {
	one, two, wild := pairIn(t), pairIn(t), pairIn(t)
	certs := map[string]*tls.Certificate{"one.example": selfIssued("one.example"), "two.example": selfIssued("two.example"), "*.wild.example": selfIssued("*.wild.example")}
	write(t, one, certs["one.example"])
	write(t, two, certs["two.example"])
	write(t, wild, certs["*.wild.example"])
	k := keep(t, one, two, wild)
	for name, want := range map[string]string{
		"one.example": "one.example", "TWO.example": "two.example", "two.example.": "two.example",
		"x.wild.example": "*.wild.example", "other.example": "one.example", "": "one.example",
	} {
		cert, named := k.Choose(name)
		if cert.Leaf.DNSNames[0] != want || named != (name != "other.example" && name != "") {
			t.Errorf("Choose(%q) = %v, %v", name, cert.Leaf.DNSNames, named)
		}
		if got := k.pinFor(t, name); got != PinOf(certs[want].Leaf) {
			t.Errorf("SNI %q is served another certificate than %s", name, want)
		}
	}
}
