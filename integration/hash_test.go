package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zeebo/blake3"
	"golang.org/x/sys/cpu"
)

// A large file moved by the real client to the real server and back is proven
// by BLAKE3, where this machine is fast at it, and by SHA-256 for whoever
// reads --json, where each file's is told.
func TestALargeFileIsProvenByTheHashThatIsQuickHere(t *testing.T) {
	s := startServer(t, []string{"diego", "secreto"})
	data := seeded(2<<20, 7)
	local := filepath.Join(s.dir, "film")
	if err := os.WriteFile(local, data, 0o644); err != nil {
		t.Fatal(err)
	}
	quick, sha := blake3.Sum256(data), sha256.Sum256(data)
	asked, told := "> OPTS HASH BLAKE3\n", hex.EncodeToString(quick[:])
	if !cpu.X86.HasAVX2 {
		asked, told = "> HASH ", hex.EncodeToString(sha[:])
	}
	for _, command := range [][]string{{"put", local, "film"}, {"get", "film", local + ".back"}} {
		_, dialogue, code := s.client(t, "diego", "secreto", append([]string{"-v", "--verify", "hash"}, command...)...)
		if code != 0 || !strings.Contains(dialogue, asked) || !strings.Contains(dialogue, told) {
			t.Errorf("%v: exit %d, no %q or no %s in\n%s", command, code, asked, told, dialogue)
		}
	}
	if got, err := os.ReadFile(local + ".back"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
	for _, command := range [][]string{{"put", local, "film2"}, {"get", "film2", local + ".again"}} {
		out, _, code := s.client(t, "diego", "secreto", append([]string{"--json", "--verify", "hash"}, command...)...)
		if code != 0 || !strings.Contains(out, `"sha256":"`+hex.EncodeToString(sha[:])+`"`) || !strings.Contains(out, `"verified":"hash"`) {
			t.Errorf("%v: exit %d\n%s", command, code, out)
		}
	}
}
