package config

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"ftps/pkg/catalog"
)

// load plays a start of the server in a folder of its own.
type world struct {
	t    *testing.T
	dir  string
	home string
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), home: t.TempDir()}
	t.Chdir(w.dir)
	for _, row := range Settings() {
		t.Setenv(row.Env(), "")
	}
	return w
}

func (w *world) file(name, text string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) load(args ...string) (*Server, error) {
	w.t.Helper()
	set := pflag.NewFlagSet("server", pflag.ContinueOnError)
	AddFlags(set, english)
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	return Load(set, []string{w.home})
}

func english(key string, args ...any) string { return catalog.Text(catalog.English, key, args...) }

func TestFlagsWinOverEnvironmentOverFileOverDefaults(t *testing.T) {
	w := newWorld(t)
	step := func(what string, want int, args ...string) {
		t.Helper()
		s, err := w.load(args...)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if s.ControlPort != want {
			t.Errorf("%s: control port %d, want %d", what, s.ControlPort, want)
		}
	}
	step("nothing given", 5000)
	w.file("ftps.yaml", "control_port: 6000\n")
	step("file", 6000)
	t.Setenv("FTPS_CONTROL_PORT", "6001")
	step("environment", 6001)
	step("flag", 6002, "--control-port", "6002")
	step("short flag", 6003, "-C", "6003")
}

func TestTheFileIsLookedForHereThenAtTheUsersThenAtTheSystems(t *testing.T) {
	w := newWorld(t)
	named := filepath.Join(t.TempDir(), "other.yaml")
	w.file(named, "banner: named\n")
	w.file(filepath.Join(w.home, "ftps", "ftps.yaml"), "banner: user\n")
	if s, err := w.load(); err != nil || s.Banner != "user" {
		t.Errorf("user's folder: %+v, %v", s, err)
	}
	w.file("ftps.yaml", "banner: here\n")
	if s, err := w.load(); err != nil || s.Banner != "here" || s.Config != "ftps.yaml" {
		t.Errorf("working folder: %+v, %v", s, err)
	}
	if s, err := w.load("--config", named); err != nil || s.Banner != "named" {
		t.Errorf("named: %+v, %v", s, err)
	}
	if _, err := w.load("--config", "absent.yaml"); err == nil {
		t.Error("a named file that is absent was accepted")
	}
}

func TestErrorsNameTheFileAndTheKey(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"colour: red\n", `ftps.yaml: unknown key "colour"`},
		{"colour:\n", `ftps.yaml: unknown key "colour"`},
		{"a.b: 1\n", `ftps.yaml: unknown key "a.b"`},
		{"control-port: 1\n", "did you mean control_port?"},
		{"contrl_port: 1\n", "did you mean control_port?"},
		{"config: x\n", `ftps.yaml: unknown key "config"`},
		{"control_port: many\n", `ftps.yaml: key control_port: "many" is not a port`},
		{"control_port: 65536\n", `ftps.yaml: key control_port: "65536"`},
		{"control_port: [1, 2]\n", "ftps.yaml: key control_port: one value is wanted"},
		{"control_port: {a: 1}\n", "ftps.yaml: key control_port: a simple value is wanted"},
		{"no_fsync: perhaps\n", `ftps.yaml: key no_fsync: "perhaps" is neither true nor false`},
		{"data_port: 10-5\n", `ftps.yaml: key data_port: "10-5"`},
		{"data_port: 1-60000\n", `ftps.yaml: key data_port`},
		{"session_reuse: never\n", `ftps.yaml: key session_reuse: "never" is not one of: require, prefer`},
		{"public_ip: '::1'\n", `ftps.yaml: key public_ip: "::1" is not an IPv4 address`},
		{"public_ip: 300.1.2.3\n", `ftps.yaml: key public_ip: "300.1.2.3" is not an IPv4 address, nor a name`},
		{"public_ip: a_b.example\n", `ftps.yaml: key public_ip: "a_b.example"`},
		{"public_ip: 0.0.0.0\n", `ftps.yaml: key public_ip: "0.0.0.0"`},
		{"proxy_from: lots\n", `ftps.yaml: key proxy_from: "lots" is not a network`},
		{"proxy_from: [10.0.0.1, 10.0.0.1/8]\n", `ftps.yaml: key proxy_from: 10.0.0.1/8 is an address inside a network`},
		{"proxy_from: 10.0.0.1,\n", `ftps.yaml: key proxy_from: a value is missing`},
		{"proxy_from: ['::/0']\n", `ftps.yaml: key proxy_from: "::/0" is everyone`},
		{"umask: 99\n", `ftps.yaml: key umask: "99"`},
		{"lang: fr\n", `ftps.yaml: key lang: "fr"`},
		{"root_dir: ''\n", "ftps.yaml: key root_dir: a value is missing"},
		{"log_level: loud\n", `ftps.yaml: key log_level: "loud" is not one of: debug, info, warn, error`},
		{"metrics: 9000\n", `ftps.yaml: key metrics: "9000"`},
		{"metrics: 127.0.0.1:many\n", `ftps.yaml: key metrics: "127.0.0.1:many"`},
		{"acme_domain: localhost\n", `ftps.yaml: key acme_domain: "localhost"`},
		{"acme_domain: '*.example.com'\n", `ftps.yaml: key acme_domain: "*.example.com"`},
		{"acme_listen: '443'\n", `ftps.yaml: key acme_listen: "443"`},
		{"acme_directory: http://ca.example/dir\n", `ftps.yaml: key acme_directory: "http://ca.example/dir"`},
		{"cert: [a, [b]]\n", "ftps.yaml: key cert: a simple value is wanted"},
		{"cert: ['']\n", "ftps.yaml: key cert: a value is missing"},
		{"min_rate: slow\n", "ftps.yaml: key min_rate"},
		{"host: [\n", "ftps.yaml is not valid YAML: line 1"},
		{"host: a\nhost: b\n", "ftps.yaml is not valid YAML: line 2"},
	} {
		w := newWorld(t)
		w.file("ftps.yaml", c.text)
		_, err := w.load()
		if err == nil {
			t.Errorf("%q was accepted", c.text)
			continue
		}
		if said := catalog.Explain(catalog.English, err); !strings.Contains(said, c.want) {
			t.Errorf("%q: %q does not say %q", c.text, said, c.want)
		}
	}
}

func TestABadValueInTheEnvironmentNamesTheVariable(t *testing.T) {
	w := newWorld(t)
	t.Setenv("FTPS_DATA_PORT", "x")
	_, err := w.load()
	if err == nil || !strings.Contains(catalog.Explain(catalog.English, err), "FTPS_DATA_PORT") {
		t.Errorf("error %v does not name the variable", err)
	}
}

func TestABadFlagIsRefusedWhenItIsParsed(t *testing.T) {
	w := newWorld(t)
	for _, args := range [][]string{{"-C", "x"}, {"--session-reuse", "no"}, {"--log-format", "xml"}, {"--no-fsync=perhaps"}} {
		if _, err := w.load(args...); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}

func TestUmaskIsOctalHoweverItIsWritten(t *testing.T) {
	for _, text := range []string{"umask: 027", "umask: \"027\"", "umask: 27", "umask: 0o27 # group reads"} {
		w := newWorld(t)
		w.file("ftps.yaml", text+"\n")
		s, err := w.load()
		if err != nil || s.Umask != 0o27 {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
}

func TestCertificatesAreAListEverywhere(t *testing.T) {
	w := newWorld(t)
	check := func(what string, args ...string) {
		t.Helper()
		s, err := w.load(args...)
		if err != nil || len(s.Certs) != 2 || s.Certs[1] != "b.crt" || !s.Named("cert") || s.Named("key") {
			t.Errorf("%s: %+v, %v", what, s, err)
		}
	}
	check("flags", "--cert", "a.crt", "--cert", "b.crt")
	w.file("ftps.yaml", "cert: [a.crt, b.crt]\n")
	check("file")
	os.Remove("ftps.yaml")
	t.Setenv("FTPS_CERT", "a.crt,b.crt")
	check("environment")
}

func TestTheExampleSetsNothingAndItsLinesAreTheDefaults(t *testing.T) {
	for _, lang := range catalog.Languages {
		w := newWorld(t)
		var example bytes.Buffer
		err := WriteExample(&example, func(key string, args ...any) string { return catalog.Text(lang, key, args...) })
		if err != nil {
			t.Fatal(err)
		}
		w.file("ftps.yaml", example.String())
		s, err := w.load()
		if err != nil || len(s.named) == 0 || s.Named("host") {
			t.Fatalf("%v: as written: %+v, %v", lang, s, err)
		}
		lines := regexp.MustCompile(`(?m)^#([a-z0-9_]+: )`)
		if n := len(lines.FindAllString(example.String(), -1)); n != len(Settings())-1 {
			t.Errorf("%v: %d keys, want %d", lang, n, len(Settings())-1)
		}
		w.file("ftps.yaml", lines.ReplaceAllString(example.String(), "$1"))
		if s, err = w.load(); err != nil {
			t.Fatalf("%v: without the marks: %s", lang, catalog.Explain(lang, err))
		}
		s.named, s.Config = nil, ""
		want := Default()
		want.named = nil
		if got, want := *s, *want; got.ControlPort != want.ControlPort || got.Umask != want.Umask ||
			got.ImplicitPort != want.ImplicitPort || got.DataPorts != want.DataPorts || got.RootDir != want.RootDir ||
			len(got.Certs) != 1 || got.Certs[0] != want.Certs[0] || got.Host != want.Host {
			t.Errorf("%v: the example's lines are not the defaults: %+v", lang, got)
		}
	}
}

func TestEverySettingHasAFlagAVariableAndHelp(t *testing.T) {
	for _, row := range Settings() {
		if _, ok := catalog.Lookup(row.Help); !ok {
			t.Errorf("%s: no row %s", row.Name, row.Help)
		}
		if _, ok := catalog.Lookup(row.Group); !ok {
			t.Errorf("%s: no row %s", row.Name, row.Group)
		}
	}
}

func TestProxiesAreNamedByFlagEnvironmentAndFile(t *testing.T) {
	want := []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/64")}
	for how, load := range map[string]func(w *world) (*Server, error){
		"flags": func(w *world) (*Server, error) {
			return w.load("--proxy-from", "192.0.2.1", "--proxy-from=2001:db8::/64")
		},
		"one flag": func(w *world) (*Server, error) { return w.load("--proxy-from", "192.0.2.1, 2001:db8::/64") },
		"environment": func(w *world) (*Server, error) {
			t.Setenv("FTPS_PROXY_FROM", "192.0.2.1,2001:db8::/64")
			defer os.Unsetenv("FTPS_PROXY_FROM")
			return w.load()
		},
		"file": func(w *world) (*Server, error) {
			w.file("ftps.yaml", "proxy_from: [192.0.2.1, '2001:db8::/64']\n")
			return w.load()
		},
	} {
		s, err := load(newWorld(t))
		if err != nil || !slices.Equal(s.ProxyFrom, want) {
			t.Errorf("%s: %v, %v", how, s, err)
		}
	}
	if s, err := newWorld(t).load(); err != nil || len(s.ProxyFrom) != 0 {
		t.Errorf("by default: %v, %v", s.ProxyFrom, err)
	}
}

func TestAPublicAddressMayBeAName(t *testing.T) {
	for word, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "ftp.example.org": "ftp.example.org",
		"host": "host", "4you.example.": "4you.example.", "": "",
	} {
		if s, err := newWorld(t).load("--public-ip", word); err != nil || s.PublicIP != want {
			t.Errorf("%q: %v, %v", word, s, err)
		}
	}
}
