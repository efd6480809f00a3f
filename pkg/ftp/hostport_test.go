package ftp

import (
	"errors"
	"net/netip"
	"testing"
)

func TestPORTIsStrict(t *testing.T) {
	for _, c := range []struct{ arg, want string }{
		{"127,0,0,1,19,186", "127.0.0.1:5050"},
		{"255,255,255,255,255,255", "255.255.255.255:65535"},
		{"010,000,000,001,004,001", "10.0.0.1:1025"},
		{"127,0,0,1,19", ""},
		{"127,0,0,1,19,186,7", ""}, // seven numbers pass elsewhere
		{"127,0,0,1,19,186,", ""},
		{",127,0,0,1,19,186", ""},
		{"127,0,0,1,256,1", ""},
		{"+127,0,0,1,19,186", ""},
		{"127,0,0,1,19,+186", ""},
		{"127,0,0,1,-1,1", ""},
		{"127, 0,0,1,19,186", ""},
		{" 127,0,0,1,19,186", ""},
		{"127,0,0,1,19,186 ", ""},
		{"127,,0,1,19,186", ""},
		{"0127,0,0,1,19,186", ""},
		{"0x7f,0,0,1,19,186", ""},
		{"127.0.0.1,19,186", ""},
		{"127,0,0,1,0,0", ""}, // no such port
		{"١٢٧,0,0,1,19,186", ""},
		{"", ""},
	} {
		ap, err := ParsePORT(c.arg)
		if c.want == "" && err != ErrHostPort || c.want != "" && (err != nil || ap.String() != c.want) {
			t.Errorf("ParsePORT(%q) = %v, %v; want %q", c.arg, ap, err, c.want)
		}
	}
}

func TestPASVRepliesOfRealServers(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{FormatPASVReply(netip.MustParseAddrPort("192.0.2.7:5050")), "192.0.2.7:5050"},
		{"Entering Passive Mode (192,0,2,7,19,186).", "192.0.2.7:5050"},
		{"Entering Passive Mode. 192,0,2,7,19,186", "192.0.2.7:5050"},
		{"=192,0,2,7,19,186", "192.0.2.7:5050"},
		{"Passive mode, at 192,0,2,7,19,186, good luck", "192.0.2.7:5050"},
		{"Data port 1,2 is (192,0,2,7,19,186)", "192.0.2.7:5050"},
		{"Entering Passive Mode (192,0,2,7,19,186,1)", ""},
		{"Entering Passive Mode (192,0,2,700,19,186)", ""},
		{"Entering Passive Mode", ""},
	} {
		ap, err := ParsePASVReply(c.text)
		if c.want == "" && err != ErrHostPort || c.want != "" && (err != nil || ap.String() != c.want) {
			t.Errorf("ParsePASVReply(%q) = %v, %v; want %q", c.text, ap, err, c.want)
		}
	}
}

func TestEPRTTellsAnUnknownProtocolFromNonsense(t *testing.T) {
	for _, c := range []struct {
		arg, want string
		err       error
	}{
		{"|1|132.235.1.2|6275|", "132.235.1.2:6275", nil},
		{"|2|1080::8:800:200C:417A|5282|", "[1080::8:800:200c:417a]:5282", nil},
		{"!1!127.0.0.1!1024!", "127.0.0.1:1024", nil},
		{"|3|what.ever|80|", "", ErrFamily},
		{"|0|127.0.0.1|80|", "", ErrFamily},
		{"|01|127.0.0.1|80|", "", ErrFamily},
		{"|x|127.0.0.1|80|", "", ErrHostPort},
		{"|+1|127.0.0.1|80|", "", ErrHostPort},
		{"||127.0.0.1|80|", "", ErrHostPort},
		{"|1|::1|80|", "", ErrHostPort},
		{"|2|127.0.0.1|80|", "", ErrHostPort},
		{"|2|fe80::1%eth0|80|", "", ErrHostPort},
		{"|1|127.0.0.1|0|", "", ErrHostPort},
		{"|1|127.0.0.1|65536|", "", ErrHostPort},
		{"|1|127.0.0.1|+80|", "", ErrHostPort},
		{"|1|127.0.0.1|000080|", "", ErrHostPort},
		{"|1|127.0.0.1|80", "", ErrHostPort},
		{"|1|127.0.0.1|80||", "", ErrHostPort},
		{"|1|127.0.0.1|80| ", "", ErrHostPort},
		{"|1|localhost|80|", "", ErrHostPort},
		{" 1 127.0.0.1 80 ", "", ErrHostPort}, // no delimiter of RFC 2428
		{"", "", ErrHostPort},
	} {
		ap, err := ParseEPRT(c.arg)
		if err != c.err || c.err == nil && ap.String() != c.want {
			t.Errorf("ParseEPRT(%q) = %v, %v; want %q, %v", c.arg, ap, err, c.want, c.err)
		}
	}
}

func TestEPSVArguments(t *testing.T) {
	for _, c := range []struct {
		arg  string
		want EPSV
		err  error
	}{
		{"", EPSVAny, nil}, {"1", EPSVIPv4, nil}, {"2", EPSVIPv6, nil}, {"ALL", EPSVAll, nil}, {"all", EPSVAll, nil},
		{"3", 0, ErrFamily}, {"99", 0, ErrFamily}, {"x", 0, ErrHostPort}, {"1 ", 0, ErrHostPort}, {"+1", 0, ErrHostPort},
	} {
		if got, err := ParseEPSV(c.arg); got != c.want || err != c.err {
			t.Errorf("ParseEPSV(%q) = %v, %v", c.arg, got, err)
		}
	}
}

func TestEPSVReplies(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint16
	}{
		{FormatEPSVReply(5050), 5050},
		{"Entering Extended Passive Mode (|||6446|)", 6446},
		{"Extended passive mode (really) OK (!!!6446!).", 6446},
		{"Entering (a (|||6446|)", 6446},
		{"(|||65536|)", 0}, {"(|||0|)", 0}, {"(||6446|)", 0}, {"(|||6446)", 0}, {"|||6446|", 0},
		{"(|||+6446|)", 0}, {"(|||6446||)", 0}, {"(1111)", 0}, {"(11111)", 0}, {"()", 0}, {"(||||)", 0},
		{"(|1|10.0.0.1|6446|)", 0}, // an address, which must not be there
		{"", 0},
	} {
		got, err := ParseEPSVReply(c.text)
		if got != c.want || (err == nil) != (c.want != 0) {
			t.Errorf("ParseEPSVReply(%q) = %d, %v", c.text, got, err)
		}
	}
}

func TestAddressesThatPORTCannotTell(t *testing.T) {
	if got := FormatPORT(netip.MustParseAddrPort("[2001:db8::1]:21")); got != "" {
		t.Errorf("IPv6 as %q", got)
	}
	if got := FormatPORT(netip.MustParseAddrPort("[::ffff:192.0.2.1]:256")); got != "192,0,2,1,1,0" {
		t.Errorf("IPv4 in IPv6 as %q", got)
	}
	if got := FormatEPRT(netip.MustParseAddrPort("[::ffff:192.0.2.1]:256")); got != "|1|192.0.2.1|256|" {
		t.Errorf("IPv4 in IPv6 as %q", got)
	}
	if got := FormatEPRT(netip.MustParseAddrPort("[fe80::1%eth0]:256")); got != "|2|fe80::1|256|" {
		t.Errorf("a zone means nothing to the peer: %q", got)
	}
}

func FuzzHostPort(f *testing.F) {
	for _, s := range []string{"127,0,0,1,19,186", "|1|127.0.0.1|80|", "|2|::1|80|", "(|||5050|)", "ALL", "1,2,3,4,5,6,7", "|2|::ffff:1.2.3.4|9|"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if ap, err := ParsePORT(s); err == nil {
			if again, err := ParsePORT(FormatPORT(ap)); err != nil || again != ap {
				t.Errorf("PORT %q: %v, %v", s, again, err)
			}
			if again, err := ParsePASVReply(FormatPASVReply(ap)); err != nil || again != ap {
				t.Errorf("PASV %q: %v, %v", s, again, err)
			}
		}
		if ap, err := ParsePASVReply(s); err == nil && (!ap.IsValid() || ap.Port() == 0) {
			t.Errorf("PASV reply %q: %v", s, ap)
		}
		if ap, err := ParseEPRT(s); err == nil {
			again, err := ParseEPRT(FormatEPRT(ap))
			if err != nil || again.Addr() != ap.Addr().Unmap() || again.Port() != ap.Port() || ap.Port() == 0 {
				t.Errorf("EPRT %q: %v, %v", s, again, err)
			}
		} else if !errors.Is(err, ErrFamily) && !errors.Is(err, ErrHostPort) {
			t.Errorf("EPRT %q: %v", s, err)
		}
		if port, err := ParseEPSVReply(s); err == nil {
			if again, err := ParseEPSVReply(FormatEPSVReply(port)); err != nil || again != port || port == 0 {
				t.Errorf("EPSV %q: %v, %v", s, again, err)
			}
		}
		_, _ = ParseEPSV(s)
	})
}
