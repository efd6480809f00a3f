package main

import (
	"strings"
	"testing"

	"ftps/pkg/ftptest"
)

// Doctor asks a person for the key and the password as other commands do, and
// each once.
func TestDoctorAsksWhatOtherCommandsAskAndOnce(t *testing.T) {
	v := newVisit(t, ftptest.Options{})
	v.env["FTPS_PASSWORD"] = ""
	p, code := v.sits("-u", "diego", "doctor")
	p.Sees("(yes/no) ")
	p.Types("no\n")
	p.Sees("trust")
	p.Sees("not tried: the server is not trusted")
	p.Ends(code, 5)

	p, code = v.sits("-u", "diego", "doctor")
	p.Sees("(yes/no) ")
	p.Types("yes\n")
	p.Sees("met for the first time")
	p.Sees("PASS: ")
	p.Types("secreto\n")
	p.Sees("nothing is left behind")
	p.Sees("25 checks: 24 good, 1 wrong, 0 not tried") // its certificate lasts a day
	p.Ends(code, 0)
	if n := strings.Count(p.Transcript(), "PASS: "); n != 1 || strings.Contains(p.Transcript(), "secreto") {
		t.Errorf("asked %d times:\n%s", n, p.Transcript())
	}

	p, code = v.sits("-u", "diego", "--lang", "es", "doctor")
	p.Sees("known_hosts tiene su clave")
	p.Sees("PASS: ")
	p.Types("secreto\n")
	p.Sees("25 pruebas: 24 bien, 1 mal, 0 sin hacer")
	p.Ends(code, 0)
}

func TestDoctorWithoutAPasswordSaysSoAndIsMisuse(t *testing.T) {
	v := newVisit(t, ftptest.Options{})
	v.env["FTPS_PASSWORD"] = ""
	v.want(2, v.runs("doctor"))
	says(t, v.out.String(), "✗ login", "✓ TLS versions")
	v.want(2, v.runs("doctor", "somewhere"))
	v.want(0, v.runs("doctor", "--help"))
	says(t, v.out.String(), "examine the server step by step")
}
