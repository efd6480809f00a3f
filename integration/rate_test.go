package integration

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestARateIsLiftedInTheMiddleOfATransfer(t *testing.T) {
	s := startServer(t, []string{"diego", "secreto"})
	file := filepath.Join(s.dir, "users.yaml")
	free, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	slow := strings.Replace(string(free), "- name: diego\n", "- name: diego\n    rate_down: 10K\n    rate_up: 10K\n", 1)
	reload := func(text string) {
		t.Helper()
		before := strings.Count(s.out.String(), `"msg":"users"`)
		s.accounts(t, text, 0o600)
		s.out.wait(t, `(?s)(`+`"msg":"users".*){`+string(rune('1'+before))+`}`)
	}
	s.out.wait(t, `"msg":"users"`) // the first reading
	reload(slow)

	// At this rate the file would take five minutes, which is more than the
	// test waits.
	os.WriteFile(filepath.Join(s.dir, "srv", "diego", "big"), make([]byte, 3<<20), 0o644)
	c := s.dial(t, "diego", "secreto")
	conn := c.Secure(c.OpenData(c.Passive()))
	c.Send("RETR big")
	c.Expect(150)
	if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	reload(string(free))
	n, err := io.Copy(io.Discard, conn)
	if err != nil || n != 3<<20-1000 {
		t.Errorf("after the rate was lifted: %d bytes, %v", n, err)
	}
	conn.Close()
	c.Expect(226)
	c.Cmd(200, "NOOP") // and the session was not kicked for it
}
