package pki

import (
	"bytes"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ftps/pkg/fault"
)

// DefaultPort is the port that a host stands for in known_hosts when none is
// written with it.
const DefaultPort = 5000

// KnownHosts is a file of the servers that were met, one a line:
//
//	files.example.org sha256//…  sha256//…   # a remark
//	[files.example.org]:2121 sha256//…
//	2001:db8::1 ca
//
// Each word after the host is the pin of a key that it may show, or "ca" for a
// host that was met with a valid chain. Lines that are empty or begin with #
// are remarks. The file is written whole or not at all, under a lock, and by
// adding lines only: what is in it stays.
type KnownHosts struct{ path string }

// Known is what the file holds about a host.
type Known struct {
	Pins []Pin
	CA   bool
	Line int // of the first entry, from 1; 0 means the host is unknown
}

// DefaultKnownHosts returns the path of the user's own file.
func DefaultKnownHosts() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fault.Wrap(err, "pki.known.nowhere", err)
	}
	return filepath.Join(dir, "ftps", "known_hosts"), nil
}

// OpenKnownHosts names the file; it need not exist.
func OpenKnownHosts(path string) *KnownHosts { return &KnownHosts{path: path} }

// Path returns the file's path.
func (k *KnownHosts) Path() string { return k.path }

// HostKey returns how a host and its port are written in the file: the name in
// lower case without a final dot, an IP address in its canonical form, and
// [host]:port unless the port is [DefaultPort].
func HostKey(host string, port int) (string, error) {
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if inner, ok := strings.CutPrefix(name, "["); ok {
		if name, ok = strings.CutSuffix(inner, "]"); !ok {
			return "", fault.Wrap(ErrBadName, "pki.known.name", shorten(host))
		}
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		name = addr.Unmap().String()
	} else if strings.Contains(name, ":") {
		return "", fault.Wrap(ErrBadName, "pki.known.name", shorten(host))
	}
	// A name with an empty label at its end is written as one that reads as
	// another.
	if name == "" || strings.HasSuffix(name, ".") || len(name) > 255 || port < 1 || port > 65535 ||
		strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("[]#,\uFFFD\u0085\u00a0", r) }) ||
		printable(name) != name {
		return "", fault.Wrap(ErrBadName, "pki.known.name", shorten(host))
	}
	if port == DefaultPort {
		return name, nil
	}
	return "[" + name + "]:" + strconv.Itoa(port), nil
}

// Lookup returns what the file holds about a host, over all its lines. A line
// of this host that cannot be read is an error, for it may hold the key that
// the host should show; other hosts' lines are not looked at.
func (k *KnownHosts) Lookup(host string, port int) (Known, error) {
	key, err := HostKey(host, port)
	if err != nil {
		return Known{}, err
	}
	data, err := k.read()
	if err != nil {
		return Known{}, err
	}
	return k.find(data, key)
}

// LearnPin notes the key of a host that is not known yet. Where the host is
// known with this key nothing is written; where it is known otherwise, perhaps
// since a moment ago by another process, it is [ErrKeyChanged].
func (k *KnownHosts) LearnPin(host string, port int, pin Pin) error {
	return k.learn(host, port, pin.String(), func(known Known) bool { return slices.Contains(known.Pins, pin) })
}

// LearnCA notes that a host that is not known yet was met with a valid chain.
func (k *KnownHosts) LearnCA(host string, port int) error {
	return k.learn(host, port, "ca", func(known Known) bool { return known.CA })
}

// AddPin notes a further key of a host, for a rotation that was announced.
func (k *KnownHosts) AddPin(host string, port int, pin Pin) error {
	key, err := HostKey(host, port)
	if err != nil {
		return err
	}
	return k.edit(func(data []byte) ([]byte, error) {
		known, err := k.find(data, key)
		if err != nil || slices.Contains(known.Pins, pin) {
			return nil, err
		}
		return appendLine(data, key+" "+pin.String()), nil
	})
}

func (k *KnownHosts) learn(host string, port int, word string, same func(Known) bool) error {
	key, err := HostKey(host, port)
	if err != nil {
		return err
	}
	return k.edit(func(data []byte) ([]byte, error) {
		known, err := k.find(data, key)
		switch {
		case err != nil:
			return nil, err
		case known.Line == 0:
			return appendLine(data, key+" "+word), nil
		case same(known):
			return nil, nil
		}
		return nil, fault.Wrap(ErrKeyChanged, "pki.known.raced", key, k.path, known.Line)
	})
}

func (k *KnownHosts) read() ([]byte, error) {
	data, err := os.ReadFile(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable(k.path, err)
	}
	return data, nil
}

// find collects the lines of a host.
func (k *KnownHosts) find(data []byte, key string) (Known, error) {
	var known Known
	number := 0
	for line := range bytes.Lines(data) {
		number++
		words := lineWords(string(line))
		if len(words) == 0 || normalKey(words[0]) != key {
			continue
		}
		if len(words) == 1 {
			return Known{}, fault.New("pki.known.line", k.path, number, "")
		}
		for _, word := range words[1:] {
			if strings.EqualFold(word, "ca") {
				known.CA = true
				continue
			}
			pin, err := ParsePin(word)
			if err != nil {
				return Known{}, fault.Wrap(err, "pki.known.line", k.path, number, printable(word))
			}
			if !slices.Contains(known.Pins, pin) {
				known.Pins = append(known.Pins, pin)
			}
		}
		if known.Line == 0 {
			known.Line = number
		}
	}
	return known, nil
}

// lineWords splits a line and drops its remark: from a word that begins with #
// on.
func lineWords(line string) []string {
	words := strings.Fields(strings.TrimPrefix(line, "\ufeff"))
	if i := slices.IndexFunc(words, func(w string) bool { return w[0] == '#' }); i >= 0 {
		words = words[:i]
	}
	return words
}

// normalKey reads the first word of a line, as a person may have typed it, and
// returns its canonical form, or "" if it is no host.
func normalKey(word string) string {
	host, port := word, DefaultPort
	if i := strings.LastIndex(word, "]:"); i >= 0 && word[0] == '[' {
		n, err := strconv.ParseUint(word[i+2:], 10, 16)
		if err != nil {
			return ""
		}
		host, port = word[:i+1], int(n)
	}
	key, err := HostKey(host, port)
	if err != nil {
		return ""
	}
	return key
}

func appendLine(data []byte, line string) []byte {
	out := slices.Clone(data)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	return append(append(out, line...), '\n')
}

// edit rewrites the file under its lock. change gets what is in it and returns
// what shall be, or nil to leave it.
func (k *KnownHosts) edit(change func([]byte) ([]byte, error)) error {
	if err := os.MkdirAll(filepath.Dir(k.path), 0o700); err != nil {
		return unwritable(k.path, err)
	}
	unlock, err := lock(k.path)
	if err != nil {
		return err
	}
	defer unlock()
	data, err := k.read()
	if err != nil {
		return err
	}
	out, err := change(data)
	if err != nil || out == nil {
		return err
	}
	if err := writeWhole(k.path, out, 0o600); err != nil {
		return unwritable(k.path, err)
	}
	return nil
}
