package daemon

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"sync"
	"time"
)

// Keys that seal TLS tickets. crypto/tls would make its own, but then a
// successor could not be given them, and every client would have to shake
// hands in full after an upgrade, which for a data connection is a refusal.
const (
	keyLife  = 24 * time.Hour // of the one that seals
	keysKept = 7              // that open; crypto/tls takes no older ticket
)

// keyring keeps the keys of one configuration, the newest first.
type keyring struct {
	cfg *tls.Config

	mu     sync.Mutex
	keys   [][32]byte
	frozen bool // two servers use them: neither may have one that the other has not
}

// newKeyring gives cfg keys: those of an older server, or a new one.
func newKeyring(cfg *tls.Config, keys [][32]byte) *keyring {
	if len(keys) == 0 {
		keys = [][32]byte{newKey()}
	}
	cfg.SetSessionTicketKeys(keys)
	return &keyring{cfg: cfg, keys: keys}
}

func newKey() (key [32]byte) {
	rand.Read(key[:])
	return key
}

// rotate puts a new key in front.
func (k *keyring) rotate() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.frozen {
		return
	}
	k.keys = append([][32]byte{newKey()}, k.keys[:min(len(k.keys), keysKept-1)]...)
	k.cfg.SetSessionTicketKeys(k.keys)
}

// freeze stops or restarts the rotation and returns the keys.
func (k *keyring) freeze(frozen bool) [][32]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.frozen = frozen
	return append([][32]byte(nil), k.keys...)
}

// turn rotates until ctx ends.
func (k *keyring) turn(ctx context.Context) {
	tick := time.NewTicker(keyLife)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.rotate()
		}
	}
}
