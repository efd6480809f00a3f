package ftpserver_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"

	"ftps/pkg/ftptest"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/memfs"
)

// leave breaks an upload off and leaves its part.
func leave(t *testing.T, c *ftptest.Conn, name string, data []byte) {
	t.Helper()
	raw := c.OpenData(c.Passive())
	c.Send("STOR %s", name)
	c.Expect(150)
	conn := c.Secure(raw)
	if _, err := conn.Write(data); err != nil {
		t.Fatal(err)
	}
	raw.Close() // no close_notify
	c.Expect(426)
}

// A part that could be gone on from and not be hashed was gone on from
// unproven: what another client of the account had left became the beginning
// of the file.
func TestThePartOfABrokenUploadCanBeHashedBeforeGoingOn(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	data := noise(1 << 14)
	leave(t, c, "f", data)
	whole, head := sha256.Sum256(data), sha256.Sum256(data[:1000])
	if got, want := c.Cmd(213, "HASH f"), fmt.Sprintf("SHA-256 0-%d %x f", len(data)-1, whole); got != want {
		t.Errorf("HASH of the part: %s, want %s", got, want)
	}
	c.Cmd(350, "RANG 0 999")
	if got, want := c.Cmd(213, "HASH f"), fmt.Sprintf("SHA-256 0-999 %x f", head); got != want {
		t.Errorf("HASH of its beginning: %s, want %s", got, want)
	}
	if got := c.Cmd(250, "XSHA256 f"); got != strings.ToUpper(hex.EncodeToString(whole[:])) {
		t.Errorf("XSHA256: %s", got)
	}
	c.Cmd(350, "RANG 0 %d", len(data))
	c.Cmd(554, "HASH f")
	// It is still no file.
	if _, code := c.Download("RETR f"); code != 550 {
		t.Errorf("RETR of the part: %d", code)
	}
	// Where a whole file has the name, that is what HASH is about.
	if code := c.Upload([]byte("whole"), "STOR f"); code != 226 {
		t.Fatalf("STOR: %d", code)
	}
	if got, want := c.Cmd(213, "HASH f"), fmt.Sprintf("SHA-256 0-4 %x f", sha256.Sum256([]byte("whole"))); got != want {
		t.Errorf("HASH of the file: %s, want %s", got, want)
	}
}

// Who may hash what: a whole file takes the right to read, a part the right
// to write, for it says no more than what the account has sent itself. A
// dropbox is told the length of nothing and the hash of nothing.
func TestAPartIsHashedForWhoCouldGoOnFromIt(t *testing.T) {
	for words, want := range map[string]struct{ part, whole int }{
		"rw":          {213, 213},
		"write list":  {213, 550},
		"append list": {213, 550},
		"write read":  {213, 213},
		"ro":          {550, 213},
		"dropbox":     {550, 550},
		"list":        {550, 550},
	} {
		t.Run(words, func(t *testing.T) {
			var perm vfs.Perm
			for word := range strings.FieldsSeq(words) {
				p, ok := vfs.ParsePerm(word)
				if !ok {
					t.Fatal(word)
				}
				perm |= p
			}
			tree := memfs.New()
			for name, whole := range map[string]bool{"part": false, "whole": true} {
				at, err := vfs.Resolve(vfs.Name{}, name)
				if err != nil {
					t.Fatal(err)
				}
				u, err := tree.Create(t.Context(), at, vfs.How{Size: -1})
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(u, "content")
				if whole {
					err = u.Commit(t.Context())
				} else {
					err = u.Abort()
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "a", Password: "p", Perm: perm, FS: tree}}})
			c := s.Login(t, "a", "p")
			c.Cmd(want.part, "HASH part")
			c.Cmd(want.whole, "HASH whole")
			c.Cmd(550, "HASH nothing")
			old := func(code int) int {
				if code == 213 {
					return 250
				}
				return code
			}
			c.Cmd(old(want.part), "XMD5 part")
			c.Cmd(old(want.whole), "XMD5 whole")
		})
	}
}
