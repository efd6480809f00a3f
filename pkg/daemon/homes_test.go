package daemon

import (
	"os"
	"strings"
	"testing"

	"ftps/pkg/catalog"
	"ftps/pkg/ftpserver"
	"ftps/pkg/users"
)

// A program that is run for each upload must not lie where an upload can
// replace it: that would be a shell.
func TestAHookThatAnAccountCouldReplaceIsRefused(t *testing.T) {
	h := newHost(t)
	outside := h.at("tools/tell")
	for _, dir := range []string{"tools", "srv/diego", "far/deep", "farther"} {
		if err := os.MkdirAll(h.at(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(outside, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{
		"srv/diego/link": outside, "srv/diego/tools": h.at("tools"), "farther/in": "../srv/diego", "farther/out": "../tools",
		"farther/round": "round",
	} {
		if err := os.Symlink(to, h.at(link)); err != nil {
			t.Skip(err)
		}
	}
	far := account("far")
	far.Home = h.at("far")
	// The control: by what it leads to alone, a symlink in a home passes.
	if below(h.cfg.RootDir, h.at("srv/diego/link")) {
		t.Error("it leads nowhere else: this shows nothing")
	}
	for hook, served := range map[string]bool{
		outside: false, "": false,
		h.at("srv/diego/tell"): true, h.at("srv/tell"): true, h.at("far/deep/tell"): true,
		h.at("farther/tell"): false, h.at("farther/out/tell"): false, h.at("farther/round/tell"): false,
		// The owner of the home can put another file or folder in the place of
		// each of these symlinks.
		h.at("srv/diego/link"): true, h.at("srv/diego/tools/tell"): true, h.at("farther/in/tools/tell"): true,
		h.at("farther/../srv/diego/link"): true,
	} {
		h.cfg.Hook = hook
		err := checkHook(&h.cfg, users.NewList(account("diego"), far))
		if (err != nil) != served {
			t.Errorf("%s: %v", hook, err)
		}
	}
}

// An account whose home is in a store is not let in where there is none, and
// gets no folder here in its place.
func TestAHomeInAStoreThatIsNotThereIsNoFolderHere(t *testing.T) {
	h := newHost(t)
	away := account("away")
	away.Home = "s3://bucket/away/"
	b, err := newBackend(h.cfg, users.NewList(away))
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.admit(t.Context(), ftpserver.Attempt{Session: "a"}, &away)
	if err == nil || !strings.Contains(catalog.Explain(catalog.English, err), "s3://bucket/away/") {
		t.Errorf("%v", err)
	}
	if len(b.open) != 0 || len(b.shared) != 0 {
		t.Errorf("%d sessions and %d accounts are held", len(b.open), len(b.shared))
	}
	if release, err := b.sessions.Account("away", 1); err != nil {
		t.Errorf("its place was not given back: %v", err)
	} else {
		release()
	}
	if _, err := b.openCounted("s3://bucket/away"); err == nil {
		t.Error("it is counted all the same")
	}
	if all, _ := os.ReadDir(h.cfg.RootDir); len(all) > 0 {
		t.Errorf("made here: %v", all)
	}
}

// Of homes that lie in each other the outer one is swept, and no home of an
// account that is closed.
func TestEachHomeInAStoreIsSweptOnce(t *testing.T) {
	at := func(name, home string) users.User {
		u := account(name)
		u.Home = home
		return u
	}
	closed := at("closed", "s3://other/")
	closed.Disabled = true
	list := users.NewList(at("a", "s3://b/team/a"), at("b", "s3://b/team"), at("c", "s3://b/teams/"), at("d", "local"), closed)
	if got := strings.Join(storeHomes(list), " "); got != "s3://b/team/ s3://b/teams/" {
		t.Error(got)
	}
}
