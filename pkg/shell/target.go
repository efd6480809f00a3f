package shell

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"ftps/pkg/fault"
	"ftps/pkg/ftp"
)

// DefaultPort is the one of ftps server; ImplicitPort is where TLS comes
// without AUTH.
const (
	DefaultPort  = 5000
	ImplicitPort = 990
)

// Target is the server that HOST names.
type Target struct {
	Host     string // a name or an address, without brackets
	Port     int
	User     string // "" where none was given
	Folder   string // to begin in, "" for the account's own
	Implicit bool
}

// Address returns host and port as package net takes them.
func (t Target) Address() string { return net.JoinHostPort(t.Host, strconv.Itoa(t.Port)) }

// ParseTarget reads HOST: a name, an address, an IPv6 address with or
// without brackets, any of these with a port, or a URL. port and user are
// those of the flags, 0 and "" for none.
//
// ftpes:// is explicit TLS, and ftps:// implicit TLS, as curl and lftp have
// it; port 990 means implicit TLS too.
func ParseTarget(host string, port int, user string) (Target, error) {
	t := Target{}
	if strings.Contains(host, "://") {
		if err := t.parseURL(host); err != nil {
			return t, err
		}
	} else if err := t.parseHost(host); err != nil {
		return t, err
	}
	switch {
	case port < 0 || port > 65535:
		return t, fault.New("cli.client.port.bad", port)
	case port > 0 && t.Port > 0 && t.Port != port:
		return t, fault.New("cli.client.port.twice", t.Port, port)
	case port > 0:
		t.Port = port
	case t.Port == 0 && t.Implicit:
		t.Port = ImplicitPort
	case t.Port == 0:
		t.Port = DefaultPort
	}
	if t.Port == ImplicitPort {
		t.Implicit = true
	}
	if user != "" {
		t.User = user
	}
	return t, nil
}

func (t *Target) parseURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return badHost(text)
	}
	switch strings.ToLower(u.Scheme) {
	case "ftpes":
	case "ftps":
		t.Implicit = true
	default:
		return fault.New("cli.client.host.scheme", ftp.Sanitise(u.Scheme))
	}
	if _, given := u.User.Password(); given {
		return fault.New("cli.client.host.password")
	}
	t.User = u.User.Username()
	if err := t.setHost(u.Hostname(), u.Port(), text); err != nil {
		return err
	}
	// The path begins at the account's folder (RFC 1738 §3.2.2); from the
	// root it is written with %2F.
	t.Folder = strings.TrimPrefix(u.Path, "/")
	if strings.ContainsAny(t.Folder+t.User, "\r\n\x00") {
		return badHost(text)
	}
	return nil
}

func (t *Target) parseHost(text string) error {
	if _, err := netip.ParseAddr(text); err == nil {
		return t.setHost(text, "", text) // 2001:db8::1 without brackets
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		inner, rest, ok := strings.Cut(inner, "]")
		if _, err := netip.ParseAddr(inner); err != nil || !ok || rest != "" && rest[0] != ':' || rest == ":" {
			return badHost(text)
		}
		return t.setHost(inner, strings.TrimPrefix(rest, ":"), text)
	}
	host, port, found := strings.Cut(text, ":")
	if found && port == "" {
		return badHost(text)
	}
	return t.setHost(host, port, text)
}

func (t *Target) setHost(host, port, text string) error {
	_, addressErr := netip.ParseAddr(host)
	if host == "" || len(host) > 255 || host[0] == '-' ||
		addressErr != nil && strings.ContainsAny(host, ":[]/@\\ \t\r\n\x00") || ftp.Sanitise(host) != host {
		return badHost(text)
	}
	t.Host = host
	if port == "" {
		return nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return badHost(text)
	}
	t.Port = int(n)
	return nil
}

func badHost(text string) error { return fault.New("cli.client.host.bad", text) }
