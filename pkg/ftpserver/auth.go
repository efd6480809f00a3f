package ftpserver

import (
	"context"
	"strings"

	"ftps/pkg/ftp"
)

// auth is AUTH (RFC 4217 §4): it answers 234 and puts TLS under the control
// connection.
func auth(s *session, _ context.Context, a arg) (reply, error) {
	if s.control.tls != nil {
		return reply{}, refuse("reply.auth.again") // one layer only
	}
	switch strings.ToUpper(a.text) {
	case "TLS", "TLS-C", "SSL":
	default:
		return reply{}, refuse("reply.auth.unknown")
	}
	if s.control.lines.buffered() > 0 {
		// Whatever stands behind AUTH in the clear was not said by whoever
		// will hold the other end of the TLS connection: it must never run.
		s.end(ErrInjected)
		return reply{}, refuse("reply.auth.injected")
	}
	out := say("reply.auth.ok")
	out.then = s.beginTLS
	return out, nil
}

// beginTLS is what follows the 234 of AUTH.
func (s *session) beginTLS(ctx context.Context) error {
	if err := s.secure(ctx); err != nil {
		// There is nobody to tell: the peer is in the middle of a handshake.
		s.control.conn = nil
		return err
	}
	// RFC 2228 §3, AUTH: whatever was said before is void.
	s.reset()
	return nil
}

// pbsz is PBSZ (RFC 4217 §9): with TLS the buffer size is always 0.
func pbsz(s *session, _ context.Context, a arg) (reply, error) {
	if s.control.tls == nil {
		return reply{}, refuse("reply.pbsz.early")
	}
	if _, err := ftp.ParseNumber(a.text); err != nil {
		return reply{}, refuseFor(err, "reply.number", "PBSZ")
	}
	s.protect.pbsz = true
	return plain(200, "PBSZ=0"), nil
}

// prot is PROT (RFC 4217 §9). Private is the only level there is.
func prot(s *session, _ context.Context, a arg) (reply, error) {
	if s.control.tls == nil || !s.protect.pbsz {
		return reply{}, refuse("reply.prot.early")
	}
	switch strings.ToUpper(a.text) {
	case "P":
		s.protect.prot = true
		return say("reply.prot.ok"), nil
	case "C":
		return reply{}, refuse("reply.prot.clear")
	case "S", "E":
		return reply{}, refuse("reply.prot.level")
	}
	return reply{}, refuse("reply.prot.unknown")
}
