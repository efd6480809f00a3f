package ftpserver_test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/cpu"

	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
)

// quick is what FEAT adds to the hashes where this machine has the vectors.
func quick() string {
	if cpu.X86.HasAVX2 {
		return ";BLAKE3"
	}
	return ""
}

// The hashes are those of the test vectors that come with BLAKE3's reference
// implementation: of no byte, and of bytes that count from 0 to 250 and begin
// again.
func TestBLAKE3IsOfferedWhereItIsTheQuickerHash(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	counting := make([]byte, 8193)
	for i := range counting {
		counting[i] = byte(i % 251)
	}
	c.Upload(counting, "STOR f")
	c.Upload(nil, "STOR empty")
	if quick() == "" {
		c.Cmd(501, "OPTS HASH BLAKE3")
		return
	}
	if got := c.Cmd(200, "OPTS HASH blake3"); got != "BLAKE3" {
		t.Errorf("OPTS: %s", got)
	}
	for _, v := range []struct{ before, file, want string }{
		{"", "empty", "BLAKE3 0-0 af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262 empty"},
		{"", "f", "BLAKE3 0-8192 bab6c09cb8ce8cf459261398d2e7aef35700bf488116ceb94a36d0f5f1b7bc3b f"},
		{"RANG 0 8191", "f", "BLAKE3 0-8191 aae792484c8efe4f19e2ca7d371d8c467ffb10748d8a5a1ae579948f718a2a63 f"},
		{"RANG 0 1024", "f", "BLAKE3 0-1024 d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444 f"},
	} {
		if v.before != "" {
			c.Cmd(350, "%s", v.before)
		}
		if got := c.Cmd(213, "HASH %s", v.file); got != v.want {
			t.Errorf("%s HASH %s: %s\nwant %s", v.before, v.file, got, v.want)
		}
	}
	if got := c.Cmd(211, "FEAT"); !strings.Contains(got, "HASH SHA-256;SHA-512;SHA-1;MD5;CRC32;BLAKE3*") {
		t.Errorf("FEAT: %s", got)
	}
	c.Cmd(200, "OPTS HASH SHA-256")
	if got := c.Cmd(213, "HASH empty"); !strings.HasPrefix(got, "SHA-256 ") {
		t.Errorf("back to SHA-256: %s", got)
	}
}

// A store that keeps SHA-256 beside each object would have to read it for any
// other hash.
func TestHomesThatKeepTheirSumsAreOfferedNothingQuicker(t *testing.T) {
	for _, kept := range []bool{false, true} {
		s := ftptest.Start(t, ftptest.Options{Server: func(cfg *ftpserver.Config) { cfg.SumsKept = kept }})
		c := s.Login(t, "diego", "secreto")
		want, code := "CRC32"+quick(), 200
		if kept {
			want = "CRC32"
		}
		if kept || quick() == "" {
			code = 501
		}
		if got := c.Cmd(211, "FEAT"); !strings.Contains(got, fmt.Sprintf("HASH SHA-256*;SHA-512;SHA-1;MD5;%s\n", want)) {
			t.Errorf("kept %v: FEAT: %s", kept, got)
		}
		c.Cmd(code, "OPTS HASH BLAKE3")
	}
}
