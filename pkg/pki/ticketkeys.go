package pki

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"ftps/pkg/fault"
)

// Several servers that share the keys of TLS tickets resume each other's
// sessions. The keys lie in a file, one a line in base64, the newest first;
// empty lines and those that begin with # say nothing. Whoever has a key can
// read and forge tickets, which are worth as much as the certificate's key.

// MaxTicketKeys is how many keys a file may hold: turned once a day, they
// reach as far back as crypto/tls takes a ticket.
const MaxTicketKeys = 7

// maxTicketFile is the size beyond which a file is not one of keys.
const maxTicketFile = 64 << 10

// The causes of refusing a file of keys.
var (
	// ErrOpenToOthers: people outside of a secret's owner and group may read
	// it, or outside of its owner change it.
	ErrOpenToOthers = errors.New("open to others")
	// ErrTicketKeys: a file is not what it should be.
	ErrTicketKeys = errors.New("not a file of ticket keys")

	errNoTicketKey = fmt.Errorf("%w: there is none in it", ErrTicketKeys)
)

// LoadTicketKeys reads a file of keys, the newest first. No error repeats
// what stands in it.
func LoadTicketKeys(path string) ([][32]byte, error) {
	// A FIFO of that name must not hold the program up: O_NONBLOCK.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Wrap(err, "pki.tickets.missing", path)
	}
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, unreadable(path, err)
	case !info.Mode().IsRegular():
		return nil, fault.Wrap(ErrTicketKeys, "pki.tickets.irregular", path)
	case readableByOthers(info):
		return nil, fault.Wrap(ErrOpenToOthers, "pki.tickets.open", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxTicketFile+1))
	switch {
	case err != nil:
		return nil, unreadable(path, err)
	case len(text) > maxTicketFile:
		return nil, fault.Wrap(ErrTicketKeys, "pki.tickets.large", path)
	}
	return parseTicketKeys(path, text)
}

func parseTicketKeys(path string, text []byte) (keys [][32]byte, err error) {
	seen := make(map[[32]byte]int)
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		raw, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(raw) != 32 {
			return nil, fault.Wrap(ErrTicketKeys, "pki.tickets.line", path, number)
		}
		key := [32]byte(raw)
		if first := seen[key]; first != 0 {
			return nil, fault.Wrap(ErrTicketKeys, "pki.tickets.twice", path, number, first)
		}
		seen[key] = number
		keys = append(keys, key)
	}
	switch {
	case len(keys) == 0:
		return nil, fault.Wrap(errNoTicketKey, "pki.tickets.none", path)
	case len(keys) > MaxTicketKeys:
		return nil, fault.Wrap(ErrTicketKeys, "pki.tickets.many", path, len(keys), MaxTicketKeys)
	}
	return keys, nil
}

// TurnTicketKeys puts a new key in front of those of a file and lets go of
// the oldest beyond seven; with forget, of all of them. It makes the file
// where there is none (0600), and returns how many keys it holds now. A
// reader sees the old file or the new one.
func TurnTicketKeys(path string, forget bool) (n int, err error) {
	unlock, err := lock(path)
	if err != nil {
		return 0, err
	}
	defer unlock()
	keys, err := LoadTicketKeys(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNoTicketKey), forget && errors.Is(err, ErrTicketKeys):
		keys = nil
	case err != nil:
		return 0, err
	case forget:
		keys = nil
	}
	var key [32]byte
	rand.Read(key[:])
	keys = append([][32]byte{key}, keys[:min(len(keys), MaxTicketKeys-1)]...)
	var text bytes.Buffer
	for _, key := range keys {
		fmt.Fprintln(&text, base64.StdEncoding.EncodeToString(key[:]))
	}
	if err := writeWhole(path, text.Bytes(), 0o600); err != nil {
		return 0, unwritable(path, err)
	}
	return len(keys), nil
}
