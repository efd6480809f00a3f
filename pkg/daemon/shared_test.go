package daemon

import (
	"context"
	"errors"
	"io"
	"testing"

	"ftps/pkg/ftpserver"
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
		_, err = io.WriteString(up, string(make([]byte, size)))
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
