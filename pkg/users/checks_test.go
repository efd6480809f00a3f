package users_test

import (
	"errors"
	"net/netip"
	"testing"

	"ftps/pkg/limit"
	"ftps/pkg/users"
)

// The limit of checks that the server uses fits, and gives its place back
// after every kind of answer.
func TestChecksAreGivenBack(t *testing.T) {
	hash, err := users.Hash("right", users.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	v := users.NewVerifier(users.NewList(users.User{Name: "ana", Hash: hash}), limit.NewChecks(1))
	addr := netip.MustParseAddr("192.0.2.1")
	for range 3 {
		for _, login := range [][2]string{{"nobody", "x"}, {"ana", "wrong"}, {"ana", "right"}} {
			_, err := v.Verify(t.Context(), login[0], login[1], addr)
			if ok := login[1] == "right"; ok != (err == nil) || !ok && !errors.Is(err, users.ErrRefused) {
				t.Errorf("%q: %v", login, err)
			}
		}
	}
}
