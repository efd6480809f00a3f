package users

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"

	"ftps/pkg/fault"
)

// ErrRefused is what every refused login is. Why is in [Refusal.Cause], for
// the log alone.
var ErrRefused = errors.New("users: login refused")

// Causes of a refusal.
var (
	ErrUnknownName   = errors.New("unknown name")
	ErrWrongPassword = errors.New("wrong password")
	ErrDisabled      = errors.New("account disabled")
	ErrExpired       = errors.New("account expired")
	ErrAddress       = errors.New("address not allowed")
	ErrCertificate   = errors.New("account is bound to a client certificate")
)

// Refusal is a refused login. It says the same whatever the cause was, so
// that no caller can tell a stranger which names exist.
type Refusal struct{ Cause error }

func (*Refusal) Error() string { return ErrRefused.Error() }

// Is makes every refusal ErrRefused.
func (*Refusal) Is(target error) bool { return target == ErrRefused }

// Checks bounds how many password checks run at once.
type Checks interface {
	Acquire(ctx context.Context) (release func(), err error)
}

// Verifier answers logins from a list that may be exchanged at any time.
//
// Every refused login costs the same: one bcrypt comparison at the price of
// the dearest account, whether the name exists or not. An account with a
// cheaper hash is made up to that price, for a right password as well.
type Verifier struct {
	checks  Checks
	compare func(hash, password []byte) error // bcrypt's; tests count
	dummies [MaxCost + 1]string               // a hash of each cost
	pairs   *pairs
	list    atomic.Pointer[List]
}

// NewVerifier returns a verifier for the accounts of list.
func NewVerifier(list *List, checks Checks) *Verifier {
	v := &Verifier{checks: checks, compare: bcrypt.CompareHashAndPassword, pairs: newPairs()}
	for cost := MinCost; cost <= MaxCost; cost++ {
		v.dummies[cost] = dummyHash(cost)
	}
	v.Set(list)
	return v
}

// Set exchanges the list. Logins that are being checked are decided by the
// new one.
func (v *Verifier) Set(list *List) { v.list.Store(list) }

// List returns the list that decides now.
func (v *Verifier) List() *List { return v.list.Load() }

// Verify returns the account of that name, if the password is its own and it
// may log in from addr now. Every refusal is ErrRefused; that the check could
// not be made before ctx ended is another error. The account must not be
// changed.
func (v *Verifier) Verify(ctx context.Context, name, password string, addr netip.Addr) (*User, error) {
	if u, cause := v.List().find(name, addr); cause == nil && v.pairs.known(u, password, addr) {
		return u, nil
	}
	release, err := v.checks.Acquire(ctx)
	if err != nil {
		return nil, fault.Wrap(err, "users.login.busy")
	}
	defer release()

	// While this one waited, the list may have changed, and another
	// connection of the same client may have paid for the check.
	list := v.List()
	u, cause := list.find(name, addr)
	if cause == nil && v.pairs.known(u, password, addr) {
		return u, nil
	}
	if cause == nil && !v.matches(list, u, password) {
		cause = ErrWrongPassword
	} else if cause != nil {
		v.pay(list.dearest(), password)
	}
	if cause != nil {
		return nil, &Refusal{cause}
	}
	// A check takes long enough for the account to be closed meanwhile.
	now, cause := v.List().find(name, addr)
	if cause == nil && now.Hash != u.Hash {
		cause = ErrWrongPassword
	}
	if cause != nil {
		return nil, &Refusal{cause}
	}
	v.pairs.remember(now, password, addr)
	return now, nil
}

// ByCertificate returns the account of that name, if it is bound to the
// client certificate whose pin was shown and may log in from addr now. The
// caller has verified the certificate, and that the client holds its key.
func (v *Verifier) ByCertificate(name, pin string, addr netip.Addr) (*User, error) {
	u, cause := v.List().open(name, addr)
	if cause == nil && (u.ClientCert == "" || u.ClientCert != pin) {
		cause = ErrCertificate
	}
	if cause != nil {
		return nil, &Refusal{cause}
	}
	return u, nil
}

// find returns the account of that name, or why no password opens it from
// addr.
func (l *List) find(name string, addr netip.Addr) (*User, error) {
	u, cause := l.open(name, addr)
	if cause == nil && u.ClientCert != "" {
		cause = ErrCertificate
	}
	return u, cause
}

// open returns the account of that name, or why nobody may log in to it from
// addr.
func (l *List) open(name string, addr netip.Addr) (*User, error) {
	u, ok := l.Lookup(name)
	switch {
	case !ok:
		return nil, ErrUnknownName
	case u.Disabled:
		return nil, ErrDisabled
	case u.Expired(time.Now()):
		return nil, ErrExpired
	case !u.Allows(addr):
		return nil, ErrAddress
	}
	return u, nil
}

// dearest returns the price of every check.
func (l *List) dearest() int {
	if l.price == 0 {
		return DefaultCost
	}
	return l.price
}

// matches compares the password with the account's hash, at the price of the
// dearest.
func (v *Verifier) matches(list *List, u *User, password string) bool {
	// bcrypt compares the first 72 bytes and no more, and a NUL ends a turn
	// of its key, so that "a\x00a" would pass for "a". No account has such a
	// password.
	if len(password) > MaxPassword || strings.IndexByte(password, 0) >= 0 {
		v.pay(list.dearest(), password)
		return false
	}
	err := v.compare([]byte(u.Hash), []byte(password))
	if err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		v.pay(list.dearest(), password) // a hash that cost nothing
		return false
	}
	// 2^c + 2^c + 2^(c+1) + … + 2^(d-1) = 2^d.
	for cost := costOf(u.Hash); cost < list.dearest(); cost++ {
		v.pay(cost, password)
	}
	return err == nil
}

// pay makes one comparison of that cost with a hash that nothing matches.
func (v *Verifier) pay(cost int, password string) {
	p := []byte(password)
	_ = v.compare([]byte(v.dummies[cost]), p[:min(len(p), MaxPassword)])
}
