package ftpserver_test

import (
	"net"
	"strings"
	"testing"

	"ftps/pkg/ftptest"
)

func TestOverIPv6ThereIsEPSVAndPASVSaysSo(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("no IPv6 loopback: ", err)
	} else {
		l.Close()
	}
	s := ftptest.Start(t, ftptest.Options{Listen: "[::1]:0"})
	c := s.Login(t, "diego", "secreto")
	if said := c.Cmd(425, "PASV"); !strings.Contains(said, "EPSV") {
		t.Errorf("PASV: %q", said)
	}
	// RFC 2428 §3: 2 is IPv6; of any other the reply names the one there is.
	c.Cmd(229, "EPSV 2")
	if said := c.Cmd(522, "EPSV 1"); !strings.Contains(said, "(2)") {
		t.Errorf("EPSV 1: %q", said)
	}
	if code := c.Upload([]byte("seis"), "STOR a"); code != 226 {
		t.Errorf("upload: %d", code)
	}
	if got, code := c.Download("RETR a"); code != 226 || string(got) != "seis" {
		t.Errorf("download: %d, %q", code, got)
	}
	// A refused PASV promised nothing, and took nothing away.
	port := c.Passive()
	c.Cmd(425, "PASV")
	conn := c.Secure(c.OpenData(port))
	c.Send("STOR b")
	c.Expect(150)
	conn.Write([]byte("x"))
	conn.CloseWrite()
	conn.Read(make([]byte, 1))
	c.Expect(226)
}
