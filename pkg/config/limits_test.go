package config

import (
	"testing"
	"time"
)

func TestLimitsAreCountsAndTimes(t *testing.T) {
	w := newWorld(t)
	w.file("ftps.yaml", "max_connections: 3\nidle_timeout: 90\nlogin_timeout: 2m\n")
	s, err := w.load("--stall-timeout", "1h")
	if err != nil {
		t.Fatal(err)
	}
	if s.MaxConnections != 3 || s.IdleTimeout != 90*time.Second || s.LoginTimeout != 2*time.Minute || s.StallTimeout != time.Hour {
		t.Errorf("%+v", s)
	}
	for flag, values := range map[string][]string{
		"--max-connections":  {"0", "-1", "many", "1000001", "1.5", ""},
		"--max-before-login": {"0"},
		"--idle-timeout":     {"0", "0s", "-5m", "999ms", "25h", "soon", ""},
	} {
		for _, value := range values {
			if _, err := w.load(flag, value); err == nil {
				t.Errorf("%s %q is taken", flag, value)
			}
		}
	}
}
