package doctor_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/doctor"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
	"ftps/pkg/layer"
	"ftps/pkg/pki"
)

// stream carries one download of a hook: with or without its end.
func stream(s *hostile.Session, data []byte, end bool) {
	s.Reply(150, "here")
	tc, raw, refused, err := s.Data()
	switch {
	case err != nil:
		s.Reply(425, "no data connection")
		return
	case refused != "":
		tc.Close()
		s.Reply(522, refused)
		return
	}
	tc.Write(data)
	if end {
		layer.End(tc, raw, 10*time.Second)
	} else {
		raw.(interface{ CloseWrite() error }).CloseWrite()
		raw.SetReadDeadline(time.Now().Add(10 * time.Second))
		io.Copy(io.Discard, raw)
		raw.Close()
	}
	s.Reply(226, "done")
}

// refuses is a hook that answers a verb with one reply.
func refuses(code int) func(*hostile.Session, string) bool {
	return func(s *hostile.Session, _ string) bool { s.Reply(code, "not here"); return true }
}

type hooks = map[string]func(*hostile.Session, string) bool

// ills are servers that are broken on purpose, and what the doctor must find.
var ills = []struct {
	name    string
	options func(t *testing.T, s func() *hostile.Server) hostile.Options
	visit   func(t *testing.T, s *hostile.Server, o *doctor.Options)
	// check must be wrong, with these rows; text stands in its advice.
	check, found, remedy, text string
	also                       []string // further steps that are wrong
	class                      ftpclient.ClassCode
	left                       bool // files stay
}{
	{name: "TLS is stripped", check: "auth", found: "doctor.auth.refused", remedy: "doctor.auth.remedy", text: "No password was sent", class: ftpclient.TLSFailed,
		options: hooked(hooks{"AUTH": refuses(502)})},
	{name: "someone speaks behind AUTH", check: "auth", found: "client.injected", remedy: "doctor.auth.injected.remedy", text: "another network", class: ftpclient.TLSFailed,
		options: hooked(hooks{"AUTH": func(s *hostile.Session, _ string) bool { s.Raw("234 go on\r\n220 forged\r\n"); return true }})},
	{name: "the server is full", check: "greeting", found: "client.greeting", remedy: "doctor.greeting.refused.remedy", text: "its limits", class: ftpclient.CannotConnect,
		options: hooked(hooks{"": func(s *hostile.Session, _ string) bool { s.Reply(421, "full"); s.Hangup(); return true }})},
	{name: "an expired certificate, its key pinned", check: "dates", found: "doctor.dates.over", remedy: "doctor.dates.remedy", text: "ftps cert renew",
		options: certified(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), visit: pinned},
	{name: "an expired certificate", check: "trust", found: "pki.trust.unknown", remedy: "doctor.trust.remedy", text: "--pin sha256//", class: ftpclient.TLSFailed, also: []string{"dates"},
		options: certified(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), visit: strict},
	{name: "a certificate that ends in ten days", check: "dates", found: "doctor.dates.soon", remedy: "doctor.dates.remedy", text: "keeping its key",
		options: certified(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(10*24*time.Hour + time.Hour) }), visit: pinned},
	{name: "a certificate of another name, its key pinned", check: "names", found: "doctor.names.other", remedy: "doctor.names.remedy", text: "ftps cert renew 127.0.0.1",
		options: certified(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example"} }), visit: pinned},
	{name: "the password is wrong", check: "login", found: "client.reply", remedy: "doctor.login.remedy", text: "the password", class: ftpclient.LoginRefused,
		options: hooked(hooks{"PASS": refuses(530)})},
	{name: "PROT P is refused", check: "prot", found: "client.tls", remedy: "doctor.prot.remedy", text: "PROT P", class: ftpclient.TLSFailed,
		options: hooked(hooks{"PROT": refuses(536)})},
	{name: "no extensions", check: "feat", found: "doctor.feat.none", remedy: "doctor.feat.remedy", text: "FEAT",
		options: hooked(hooks{"FEAT": refuses(502)})},
	{name: "EPSV is refused", check: "epsv", found: "client.reply", remedy: "doctor.epsv.remedy", text: "allow EPSV",
		options: hooked(hooks{"EPSV": refuses(502)})},
	{name: "PASV tells somebody else's address", check: "pasv", found: "doctor.pasv.other", remedy: "doctor.pasv.remedy", text: "tell 127.0.0.1 (--public-ip",
		options: hooked(hooks{"PASV": func(s *hostile.Session, _ string) bool {
			s.Listen()
			s.Reply(227, ftp.FormatPASVReply(netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), s.Port())))
			return true
		}})},
	{name: "a firewall before the data ports", check: "data", found: "doctor.data.ports", remedy: "doctor.port.remedy", text: "--active", also: []string{"epsv", "pasv"}, class: ftpclient.CannotConnect,
		visit: func(_ *testing.T, s *hostile.Server, o *doctor.Options) {
			o.Config.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				if address != s.Addr {
					return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
				}
				return new(net.Dialer).DialContext(ctx, network, address)
			}
		}},
	{name: "data connections are never accepted", check: "data", found: "client.tls.data", remedy: "doctor.port.remedy", text: "firewalls", class: ftpclient.TimedOut,
		options: hooked(hooks{"MLSD": func(s *hostile.Session, _ string) bool { s.Reply(150, "wait"); return true }}),
		visit:   func(_ *testing.T, _ *hostile.Server, o *doctor.Options) { o.Config.Timeout = 2 * time.Second }},
	{name: "another certificate on data connections", check: "data", found: "doctor.data.key", remedy: "doctor.data.key.remedy", text: "one key on both", class: ftpclient.TLSFailed,
		options: func(t *testing.T, _ func() *hostile.Server) hostile.Options {
			return hostile.Options{RequireReuse: true, DataConfig: &tls.Config{Certificates: []tls.Certificate{hostile.Certificate(t)}, SessionTicketsDisabled: true}}
		}},
	{name: "data connections cannot resume", check: "resumed", found: "doctor.resumed.no", remedy: "doctor.resumed.remedy", text: "session tickets", also: []string{"required"},
		options: func(t *testing.T, _ func() *hostile.Server) hostile.Options {
			cert := hostile.Certificate(t, longLived)
			return hostile.Options{Certificate: &cert, DataConfig: &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true}}
		}},
	{name: "resumption is not required", check: "required", found: "doctor.required.no", remedy: "doctor.required.remedy", text: "require_ssl_reuse=YES",
		options: func(*testing.T, func() *hostile.Server) hostile.Options { return hostile.Options{} }},
	{name: "downloads end without close_notify", check: "end", found: "doctor.end.unclean", remedy: "doctor.end.remedy", text: "strict_ssl_write_shutdown",
		options: func(*testing.T, func() *hostile.Server) hostile.Options {
			return hostile.Options{RequireReuse: true, NoCloseNotify: true}
		}},
	{name: "downloads are cut off", check: "content", found: "doctor.content.length", remedy: "doctor.content.remedy", text: "do not trust", also: []string{"end"}, class: ftpclient.Damaged,
		options: func(_ *testing.T, s func() *hostile.Server) hostile.Options {
			return hostile.Options{RequireReuse: true, Hooks: hooks{"RETR": func(c *hostile.Session, name string) bool {
				f, _ := s().File("/" + name)
				if len(f.Data) < 1000 {
					return false
				}
				stream(c, f.Data[:1000], false)
				return true
			}}}
		}},
	{name: "one bit of 64 KiB is turned over", check: "content", found: "doctor.content.other", remedy: "doctor.content.remedy", text: "damages", class: ftpclient.Damaged,
		options: func(_ *testing.T, s func() *hostile.Server) hostile.Options {
			return hostile.Options{RequireReuse: true, Hooks: hooks{"RETR": func(c *hostile.Session, name string) bool {
				f, _ := s().File("/" + name)
				if len(f.Data) > 40_000 {
					f.Data[40_000] ^= 1
				}
				stream(c, f.Data, true)
				return true
			}}}
		}},
	{name: "a cut upload is taken for whole", check: "cut", found: "doctor.cut.taken", remedy: "doctor.cut.remedy", text: "strict_ssl_read_eof=YES",
		options: func(_ *testing.T, s func() *hostile.Server) hostile.Options {
			return hostile.Options{RequireReuse: true, Hooks: hooks{"STOR": func(c *hostile.Session, name string) bool {
				c.Reply(150, "go on")
				tc, raw, _, err := c.Data()
				if err != nil {
					c.Reply(425, "no data connection")
					return true
				}
				data, _ := io.ReadAll(tc)
				s().Put("/"+name, data, time.Now())
				layer.End(tc, raw, 10*time.Second)
				c.Reply(226, "stored")
				return true
			}}}
		}},
	{name: "names lose their letters", check: "utf8", found: "doctor.utf8.mangled", remedy: "doctor.utf8.remedy", text: "UseEncoding",
		options: func(_ *testing.T, s func() *hostile.Server) hostile.Options {
			return hostile.Options{RequireReuse: true, Hooks: hooks{"MLSD": func(c *hostile.Session, _ string) bool {
				var list strings.Builder
				for _, name := range s().Names()[1:] {
					f, _ := s().File(name)
					ascii := strings.Map(func(r rune) rune {
						if r > '~' {
							return '?'
						}
						return r
					}, name[1:])
					fmt.Fprintf(&list, "type=file;size=%d;modify=%s; %s\r\n", len(f.Data), ftp.FormatTime(f.Time), ascii)
				}
				stream(c, []byte(list.String()), true)
				return true
			}}}
		}},
	{name: "MDTM tells the time of Buenos Aires", check: "clock", found: "doctor.clock.zone", remedy: "doctor.clock.zone.remedy", text: "use_localtime=NO",
		options: clockOff(-3 * time.Hour)},
	{name: "a clock is four minutes ahead", check: "clock", found: "doctor.clock.skew", remedy: "doctor.clock.skew.remedy", text: "NTP",
		options: clockOff(4 * time.Minute)},
	{name: "a time that was set is another one", check: "clock", found: "doctor.clock.set", remedy: "doctor.clock.set.remedy", text: "--verify=size",
		options: hooked(hooks{"MFMT": func(s *hostile.Session, _ string) bool { s.Reply(213, "ok"); return true }})},
	{name: "room for one connection", check: "count", found: "doctor.count.one", remedy: "doctor.count.remedy", text: "-j 1",
		options: func(*testing.T, func() *hostile.Server) hostile.Options {
			return hostile.Options{RequireReuse: true, MaxSessions: 1}
		}},
	{name: "TLS 1.2 alone", check: "versions", found: "doctor.versions.old", remedy: "doctor.versions.remedy", text: "TLS 1.3",
		options: func(*testing.T, func() *hostile.Server) hostile.Options {
			return hostile.Options{RequireReuse: true, MaxVersion: tls.VersionTLS12}
		}},
	{name: "a certificate that is not valid yet, its key pinned", check: "dates", found: "doctor.dates.early", remedy: "doctor.dates.early.remedy", text: "clock",
		options: certified(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(24*time.Hour), time.Now().Add(90*24*time.Hour)
		}), visit: pinned},
	{name: "nobody speaks", check: "greeting", found: "client.lost", remedy: "doctor.greeting.remedy", text: "ftps://HOST", class: ftpclient.CannotConnect,
		options: hooked(hooks{"": func(s *hostile.Session, _ string) bool { s.Hangup(); return true }})},
	{name: "AUTH ends the connection", check: "auth", found: "client.lost", remedy: "doctor.auth.remedy", text: "No password was sent", class: ftpclient.CannotConnect,
		options: hooked(hooks{"AUTH": func(s *hostile.Session, _ string) bool { s.Hangup(); return true }})},
	{name: "there is no TLS behind AUTH", check: "tls", found: "client.tls", remedy: "doctor.tls.remedy", text: "TLS 1.2 or 1.3", also: []string{"versions"}, class: ftpclient.CannotConnect,
		options: hooked(hooks{"AUTH": func(s *hostile.Session, _ string) bool { s.Reply(234, "go on"); s.Hangup(); return true }})},
	{name: "PASV is refused", check: "pasv", found: "client.reply", remedy: "doctor.pasv.refused.remedy", text: "PASV",
		options: hooked(hooks{"PASV": refuses(502)})},
	{name: "a file with letters of its own is not there afterwards", check: "utf8", found: "doctor.utf8.gone", remedy: "doctor.utf8.remedy", text: "UTF-8",
		options: hooked(hooks{"MLSD": func(s *hostile.Session, _ string) bool { stream(s, nil, true); return true }})},
	{name: "nothing may be deleted", check: "removed", found: "doctor.removed.left", remedy: "doctor.removed.remedy", text: "may not delete", left: true,
		options: hooked(hooks{"DELE": refuses(550)})},
}

func hooked(h hooks) func(*testing.T, func() *hostile.Server) hostile.Options {
	return func(*testing.T, func() *hostile.Server) hostile.Options {
		return hostile.Options{RequireReuse: true, Hooks: h}
	}
}

func certified(change func(*x509.Certificate)) func(*testing.T, func() *hostile.Server) hostile.Options {
	return func(t *testing.T, _ func() *hostile.Server) hostile.Options {
		cert := hostile.Certificate(t, longLived, change)
		return hostile.Options{RequireReuse: true, Certificate: &cert}
	}
}

func longLived(c *x509.Certificate) { c.NotAfter = time.Now().Add(90 * 24 * time.Hour) }

func clockOff(by time.Duration) func(*testing.T, func() *hostile.Server) hostile.Options {
	return func(_ *testing.T, s func() *hostile.Server) hostile.Options {
		return hostile.Options{RequireReuse: true, Hooks: hooks{"MDTM": func(c *hostile.Session, name string) bool {
			f, _ := s().File("/" + name)
			c.Reply(213, ftp.FormatTime(f.Time.Add(by)))
			return true
		}}}
	}
}

// pinned trusts the key alone, strict nobody.
func pinned(t *testing.T, s *hostile.Server, o *doctor.Options) {
	o.Trust = trust(t, s.Addr, pki.Policy{Pins: []pki.Pin{pki.PinOf(s.Leaf())}})
}

func strict(t *testing.T, s *hostile.Server, o *doctor.Options) {
	o.Trust = trust(t, s.Addr, pki.Policy{Mode: pki.Strict, Roots: s.Roots})
}

func TestEachIllnessIsFoundAndHasItsRemedy(t *testing.T) {
	for _, ill := range ills {
		t.Run(ill.name, func(t *testing.T) {
			t.Parallel()
			var s *hostile.Server
			var started sync.WaitGroup
			started.Add(1)
			server := func() *hostile.Server { started.Wait(); return s }
			options := hostile.Options{RequireReuse: true}
			if ill.options != nil {
				options = ill.options(t, server)
			}
			if options.Certificate == nil {
				cert := hostile.Certificate(t, longLived)
				options.Certificate = &cert
			}
			s = hostile.Start(t, options)
			started.Done()
			o := visit(t, s)
			o.Most = 3
			if ill.visit != nil {
				ill.visit(t, s, &o)
			}
			all, class := examine(t, o)
			f := all[ill.check]
			if f.State != doctor.Bad || key(f.Found) != ill.found || f.Remedy == nil || f.Remedy.Key != ill.remedy {
				t.Errorf("%s: %v, found %v, remedy %v", ill.check, f.State, f.Found, f.Remedy)
			}
			if said := advice(catalog.English, f); !strings.Contains(said, ill.text) {
				t.Errorf("the advice is %q", said)
			}
			if class != ill.class {
				t.Errorf("exit %d, want %d", class, ill.class)
			}
			also := append([]string{ill.check}, ill.also...)
			slices.Sort(also)
			if got := all.states(doctor.Bad); !slices.Equal(got, also) {
				t.Errorf("wrong are %v, want %v", got, also)
				for _, name := range got {
					t.Log(name, ": ", catalog.Explain(catalog.English, all[name].Found))
				}
			}
			if names := s.Names(); len(names) > 1 && !ill.left {
				t.Errorf("left behind: %v", names)
			}
			for _, line := range s.Log() {
				if strings.HasPrefix(line, "PASS") && (ill.class == ftpclient.TLSFailed && ill.check != "data" || ill.check == "greeting") {
					t.Errorf("%q was sent", line)
				}
			}
		})
	}
}
