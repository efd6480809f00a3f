package ftpserver_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftptest"
)

// The commands of a client that sends them ahead are here before the first is
// answered; one by one their replies would cost a record and a system call
// each.
func TestRepliesToCommandsThatAreHereAlreadyGoTogether(t *testing.T) {
	const commands = 20
	for mode, want := range map[string]int{"B": 1, "S": commands} {
		s := ftptest.Start(t, ftptest.Options{})
		c := s.Login(t, "diego", "secreto")
		c.Upload(noise(1), "STOR f")
		c.Cmd(200, "TYPE I")
		c.Cmd(200, "MODE %s", mode)
		c.Raw().SetReadDeadline(time.Now().Add(30 * time.Second))
		c.Write(strings.Repeat("SIZE f\r\n", commands))
		got, records, b := 0, 0, make([]byte, 16<<10)
		for got < commands {
			n, err := c.Raw().Read(b)
			if err != nil {
				t.Fatalf("MODE %s: %d replies, then %v", mode, got, err)
			}
			got += bytes.Count(b[:n], []byte("213 "))
			records++
		}
		if records != want {
			t.Errorf("MODE %s: %d records for %d replies, want %d", mode, records, commands, want)
		}
	}
}

// A client takes the data when it has been told of them: that must not wait
// for the command behind, however much of the file the buffers would hold.
func TestA125GoesBeforeALargeFileThoughTheNextCommandIsHere(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	c.Upload(noise(1), "STOR small")
	c.Upload(large, "STOR large")
	c.Cmd(200, "TYPE I")
	c.Cmd(200, "MODE B")
	conn := c.Secure(c.OpenData(c.Passive()))
	c.Write("RETR small\r\nRETR large\r\nSIZE small\r\n")
	c.Expect(150)
	if got, err := io.ReadAll(ftp.NewBlockReader(conn)); err != nil || !bytes.Equal(got, noise(1)) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	c.Expect(250)
	c.Expect(125)
	if got, err := io.ReadAll(ftp.NewBlockReader(conn)); err != nil || !bytes.Equal(got, large) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	c.Expect(250)
	c.Expect(213)
}
