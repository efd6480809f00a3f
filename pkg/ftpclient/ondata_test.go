package ftpclient_test

import (
	"crypto/tls"
	"slices"
	"testing"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
)

func TestACallerIsToldOfEachDataConnectionsTLS(t *testing.T) {
	s := hostile.Start(t, hostile.Options{RequireReuse: true})
	var verbs []string
	c := login(t, s, func(cfg *ftpclient.Config) {
		cfg.OnData = func(verb string, state tls.ConnectionState) {
			verbs = append(verbs, verb)
			if !state.HandshakeComplete || !state.DidResume {
				t.Errorf("%s: %+v", verb, state)
			}
		}
	})
	if err := put(t, c, "/f", content(1000), ftpclient.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, c, "/f", 0); err != nil {
		t.Fatal(err)
	}
	list(t, c)
	if want := []string{"STOR", "RETR", "MLSD"}; !slices.Equal(verbs, want) {
		t.Errorf("told of %q, want %q", verbs, want)
	}
}
