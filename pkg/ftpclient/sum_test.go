package ftpclient_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/zeebo/blake3"
	"golang.org/x/sys/cpu"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest"
	"ftps/pkg/ftptest/hostile"
)

func TestSumsOfWholesAndBeginnings(t *testing.T) {
	c := real(t, ftptest.Start(t, ftptest.Options{}), nil)
	want := content(100_000)
	if err := put(t, c, "/f", want, ftpclient.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	m, ok := c.HashMethod()
	if !ok || m.Algorithm != "SHA-256" || m.Verb != "HASH" {
		t.Fatalf("%+v %v", m, ok)
	}
	for _, n := range []int64{-1, 0, 1, 50_000, 100_000} {
		part := want
		if n >= 0 {
			part = want[:n]
		}
		sum := sha256.Sum256(part)
		got, err := c.SumOf(within(t), m, "/f", n, 100_000)
		if err != nil || !ftpclient.SameSum(got, sum[:]) {
			t.Errorf("first %d bytes: %x, %v", n, got, err)
		}
	}
	if _, err := c.SumOf(within(t), m, "/missing", -1, 0); ftpclient.Class(err) != ftpclient.NotFound {
		t.Errorf("missing: %v", err)
	}
	if name, err := c.ServerName(within(t)); name != "ftps" || err != nil {
		t.Errorf("CSID: %q, %v", name, err)
	}
}

// old servers know one of the verbs from before HASH, and answer as they like.
func TestSumsOfOldServers(t *testing.T) {
	data := content(1000)
	crc := crc32.ChecksumIEEE(data)
	for _, v := range []struct {
		feature, verb, reply string
		good                 bool
	}{
		{"XCRC", "XCRC", fmt.Sprintf("%X", crc), true},
		{"XCRC", "XCRC", fmt.Sprintf("XCRC of /f is %08x.", crc), false}, // the dot: not understood, not equal
		{"XSHA256 filename", "XSHA256", fmt.Sprintf("%x", sha256.Sum256(data)), true},
		{"XMD5", "XMD5", "no such luck", false},
		{"HASH SHA-256*", "HASH", fmt.Sprintf("SHA-256 0-999 %x f", sha256.Sum256(data)), true},
		{"HASH SHA-256*", "HASH", fmt.Sprintf("SHA-256 %x f", sha256.Sum256(data)), true},
		{"HASH SHA-256*", "HASH", fmt.Sprintf("MD5 0-999 %x f", sha256.Sum256(data)), false},
		{"HASH SHA-256*", "HASH", "SHA-256 0-999 zz f", false},
	} {
		s := hostile.Start(t, hostile.Options{Features: []string{"AUTH TLS", v.feature}, Hooks: map[string]func(*hostile.Session, string) bool{
			v.verb: func(s *hostile.Session, _ string) bool { s.Reply(213, v.reply); return true },
		}})
		c := login(t, s, nil)
		m, ok := c.HashMethod()
		if !ok || m.Verb != v.verb {
			t.Fatalf("%s: %+v", v.feature, m)
		}
		h := m.New()
		h.Write(data)
		sum, err := c.SumOf(within(t), m, "/f", -1, 1000)
		if (err == nil) != v.good || v.good && !ftpclient.SameSum(sum, h.Sum(nil)) {
			t.Errorf("%q: %x, %v", v.reply, sum, err)
		}
		if _, err := c.SumOf(within(t), m, "/f", 10, 1000); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a beginning without RANG: %v", err)
		}
		if name, err := c.ServerName(within(t)); name != "" || err != nil {
			t.Errorf("CSID of a server without it: %q %v", name, err)
		}
		inStep(t, c)
	}
}

// BLAKE3 is asked of servers that announce it, and only where it is quicker
// here as well.
func TestTheQuickHashOfWholesAndBeginnings(t *testing.T) {
	c := real(t, ftptest.Start(t, ftptest.Options{}), nil)
	want := content(100_000)
	if err := put(t, c, "/f", want, ftpclient.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	m, ok := c.QuickHash()
	if ok != cpu.X86.HasAVX2 {
		t.Fatalf("offered: %v", ok)
	}
	if !ok {
		return
	}
	for _, n := range []int64{-1, 50_000} {
		part := want
		if n >= 0 {
			part = want[:n]
		}
		sum := blake3.Sum256(part)
		if got, err := c.SumOf(within(t), m, "/f", n, 100_000); err != nil || !ftpclient.SameSum(got, sum[:]) {
			t.Errorf("first %d bytes: %x, %v", n, got, err)
		}
	}
	// The server keeps to what was chosen last, whatever FEAT said before.
	sum := sha256.Sum256(want)
	if h, err := c.Hash(within(t), "/f"); err != nil || h.Algorithm != "SHA-256" || !ftpclient.SameSum(h.Sum, sum[:]) {
		t.Errorf("SHA-256 after it: %+v, %v", h, err)
	}
}

func TestServersWithoutTheQuickHashAreNotAskedForIt(t *testing.T) {
	for _, feature := range []string{"XSHA256", "HASH SHA-256*;SHA-512;SHA-1;MD5;CRC32", "HASH SHA-1;MD5*", "HASH BLAKE2;BLAKE", "XBLAKE3", "SITE"} {
		c := login(t, hostile.Start(t, hostile.Options{Features: []string{"AUTH TLS", feature}}), nil)
		if m, ok := c.QuickHash(); ok {
			t.Errorf("%q: %s", feature, m.Algorithm)
		}
	}
}

func TestASumOfAnotherRangeIsRefused(t *testing.T) {
	s := hostile.Start(t, hostile.Options{
		Features: []string{"RANG STREAM", "HASH SHA-256*"},
		Hooks: map[string]func(*hostile.Session, string) bool{
			"RANG": func(s *hostile.Session, _ string) bool { s.Reply(350, "ok, and forgotten"); return true },
			"HASH": func(s *hostile.Session, _ string) bool {
				s.Reply(213, fmt.Sprintf("SHA-256 0-999 %x f", sha256.Sum256(nil)))
				return true
			},
		},
	})
	c := login(t, s, nil)
	m, _ := c.HashMethod()
	if _, err := c.SumOf(within(t), m, "/f", 10, 1000); err == nil {
		t.Error("taken for the sum of the first ten bytes")
	}
}
