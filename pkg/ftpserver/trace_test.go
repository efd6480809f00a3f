package ftpserver_test

import (
	"strings"
	"testing"

	"ftps/pkg/event"
	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
)

// A password may stand where no password belongs: in another server's
// command, behind Telnet's bytes, on a line of its own.
func TestATraceShowsNoPasswordWhereverItStands(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) { c.Trace = func() bool { return true } }})
	c := s.Login(t, "diego", "secreto")
	for _, line := range []string{
		"SITE PSWD hunter2 hunter2", "site pswd hunter2", "SITE  hunter2", "SITE", "pAsS hunter2", "  PASS hunter2",
		"\xff\xf4\xff\xf2PASS hunter2", "ACCT hunter2", "ADAT hunter2", "hunter2", "XPASS hunter2", "PASS\thunter2",
	} {
		c.Write(line + "\r\n")
		c.Read()
	}
	c.Cmd(214, "SITE HELP")
	s.Events.Wait(t, "a line that has no secret", func(e event.Event) bool {
		l, ok := e.(event.Line)
		if ok && (strings.Contains(l.Text, "hunter2") || strings.Contains(l.Text, "secreto")) {
			t.Errorf("the trace shows %q", l.Text)
		}
		return ok && l.Text == "SITE HELP"
	})
}
