package ftpserver

import (
	"context"
	"errors"
	"net/netip"

	"ftps/pkg/ftp"
)

// pasv is PASV (RFC 959 §4.1.2): one connection is promised on a shared port.
func pasv(s *session, ctx context.Context, _ arg) (reply, error) {
	if s.port.epsvAll {
		return reply{}, refuse("reply.epsv.all") // RFC 2428 §4
	}
	local := addrPort(s.control.raw.LocalAddr()).Addr()
	if !local.Is4() {
		return reply{}, refuse("reply.pasv.ipv6")
	}
	if public := s.srv.cfg.PublicIP(); public.Is4() && !s.info.Remote.Addr().IsLoopback() {
		local = public
	}
	port, err := s.promise(ctx)
	if err != nil {
		return reply{}, err
	}
	return plain(227, ftp.FormatPASVReply(netip.AddrPortFrom(local, port))), nil
}

// epsv is EPSV (RFC 2428 §3).
func epsv(s *session, ctx context.Context, a arg) (reply, error) {
	family := ftp.EPSVIPv4
	if addrPort(s.control.raw.LocalAddr()).Addr().Is6() {
		family = ftp.EPSVIPv6
	}
	asked, err := ftp.ParseEPSV(a.text)
	switch {
	case errors.Is(err, ftp.ErrFamily), err == nil && asked != ftp.EPSVAny && asked != ftp.EPSVAll && asked != family:
		return reply{}, refuse("reply.epsv.family", family) // RFC 2428 §3: 522 names what is known
	case err != nil:
		return reply{}, refuseFor(err, "reply.syntax")
	case asked == ftp.EPSVAll:
		s.port.epsvAll = true
		return say("reply.epsv.allok"), nil
	}
	port, err := s.promise(ctx)
	if err != nil {
		return reply{}, err
	}
	return plain(229, ftp.FormatEPSVReply(port)), nil
}

// port is PORT (RFC 959 §4.1.2): the client waits, and the server connects.
func port(s *session, ctx context.Context, a arg) (reply, error) {
	to, err := ftp.ParsePORT(a.text)
	return s.active(ctx, to, err)
}

// eprt is EPRT (RFC 2428 §2).
func eprt(s *session, ctx context.Context, a arg) (reply, error) {
	to, err := ftp.ParseEPRT(a.text)
	if errors.Is(err, ftp.ErrFamily) {
		return reply{}, refuse("reply.eprt.family")
	}
	return s.active(ctx, to, err)
}

// active promises a connection to the client. Only the client's own address,
// and no port below 1024, lest the server be used against others (RFC 2577
// §3: 504).
func (s *session) active(ctx context.Context, to netip.AddrPort, err error) (reply, error) {
	if to.Addr().IsUnspecified() {
		// lftp 4.9 sends the address it listens on, "::", over IPv6: that is
		// no other host, so its own is meant.
		to = netip.AddrPortFrom(s.info.Remote.Addr(), to.Port())
	}
	switch {
	case s.port.epsvAll:
		return reply{}, refuse("reply.epsv.all")
	case err != nil:
		return reply{}, refuseFor(err, "reply.syntax")
	case to.Addr().Unmap() != s.info.Remote.Addr() || to.Port() < 1024:
		return reply{}, refuse("reply.port.bounce")
	}
	s.port.drop()
	s.port.promise, err = s.data.Dial(ctx, to)
	return say("reply.port"), err
}

// promise gets a data port for the next transfer; the one before it ends.
func (s *session) promise(ctx context.Context) (uint16, error) {
	s.port.drop()
	p, err := s.data.Promise(ctx)
	if err != nil {
		return 0, err
	}
	s.port.promise = p
	return uint16(p.Port()), nil
}
