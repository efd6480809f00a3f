package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"

	"ftps/pkg/fault"
	"ftps/pkg/ftpclient"
)

// asked is what one of EPSV and PASV came to.
func (p *patient) asked(ctx context.Context, verb string) (told netip.AddrPort, here netip.Addr, refused, unreachable error) {
	c, err := p.ready(ctx)
	if err != nil {
		return told, here, err, nil
	}
	if at, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		here = at.Addr().Unmap()
	}
	if told, err = c.Passive(ctx, verb); err != nil {
		return told, here, err, nil
	}
	return told, here, nil, c.Reach(ctx, told.Port())
}

func (p *patient) epsv(ctx context.Context) Finding {
	told, _, refused, unreachable := p.asked(ctx, "EPSV")
	switch p.ports = unreachable; {
	case refused != nil:
		p.ports = refused
		return wrong(refused, refused, "doctor.epsv.remedy")
	case unreachable != nil:
		return wrong(unreachable, fault.New("doctor.port.closed", told.Port()), "doctor.port.remedy")
	}
	return good("doctor.epsv.ok", told.Port())
}

func (p *patient) pasv(ctx context.Context) Finding {
	told, here, refused, unreachable := p.asked(ctx, "PASV")
	switch {
	case refused != nil && here.Is6():
		return untried("doctor.pasv.ipv6")
	case refused != nil:
		return wrong(refused, refused, "doctor.pasv.refused.remedy")
	case unreachable != nil:
		return wrong(unreachable, fault.New("doctor.port.closed", told.Port()), "doctor.port.remedy")
	}
	p.ports = nil
	if key := judge(told.Addr(), here); key != "" {
		return wrong(nil, fault.New(key, told.Addr().String(), here.String()), "doctor.pasv.remedy", here.String())
	}
	return good("doctor.pasv.ok", told.Addr().String(), told.Port())
}

// judge says what is wrong with the address that a PASV reply tells to a
// client that reached the server at here. This client never uses it (the
// reply could be anyone's); others do.
func judge(told, here netip.Addr) (key string) {
	switch {
	case told == here:
		return ""
	case told.IsUnspecified() || !told.IsValid():
		return "doctor.pasv.none"
	case (told.IsPrivate() || told.IsLoopback() || told.IsLinkLocalUnicast()) && !here.IsPrivate() && !here.IsLoopback():
		return "doctor.pasv.private"
	}
	return "doctor.pasv.other"
}

// list reads the folder's listing to its end.
func (p *patient) list(ctx context.Context, c *ftpclient.Conn, each func(name string)) error {
	for e, err := range c.List(ctx, "") {
		var line *ftpclient.UnknownLineError
		var name *ftpclient.NameError
		switch {
		case errors.As(err, &line), errors.As(err, &name):
		case err != nil:
			return err
		case each != nil:
			each(e.Name)
		}
	}
	return nil
}

func (p *patient) data(ctx context.Context) Finding {
	if p.ports != nil && !p.o.Config.Active {
		return wrong(ftpclient.ErrConnect, fault.New("doctor.data.ports"), "doctor.port.remedy")
	}
	c, err := p.ready(ctx)
	if err != nil {
		return wrong(err, err, "doctor.lost.remedy")
	}
	p.listing = p.list(ctx, c, nil)
	if p.links == 0 && refusal(p.listing) {
		p.transfer(ctx) // whoever may not list may still be let put
	}
	err = p.listing
	switch {
	case p.links > 0:
		p.has[linked] = true
		return good("doctor.data.ok", tls.VersionName(p.link.Version))
	case errors.Is(err, ftpclient.ErrOtherKey):
		return wrong(err, fault.New("doctor.data.key"), "doctor.data.key.remedy")
	case errors.Is(err, ftpclient.ErrConnect), ftpclient.Class(err) == ftpclient.TimedOut:
		return wrong(err, err, "doctor.port.remedy")
	}
	return wrong(err, err, "doctor.data.remedy")
}

// refusal reports whether a server understood a command and did not grant it.
func refusal(err error) bool {
	var reply *ftpclient.ReplyError
	if !errors.As(err, &reply) {
		return false
	}
	switch reply.Reply.Code {
	case 500, 502, 532, 550, 553:
		return true
	}
	return false
}

func (p *patient) resumed(context.Context) Finding {
	if p.link.DidResume {
		return good("doctor.resumed.ok")
	}
	return wrong(nil, fault.New("doctor.resumed.no"), "doctor.resumed.remedy")
}

// required makes one data connection that resumes nothing.
func (p *patient) required(ctx context.Context) Finding {
	var c *ftpclient.Conn
	err := p.alone(ctx, func() (err error) {
		c, err = p.another(ctx, func(cfg *ftpclient.Config) { cfg.Fresh = true })
		return err
	})
	if err != nil {
		return untried("doctor.required.unknown", err)
	}
	defer c.Close()
	link, links := p.link, p.links
	err = p.list(ctx, c, nil)
	stood := p.links > links
	p.link, p.links = link, links
	if c.Usable() {
		_ = c.Quit(ctx)
	}
	var reply *ftpclient.ReplyError
	switch {
	case err == nil, errors.Is(err, ftpclient.ErrUnclean):
		return wrong(nil, fault.New("doctor.required.no"), "doctor.required.remedy")
	case errors.Is(err, ftpclient.ErrConnect), ftpclient.Class(err) == ftpclient.TimedOut, refusal(err) && !stood:
		return untried("doctor.required.unknown", err)
	case errors.As(err, &reply):
		return good("doctor.required.ok", reply.Reply.Code)
	}
	return good("doctor.required.closed")
}

// end is about close_notify, the only thing by which a download that was cut
// off differs from a whole one.
func (p *patient) end(ctx context.Context) Finding {
	s := p.transfer(ctx)
	for _, err := range []error{s.down, p.listing} {
		switch {
		case errors.Is(err, ftpclient.ErrUnclean):
			return wrong(err, fault.New("doctor.end.unclean"), "doctor.end.remedy")
		case errors.Is(err, ftpclient.ErrTruncated):
			return wrong(err, fault.New("doctor.end.truncated"), "doctor.end.remedy")
		}
	}
	if s.down != nil && p.listing != nil {
		return untried("doctor.end.unknown", s.down)
	}
	return good("doctor.end.ok")
}

// cut sends half a file and a bare FIN, as a cut connection would.
func (p *patient) cut(ctx context.Context) Finding {
	if f, no := p.cannotWrite(ctx); no {
		return f
	}
	c, err := p.ready(ctx)
	if err != nil {
		return wrong(err, err, "doctor.lost.remedy")
	}
	u, err := c.Store(ctx, p.file("cut"), ftpclient.StoreOptions{})
	if err != nil {
		return untried("doctor.cut.unknown", err)
	}
	if _, err := u.Write(make([]byte, 1<<10)); err != nil {
		_ = u.Abort()
		return untried("doctor.cut.unknown", err)
	}
	err = u.Drop()
	var reply *ftpclient.ReplyError
	switch {
	case err == nil:
		return wrong(nil, fault.New("doctor.cut.taken"), "doctor.cut.remedy")
	case errors.As(err, &reply):
		return good("doctor.cut.ok", reply.Reply.Code)
	}
	return untried("doctor.cut.unknown", err)
}
