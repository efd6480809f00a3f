package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"ftps/pkg/dataport"
	"ftps/pkg/ftpserver"
	"ftps/pkg/limit"
	"ftps/pkg/users"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/jail"
)

// backend joins accounts, homes and limits to what the protocol engine asks
// for.
type backend struct {
	cfg      Config
	live     atomic.Pointer[Config] // cfg with what a reload changed
	verifier *users.Verifier
	logins   *limit.Logins
	turns    *limit.Turns
	sessions *limit.Connections // of accounts

	mu     sync.Mutex
	open   map[*login]struct{}
	shared map[string]*shared // by account
}

// login is an account that is open in a session.
type login struct {
	session string // log id
	user    *users.User
}

// shared is what an account's sessions have in common. It is made with the
// first one and forgotten with the last, so that what other programs did to
// the files counts in the quota in the end.
type shared struct {
	quota    *vfs.Quota // nil is none
	up, down *limit.Rate
	uses     int
}

func newBackend(cfg Config, list *users.List) (*backend, error) {
	for u := range list.All {
		if u.Disabled {
			continue
		}
		if err := makeHome(cfg.RootDir, u.Home); err != nil {
			return nil, err
		}
	}
	b := &backend{
		cfg: cfg,
		// A check is a fifth of a second of one core; half of them stay free
		// for those who are in already.
		verifier: users.NewVerifier(list, limit.NewChecks(max(1, runtime.GOMAXPROCS(0)/2))),
		logins:   limit.NewLogins(limit.LoginPolicy{}),
		turns:    limit.NewTurns(),
		sessions: limit.NewConnections(0, 0),
		open:     make(map[*login]struct{}),
		shared:   make(map[string]*shared),
	}
	b.live.Store(&cfg)
	return b, nil
}

// Login implements [ftpserver.Backend].
func (b *backend) Login(ctx context.Context, a ftpserver.Attempt) (*ftpserver.Account, error) {
	if err := b.logins.Wait(ctx, a.Remote); err != nil {
		if errors.Is(err, limit.ErrTooManyFailures) {
			err = fmt.Errorf("%w: %w", ftpserver.ErrLogin, err)
		}
		return nil, err
	}
	user, err := b.verify(ctx, a)
	if errors.Is(err, users.ErrRefused) {
		b.logins.Failed(a.Remote)
		var refusal *users.Refusal
		if errors.As(err, &refusal) {
			err = refusal.Cause // for the log; the client sees ErrLogin's reply
		}
		return nil, fmt.Errorf("%w: %w", ftpserver.ErrLogin, err)
	}
	if err != nil {
		return nil, err
	}
	return b.admit(ctx, a, user)
}

// verify checks the password in its address's turn: a burst of guesses must
// not stand in line for the few checks before everybody else.
func (b *backend) verify(ctx context.Context, a ftpserver.Attempt) (*users.User, error) {
	release, err := b.turns.Acquire(ctx, a.Remote)
	if err != nil {
		return nil, err
	}
	defer release()
	return b.verifier.Verify(ctx, a.Name, a.Password, a.Remote)
}

// admit opens the account for a session whose login holds.
func (b *backend) admit(ctx context.Context, a ftpserver.Attempt, user *users.User) (*ftpserver.Account, error) {
	release, err := b.sessions.Account(user.Name, user.MaxSessions)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ftpserver.ErrSessions, err)
	}
	common := b.borrow(user)
	tree, err := b.openTree(ctx, user, common.quota)
	if err != nil {
		b.giveBack(user.Name)
		release()
		return nil, err
	}
	l := &login{session: a.Session, user: user}
	end := func() {
		b.leave(l)
		tree.Close()
		b.giveBack(user.Name)
		release()
	}
	if !b.enter(l) {
		end()
		return nil, fmt.Errorf("%w: %w", ftpserver.ErrLogin, errChanged)
	}
	return &ftpserver.Account{
		Name: user.Name, FS: tree, Perm: user.Perm, Reuse: b.reuse(user),
		Up: common.up, Down: common.down,
		Close: end,
	}, nil
}

func (b *backend) reuse(u *users.User) dataport.Reuse {
	switch u.Reuse {
	case "require":
		return dataport.Require
	case "prefer":
		return dataport.Prefer
	}
	return b.live.Load().Reuse
}

// openTree opens the account's home, with its quota round it.
func (b *backend) openTree(ctx context.Context, u *users.User, quota *vfs.Quota) (vfs.FS, error) {
	if err := makeHome(b.cfg.RootDir, u.Home); err != nil {
		return nil, err
	}
	live := b.live.Load()
	home, err := jail.Open(homeOf(b.cfg.RootDir, u.Home), jail.Options{
		Account: u.Name, Umask: live.Umask, NoSync: live.NoSync,
	})
	if err != nil {
		return nil, err
	}
	tree, err := vfs.Limit(ctx, home, quota)
	if err != nil {
		home.Close()
		return nil, err
	}
	return tree, nil
}

// borrow returns what the account's sessions share; giveBack ends its use.
func (b *backend) borrow(u *users.User) *shared {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.shared[u.Name]
	if s == nil {
		s = &shared{up: limit.NewRate(u.RateUp), down: limit.NewRate(u.RateDown)}
		b.shared[u.Name] = s
	}
	if u.Quota > 0 && s.quota == nil {
		s.quota = vfs.NewQuota(u.Quota)
	}
	s.uses++
	return s
}

func (b *backend) giveBack(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.shared[name]; s.uses > 1 {
		s.uses--
	} else {
		delete(b.shared, name)
	}
}

// enter notes a login, unless the account has changed since it was verified:
// nobody may slip in between the change and the end of the account's
// sessions.
func (b *backend) enter(l *login) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, ok := b.verifier.List().Lookup(l.user.Name)
	if !ok || !now.Same(l.user) {
		return false
	}
	b.open[l] = struct{}{}
	// What the account's sessions share may stem from one that is ending just
	// now because these have changed.
	if s := b.shared[now.Name]; s != nil {
		s.up.Set(now.RateUp)
		s.down.Set(now.RateDown)
		if s.quota != nil {
			s.quota.SetLimit(cmp.Or(now.Quota, math.MaxInt64))
		}
	}
	return true
}

func (b *backend) leave(l *login) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, l)
}

// exchange puts another list in force and returns the log ids of the
// sessions whose account is no longer what it was.
func (b *backend) exchange(list *users.List) (stale map[string]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.verifier.Set(list)
	for name, s := range b.shared {
		if now, ok := list.Lookup(name); ok {
			s.up.Set(now.RateUp)
			s.down.Set(now.RateDown)
		}
	}
	stale = make(map[string]bool)
	for l := range b.open {
		now, ok := list.Lookup(l.user.Name)
		if !ok || !sameButRates(now, l.user) {
			stale[l.session] = true
			continue
		}
		b.shared[now.Name].up.Set(now.RateUp)
		b.shared[now.Name].down.Set(now.RateDown)
	}
	return stale
}

// sameButRates compares accounts without what can change under a running
// transfer.
func sameButRates(a, b *users.User) bool {
	same := *a
	same.RateUp, same.RateDown = b.RateUp, b.RateDown
	return same.Same(b)
}
