package doctor_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ftps/pkg/catalog"
	"ftps/pkg/doctor"
	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest"
	"ftps/pkg/ftptest/hostile"
	"ftps/pkg/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// visit is how the doctor comes to a server of package hostile: trusting its
// authority, with the right password.
func visit(t *testing.T, s *hostile.Server) doctor.Options {
	t.Helper()
	login := func(ctx context.Context, c *ftpclient.Conn) error {
		return c.Login(ctx, hostile.User, hostile.Password)
	}
	return doctor.Options{
		Config: ftpclient.Config{Address: s.Addr, Timeout: 20 * time.Second},
		Host:   "127.0.0.1", Trust: trust(t, s.Addr, pki.Policy{Roots: s.Roots}),
		Login: login, Again: login,
	}
}

func trust(t *testing.T, address string, p pki.Policy) *pki.Trust {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err == nil {
		p.Host = host
		p.Port, err = strconv.Atoi(port)
	}
	if err != nil {
		t.Fatal(err)
	}
	trusts, err := pki.NewTrust(p)
	if err != nil {
		t.Fatal(err)
	}
	return trusts
}

// findings are those of one examination, by step.
type findings map[string]doctor.Finding

func examine(t *testing.T, o doctor.Options) (findings, ftpclient.ClassCode) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	all, class := findings{}, ftpclient.Done
	if err := doctor.Examine(ctx, o, func(f doctor.Finding) {
		all[f.Check] = f
		if class == ftpclient.Done {
			class = f.Class()
		}
		for _, lang := range catalog.Languages {
			for _, text := range []string{catalog.Explain(lang, f.Found), advice(lang, f)} {
				if strings.Contains(text, hostile.Password) || strings.Contains(text, "%!") {
					t.Errorf("%s: %q", f.Check, text)
				}
			}
		}
		if f.State == doctor.Bad && f.Remedy == nil {
			t.Errorf("%s is wrong and has no remedy", f.Check)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return all, class
}

func advice(lang catalog.Lang, f doctor.Finding) string {
	if f.Remedy == nil {
		return ""
	}
	return catalog.Explain(lang, f.Remedy)
}

func key(err error) string {
	var keyed interface{ Message() (string, []any) }
	if !errors.As(err, &keyed) {
		return ""
	}
	k, _ := keyed.Message()
	return k
}

// states are the steps that ended in a state, in alphabetical order.
func (all findings) states(s doctor.State) []string {
	var names []string
	for name, f := range all {
		if f.State == s {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestAServerInGoodHealthHasNoRemedies(t *testing.T) {
	cert := hostile.Certificate(t, longLived)
	s := hostile.Start(t, hostile.Options{RequireReuse: true, Certificate: &cert})
	all, class := examine(t, visit(t, s))
	if bad, not := all.states(doctor.Bad), all.states(doctor.Untried); class != ftpclient.Done || len(bad)+len(not) > 0 {
		t.Errorf("exit %d, wrong %v, not tried %v", class, bad, not)
	}
	if key(all["required"].Found) != "doctor.required.ok" || key(all["trust"].Found) != "doctor.trust.chain" || key(all["count"].Found) != "doctor.count.ok" {
		t.Errorf("%v, %v, %v", all["required"].Found, all["trust"].Found, all["count"].Found)
	}
	if names := s.Names(); len(names) > 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestAServerWithRoomForOneIsExaminedWhole(t *testing.T) {
	s := hostile.Start(t, hostile.Options{RequireReuse: true, MaxSessions: 1})
	all, _ := examine(t, visit(t, s))
	if not := all.states(doctor.Untried); len(not) > 0 || key(all["required"].Found) != "doctor.required.ok" || key(all["versions"].Found) != "doctor.versions.both" {
		t.Errorf("not tried: %v; %v, %v", not, all["required"].Found, all["versions"].Found)
	}
}

func TestWithoutARightToWriteTheRestIsExaminedAllTheSame(t *testing.T) {
	s := hostile.Start(t, hostile.Options{RequireReuse: true, Hooks: hooks{"STOR": refuses(553)}})
	o := visit(t, s)
	pinned(t, s, &o)
	all, class := examine(t, o)
	want := []string{"clock", "content", "cut", "empty", "removed", "utf8"}
	if not := all.states(doctor.Untried); class != ftpclient.Done || !slices.Equal(not, want) {
		t.Errorf("exit %d, not tried: %v", class, not)
	}
	for _, name := range want {
		if said := catalog.Explain(catalog.English, all[name].Found); !strings.Contains(said, "no right to write") {
			t.Errorf("%s: %q", name, said)
		}
	}
	if all["end"].State != doctor.Good || all["count"].State != doctor.Good {
		t.Errorf("%v, %v", all["end"], all["count"])
	}
}

func TestAnUnknownNameAndAClosedPortAreExitCode3(t *testing.T) {
	address := ftptest.Nobody(t)
	o := doctor.Options{Config: ftpclient.Config{Address: address, Timeout: 20 * time.Second}, Host: "127.0.0.1", Trust: trust(t, address, pki.Policy{})}
	all, class := examine(t, o)
	if f := all["tcp"]; class != ftpclient.CannotConnect || f.Remedy == nil || f.Remedy.Key != "doctor.tcp.remedy" {
		t.Errorf("exit %d, %+v", class, f)
	}
	o.Config.Address = "nowhere.example:5000"
	o.Lookup = func(_ context.Context, _, host string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	all, class = examine(t, o)
	if f := all["name"]; class != ftpclient.CannotConnect || f.Remedy == nil || f.Remedy.Key != "doctor.name.remedy" {
		t.Errorf("exit %d, %+v", class, f)
	}
	if len(all.states(doctor.Untried)) != len(all)-1 {
		t.Errorf("tried without an address: %v", all)
	}
}

func TestAnExaminationThatIsBrokenOffLeavesNothing(t *testing.T) {
	s := hostile.Start(t, hostile.Options{RequireReuse: true})
	o := visit(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	steps := 0
	err := doctor.Examine(ctx, o, func(f doctor.Finding) {
		if steps++; f.Check == "content" {
			if len(s.Names()) < 2 {
				t.Error("nothing was there to be left behind")
			}
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || steps > 20 {
		t.Errorf("%v after %d steps", err, steps)
	}
	if names := s.Names(); len(names) > 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestAPersonIsAskedAboutAnUnknownKeyAndTheRestFollows(t *testing.T) {
	s := hostile.Start(t, hostile.Options{RequireReuse: true})
	o := visit(t, s)
	o.Trust = trust(t, s.Addr, pki.Policy{Mode: pki.Ask})
	asked := 0
	o.Accept = func(_ context.Context, q pki.Question) error { asked++; return o.Trust.Accept(q) }
	all, class := examine(t, o)
	if class != ftpclient.Done || asked != 1 || key(all["trust"].Found) != "doctor.trust.first" {
		t.Errorf("exit %d, asked %d times, %v", class, asked, all["trust"])
	}
}

// What is well is said to be well, and not more: with what it lacks, where it
// ends, and by which of its addresses it was reached.
func TestWhatIsWellIsToldWithItsLimits(t *testing.T) {
	cert := hostile.Certificate(t, longLived)
	for name, c := range map[string]struct {
		options           hostile.Options
		visit             func(*doctor.Options)
		check, found, say string
	}{
		"a name": {check: "name", found: "doctor.name.ok", say: "192.0.2.7, 2001:db8::7", visit: func(o *doctor.Options) {
			address := o.Config.Address
			_, port, _ := net.SplitHostPort(address)
			o.Config.Address = net.JoinHostPort("ftp.example", port)
			o.Lookup = func(context.Context, string, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.7"), netip.MustParseAddr("2001:db8::7")}, nil
			}
			o.Config.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			}
		}},
		"few extensions": {check: "feat", found: "doctor.feat.some", say: "MFMT, HASH", options: hostile.Options{
			Features: []string{"UTF8", "EPSV", "SIZE", "MDTM", "MLST type*;size*;modify*;", "REST STREAM", "PBSZ", "PROT"}}},
		"room for two": {check: "count", found: "doctor.count.limit", say: "2", options: hostile.Options{MaxSessions: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			c.options.RequireReuse, c.options.Certificate = true, &cert
			s := hostile.Start(t, c.options)
			o := visit(t, s)
			o.Most = 3
			if c.visit != nil {
				c.visit(&o)
			}
			all, _ := examine(t, o)
			f := all[c.check]
			if f.State != doctor.Good || key(f.Found) != c.found || !strings.Contains(catalog.Explain(catalog.English, f.Found), c.say) {
				t.Errorf("%v: %v", f.State, catalog.Explain(catalog.English, f.Found))
			}
		})
	}
}
