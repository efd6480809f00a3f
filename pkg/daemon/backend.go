package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"ftps/pkg/dataport"
	"ftps/pkg/ftpserver"
	"ftps/pkg/limit"
	"ftps/pkg/users"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/s3fs"
)

// backend joins accounts, homes and limits to what the protocol engine asks
// for.
type backend struct {
	cfg      Config
	live     atomic.Pointer[Config] // cfg with what a reload changed
	store    *s3fs.Store            // nil is none
	verifier *users.Verifier
	logins   *limit.Logins
	turn     func(context.Context, netip.Addr) (release func(), err error) // to have a password checked
	sessions *limit.Connections                                            // of accounts

	mu     sync.Mutex
	open   map[*login]struct{}
	shared map[string]*shared // by account
	real   map[string]string  // homes of the list under their real names, as far as they were asked for
	usages map[string]*usage  // by folder; those that an account with a quota has for its home
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
	counts   []counted  // what it counts in, the outermost folder first
	up, down *limit.Rate
	uses     int
}

// usage is what a folder holds, for as long as somebody counts in it.
type usage struct {
	of   *vfs.Usage
	uses int
}

// counted is a folder and its usage.
type counted struct {
	folder string
	of     *vfs.Usage
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
	store, err := connectStore(cfg.S3)
	if err != nil {
		return nil, err
	}
	b := &backend{
		cfg: cfg, store: store,
		// A check is a fifth of a second of one core; half of them stay free
		// for those who are in already.
		verifier: users.NewVerifier(list, limit.NewChecks(max(1, runtime.GOMAXPROCS(0)/2))),
		logins:   limit.NewLogins(limit.LoginPolicy{}),
		turn:     limit.NewTurns().Acquire,
		sessions: limit.NewConnections(0, 0),
		open:     make(map[*login]struct{}),
		shared:   make(map[string]*shared),
		real:     make(map[string]string),
		usages:   make(map[string]*usage),
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
	release, err := b.turn(ctx, a.Remote)
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
	tree, err := b.openTree(ctx, user, common)
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
func (b *backend) openTree(ctx context.Context, u *users.User, common *shared) (vfs.FS, error) {
	home, err := b.openHome(ctx, u)
	if err != nil {
		return nil, err
	}
	tree, err := b.meter(ctx, home, common)
	if err != nil {
		home.Close()
		return nil, err
	}
	return tree, nil
}

// meter counts what is there, in every folder that the account's changes
// count in, before the first of them.
func (b *backend) meter(ctx context.Context, home vfs.FS, common *shared) (vfs.FS, error) {
	for _, c := range common.counts[:max(0, len(common.counts)-1)] {
		above, err := b.openCounted(c.folder)
		if err != nil {
			return nil, err
		}
		err = c.of.Count(ctx, above)
		above.Close()
		if err != nil {
			return nil, err
		}
	}
	return vfs.Limit(ctx, home, common.quota)
}

// folderOf is an account's home under its real name: one folder may have
// several. The caller holds the lock.
func (b *backend) folderOf(home string) string {
	if real, known := b.real[home]; known {
		return real
	}
	if bucket, prefix, ok := s3fs.ParseHome(home); ok {
		return strings.TrimSuffix("s3://"+bucket+"/"+prefix, "/")
	}
	dir := homeOf(b.cfg.RootDir, home)
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		b.real[home] = real
		return real
	}
	return filepath.Clean(dir)
}

// count finds the folders that the changes of an account count in: the home
// itself, and every folder above it that is the home of an account with a
// quota. The caller holds the lock.
func (b *backend) count(u *users.User) (counts []counted) {
	home := b.folderOf(u.Home)
	bounded := u.Quota > 0
	above := make(map[string]bool)
	for other := range b.verifier.List().All {
		if other.Quota <= 0 {
			continue
		}
		folder := b.folderOf(other.Home)
		switch {
		case folder == home:
			bounded = true
		case folder == "/" || strings.HasPrefix(home, folder+"/"):
			above[folder] = true
		}
	}
	if !bounded && len(above) == 0 {
		return nil
	}
	// Of folders that lie in each other the shorter name is the outer one.
	folders := slices.SortedFunc(maps.Keys(above), func(a, b string) int { return cmp.Compare(len(a), len(b)) })
	for _, folder := range append(folders, home) {
		if b.usages[folder] == nil {
			b.usages[folder] = &usage{of: vfs.NewUsage()}
		}
		b.usages[folder].uses++
		counts = append(counts, counted{folder, b.usages[folder].of})
	}
	return counts
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
	if s.quota == nil {
		s.counts = b.count(u)
		if n := len(s.counts); n > 0 {
			var above []*vfs.Usage
			for _, c := range s.counts[:n-1] {
				above = append(above, c.of)
			}
			s.quota = vfs.NewSharedQuota(cmp.Or(u.Quota, math.MaxInt64), s.counts[n-1].of, above...)
		}
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
		for _, c := range s.counts {
			if u := b.usages[c.folder]; u.uses > 1 {
				u.uses--
			} else {
				delete(b.usages, c.folder)
			}
		}
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
	clear(b.real)
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
