package daemon

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"sync"
	"time"

	"ftps/pkg/pki"
	"ftps/pkg/watch"
)

// Keys that seal TLS tickets. crypto/tls would make its own, but then a
// successor could not be given them, and every client would have to shake
// hands in full after an upgrade, which for a data connection is a refusal.
//
// Servers before one store may share them (ticket_keys): then a session that
// began at one of them resumes at another. That is worth a handshake and
// nothing more, for the stamp in the ticket stands for nobody there: who logs
// in gets new tickets with a new stamp, and a data connection that shows the
// old one has proven nothing.
const (
	keyLife  = 24 * time.Hour // of the one that seals
	keysKept = 7              // that open; crypto/tls takes no older ticket
)

// keyring keeps the keys of one configuration, the newest first.
type keyring struct {
	cfg *tls.Config

	mu     sync.Mutex
	keys   [][32]byte
	next   [][32]byte // what a file says since the freeze, or nil
	frozen bool       // two servers use them: neither may have one that the other has not
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

// set takes the keys of a file; a frozen ring does so when it thaws.
func (k *keyring) set(keys [][32]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next = keys
	k.take()
}

// take puts in force what set was given, unless the ring is frozen.
func (k *keyring) take() {
	if k.frozen || k.next == nil {
		return
	}
	k.keys, k.next = k.next, nil
	k.cfg.SetSessionTicketKeys(k.keys)
}

// freeze stops changes of the keys or lets them go on, and returns the keys.
func (k *keyring) freeze(frozen bool) [][32]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.frozen = frozen
	k.take()
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

// openKeys makes the ring of a configuration: the keys of a file, a new one,
// or those of the server whose successor this is.
func (d *Daemon) openKeys(cfg *tls.Config) error {
	var shared, elder [][32]byte
	if d.cfg.TicketKeys != "" {
		d.keysRead = watch.Look(d.cfg.TicketKeys)
		var err error
		if shared, err = pki.LoadTicketKeys(d.cfg.TicketKeys); err != nil {
			return err
		}
		d.log.Info("ticket-keys", "file", d.cfg.TicketKeys, "keys", len(shared))
	}
	if d.born != nil {
		elder = d.born.keys()
		if shared != nil && d.born.hello.OwnKeys {
			// This upgrade begins to share: what is sealed until the old server
			// has gone still opens then.
			shared = append(shared, elder...)
		}
	}
	d.ring = newKeyring(cfg, elder)
	d.ring.freeze(d.born != nil)
	if shared != nil {
		d.ring.set(shared)
	}
	return nil
}

// rereadKeys takes what the file of keys says now. Keys that cannot be read
// leave the old ones in use.
func (d *Daemon) rereadKeys() error {
	if d.cfg.TicketKeys == "" {
		return nil
	}
	d.keysReading.Lock() // until they are in force: an older reading never comes last
	defer d.keysReading.Unlock()
	keys, err := pki.LoadTicketKeys(d.cfg.TicketKeys)
	if err != nil {
		err = d.outside(err)
		d.log.Error("ticket-keys-kept", "file", d.cfg.TicketKeys, "cause", d.cause(err))
		return err
	}
	d.ring.set(keys)
	d.log.Info("ticket-keys-changed", "file", d.cfg.TicketKeys, "keys", len(keys))
	return nil
}

// turnKeys keeps the keys young until ctx ends: its own by the clock, those
// of a file whenever that changes.
func (d *Daemon) turnKeys(ctx context.Context) {
	if d.cfg.TicketKeys == "" {
		d.ring.turn(ctx)
		return
	}
	_ = watch.File(ctx, d.cfg.TicketKeys, d.keysRead, func() { _ = d.rereadKeys() }) // told to the log
}
