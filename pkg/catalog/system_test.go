package catalog

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestWhatTheSystemSaysIsTranslatedAndTheRestStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent")
	_, err := os.Open(path)
	for lang, want := range map[Lang]string{
		English: "open " + path + ": no such file or directory",
		Spanish: "open " + path + ": no existe el archivo o la carpeta",
	} {
		if got := Explain(lang, err); got != want {
			t.Errorf("%v: %q, want %q", lang, got, want)
		}
	}
	err = fmt.Errorf("%w, and more", err)
	if got := Explain(Spanish, err); got != err.Error() {
		t.Errorf("%q, want %q", got, err)
	}
}

func TestSystemRowsAreWhatThisSystemSays(t *testing.T) {
	for errno, key := range systemKeys {
		if Text(English, key) != errno.Error() {
			t.Logf("%s: this system says %q", key, errno)
		}
		if _, ok := Lookup(key); !ok {
			t.Errorf("no row %s", key)
		}
	}
}
