package mirror_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/zeebo/blake3"
	"golang.org/x/sys/cpu"

	"ftps/pkg/ftptest/hostile"
	"ftps/pkg/mirror"
)

// hashing is a server that has BLAKE3 beside SHA-256, and notes which of them
// it was asked for.
type hashing struct {
	mu    sync.Mutex
	now   string
	asked []string
	wrong bool // its file is not what it sent
}

func (h *hashing) start(t *testing.T, o hostile.Options) *hostile.Server {
	var s *hostile.Server
	h.now = "SHA-256"
	o.Features = without("HASH", "HASH SHA-256*;BLAKE3")
	if o.Hooks == nil {
		o.Hooks = hooks{}
	}
	if o.Hooks["OPTS"] == nil {
		o.Hooks["OPTS"] = func(c *hostile.Session, arg string) bool {
			if name, ok := strings.CutPrefix(arg, "HASH "); ok {
				h.mu.Lock()
				h.now = name
				h.mu.Unlock()
			}
			return false
		}
	}
	o.Hooks["HASH"] = func(c *hostile.Session, arg string) bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.asked = append(h.asked, h.now)
		f, _ := s.File(arg)
		sum := sha256.Sum256(f.Data)
		if h.now == "BLAKE3" {
			sum = blake3.Sum256(f.Data)
		}
		if h.wrong {
			sum[31] ^= 1
		}
		c.Reply(213, h.now+" 0-9 "+hex.EncodeToString(sum[:])+" f")
		return true
	}
	s = hostile.Start(t, o)
	return s
}

// quickly is the hash that proves a large file here.
func quickly() string {
	if cpu.X86.HasAVX2 {
		return "BLAKE3"
	}
	return "SHA-256"
}

func TestALargeFileIsProvenByTheQuickHash(t *testing.T) {
	large, small := content(1<<20), content(1<<20-1)
	for name, v := range map[string]struct {
		data  []byte
		told  bool // SHA-256 is wanted
		proof string
	}{
		"large":                    {large, false, quickly()},
		"large, SHA-256 is wanted": {large, true, "SHA-256"},
		"small":                    {small, false, "SHA-256"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &hashing{}
			s := h.start(t, hostile.Options{})
			s.Put("/f", v.data, longAgo)
			tr, told := transfer(t, s, func(cfg *mirror.Config) { cfg.Verify, cfg.SHA256 = mirror.VerifyHash, v.told })
			if _, err := tr.Get(within(t), "/f", t.TempDir(), mirror.Options{}); err != nil {
				t.Fatal(err)
			}
			local := filepath.Join(t.TempDir(), "g")
			write(t, local, v.data, longAgo)
			if _, err := tr.Put(within(t), local, "/g", mirror.Options{}); err != nil {
				t.Fatal(err)
			}
			if want := []string{v.proof, v.proof}; !slices.Equal(h.asked, want) {
				t.Errorf("asked for %v, want %v", h.asked, want)
			}
			sum := sha256.Sum256(v.data)
			for _, d := range of[mirror.Done](told) {
				if d.Verified != mirror.ByHash || (v.told || v.proof == "SHA-256") != bytes.Equal(d.SHA256, sum[:]) {
					t.Errorf("%v, SHA-256 %x", d.Verified, d.SHA256)
				}
			}
		})
	}
}

func TestADamagedFileIsFoundByTheQuickHashToo(t *testing.T) {
	h := &hashing{wrong: true}
	s := h.start(t, hostile.Options{})
	s.Put("/f", content(2<<20), longAgo)
	tr, _ := transfer(t, s, func(cfg *mirror.Config) { cfg.Verify = mirror.VerifyHash })
	dir := t.TempDir()
	if _, err := tr.Get(within(t), "/f", dir, mirror.Options{}); !errors.Is(err, mirror.ErrHash) {
		t.Errorf("%v", err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("left %d files", len(left))
	}
}

// A server may announce what it then refuses: what is proven by nothing else
// is said to be proven by size.
func TestAQuickHashThatIsRefusedIsNoProof(t *testing.T) {
	h := &hashing{}
	s := h.start(t, hostile.Options{Hooks: hooks{"OPTS": func(c *hostile.Session, arg string) bool {
		if arg != "HASH BLAKE3" {
			return false
		}
		c.Reply(501, "no such hash")
		return true
	}}})
	s.Put("/f", content(2<<20), longAgo)
	tr, told := transfer(t, s, nil)
	if _, err := tr.Get(within(t), "/f", t.TempDir(), mirror.Options{}); err != nil {
		t.Fatal(err)
	}
	want := mirror.BySize
	if quickly() == "SHA-256" {
		want = mirror.ByHash
	}
	if d := of[mirror.Done](told); len(d) != 1 || d[0].Verified != want {
		t.Errorf("%+v", d)
	}
}
