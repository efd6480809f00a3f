package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"ftps/pkg/ftpserver"
	"ftps/pkg/limit"
	"ftps/pkg/users"
	"ftps/pkg/vfs"
)

// homes are accounts that may write to each other's folders.
type homes struct {
	t *testing.T
	b *backend
	n int
}

func newHomes(t *testing.T, accounts ...users.User) *homes {
	t.Helper()
	h := newHost(t)
	if err := os.MkdirAll(h.at("srv/team/ana"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("team", h.at("srv/alias")); err != nil {
		t.Fatal(err)
	}
	var list []users.User
	list = append(list, accounts...)
	b, err := newBackend(h.cfg, users.NewList(list...))
	if err != nil {
		t.Fatal(err)
	}
	return &homes{t: t, b: b}
}

func at(name, home string, quota int64) users.User {
	u := account(name)
	u.Home, u.Quota = home, quota
	return u
}

func (h *homes) login(name string) *ftpserver.Account {
	h.t.Helper()
	u, ok := h.b.verifier.List().Lookup(name)
	if !ok {
		h.t.Fatal(name)
	}
	h.n++
	a, err := h.b.admit(h.t.Context(), ftpserver.Attempt{Session: fmt.Sprint(h.n)}, u)
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

// puts writes a file of so many bytes.
func puts(a *ftpserver.Account, name string, size int) error {
	path, err := vfs.Resolve(vfs.Name{}, name)
	if err != nil {
		return err
	}
	up, err := a.FS.Create(context.Background(), path, vfs.How{Size: -1})
	if err != nil {
		return err
	}
	defer up.Abort()
	if _, err := up.Write(make([]byte, size)); err != nil {
		return err
	}
	return up.Commit(context.Background())
}

func TestAccountsThatShareAHomeShareWhatItHolds(t *testing.T) {
	h := newHomes(t, at("diego", "team", 1000), at("ana", "alias", 1000), at("free", "team", 0), at("inner", "team/ana", 0))
	diego, ana, free, inner := h.login("diego"), h.login("ana"), h.login("free"), h.login("inner")
	for what, put := range map[string]error{
		"diego's": puts(diego, "a", 400), "of who has no quota": puts(free, "b", 300), "in a folder of the home": puts(inner, "c", 200),
	} {
		if put != nil {
			t.Fatalf("%s: %v", what, put)
		}
	}
	if err := puts(ana, "d", 101); !errors.Is(err, vfs.ErrQuota) {
		t.Errorf("a byte more than fits into the home of both: %v", err)
	}
	if err := puts(ana, "d", 100); err != nil {
		t.Errorf("the last bytes that fit: %v", err)
	}
	if err := puts(inner, "e", 5000); err != nil {
		t.Errorf("who has no quota is bound by somebody else's: %v", err)
	}
	for _, a := range []*ftpserver.Account{diego, ana, free, inner} {
		a.Close()
	}
	if len(h.b.usages) != 0 || len(h.b.shared) != 0 {
		t.Errorf("%d usages and %d accounts are remembered", len(h.b.usages), len(h.b.shared))
	}
}

func TestManyWritersOfASharedHomeDoNotPassItsQuotaTogether(t *testing.T) {
	h := newHomes(t, at("diego", "team", 10_000), at("ana", "team", 10_000))
	if n := h.storeTogether("diego", "ana"); n != 10_000 {
		t.Errorf("%d bytes were stored where 10,000 fit", n)
	}
}

// The negative control: where each account counts for itself, a home holds as
// many times the quota as it has accounts.
func TestAccountsThatCountApartPassTheQuotaOfTheHomeTheyShare(t *testing.T) {
	h := newHomes(t, at("diego", "team", 10_000), at("ana", "team", 10_000))
	for _, name := range []string{"diego", "ana"} {
		h.b.shared[name] = &shared{quota: vfs.NewQuota(10_000), up: limit.NewRate(0), down: limit.NewRate(0), uses: 1}
	}
	if n := h.storeTogether("diego", "ana"); n != 20_000 {
		t.Errorf("%d bytes were stored: this shows nothing", n)
	}
}

// storeTogether has eight sessions store, all at once, twice what fits for
// both, and returns how much came.
func (h *homes) storeTogether(accounts ...string) int64 {
	var stored atomic.Int64
	var all sync.WaitGroup
	var sessions []*ftpserver.Account
	for i := range 8 {
		sessions = append(sessions, h.login(accounts[i%len(accounts)]))
	}
	for i, a := range sessions {
		all.Go(func() {
			defer a.Close()
			for j := range 50 {
				if puts(a, fmt.Sprintf("f%d-%d", i, j), 100) == nil {
					stored.Add(100)
				}
			}
		})
	}
	all.Wait()
	return stored.Load()
}
