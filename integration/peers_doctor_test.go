//go:build interop

package integration

import (
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
)

// consulted has the doctor examine the server, whose folder must be empty
// afterwards, and returns what it found.
func (s *foreignServer) consulted(t *testing.T) diagnosis {
	t.Helper()
	out, errs, code := s.client(t, "--json", "--timeout", "20s", "doctor")
	d := diagnosed(t, out)
	// The connection that looked whether the server answers may still count.
	for deadline := time.Now().Add(patience); d["greeting"].State == "wrong" && time.Now().Before(deadline); {
		out, errs, code = s.client(t, "--json", "--timeout", "20s", "doctor")
		d = diagnosed(t, out)
	}
	if code != 0 {
		t.Errorf("exit %d: %s", code, errs)
	}
	if strings.Contains(out+errs, foreignPassword) {
		t.Errorf("the password was told:\n%s%s", out, errs)
	}
	if left, err := os.ReadDir(s.Home); err != nil || slices.ContainsFunc(left, func(e os.DirEntry) bool { return e.Name() != ".ftpquota" }) {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return d
}

// unhealthy are the steps that are wrong, with what was found, but for the
// certificates of these tests, which last a day.
func (d diagnosis) unhealthy() map[string]string {
	found := map[string]string{}
	for _, name := range d.of("wrong") {
		if name != "dates" {
			found[name] = d[name].Key
		}
	}
	return found
}

// finds holds the findings against what the settings say.
func (d diagnosis) finds(t *testing.T, want map[string]string, keys map[string]string) {
	t.Helper()
	if got := d.unhealthy(); !maps.Equal(got, want) {
		t.Errorf("wrong are %v, want %v", got, want)
	}
	for step, key := range keys {
		if f := d[step]; f.Key != key {
			t.Errorf("%s: %s (%s), want %s", step, f.Key, f.Found, key)
		}
	}
}

// With its settings as they are in these tests each server has this wrong,
// and nothing else: Pure-FTPd gives no tickets and pyftpdlib requires none,
// and of ProFTPD, Pure-FTPd and pyftpdlib none refuses an upload that was
// cut (the last one waits for the rest of it until its time is over).
var complaints = map[string]map[string]string{
	"vsftpd":  {},
	"ProFTPD": {"cut": "doctor.cut.taken"},
	"Pure-FTPd": {"cut": "doctor.cut.taken", "resumed": "doctor.resumed.no",
		"required": "doctor.required.no"},
	"pyftpdlib": {"required": "doctor.required.no"},
}

// and returns the complaints about a server with some more, or, where a key
// is empty, without it.
func and(f foreign, more map[string]string) map[string]string {
	all := maps.Clone(complaints[f.name])
	for step, key := range more {
		if all[step] = key; key == "" {
			delete(all, step)
		}
	}
	return all
}

// settings are how the servers are set up for the doctor, what is then wrong
// on top of the complaints, and what else is to be found.
var settings = []struct {
	what        string
	has         func(foreign) bool // nil for all of them
	options     foreignOptions
	wrong, keys map[string]string
	untried     []string
}{
	{what: "both versions of TLS, PASV tells the truth, ten connections",
		keys: map[string]string{"versions": "doctor.versions.both", "pasv": "doctor.pasv.ok", "count": "doctor.count.ok", "content": "doctor.content.ok", "end": "doctor.end.ok", "utf8": "doctor.utf8.ok", "trust": "doctor.trust.pin"}},
	{what: "session reuse is required", has: named("vsftpd", "ProFTPD"),
		keys: map[string]string{"required": "doctor.required.ok", "resumed": "doctor.resumed.ok"}},
	{what: "session reuse is not required", has: named("vsftpd", "ProFTPD"), options: foreignOptions{NoReuse: true},
		wrong: map[string]string{"required": "doctor.required.no"}, keys: map[string]string{"resumed": "doctor.resumed.ok"}},
	{what: "an upload without close_notify is refused (strict_ssl_read_eof)", has: named("vsftpd"),
		keys: map[string]string{"cut": "doctor.cut.ok"}},
	{what: "PASV tells another address", options: foreignOptions{Told: "198.51.100.7"},
		wrong: map[string]string{"pasv": "doctor.pasv.other"}},
	{what: "TLS 1.2 alone", has: named("vsftpd", "pyftpdlib"), options: foreignOptions{MaxTLS: "1.2"},
		wrong: map[string]string{"versions": "doctor.versions.old"}},
	// Under TLS 1.2 it does resume, by tickets.
	{what: "TLS 1.2 alone", has: named("Pure-FTPd"), options: foreignOptions{MaxTLS: "1.2"},
		wrong: map[string]string{"versions": "doctor.versions.old", "resumed": ""}},
	// Under TLS 1.2 it gives no tickets.
	{what: "TLS 1.2 alone", has: named("ProFTPD"), options: foreignOptions{MaxTLS: "1.2", NoReuse: true},
		wrong: map[string]string{"versions": "doctor.versions.old", "resumed": "doctor.resumed.no", "required": "doctor.required.no"}},
	{what: "TLS 1.3 alone", has: named("vsftpd", "ProFTPD", "pyftpdlib"), options: foreignOptions{MinTLS: "1.3"},
		keys: map[string]string{"versions": "doctor.versions.new"}},
	{what: "EPSV is taken away", has: func(f foreign) bool { return f.canDeny }, options: foreignOptions{Without: []string{"EPSV"}},
		wrong: map[string]string{"epsv": "client.reply"}},
	{what: "MDTM in local time", has: named("vsftpd"), options: foreignOptions{Zone: "America/Argentina/Buenos_Aires"},
		wrong: map[string]string{"clock": "doctor.clock.zone"}},
	{what: "two connections", has: named("vsftpd", "ProFTPD", "Pure-FTPd"), options: foreignOptions{MaxSessions: 2},
		keys: map[string]string{"count": "doctor.count.limit"}},
	{what: "one connection", has: named("vsftpd", "ProFTPD", "Pure-FTPd"), options: foreignOptions{MaxSessions: 1},
		wrong: map[string]string{"count": "doctor.count.one"}},
	{what: "read only", has: func(f foreign) bool { return f.canReadOnly }, options: foreignOptions{ReadOnly: true},
		wrong: map[string]string{"cut": ""}, untried: []string{"clock", "content", "cut", "empty", "removed", "utf8"}},
	{what: "implicit TLS", has: func(f foreign) bool { return f.canImplicit }, options: foreignOptions{Implicit: true},
		untried: []string{"auth"}},
}

func named(names ...string) func(foreign) bool {
	return func(f foreign) bool { return slices.Contains(names, f.name) }
}

func TestDoctorFindsWhatTheSettingsOfOtherPeoplesServersSay(t *testing.T) {
	t.Parallel()
	eachForeigner(t, nil, func(t *testing.T, f foreign) {
		for _, set := range settings {
			if set.has != nil && !set.has(f) {
				continue
			}
			t.Run(set.what, func(t *testing.T) {
				s := f.serve(t, set.options)
				s.passes(t, "doctor: "+set.what, func(t *testing.T) {
					d := s.consulted(t)
					d.finds(t, and(f, set.wrong), set.keys)
					untried := set.untried
					if f.name == "pyftpdlib" && !slices.Contains(untried, "cut") {
						untried = append(slices.Clone(untried), "cut")
					}
					slices.Sort(untried)
					if got := d.of("untried"); !slices.Equal(got, untried) {
						t.Errorf("not tried: %v, want %v", got, untried)
					}
				})
			})
		}
	})
}

// fromAfar passes ports of 127.0.0.1 on from 127.0.0.2, each connection with a
// header that says it comes from 203.0.113.9: a server tells its public
// address only to strangers.
func fromAfar(t *testing.T, ports ...int) {
	t.Helper()
	for _, port := range ports {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.2:%d", port))
		must(t, err)
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go passOn(c.(*net.TCPConn), port)
			}
		}()
	}
}

func passOn(c *net.TCPConn, port int) {
	defer c.Close()
	to, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return
	}
	defer to.Close()
	head, err := proxyproto.HeaderProxyFromAddrs(2, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 9), Port: 4000},
		&net.TCPAddr{IP: net.IPv4(198, 51, 100, 1), Port: port}).Format()
	if err != nil {
		return
	}
	if _, err := to.Write(head); err != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(to, c)
		to.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(c, to)
	c.CloseWrite()
	<-done
}

func TestDoctorFindsWhatOurOwnSettingsSayAsOfOtherPeoples(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, user, host string
		args             []string
		wrong, keys      map[string]string
	}{
		{"session_reuse: require", strictUser, "127.0.0.1", nil, map[string]string{}, map[string]string{"required": "doctor.required.ok", "resumed": "doctor.resumed.ok", "cut": "doctor.cut.ok", "versions": "doctor.versions.both"}},
		{"session_reuse: prefer", lenientUser, "127.0.0.1", nil, map[string]string{"required": "doctor.required.no"}, map[string]string{"resumed": "doctor.resumed.ok"}},
		{"a wrong public_ip", strictUser, "127.0.0.2", []string{"--proxy-from", "127.0.0.1", "--public-ip", "192.0.2.80"}, map[string]string{"pasv": "doctor.pasv.other", "names": "doctor.names.other"}, nil},
		{"the right public_ip", strictUser, "127.0.0.2", []string{"--proxy-from", "127.0.0.1", "--public-ip", "127.0.0.2"}, map[string]string{}, map[string]string{"pasv": "doctor.pasv.ok"}},
		{"max_connections_per_address", strictUser, "127.0.0.1", []string{"--max-connections-per-address", "3"}, map[string]string{}, map[string]string{"count": "doctor.count.limit"}},
		{"implicit TLS", strictUser, "implicit", nil, map[string]string{}, map[string]string{"auth": "doctor.auth.implicit"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			first, implicit := freeRange(t, 4), freePorts(t, 1)[0]
			s := startSite(t, append(c.args, "-D", fmt.Sprintf("%d-%d", first, first+3), "--implicit-port", fmt.Sprint(implicit))...)
			var control int
			fmt.Sscan(s.port, &control)
			if c.host == "127.0.0.2" {
				fromAfar(t, control, first, first+1, first+2, first+3)
			}
			if c.host == "implicit" {
				c.host, control = "ftps://127.0.0.1", implicit
			}
			noteIn(t, &report.servers, "ftps server", "this tree", "doctor: "+c.what)
			out, errs, code := run(t, s.dir, peerPassword+"\n", "client", c.host, "-p", fmt.Sprint(control), "-u", c.user,
				"--password-stdin", "--pin", s.pin, "--json", "doctor")
			if code != 0 {
				t.Errorf("exit %d: %s", code, errs)
			}
			diagnosed(t, out).finds(t, c.wrong, c.keys)
		})
	}
}
