package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"

	"ftps/pkg/catalog"
)

// FuzzFile reads any bytes as ftps.yaml: settings, or an error that can be
// said in both languages; never a panic and never both. What is taken is
// within its bounds.
func FuzzFile(f *testing.F) {
	for _, text := range []string{
		"", "host: 127.0.0.1\n", "control_port: 70000\n", "idle_timeout: 90\nmin_rate: 2 KiB\n", "never_ban: [10.0.0.0/8, \"::1\"]\n",
		"never_ban: off\n", "ban_score: off\n", "proxy_from: 10.0.0.0/8\n", "cert: [a, b]\nkey: [c, d]\n", "data_port: 5050-5065\n",
		"umask: 0o022\n", "unknown: 1\n", "a: &a [*a]\n", "host: !!binary aGk=\n", "? [x]\n: y\n", "\xff\xfe", "lang: es\nlang: en\n", "---\n...\n---\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "ftps.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		set := pflag.NewFlagSet("server", pflag.ContinueOnError)
		AddFlags(set, english)
		if err := set.Parse([]string{"--config", path}); err != nil {
			t.Fatal(err)
		}
		s, err := Load(set, nil)
		switch {
		case err != nil && s != nil, err == nil && s == nil:
			t.Fatalf("%v and %v", s, err)
		case err != nil:
			for _, lang := range catalog.Languages {
				if catalog.Explain(lang, err) == "" {
					t.Fatalf("%v: nothing to say", err)
				}
			}
			return
		}
		if s.MaxConnections < 1 || s.MaxPerAddress < 1 || s.MaxBeforeLogin < 1 || s.IdleTimeout <= 0 || s.LoginTimeout <= 0 ||
			s.HandshakeTimeout <= 0 || s.StallTimeout <= 0 || s.BanScore < 0 || s.BanTime <= 0 || s.MinRate < 0 || s.SessionTimeout < 0 ||
			s.Umask > 0o777 || s.DataPorts.First > s.DataPorts.Last {
			t.Fatalf("out of bounds: %+v", s)
		}
	})
}
