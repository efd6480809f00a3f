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

// YAML 1.1 reads off as false; both switch the limit off, and nothing else
// does.
func TestALimitIsSwitchedOffByName(t *testing.T) {
	for _, off := range []string{"off", "false", "'off'"} {
		w := newWorld(t)
		w.file("ftps.yaml", "min_rate: "+off+"\nsession_timeout: "+off+"\nban_score: "+off+"\nimplicit_port: "+off+"\nmetrics: "+off+"\n")
		s, err := w.load()
		if err != nil {
			t.Errorf("%s: %v", off, err)
			continue
		}
		if s.MinRate != 0 || s.SessionTimeout != 0 || s.BanScore != 0 || s.Metrics != None {
			t.Errorf("%s: %d, %v, %d, %q", off, s.MinRate, s.SessionTimeout, s.BanScore, s.Metrics)
		}
	}
	w := newWorld(t)
	s, err := w.load()
	if err != nil || s.MinRate == 0 || s.BanScore == 0 {
		t.Errorf("by themselves: %d, %d, %v", s.MinRate, s.BanScore, err)
	}
}

func TestNamesToCertifyAreWrittenAsTheCertificateHasThem(t *testing.T) {
	w := newWorld(t)
	w.file("ftps.yaml", "acme_domain: [FTP.Example.com., b.example.com]\nacme_listen: [':443', '127.0.0.1:80']\nacme_directory: https://ca.example/dir\n")
	s, err := w.load()
	if err != nil || len(s.ACMEDomains) != 2 || s.ACMEDomains[0] != "ftp.example.com" || len(s.ACMEListen) != 2 || s.ACMEDirectory != "https://ca.example/dir" {
		t.Errorf("%v, %v, %v, %v", s.ACMEDomains, s.ACMEListen, s.ACMEDirectory, err)
	}
}
