package users

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"ftps/pkg/vfs"
)

// bench is a verifier whose comparisons are counted, not made.
type bench struct {
	*Verifier
	calls int // of bcrypt
	units int // of work: 2^cost each
}

// open is a semaphore with room for everyone.
type open struct{}

func (open) Acquire(ctx context.Context) (func(), error) { return func() {}, ctx.Err() }

// line returns a well-formed hash of that cost, and mark tells it from others.
func line(cost int, mark string) string {
	h := dummyHash(cost)
	return h[:7] + mark + h[7+len(mark):]
}

func newBench(checks Checks, passwords map[string]string, accounts ...User) *bench {
	b := &bench{Verifier: NewVerifier(NewList(accounts...), checks)}
	b.compare = func(hash, password []byte) error {
		cost, err := bcrypt.Cost(hash)
		if err != nil {
			return err
		}
		b.calls++
		b.units += 1 << cost
		if want, ok := passwords[string(hash)]; ok && want == string(password) {
			return nil
		}
		return bcrypt.ErrMismatchedHashAndPassword
	}
	return b
}

// spent returns and clears the count.
func (b *bench) spent() (calls, units int) {
	calls, units = b.calls, b.units
	b.calls, b.units = 0, 0
	return calls, units
}

var home = netip.MustParseAddr("192.0.2.1")

func causeOf(err error) error {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Cause
	}
	return err
}

// Whatever is wrong with a login, the answer and the work are the same: who
// counts milliseconds learns neither names nor settings.
func TestEveryRefusalCostsAndSaysTheSame(t *testing.T) {
	cheap, dear, middle := line(6, "cheap"), line(12, "dear"), line(9, "middle")
	passwords := map[string]string{cheap: "right", dear: "right", middle: "right"}
	accounts := []User{
		{Name: "cheap", Hash: cheap}, {Name: "dear", Hash: dear}, {Name: "middle", Hash: middle},
		{Name: "disabled", Hash: cheap, Disabled: true},
		{Name: "disabled-dear", Hash: dear, Disabled: true},
		{Name: "expired", Hash: cheap, Expires: time.Now().Add(-time.Hour)},
		{Name: "elsewhere", Hash: cheap, AllowFrom: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
	}
	b := newBench(open{}, passwords, accounts...)
	const price = 1 << 12
	for _, c := range []struct {
		name, password string
		cause          error
	}{
		{"nobody", "right", ErrUnknownName},
		{"", "", ErrUnknownName},
		{"CHEAP", "right", ErrUnknownName},
		{"cheap", "wrong", ErrWrongPassword},
		{"middle", "wrong", ErrWrongPassword},
		{"dear", "wrong", ErrWrongPassword},
		{"dear", "", ErrWrongPassword},
		{"disabled", "right", ErrDisabled},
		{"disabled", "wrong", ErrDisabled},
		{"disabled-dear", "right", ErrDisabled},
		{"expired", "right", ErrExpired},
		{"elsewhere", "right", ErrAddress},
		{"cheap", strings.Repeat("x", 73), ErrWrongPassword},
		{"nobody", strings.Repeat("x", 73), ErrUnknownName},
		{"cheap", "right\x00right", ErrWrongPassword},
	} {
		u, err := b.Verify(t.Context(), c.name, c.password, home)
		if u != nil || !errors.Is(err, ErrRefused) || causeOf(err) != c.cause {
			t.Errorf("%s: %v, %v", c.name, causeOf(err), u)
		}
		if err.Error() != ErrRefused.Error() {
			t.Errorf("%s: the answer %q tells the cause", c.name, err)
		}
		if _, units := b.spent(); units != price {
			t.Errorf("%s with %q cost %d units, want %d", c.name, c.password, units, price)
		}
	}
	for _, name := range []string{"cheap", "middle", "dear"} {
		u, err := b.Verify(t.Context(), name, "right", home)
		if err != nil || u.Name != name {
			t.Errorf("%s: %v", name, err)
		}
		if _, units := b.spent(); units != price {
			t.Errorf("%s with the right password cost %d units, want %d", name, units, price)
		}
	}
}

func TestThePriceFollowsTheList(t *testing.T) {
	b := newBench(open{}, nil)
	for _, c := range []struct {
		list  *List
		price int
	}{
		{NewList(), 1 << DefaultCost},
		{NewList(User{Name: "a", Hash: line(4, "a")}), 1 << 4},
		{NewList(User{Name: "a", Hash: line(4, "a")}, User{Name: "b", Hash: line(14, "b")}), 1 << 14},
		{NewList(User{Name: "a", Hash: line(10, "a")}), 1 << 10},
	} {
		b.Set(c.list)
		for _, name := range []string{"a", "nobody"} {
			_, _ = b.Verify(t.Context(), name, "wrong", home)
			if _, units := b.spent(); units != c.price {
				t.Errorf("%s cost %d units, want %d", name, units, c.price)
			}
		}
	}
}

// bcrypt itself compares 72 bytes and takes a NUL for the end of its key.
func TestBcryptsOwnWeaknessesLetNobodyIn(t *testing.T) {
	long := strings.Repeat("x", 72)
	hashLong, err := Hash(long, MinCost)
	if err != nil {
		t.Fatal(err)
	}
	hashShort, err := Hash("abc", MinCost)
	if err != nil {
		t.Fatal(err)
	}
	// Without a defence both attacks succeed.
	if bcrypt.CompareHashAndPassword([]byte(hashLong), []byte(long+"anything")) != nil ||
		bcrypt.CompareHashAndPassword([]byte(hashShort), []byte("abc\x00abc")) != nil {
		t.Fatal("bcrypt has changed: these checks are no longer needed")
	}
	v := NewVerifier(NewList(User{Name: "long", Hash: hashLong}, User{Name: "short", Hash: hashShort}), open{})
	for _, c := range []struct {
		name, password string
		ok             bool
	}{
		{"long", long, true}, {"long", long + "anything", false},
		{"short", "abc", true}, {"short", "abc\x00abc", false},
		{"short", "abd", false}, {"nobody", "abc", false},
	} {
		if _, err := v.Verify(t.Context(), c.name, c.password, home); (err == nil) != c.ok {
			t.Errorf("%s, %q: %v", c.name, c.password, err)
		}
	}
}

func TestAGoodPairIsNotCheckedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := line(12, "h")
		b := newBench(open{}, map[string]string{h: "right"}, User{Name: "ana", Hash: h})
		from := func(addr, password string, wantCalls int, wantErr error) {
			t.Helper()
			_, err := b.Verify(t.Context(), "ana", password, netip.MustParseAddr(addr))
			if causeOf(err) != wantErr {
				t.Errorf("%s, %s: %v", addr, password, causeOf(err))
			}
			if calls, _ := b.spent(); calls != wantCalls {
				t.Errorf("%s, %s: %d checks, want %d", addr, password, calls, wantCalls)
			}
		}
		from("192.0.2.1", "right", 1, nil)
		from("192.0.2.1", "right", 0, nil)
		from("::ffff:192.0.2.1", "right", 0, nil)
		from("192.0.2.1", "wrong", 1, ErrWrongPassword)
		from("192.0.2.1", "right", 0, nil)
		from("192.0.2.2", "right", 1, nil)
		from("2001:db8::1", "right", 1, nil)
		from("2001:db8::2:2", "right", 0, nil)
		from("2001:db8:0:1::1", "right", 1, nil)
		time.Sleep(15*time.Minute - time.Second)
		from("192.0.2.1", "right", 0, nil)
		time.Sleep(2 * time.Second)
		from("192.0.2.1", "right", 1, nil) // hits do not prolong it
	})
}

// Only the comparison is skipped. And an account that may not log in costs
// the full price even where its pair is remembered.
func TestAGoodPairOpensNothingElse(t *testing.T) {
	h, other := line(10, "h"), line(10, "o")
	good := User{Name: "ana", Hash: h}
	b := newBench(open{}, map[string]string{h: "right", other: "new"}, good)
	if _, err := b.Verify(t.Context(), "ana", "right", home); err != nil {
		t.Fatal(err)
	}
	disabled, expired, elsewhere, changed := good, good, good, good
	disabled.Disabled = true
	expired.Expires = time.Now().Add(-time.Second)
	elsewhere.AllowFrom = []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")}
	changed.Hash = other
	for want, u := range map[error]User{ErrDisabled: disabled, ErrExpired: expired, ErrAddress: elsewhere, ErrWrongPassword: changed} {
		b.Set(NewList(u))
		b.spent()
		if _, err := b.Verify(t.Context(), "ana", "right", home); causeOf(err) != want {
			t.Errorf("%v, want %v", causeOf(err), want)
		}
		if _, units := b.spent(); units != 1<<10 {
			t.Errorf("%v cost %d units", want, units)
		}
	}
	b.Set(NewList())
	if _, err := b.Verify(t.Context(), "ana", "right", home); causeOf(err) != ErrUnknownName {
		t.Errorf("a removed account: %v", causeOf(err))
	}
}

func TestRememberedPairsAreBounded(t *testing.T) {
	p := newPairs()
	u := &User{Name: "ana", Hash: line(4, "h")}
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
	for i := range 2 * pairMax {
		p.remember(u, "right", at(i))
	}
	if len(p.entries) != pairMax || p.order.Len() != pairMax {
		t.Errorf("%d are remembered", len(p.entries))
	}
	if p.known(u, "right", at(0)) || !p.known(u, "right", at(2*pairMax-1)) {
		t.Error("the oldest must go first")
	}
}

// one is a semaphore with one place.
type one chan struct{}

func (c one) Acquire(ctx context.Context) (func(), error) {
	select {
	case c <- struct{}{}:
		return func() { <-c }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestParallelLoginsOfOneClientPayOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := line(12, "h")
		b := newBench(make(one, 1), map[string]string{h: "right"}, User{Name: "ana", Hash: h, Perm: vfs.ReadWrite})
		count := b.compare
		b.compare = func(hash, password []byte) error {
			time.Sleep(200 * time.Millisecond)
			return count(hash, password)
		}
		results := make(chan error)
		for range 8 {
			go func() { _, err := b.Verify(t.Context(), "ana", "right", home); results <- err }()
		}
		for range 8 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if calls, _ := b.spent(); calls != 1 {
			t.Errorf("%d checks for 8 connections", calls)
		}
	})
}

func TestACheckWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := make(one, 1)
		full <- struct{}{}
		b := newBench(full, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := b.Verify(ctx, "ana", "x", home)
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrRefused) {
			t.Errorf("%v", err)
		}
	})
}

func TestAnAccountClosedDuringItsCheckStaysOut(t *testing.T) {
	h := line(12, "h")
	b := newBench(open{}, map[string]string{h: "right"}, User{Name: "ana", Hash: h})
	count := b.compare
	b.compare = func(hash, password []byte) error {
		b.Set(NewList(User{Name: "ana", Hash: h, Disabled: true}))
		return count(hash, password)
	}
	if _, err := b.Verify(t.Context(), "ana", "right", home); causeOf(err) != ErrDisabled {
		t.Errorf("%v", causeOf(err))
	}
}

func TestAccountsOfANetworkTakeItsAddressesInEveryForm(t *testing.T) {
	u := User{AllowFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("fe80::/10")}}
	for addr, want := range map[string]bool{
		"192.0.2.255": true, "::ffff:192.0.2.7": true, "192.0.3.0": false, "fe80::1%eth0": true, "2001:db8::1": false,
	} {
		if got := u.Allows(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

func TestAnAccountEndsAtItsMoment(t *testing.T) {
	end := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
	u := User{Expires: end}
	if u.Expired(end.Add(-time.Nanosecond)) || !u.Expired(end) {
		t.Error("the end is not at its moment")
	}
}

// A certificate opens the one account that names its pin, under every rule
// that a password is under; and such an account has no password.
func TestACertificateOpensItsOwnAccountAlone(t *testing.T) {
	const pin, other = "sha256//ana", "sha256//other"
	hash := line(6, "ana")
	b := newBench(open{}, map[string]string{hash: "right"},
		User{Name: "ana", ClientCert: pin, Hash: hash},
		User{Name: "plain", Hash: hash},
		User{Name: "disabled", ClientCert: pin, Disabled: true},
		User{Name: "expired", ClientCert: pin, Expires: time.Now().Add(-time.Hour)},
		User{Name: "elsewhere", ClientCert: pin, AllowFrom: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
	)
	if u, err := b.ByCertificate("ana", pin, home); err != nil || u.Name != "ana" {
		t.Fatalf("%v, %v", u, err)
	}
	for _, c := range []struct {
		name, pin string
		cause     error
	}{
		{"ana", other, ErrCertificate},
		{"ana", "", ErrCertificate},
		{"plain", pin, ErrCertificate},
		{"plain", "", ErrCertificate}, // no pin is not the pin of none
		{"nobody", pin, ErrUnknownName},
		{"disabled", pin, ErrDisabled},
		{"expired", pin, ErrExpired},
		{"elsewhere", pin, ErrAddress},
	} {
		u, err := b.ByCertificate(c.name, c.pin, home)
		if u != nil || !errors.Is(err, ErrRefused) || causeOf(err) != c.cause || err.Error() != ErrRefused.Error() {
			t.Errorf("%s with %q: %v, %v", c.name, c.pin, u, err)
		}
	}
	if u, err := b.Verify(t.Context(), "ana", "right", home); u != nil || causeOf(err) != ErrCertificate {
		t.Errorf("its password: %v, %v", u, causeOf(err))
	}
}
