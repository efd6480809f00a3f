package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"ftps/pkg/fault"
	"ftps/pkg/ftpclient"
	"ftps/pkg/pki"
)

func (p *patient) resolve(ctx context.Context) Finding {
	host, _, _ := net.SplitHostPort(p.o.Config.Address)
	if _, err := netip.ParseAddr(host); err == nil {
		p.has[named] = true
		return good("doctor.name.address", host)
	}
	found, err := p.o.Lookup(ctx, "ip", host)
	if err != nil || len(found) == 0 {
		err = &ftpclient.ConnectError{Address: p.o.Config.Address, Err: err}
		return wrong(err, fault.New("doctor.name.none", host), "doctor.name.remedy")
	}
	p.has[named] = true
	texts := make([]string, len(found))
	for i, a := range found {
		texts[i] = a.Unmap().String()
	}
	return good("doctor.name.ok", strings.Join(texts, ", "))
}

func (p *patient) connect(ctx context.Context) Finding {
	began := time.Now()
	conn, err := p.o.Config.DialContext(ctx, "tcp", p.o.Config.Address)
	if err != nil {
		err = &ftpclient.ConnectError{Address: p.o.Config.Address, Err: err}
		return wrong(err, err, "doctor.tcp.remedy")
	}
	p.first = conn
	p.has[reached] = true
	return good("doctor.tcp.ok", conn.RemoteAddr().String(), milliseconds(time.Since(began)))
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// greet says all that comes before the login; the steps behind it look at how
// far that came.
func (p *patient) greet(ctx context.Context) Finding {
	p.conn, p.began = p.dial(ctx, p.seen, nil)
	var unknown *pki.UnknownHostError
	if p.began != nil && errors.As(p.began, &unknown) && p.o.Accept != nil {
		if err := p.o.Accept(ctx, unknown.Question); err != nil {
			p.seen.refused = err
		} else {
			p.seen = &sight{}
			p.conn, p.began = p.dial(ctx, p.seen, nil)
		}
	}
	s := p.seen
	p.has[shaken] = s.state != nil && len(s.state.PeerCertificates) > 0
	p.has[trusted] = p.has[shaken] && s.refused == nil
	p.has[connected] = p.began == nil
	switch {
	case s.greeting == nil && p.o.Config.Implicit && (s.state == nil || s.refused != nil):
		return untried("doctor.greeting.later")
	case s.greeting == nil:
		return wrong(p.began, p.began, "doctor.greeting.remedy")
	case s.greeting.Code/100 != 2:
		return wrong(p.began, p.began, "doctor.greeting.refused.remedy")
	}
	return good("doctor.greeting.ok", s.greeting.Code, printable(*s.greeting))
}

func (p *patient) auth(context.Context) Finding {
	s := p.seen
	switch {
	case p.o.Config.Implicit:
		return untried("doctor.auth.implicit")
	case s.greeting == nil || s.greeting.Code/100 != 2:
		return untried("doctor.without.greeting")
	case s.auth == nil:
		return wrong(p.began, p.began, "doctor.auth.remedy")
	case s.auth.Code != 234:
		return wrong(p.began, fault.New("doctor.auth.refused", s.auth.Code, printable(*s.auth)), "doctor.auth.remedy")
	case errors.Is(p.began, ftpclient.ErrInjected):
		return wrong(p.began, p.began, "doctor.auth.injected.remedy")
	}
	return good("doctor.auth.ok")
}

func (p *patient) handshake(context.Context) Finding {
	s := p.seen
	switch {
	case s.state != nil:
		return good("doctor.tls.ok", tls.VersionName(s.state.Version), tls.CipherSuiteName(s.state.CipherSuite))
	case !p.o.Config.Implicit && (s.auth == nil || s.auth.Code != 234), errors.Is(p.began, ftpclient.ErrInjected):
		return untried("doctor.without.auth")
	case p.o.Config.Implicit:
		return wrong(p.began, p.began, "doctor.tls.implicit.remedy")
	}
	return wrong(p.began, p.began, "doctor.tls.remedy")
}

// trustKeys say why a host was trusted.
var trustKeys = map[pki.Basis]string{
	pki.ByPin:       "doctor.trust.pin",
	pki.ByKnownHost: "doctor.trust.known",
	pki.ByChain:     "doctor.trust.chain",
	pki.ByFirstUse:  "doctor.trust.first",
}

func (p *patient) trust(context.Context) Finding {
	if err := p.seen.refused; err != nil {
		// Whatever else it is: nothing was sent because of TLS.
		return wrong(&ftpclient.TLSError{Err: err}, err, "doctor.trust.remedy", p.pin())
	}
	return good(trustKeys[p.o.Trust.Basis()], p.pin())
}

// soon is when a certificate's end is told as something to be done.
const soon = 14

func (p *patient) dates(context.Context) Finding {
	leaf, now := p.leaf(), time.Now()
	until, left := leaf.NotAfter.Format(time.DateOnly), int(leaf.NotAfter.Sub(now).Hours()/24)
	switch {
	case now.Before(leaf.NotBefore):
		return wrong(nil, fault.New("doctor.dates.early", leaf.NotBefore.Format(time.DateOnly)), "doctor.dates.early.remedy")
	case now.After(leaf.NotAfter):
		return wrong(nil, fault.New("doctor.dates.over", until), "doctor.dates.remedy")
	case left < soon:
		return wrong(nil, fault.New("doctor.dates.soon", until, left), "doctor.dates.remedy")
	}
	return good("doctor.dates.ok", until, left)
}

func (p *patient) names(context.Context) Finding {
	shown := strings.Join(pki.Describe(p.leaf()).Names, ", ")
	if shown == "" {
		shown = "-"
	}
	if p.leaf().VerifyHostname(strings.Trim(p.o.Host, "[]")) != nil {
		return wrong(nil, fault.New("doctor.names.other", shown, p.o.Host), "doctor.names.remedy", p.o.Host)
	}
	return good("doctor.names.ok", shown)
}

func (p *patient) protection(context.Context) Finding {
	if p.began != nil {
		return wrong(p.began, p.began, "doctor.prot.remedy")
	}
	return good("doctor.prot.ok")
}

func (p *patient) login(ctx context.Context) Finding {
	if err := p.enter(ctx, p.conn, p.o.Login); err != nil {
		return wrong(err, err, "doctor.login.remedy")
	}
	p.has[loggedIn] = true
	return good("doctor.login.ok")
}

// useful are the extensions that files move better with.
var useful = []string{"UTF8", "EPSV", "SIZE", "MDTM", "MFMT", "MLST", "REST", "HASH"}

func (p *patient) features(ctx context.Context) Finding {
	c, err := p.ready(ctx)
	if err != nil {
		return wrong(err, err, "doctor.lost.remedy")
	}
	has := c.Features()
	if len(has.Names()) == 0 {
		return wrong(nil, fault.New("doctor.feat.none"), "doctor.feat.remedy")
	}
	var lacks []string
	for _, name := range useful {
		if !has.Has(name) {
			lacks = append(lacks, name)
		}
	}
	if len(lacks) == 0 {
		return good("doctor.feat.all", len(has.Names()))
	}
	return good("doctor.feat.some", len(has.Names()), strings.Join(lacks, ", "))
}
