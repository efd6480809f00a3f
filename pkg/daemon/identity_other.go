//go:build !unix

package daemon

import "ftps/pkg/fault"

// identity is the user to serve as: on this system always the one who
// started the program.
type identity struct{ uid int }

func findIdentity(name string, _ bool) (*identity, error) {
	if name != "" {
		return nil, fault.New("cli.server.runas.notroot", name)
	}
	return nil, nil
}

func (*identity) become() error        { return nil }
func (*identity) own(string) error     { return nil }
func (*identity) mayWrite(string) bool { return true }
