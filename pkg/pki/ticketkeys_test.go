package pki

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"ftps/pkg/catalog"
)

// keyLine is a line of a file of keys.
func keyLine(first byte) string {
	return base64.StdEncoding.EncodeToString(append([]byte{first}, make([]byte, 31)...)) + "\n"
}

func TestTicketKeysAreTurnedWithTheNewestInFrontAndTheOldestGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ticket.keys")
	if _, err := LoadTicketKeys(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	var before [][32]byte
	for i := range MaxTicketKeys + 2 {
		n, err := TurnTicketKeys(path, false)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := LoadTicketKeys(path)
		if err != nil || n != len(keys) || len(keys) != min(i+1, MaxTicketKeys) {
			t.Fatalf("%d: %d of %d keys, %v", i, n, len(keys), err)
		}
		if !slices.Equal(keys[1:], before[:len(keys)-1]) || slices.Contains(before, keys[0]) {
			t.Errorf("%d: not the old keys behind a new one", i)
		}
		before = keys
	}
	if n, err := TurnTicketKeys(path, true); n != 1 || err != nil {
		t.Errorf("forgotten: %d, %v", n, err)
	}
	if keys, err := LoadTicketKeys(path); err != nil || len(keys) != 1 || slices.Contains(before, keys[0]) {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// Two that turn at once leave two new keys.
func TestNoTurnOfTicketKeysIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ticket.keys")
	var turns sync.WaitGroup
	for range MaxTicketKeys {
		turns.Go(func() {
			if _, err := TurnTicketKeys(path, false); err != nil {
				t.Error(err)
			}
		})
	}
	turns.Wait()
	if keys, err := LoadTicketKeys(path); err != nil || len(keys) != MaxTicketKeys {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

func TestAFileOfTicketKeysIsReadStrictlyAndNeverRepeated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ticket.keys")
	one, two := keyLine(1), keyLine(2)
	var many strings.Builder
	for i := range MaxTicketKeys + 1 {
		many.WriteString(keyLine(byte(i)))
	}
	for _, c := range []struct{ name, text, says string }{
		{"good", "# ours\n\n" + one + "  " + two, ""},
		{"without a last line break", strings.TrimSpace(one), ""},
		{"empty", "", "no ticket key"},
		{"comments alone", "# " + one, "no ticket key"},
		{"a short key", one + "c2hvcnQ=\n", "line 2"},
		{"a long key", "AA" + one, "line 1"},
		{"hexadecimal", strings.Repeat("00", 32) + "\n", "line 1"},
		{"a comment behind a key", strings.TrimSpace(one) + " # newest\n", "line 1"},
		{"bits that say nothing", strings.Replace(one, "A=", "B=", 1), "line 1"},
		{"twice", one + two + one, "line 3: the key of line 1 again"},
		{"too many", many.String(), "at most 7"},
		{"too large", strings.Repeat("#\n", maxTicketFile), "too large"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := LoadTicketKeys(path)
		if c.says == "" {
			if err != nil || len(keys) == 0 || keys[0][0] != 1 {
				t.Errorf("%s: %v, %v", c.name, keys, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s: taken", c.name)
			continue
		}
		for _, lang := range []catalog.Lang{catalog.English, catalog.Spanish} {
			said := catalog.Explain(lang, err)
			if lang == catalog.English && !strings.Contains(said, c.says) || !strings.Contains(said, path) {
				t.Errorf("%s: %s", c.name, said)
			}
			for line := range strings.Lines(c.text) {
				if line = strings.TrimSpace(line); len(line) > 7 && strings.Contains(said, line) {
					t.Errorf("%s: the error repeats what is in the file: %s", c.name, said)
				}
			}
		}
		// What is not understood is written over only where it is to be forgotten.
		empty := c.says == "no ticket key"
		if _, err := TurnTicketKeys(path, false); empty != (err == nil) {
			t.Errorf("%s: turned: %v", c.name, err)
		}
		if n, err := TurnTicketKeys(path, true); n != 1 || err != nil {
			t.Errorf("%s: forgotten: %d, %v", c.name, n, err)
		}
	}
}

func TestTicketKeysThatOthersMayReadAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ticket.keys")
	if _, err := TurnTicketKeys(path, false); err != nil {
		t.Fatal(err)
	}
	for mode, good := range map[fs.FileMode]bool{0o600: true, 0o400: true, 0o640: true, 0o644: false, 0o660: false, 0o602: false, 0o601: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := LoadTicketKeys(path)
		if good != (err == nil) || !good && !errors.Is(err, ErrOpenToOthers) {
			t.Errorf("%v: %v", mode, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadTicketKeys(path); !errors.Is(err, ErrTicketKeys) {
		t.Errorf("a folder: %v", err)
	}
}
