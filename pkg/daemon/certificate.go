package daemon

import (
	"context"

	"ftps/pkg/ftpserver"
	"ftps/pkg/pki"
)

// LoginByCertificate implements [ftpserver.Backend]: an account with a
// client_cert is opened by that key alone. A certificate that is bound to
// no account, or to another one, changes nothing: the password is asked for.
func (b *backend) LoginByCertificate(ctx context.Context, a ftpserver.Attempt) (*ftpserver.Account, error) {
	if len(a.TLS.VerifiedChains) == 0 {
		return nil, nil
	}
	pin := pki.PinOf(a.TLS.PeerCertificates[0]).String()
	user, err := b.verifier.ByCertificate(a.Name, pin, a.Remote)
	if err != nil {
		return nil, nil
	}
	return b.admit(ctx, a, user)
}
