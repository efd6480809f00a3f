package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ftps/pkg/catalog"
)

// An account that may write below its home could put another program in the
// hook's place and have the server run it.
func TestAHookThatLiesInAHomeIsRefused(t *testing.T) {
	h := newHost(t, account("diego"))
	elsewhere := h.at("hooks")
	home := filepath.Join(h.at("srv"), "diego")
	for _, dir := range []string{elsewhere, home} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "hook"), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(elsewhere, "link")
	if err := os.Symlink(filepath.Join(home, "hook"), link); err != nil {
		t.Fatal(err)
	}
	refused := func() bool {
		wrong, _ := Check(h.cfg)
		for _, err := range wrong {
			if strings.Contains(catalog.Explain(catalog.English, err), "where accounts may change it") {
				return true
			}
		}
		return false
	}
	for path, want := range map[string]bool{
		filepath.Join(elsewhere, "hook"): false,
		filepath.Join(home, "hook"):      true,
		link:                             true,
	} {
		if h.cfg.Hook = path; refused() != want {
			t.Errorf("--hook %s: refused %t, want %t", path, !want, want)
		}
	}
}
