package ftpclient_test

import (
	"crypto/tls"
	"slices"
	"strings"
	"sync"
	"testing"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest"
)

func TestADataConnectionOffersWhatTheControlConnectionSettledOn(t *testing.T) {
	for _, v := range []struct {
		name   string
		base   []tls.CurveID
		chosen tls.CurveID
		want   []tls.CurveID
	}{
		{name: "X25519", chosen: tls.X25519, want: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}},
		{name: "P-256: a key for X25519 would be guessed wrong each time", chosen: tls.CurveP256,
			want: []tls.CurveID{tls.CurveP256, tls.CurveP384, tls.CurveP521}},
		{name: "a hybrid is not given up", chosen: tls.X25519MLKEM768},
		{name: "the caller's own choice stands", base: []tls.CurveID{tls.CurveP384, tls.X25519}, chosen: tls.X25519,
			want: []tls.CurveID{tls.CurveP384, tls.X25519}},
	} {
		data := &tls.Config{CurvePreferences: v.base}
		ftpclient.Settled(data, tls.ConnectionState{Version: tls.VersionTLS13, CurveID: v.chosen})
		if !slices.Equal(data.CurvePreferences, v.want) || data.MaxVersion != 0 {
			t.Errorf("%s: %v", v.name, data.CurvePreferences)
		}
	}
	data := &tls.Config{}
	ftpclient.Settled(data, tls.ConnectionState{Version: tls.VersionTLS12, CurveID: tls.X25519})
	if data.MaxVersion != tls.VersionTLS12 {
		t.Error("a key for TLS 1.3 goes along with each data connection's hello")
	}
}

func TestAPipelineBeginsInOneRoundTrip(t *testing.T) {
	var mu sync.Mutex
	var dialogue []string
	s := ftptest.Start(t, ftptest.Options{})
	c := real(t, s, func(cfg *ftpclient.Config) {
		cfg.Trace = func(sent bool, line string) {
			mu.Lock()
			defer mu.Unlock()
			verb, _, _ := strings.Cut(line, " ")
			if !sent {
				verb = "-"
			}
			dialogue = append(dialogue, verb)
		}
	})
	mu.Lock()
	dialogue = nil
	mu.Unlock()
	p := pipeline(t, within(t), c)
	defer p.Close()
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(dialogue, " "); got != "TYPE MODE EPSV - - -" {
		t.Errorf("the dialogue: %s", got)
	}
}

// The server tells in FEAT which language is in force.
func TestALanguageThatIsInForceIsNotAskedFor(t *testing.T) {
	for lang, want := range map[string]bool{"en": false, "es": true} {
		asked := false
		s := ftptest.Start(t, ftptest.Options{})
		real(t, s, func(cfg *ftpclient.Config) {
			cfg.Lang = lang
			cfg.Trace = func(sent bool, line string) { asked = asked || sent && strings.HasPrefix(line, "LANG ") }
		})
		if asked != want {
			t.Errorf("%s: asked %v", lang, asked)
		}
	}
}
