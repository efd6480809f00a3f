package users

import (
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The tests in this file are negative controls: in each a defence is switched
// off, and the attack that it stops succeeds. Else the test of the defence
// would show nothing.

func TestWithoutADummyCheckNamesAreToldByTheirPrice(t *testing.T) {
	hash := line(8, "hash")
	b := newBench(open{}, map[string]string{hash: "right"}, User{Name: "ana", Hash: hash}, User{Name: "closed", Hash: hash, Disabled: true})
	price := func(name string) int {
		_, err := b.Verify(t.Context(), name, "wrong", home)
		if err == nil {
			t.Fatalf("%s was let in", name)
		}
		_, units := b.spent()
		return units
	}
	if known, unknown, closed := price("ana"), price("nobody"), price("closed"); known != unknown || known != closed {
		t.Errorf("a known name costs %d, an unknown one %d, a closed account %d", known, unknown, closed)
	}
	b.dummies = [MaxCost + 1]string{}
	if known, unknown := price("ana"), price("nobody"); known == unknown {
		t.Errorf("with the defence off both cost %d: this shows nothing", known)
	}
}

// A reader that passes over what it does not know lets in whom a mistyped
// word was to keep out.
func TestALaxReaderPassesOverAMistypedKey(t *testing.T) {
	text := "users:\n  - name: ana\n    password: " + line(4, "hash") + "\n    home: ana\n    permissions: [rw]\n    disable: true\n"
	path := filepath.Join(t.TempDir(), "users.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil {
		t.Error("the mistyped key was taken")
	}
	var lax struct {
		Users []struct {
			Name     string
			Disabled bool
		}
	}
	if err := yaml.Unmarshal([]byte(text), &lax); err != nil || len(lax.Users) != 1 || lax.Users[0].Disabled {
		t.Errorf("a lax reader: %+v, %v: this shows nothing", lax, err)
	}
}

// The same file without the check of its mode.
func TestWithoutALookAtTheModeAStrangersAccountIsTaken(t *testing.T) {
	text := "users:\n  - name: mallory\n    password: " + line(4, "hash") + "\n    home: m\n    permissions: [rw]\n"
	path := filepath.Join(t.TempDir(), "users.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, taken := range map[os.FileMode]bool{0o660: false, 0o606: false, 0o600: true, 0o644: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); (err == nil) != taken {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}
