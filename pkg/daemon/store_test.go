package daemon

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"ftps/pkg/catalog"
	"ftps/pkg/users"
)

func TestHomesInAnotherHomeOfTheStoreAreSweptWithIt(t *testing.T) {
	list := users.NewList(users.User{Name: "a", Home: "s3://one/a/b/"}, users.User{Name: "b", Home: "s3://one/a"},
		users.User{Name: "c", Home: "s3://one/ab"}, users.User{Name: "d", Home: "folder"}, users.User{Name: "e", Home: "s3://two", Disabled: true})
	if got := storeHomes(list); !slices.Equal(got, []string{"s3://one/a/", "s3://one/ab/"}) {
		t.Errorf("%q", got)
	}
}

func TestAHomeInTheStoreIsNoFolder(t *testing.T) {
	if got := homeOf("/srv", "s3://bucket/a/"); got != "s3://bucket/a/" {
		t.Error(got)
	}
	root := t.TempDir()
	if err := makeHome(root, "s3://bucket/a/"); err != nil {
		t.Error(err)
	}
}

func TestAnAccountInAStoreThatIsAwayIsToldSoAndTheOthersGoOn(t *testing.T) {
	there := account("diego")
	far := account("ana")
	far.Home = "s3://bucket/ana/"
	h := newHost(t, there, far)
	away, err := url.Parse("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	h.cfg.S3 = S3{Endpoint: away, Region: "us-east-1", AccessKey: "name", SecretKey: "hidden"}
	d, _ := h.start()
	h.log.wait(t, "store")
	c := h.secure(d)
	c.Cmd(331, "USER ana")
	if said := c.Cmd(451, "PASS secreto"); !strings.Contains(said, "store") {
		t.Error(said)
	}
	at := h.login(d, "diego")
	at.Cmd(250, "MLST")
	if got := at.Cmd(211, "FEAT"); !strings.Contains(got, "HASH SHA-256*;") || strings.Contains(got, "BLAKE3") {
		t.Errorf("a hash that the store does not keep is offered: %s", got)
	}
	if wrong, _ := Check(h.cfg); len(wrong) == 0 || !strings.Contains(catalog.Explain(catalog.English, errors.Join(wrong...)), "bucket bucket of http://127.0.0.1:1 cannot be reached") {
		t.Errorf("%v", wrong)
	}
	for _, line := range h.log.lines() {
		if strings.Contains(fmt.Sprint(line), "hidden") {
			t.Errorf("the secret is in the log: %v", line)
		}
	}
}

// A store on another machine may be spoken to without TLS, where nobody else
// reaches the wire; who did not mean it is told.
func TestAStoreOnAnotherMachineWithoutTLSIsRefusedUnlessItIsAskedForAndThenWarnedOf(t *testing.T) {
	for address, warned := range map[string]bool{
		"https://store.invalid": false, "http://127.0.0.1:9000": false, "http://[::1]:9000": false, "http://localhost": false,
		"http://store.invalid:9000": true, "http://192.0.2.1": true, "http://localhost.example": true,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if err := clearWire(S3{Endpoint: u}); (err != nil) != warned {
			t.Errorf("%s: %v", address, err)
		}
	}
	h := newHost(t, account("diego"))
	u, _ := url.Parse("http://store.invalid:9000")
	h.cfg.S3 = S3{Endpoint: u, Region: "us-east-1", AccessKey: "name", SecretKey: "hidden"}
	if wrong, _ := Check(h.cfg); !strings.Contains(catalog.Explain(catalog.English, errors.Join(wrong...)), "s3_in_clear") {
		t.Errorf("%v", wrong)
	}
	if d, err := New(h.cfg); err == nil {
		t.Errorf("it starts: %v", d)
	}
	h.cfg.S3.InClear = true
	h.start()
	h.log.wait(t, "store-clear")
	if _, warnings := Check(h.cfg); !strings.Contains(catalog.Explain(catalog.English, errors.Join(warnings...)), "in the clear") {
		t.Errorf("%v", warnings)
	}
}
