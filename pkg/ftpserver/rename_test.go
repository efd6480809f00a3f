package ftpserver_test

import (
	"testing"

	"ftps/pkg/ftptest"
)

func TestOneRNFRIsForOneRNTO(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	if code := c.Upload([]byte("x"), "STOR a"); code != 226 {
		t.Fatalf("STOR: %d", code)
	}
	c.Cmd(350, "RNFR a")
	c.Cmd(250, "RNTO b")
	c.Cmd(503, "RNTO c")
	c.Cmd(350, "RNFR b")
	c.Cmd(550, "RNTO nowhere/c")
	c.Cmd(503, "RNTO c")
	c.Cmd(213, "SIZE b")
}
