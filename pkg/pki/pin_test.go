package pki

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"ftps/pkg/fault"
)

// spelled has a slash, a plus and a first letter "/" in its base64, and letters
// in its hex.
var spelled = func() (p Pin) {
	copy(p[:], "\xff\xef\xbe\xfb\xef\xbe any thirty-two bytes will do")
	return p
}()

func TestParsePinReadsEveryUsualSpelling(t *testing.T) {
	std := base64.StdEncoding.EncodeToString(spelled[:])
	bare := strings.TrimRight(std, "=")
	url := base64.URLEncoding.EncodeToString(spelled[:])
	digits := hex.EncodeToString(spelled[:])
	if !strings.HasPrefix(std, "/") || !strings.Contains(std, "+") {
		t.Fatalf("the example %q does not have the letters that are hard", std)
	}
	grouped := func(sep string) string {
		var pairs []string
		for i := 0; i < len(digits); i += 2 {
			pairs = append(pairs, digits[i:i+2])
		}
		return strings.Join(pairs, sep)
	}
	for _, s := range []string{
		"sha256//" + std,
		"sha256//" + bare,
		"SHA256//" + std,
		"sha256/" + std,
		"sha256/" + bare,
		"SHA256:" + bare,
		"SHA256:" + std,
		"sha256:" + digits,
		"sha256:" + strings.ToUpper(digits),
		"SHA-256=" + digits,
		"sha256:" + grouped(":"),
		digits,
		strings.ToUpper(digits),
		grouped(":"),
		strings.ToUpper(grouped(":")),
		grouped(" "),
		grouped("-"),
		std,
		bare,
		url,
		strings.TrimRight(url, "="),
		"sha256//" + url,
		`pin-sha256="` + std + `"`,
		`pin-sha256="` + std + `";`,
		"pin-sha256=" + std,
		`"` + std + `"`,
		"  sha256//" + std + "\n",
	} {
		got, err := ParsePin(s)
		if err != nil || got != spelled {
			t.Errorf("ParsePin(%q) = %v, %v", s, got, err)
		}
	}
}

func TestParsePinNamesWhatItCannotUse(t *testing.T) {
	digits := hex.EncodeToString(spelled[:])
	for s, key := range map[string]string{
		"":                        "pki.pin.bad",
		"sha256//":                "pki.pin.bad",
		"sha256//AAAA":            "pki.pin.bad",
		digits[:63]:               "pki.pin.bad",
		digits + "00":             "pki.pin.bad",
		"hunter2":                 "pki.pin.bad",
		strings.Repeat("A", 4096): "pki.pin.bad",
		"sha256//" + strings.Repeat("A", 42) + "B": "pki.pin.bad", // bits beyond the last byte
		"sha256//\x1b[2J":                          "pki.pin.bad",
		digits[:40]:                                "pki.pin.weak",
		"SHA1:" + base64.StdEncoding.EncodeToString(spelled[:20]):  "pki.pin.weak",
		"AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89":          "pki.pin.weak",
		"MD5:ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67:89":      "pki.pin.weak",
		"sha1//" + base64.StdEncoding.EncodeToString(spelled[:20]): "pki.pin.weak",
		"sha512:" + digits + digits:                                "pki.pin.hash",
		digits + digits:                                            "pki.pin.hash",
		"sha256 Fingerprint=" + digits:                             "pki.pin.certificate",
		"SHA1 Fingerprint=" + digits[:40]:                          "pki.pin.certificate",
	} {
		_, err := ParsePin(s)
		var f *fault.Error
		if !errors.As(err, &f) || f.Key != key || !errors.Is(err, ErrBadPin) {
			t.Errorf("ParsePin(%q): %v, want %s", s, err, key)
		}
	}
}

func FuzzParsePin(f *testing.F) {
	f.Add(spelled.String())
	f.Add(hex.EncodeToString(spelled[:]))
	f.Add(`pin-sha256="` + base64.URLEncoding.EncodeToString(spelled[:]) + `"`)
	f.Add("SHA1:AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		pin, err := ParsePin(s)
		if err != nil {
			if pin != (Pin{}) {
				t.Fatal("a pin came with an error")
			}
			return
		}
		again, err := ParsePin(pin.String())
		if err != nil || again != pin {
			t.Fatalf("%q reads as %v, which reads as %v, %v", s, pin, again, err)
		}
	})
}
