// Package users is the list of accounts in users.yaml: it loads and checks
// the file, changes it without touching what it did not have to, hashes
// passwords, and verifies a login.
//
// [Load] reads a [List]; [Watch] does so again whenever the file has changed.
// [File] adds, removes and changes accounts. [Verifier] answers one question:
// may this name with this password from this address log in? The package
// knows no FTP and opens no account's home.
package users

import (
	"net/netip"
	"slices"
	"time"

	"ftps/pkg/vfs"
)

// User is one account, as its entry says.
type User struct {
	Name        string
	Hash        string // bcrypt
	Home        string // below the root folder, absolute, or s3://bucket/prefix/
	Perm        vfs.Perm
	Quota       int64 // bytes; 0 is none
	MaxSessions int   // 0 is no limit of its own
	AllowFrom   []netip.Prefix
	Reuse       string // "require", "prefer", or "" for the server's setting
	RateUp      int64  // bytes a second; 0 is no limit
	RateDown    int64
	ClientCert  string // pin of the client's key, sha256//…, or ""
	Disabled    bool
	Expires     time.Time // from then on there is no login; zero is never
	Line        int       // where the entry begins in the file
}

// Allows reports whether the account may log in from addr.
func (u *User) Allows(addr netip.Addr) bool {
	if len(u.AllowFrom) == 0 {
		return true
	}
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(u.AllowFrom, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Expired reports whether the account has ended at the time now.
func (u *User) Expired(now time.Time) bool {
	return !u.Expires.IsZero() && !now.Before(u.Expires)
}

// Same reports whether u and v are the same account with the same settings,
// wherever they stand in their files. Rates do not count: a new one takes
// hold in the middle of a transfer, and nobody needs to log in anew for it.
func (u *User) Same(v *User) bool {
	return u.Name == v.Name && u.Hash == v.Hash && u.Home == v.Home && u.Perm == v.Perm &&
		u.Quota == v.Quota && u.MaxSessions == v.MaxSessions && u.Reuse == v.Reuse &&
		u.ClientCert == v.ClientCert &&
		u.Disabled == v.Disabled && u.Expires.Equal(v.Expires) &&
		slices.Equal(u.AllowFrom, v.AllowFrom)
}

// List is what a users.yaml said when it was read. It does not change.
type List struct {
	users  []User // in the file's order
	byName map[string]int
	price  int // the dearest bcrypt cost in it
}

// NewList returns a list of accounts that did not come from a file. Names and
// hashes are not checked.
func NewList(accounts ...User) *List {
	l := &List{users: slices.Clone(accounts), byName: make(map[string]int)}
	for i, u := range l.users {
		l.byName[u.Name] = i
		l.price = max(l.price, costOf(u.Hash))
	}
	return l
}

// Lookup returns the account of that name. The caller must not change it.
func (l *List) Lookup(name string) (*User, bool) {
	i, ok := l.byName[name]
	if !ok {
		return nil, false
	}
	return &l.users[i], true
}

// Len returns the number of accounts.
func (l *List) Len() int { return len(l.users) }

// All yields the accounts in the file's order.
func (l *List) All(yield func(*User) bool) {
	for i := range l.users {
		if !yield(&l.users[i]) {
			return
		}
	}
}
