package daemon

import (
	"errors"

	"ftps/pkg/dataport"
	"ftps/pkg/users"
	"ftps/pkg/vfs"
)

// settings is which setting, or which key of an account, stands behind a
// refusal: who reads the log wants to know what to change, or that nothing
// need be. The first row that matches decides.
var settings = []struct {
	err  error  // the refusal is this one
	key  string // or has this row of the catalogue
	name string
}{
	{key: "users.full.server", name: "max_connections"},
	{key: "users.full.address", name: "max_connections_per_address"},
	{key: "users.full.account", name: "max_sessions"},
	{key: "config.ended.crowded", name: "max_before_login"},
	{key: "config.ended.handshake", name: "handshake_timeout"},
	{key: "config.ended.login", name: "login_timeout"},
	{key: "config.ended.idle", name: "idle_timeout"},
	{key: "config.ended.slow", name: "min_rate"},
	{key: "config.ended.session", name: "session_timeout"},
	{key: "config.ended.stall", name: "stall_timeout"},
	{key: "data.none", name: "data_timeout"},
	{err: dataport.ErrBusy, name: "data_port"},
	{key: "data.refused.bare", name: "session_reuse"},
	{err: dataport.ErrNotProven, name: "session_reuse"},
	{err: errBanned, name: "ban_score"},
	{key: "data.proxy.missing", name: "proxy_from"},
	{key: "data.proxy.v1", name: "proxy_from"},
	{err: vfs.ErrQuota, name: "quota"},
	{key: "reply.noright", name: "permissions"},
	{err: users.ErrAddress, name: "allow_from"},
	{err: users.ErrDisabled, name: "disabled"},
	{err: users.ErrExpired, name: "expires"},
	{err: users.ErrCertificate, name: "client_cert"},
}

// settingOf returns the setting behind a refusal, or "".
func settingOf(err error) string {
	keys := keysOf(err, nil)
	for _, s := range settings {
		if s.err != nil && errors.Is(err, s.err) || s.key != "" && keys[s.key] {
			return s.name
		}
	}
	return ""
}

// keysOf collects the catalogue's rows of an error and of all it wraps.
func keysOf(err error, keys map[string]bool) map[string]bool {
	if keys == nil {
		keys = make(map[string]bool)
	}
	switch e := err.(type) {
	case interface{ Message() (string, []any) }:
		key, _ := e.Message()
		keys[key] = true
	case interface{ ReplyKey() string }:
		keys[e.ReplyKey()] = true
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			keysOf(inner, keys)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			keysOf(inner, keys)
		}
	}
	return keys
}
