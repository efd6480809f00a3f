//go:build unix

package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ftps/pkg/fault"
	"ftps/pkg/pki"
	"ftps/pkg/users"
	"ftps/pkg/vfs"
)

// The check said that all was well where nobody could upload anything.
func TestCheckFindsAHomeThatTheServerMayNotWriteTo(t *testing.T) {
	root := t.TempDir()
	other := &identity{name: "other", uid: os.Geteuid() + 4321, gid: os.Getegid() + 4321}
	member := &identity{name: "member", uid: other.uid, gid: other.gid, groups: []int{os.Getegid()}}
	rw, ro, absent := account("diego"), account("ana"), account("nobody")
	ro.Perm = vfs.Read | vfs.List
	for _, u := range []users.User{rw, ro} {
		if err := os.Mkdir(filepath.Join(root, u.Home), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	os.Chmod(root, 0o755)
	for _, c := range []struct {
		story           string
		u               users.User
		who             *identity
		mode            os.FileMode
		failed, warning string
	}{
		{"one's own", rw, nil, 0o755, "", ""},
		{"another's", rw, other, 0o755, "", "cli.server.check.closed"},
		{"another's, of the same group", rw, member, 0o755, "", "cli.server.check.closed"},
		{"the group's", rw, member, 0o775, "", ""},
		{"another's, for an account that only reads", ro, other, 0o755, "", ""},
		{"one that will be made", absent, nil, 0, "", ""},
		{"one that cannot be made", absent, other, 0, "cli.server.check.make", ""},
	} {
		t.Run(c.story, func(t *testing.T) {
			if c.mode != 0 {
				if err := os.Chmod(filepath.Join(root, c.u.Home), c.mode); err != nil {
					t.Fatal(err)
				}
			}
			failed, warning := checkHome(root, &c.u, c.who)
			if key(failed) != c.failed || key(warning) != c.warning {
				t.Errorf("failed %v, warning %v", failed, warning)
			}
		})
	}
}

func key(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return ""
	}
	return f.Key
}

// The check was silent about what a start warns of.
func TestCheckWarnsOfACertificateThatEndsSoon(t *testing.T) {
	h := newHost(t, account("diego"))
	files := h.cfg.Certs[0]
	if _, err := pki.Make(pki.MakeOptions{Files: files, Names: []string{"localhost"}, Lifetime: 72 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	wrong, warnings := Check(h.cfg)
	if len(wrong) > 0 || len(warnings) != 1 || key(warnings[0]) != "pki.cert.soon" {
		t.Errorf("wrong %v, warnings %v", wrong, warnings)
	}
}
