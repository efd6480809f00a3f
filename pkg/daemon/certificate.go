package daemon

import (
	"context"

	"ftps/pkg/ftpserver"
)

// LoginByCertificate implements [ftpserver.Backend]. No account is bound to a
// certificate: every one gives its password.
func (b *backend) LoginByCertificate(context.Context, ftpserver.Attempt) (*ftpserver.Account, error) {
	return nil, nil
}
