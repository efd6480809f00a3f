package daemon

import (
	"os"
	"strings"
	"testing"
)

func TestTheTransferLogHasALineForEachFileAndOutlivesItsRotation(t *testing.T) {
	who := account("diego")
	h := newHost(t, who)
	h.cfg.Xferlog = h.at("xferlog")
	d, end := h.start()
	c := h.login(d, "diego")
	if code := c.Upload([]byte("12345"), "STOR a name"); code != 226 {
		t.Fatalf("STOR: %d", code)
	}
	h.log.wait(t, "transfer") // the log is written by who writes that line, and before it
	if err := os.Rename(h.cfg.Xferlog, h.at("xferlog.1")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Reload(); err != nil {
		t.Fatal(err)
	}
	if code := c.Upload([]byte("123"), "STOR b"); code != 226 {
		t.Fatalf("STOR: %d", code)
	}
	end()
	for file, want := range map[string]string{"xferlog.1": " 127.0.0.1 5 /a_name b _ i r diego ftp 0 * c\n", "xferlog": " 127.0.0.1 3 /b b _ i r diego ftp 0 * c\n"} {
		raw, err := os.ReadFile(h.at(file))
		if err != nil || strings.Count(string(raw), "\n") != 1 || !strings.HasSuffix(string(raw), want) {
			t.Errorf("%s: %q, %v", file, raw, err)
		}
	}
}

func TestATransferLogThatCannotBeWrittenIsSaidAtTheStart(t *testing.T) {
	h := newHost(t, account("diego"))
	h.cfg.Xferlog = h.at("nowhere/xferlog")
	if said := h.refused(); !strings.Contains(said, "--xferlog") {
		t.Errorf("%s", said)
	}
}
