//go:build unix

package daemon

import (
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"ftps/pkg/fault"
)

// identity is the user to serve as; nil is the one who started the program.
type identity struct {
	name     string
	uid, gid int
	groups   []int
}

// findIdentity looks up the user that --run-as names. Root may be named: who
// wants that has to say so.
func findIdentity(name string, rootToo bool) (*identity, error) {
	if name == "" {
		if os.Geteuid() == 0 && !rootToo {
			return nil, fault.New("cli.server.root.refused")
		}
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fault.Wrap(err, "cli.server.runas.unknown", name)
	}
	id := &identity{name: name}
	if id.uid, err = strconv.Atoi(u.Uid); err != nil {
		return nil, fault.Wrap(err, "cli.server.runas.unknown", name)
	}
	if id.gid, err = strconv.Atoi(u.Gid); err != nil {
		return nil, fault.Wrap(err, "cli.server.runas.unknown", name)
	}
	if id.uid == os.Geteuid() {
		return nil, nil // it is who we are
	}
	if os.Geteuid() != 0 {
		return nil, fault.New("cli.server.runas.notroot", name)
	}
	groups, err := u.GroupIds()
	if err != nil {
		return nil, fault.Wrap(err, "cli.server.runas.failed", name, err)
	}
	for _, g := range groups {
		if gid, err := strconv.Atoi(g); err == nil {
			id.groups = append(id.groups, gid)
		}
	}
	return id, nil
}

// become drops to the identity, for good. Groups first: afterwards the right
// to change them is gone.
func (id *identity) become() error {
	if id == nil {
		return nil
	}
	if err := syscall.Setgroups(id.groups); err != nil {
		return fault.Wrap(err, "cli.server.runas.failed", id.name, err)
	}
	if err := syscall.Setgid(id.gid); err != nil {
		return fault.Wrap(err, "cli.server.runas.failed", id.name, err)
	}
	if err := syscall.Setuid(id.uid); err != nil {
		return fault.Wrap(err, "cli.server.runas.failed", id.name, err)
	}
	// A way back would make all of it idle.
	if syscall.Setuid(0) == nil {
		return fault.New("cli.server.runas.back", id.name)
	}
	return nil
}

// own gives a folder that was made to the identity.
func (id *identity) own(dir string) error {
	if id == nil {
		return nil
	}
	if err := os.Chown(dir, id.uid, id.gid); err != nil {
		return fault.Wrap(err, "cli.server.root.failed", dir, err)
	}
	return nil
}

// mayWrite reports whether the identity may make files in a folder. For
// another than who runs it is what the mode says.
func (id *identity) mayWrite(dir string) bool {
	if id == nil {
		return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS) == nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	const writeAndEnter = 3
	mode := info.Mode().Perm()
	switch {
	case id.uid == 0:
		return true
	case int(st.Uid) == id.uid:
		mode >>= 6
	case int(st.Gid) == id.gid || slices.Contains(id.groups, int(st.Gid)):
		mode >>= 3
	}
	return mode&writeAndEnter == writeAndEnter
}
