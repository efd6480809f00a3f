package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"ftps/pkg/ftpserver"
	"ftps/pkg/limit"
	"ftps/pkg/users"
	"ftps/pkg/vfs"
)

// A client that reconnects at once when its account's quota was lowered must
// not go on with the old one because its old session has not quite ended.
func TestANewQuotaHoldsWhileAnOldSessionIsStillEnding(t *testing.T) {
	h := newHost(t)
	old := account("diego")
	old.Quota = 1 << 20
	b, err := newBackend(h.cfg, users.NewList(old))
	if err != nil {
		t.Fatal(err)
	}
	login := func(session string, u *users.User) *ftpserver.Account {
		t.Helper()
		account, err := b.admit(t.Context(), ftpserver.Attempt{Session: session}, u)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(account.Close)
		return account
	}
	put := func(account *ftpserver.Account, size int) error {
		name, err := vfs.Resolve(vfs.Name{}, "f")
		if err != nil {
			t.Fatal(err)
		}
		up, err := account.FS.Create(context.Background(), name, vfs.How{Size: -1})
		if err != nil {
			return err
		}
		defer up.Abort()
		_, err = up.Write(make([]byte, size))
		return err
	}
	if err := put(login("first", &old), 1000); err != nil {
		t.Fatal(err)
	}
	lower := old
	lower.Quota = 100
	if stale := b.exchange(users.NewList(lower)); !stale["first"] {
		t.Error("the old session goes on")
	}
	if err := put(login("second", &lower), 1000); !errors.Is(err, vfs.ErrQuota) {
		t.Errorf("beyond the new quota: %v", err)
	}
	none := old
	none.Quota = 0
	b.exchange(users.NewList(none))
	if err := put(login("third", &none), 2<<20); err != nil {
		t.Errorf("without a quota: %v", err)
	}
}

// Many guesses at once from one address are not checked before the one
// login of another.
func TestABurstOfGuessesDoesNotHoldUpOtherAddresses(t *testing.T) {
	between := tries(t, nil)
	if least := slices.Min(between); least > burst/4 {
		t.Errorf("%d guesses were checked before the login of another address", between)
	}
}

// The negative control: where addresses do not take turns, the login stands
// behind all of them.
func TestWithoutTurnsABurstOfGuessesHoldsUpEveryLogin(t *testing.T) {
	everybody := func(context.Context, netip.Addr) (func(), error) { return func() {}, nil }
	between := tries(t, everybody)
	if most := slices.Max(between); most <= burst/4 {
		t.Errorf("%d guesses were checked before the login of another address: this shows nothing", between)
	}
}

// tries counts three times: on a busy machine the login may come late by
// itself, or the guesses.
func tries(t *testing.T, turn func(context.Context, netip.Addr) (func(), error)) (between []int64) {
	for range 3 {
		between = append(between, checkedBefore(t, turn))
	}
	return between
}

const burst = 40

// checkedBefore counts the guesses of a burst that are checked before a login
// that comes when the first of them has been.
func checkedBefore(t *testing.T, turn func(context.Context, netip.Addr) (func(), error)) int64 {
	h := newHost(t)
	hash, err := users.Hash("secreto", 7) // some milliseconds
	if err != nil {
		t.Fatal(err)
	}
	diego := account("diego")
	diego.Hash = hash
	b, err := newBackend(h.cfg, users.NewList(diego))
	if err != nil {
		t.Fatal(err)
	}
	b.verifier = users.NewVerifier(users.NewList(diego), limit.NewChecks(1)) // whatever the machine
	if turn != nil {
		b.turn = turn
	}
	attempt := func(from, password string) error {
		account, err := b.Login(t.Context(), ftpserver.Attempt{
			Name: "diego", Password: password, Session: from, Remote: netip.MustParseAddr(from), TLS: &tls.ConnectionState{},
		})
		if err == nil {
			account.Close()
		}
		return err
	}
	var checked atomic.Int64
	var guesses, begun sync.WaitGroup
	begun.Add(burst)
	for i := range burst {
		guesses.Go(func() {
			begun.Done()
			if attempt("192.0.2.1", fmt.Sprint("guess", i)) == nil {
				t.Error("a guess was let in")
			}
			checked.Add(1)
		})
	}
	begun.Wait()
	for checked.Load() == 0 {
		runtime.Gosched() // the burst is in line
	}
	before := checked.Load()
	if err := attempt("192.0.2.2", "secreto"); err != nil {
		t.Fatal(err)
	}
	between := checked.Load() - before
	guesses.Wait()
	return between
}
