package ftpserver

import (
	"context"
	"crypto/tls"
	"strings"

	"ftps/pkg/ftp"
)

// host is HOST (RFC 7151 §3): the name by which the client knows the server.
// Before AUTH it chooses the certificate; behind TLS it must agree with the
// name that the handshake was for (§3.2.2).
func host(s *session, _ context.Context, a arg) (reply, error) {
	if s.login.account != nil || s.login.name != "" {
		return reply{}, refuse("reply.host.late")
	}
	name, err := ftp.ParseHost(a.text)
	if err != nil {
		return reply{}, refuseFor(err, "reply.syntax")
	}
	if !s.srv.cfg.KnowsHost(name) {
		return reply{}, refuse("reply.host.unknown")
	}
	if s.control.tls != nil {
		sni := s.control.tls.ConnectionState().ServerName
		if sni != "" && !strings.EqualFold(sni, name) {
			return reply{}, refuse("reply.host.other")
		}
	}
	s.control.host = name
	return say("reply.host.ok"), nil
}

// withHost has a handshake without SNI choose the certificate by HOST.
func (s *session) withHost(cfg *tls.Config) *tls.Config {
	name, choose := s.control.host, cfg.GetCertificate
	if name == "" || choose == nil {
		return cfg
	}
	cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == "" {
			named := *hello
			named.ServerName = name
			hello = &named
		}
		return choose(hello)
	}
	return cfg
}
