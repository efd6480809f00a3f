package doctor_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"ftps/pkg/dataport"
	"ftps/pkg/doctor"
	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest"
	"ftps/pkg/pki"
	"ftps/pkg/vfs"
)

// own is how the doctor comes to our own server.
func own(t *testing.T, s *ftptest.Server) doctor.Options {
	t.Helper()
	login := func(ctx context.Context, c *ftpclient.Conn) error { return c.Login(ctx, "diego", "secreto") }
	return doctor.Options{
		Config: ftpclient.Config{Address: s.Addr.String(), Timeout: 20 * time.Second},
		Host:   s.Addr.Addr().String(), Trust: trust(t, s.Addr.String(), pki.Policy{Roots: s.Pool}), Login: login, Again: login,
	}
}

func TestOurOwnServerIsWell(t *testing.T) {
	for name, c := range map[string]struct {
		account  ftptest.Account
		implicit bool
		active   bool
		listen   string
		bad, not []string
	}{
		// The certificate of these tests is valid for a day.
		"as it comes":  {bad: []string{"dates"}},
		"implicit TLS": {implicit: true, bad: []string{"dates"}, not: []string{"auth"}},
		"IPv6":         {listen: "[::1]:0", bad: []string{"dates"}, not: []string{"pasv"}},
		"active mode":  {active: true, bad: []string{"dates"}},
		"prefer":       {account: ftptest.Account{Reuse: dataport.Prefer}, bad: []string{"dates", "required"}},
		"read only":    {account: ftptest.Account{Perm: vfs.ReadOnly}, bad: []string{"dates"}, not: []string{"clock", "content", "cut", "empty", "removed", "utf8"}},
		"without DELE": {account: ftptest.Account{Perm: vfs.ReadWrite &^ vfs.Delete}, bad: []string{"dates", "removed"}},
		"without LIST": {account: ftptest.Account{Perm: vfs.ReadWrite &^ vfs.List}, bad: []string{"dates"}, not: []string{"required", "utf8"}},
		"a dropbox":    {account: ftptest.Account{Perm: vfs.Dropbox}, bad: []string{"dates"}, not: []string{"clock", "content", "empty", "end", "required", "utf8"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.account.Name, c.account.Password = "diego", "secreto"
			if c.listen != "" {
				l, err := net.Listen("tcp", c.listen)
				if err != nil {
					t.Skip("no such address here: ", err)
				}
				l.Close()
			}
			s := ftptest.Start(t, ftptest.Options{Listen: c.listen, Accounts: []ftptest.Account{c.account}, Implicit: c.implicit})
			o := own(t, s)
			o.Config.Implicit, o.Config.Active = c.implicit, c.active
			all, class := examine(t, o)
			if bad := all.states(doctor.Bad); class != ftpclient.Done || !slices.Equal(bad, c.bad) {
				t.Errorf("exit %d, wrong: %v", class, bad)
				for _, name := range bad {
					t.Log(name, all[name].Found)
				}
			}
			if not := all.states(doctor.Untried); !slices.Equal(not, c.not) {
				t.Errorf("not tried: %v", not)
				for _, name := range not {
					t.Log(name, all[name].Found)
				}
			}
		})
	}
}
