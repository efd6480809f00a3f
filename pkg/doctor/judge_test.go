package doctor

import (
	"net/netip"
	"testing"
)

func TestThePASVAddressIsJudgedByWhereTheServerWasReached(t *testing.T) {
	for _, c := range []struct{ told, here, key string }{
		{"203.0.113.5", "203.0.113.5", ""},
		{"192.168.1.10", "203.0.113.5", "doctor.pasv.private"},
		{"10.0.0.2", "203.0.113.5", "doctor.pasv.private"},
		{"127.0.0.1", "203.0.113.5", "doctor.pasv.private"},
		{"0.0.0.0", "203.0.113.5", "doctor.pasv.none"},
		{"198.51.100.7", "203.0.113.5", "doctor.pasv.other"},
		{"203.0.113.5", "192.168.1.10", "doctor.pasv.other"},
	} {
		if key := judge(netip.MustParseAddr(c.told), netip.MustParseAddr(c.here)); key != c.key {
			t.Errorf("%s told at %s: %q, want %q", c.told, c.here, key, c.key)
		}
	}
}
