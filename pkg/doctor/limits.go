package doctor

import (
	"context"
	"crypto/tls"
	"errors"

	"ftps/pkg/fault"
	"ftps/pkg/ftpclient"
)

// count makes connections until the server wants no more of them.
func (p *patient) count(ctx context.Context) Finding {
	if _, err := p.ready(ctx); err != nil {
		return wrong(err, err, "doctor.lost.remedy")
	}
	n := 1
	var more []*ftpclient.Conn
	defer func() {
		for _, c := range more {
			_ = c.Quit(ctx)
			c.Close()
		}
	}()
	for ; n < p.o.Most; n++ {
		c, err := p.another(ctx, nil)
		if err != nil {
			if n == 1 {
				return wrong(err, fault.New("doctor.count.one", reason(err)), "doctor.count.remedy")
			}
			return good("doctor.count.limit", n, reason(err))
		}
		more = append(more, c)
	}
	return good("doctor.count.ok", n)
}

// reason is a refusal in short: the reply itself.
func reason(err error) any {
	var reply *ftpclient.ReplyError
	if errors.As(err, &reply) {
		return fault.New("doctor.reply", reply.Reply.Code, printable(reply.Reply))
	}
	return err
}

// versions makes a connection with each version of TLS, without logging in.
// It looks only at whether the handshake comes to its end, so the certificate
// is not judged again.
func (p *patient) versions(ctx context.Context) Finding {
	offers := map[uint16]bool{}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		var s *sight
		err := p.alone(ctx, func() error {
			s = &sight{}
			c, err := p.dial(ctx, s, func(cfg *ftpclient.Config) {
				cfg.TLS.MinVersion, cfg.TLS.MaxVersion = version, version
				cfg.TLS.VerifyConnection = s.shake(nil)
			})
			if err == nil {
				_ = c.Quit(ctx)
				c.Close()
			}
			return err
		})
		switch {
		case s.state != nil:
			offers[version] = true
		case !p.o.Config.Implicit && (s.auth == nil || s.auth.Code != 234):
			return untried("doctor.versions.unknown", err)
		case ftpclient.Class(err) == ftpclient.TimedOut, errors.Is(err, ftpclient.ErrInjected):
			return untried("doctor.versions.unknown", err)
		}
	}
	switch {
	case offers[tls.VersionTLS12] && offers[tls.VersionTLS13]:
		return good("doctor.versions.both")
	case offers[tls.VersionTLS13]:
		return good("doctor.versions.new")
	case offers[tls.VersionTLS12]:
		return wrong(nil, fault.New("doctor.versions.old"), "doctor.versions.remedy")
	}
	return wrong(nil, fault.New("doctor.versions.none"), "doctor.tls.remedy")
}
