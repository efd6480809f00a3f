package ftpserver_test

import (
	"testing"

	"ftps/pkg/ftptest"
)

func TestTheLastOfTooManySenselessLinesIsAnsweredOnce(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Dial(t)
	c.Expect(220)
	for range 19 {
		c.Cmd(500, "what")
	}
	c.Cmd(200, "NOOP") // what makes sense starts the count anew
	for range 19 {
		c.Cmd(500, "what")
	}
	c.Cmd(421, "what")
	if codes := c.ExpectClosed(); len(codes) != 0 {
		t.Errorf("after the 421 came %v", codes)
	}
}

func TestATransferHasItsVerdictBeforeTheDoorIsShown(t *testing.T) {
	for _, line := range []string{"GET / HTTP/1.1\r\n", "STOR " + string(make([]byte, 512<<10))} {
		s := ftptest.Start(t, ftptest.Options{})
		c := s.Login(t, "diego", "secreto")
		conn := c.Secure(c.OpenData(c.Passive()))
		c.Send("STOR f")
		c.Expect(150)
		if _, err := conn.Write([]byte("half")); err != nil {
			t.Fatal(err)
		}
		c.Write(line)
		c.Expect(426)
		if codes := c.ExpectClosed(); len(codes) != 1 || codes[0] != 421 && codes[0] != 500 {
			t.Errorf("%.20q: after the verdict came %v", line, codes)
		}
	}
}
