package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftptest"
	"ftps/pkg/pki"
)

// presents listens on loopback and shows every client a certificate: at once,
// or after AUTH TLS. Then it hangs up, as a server may that wants no strangers.
func presents(t *testing.T, implicit bool) (port string, pin pki.Pin) {
	t.Helper()
	cert, err := pki.MakeTemporary("files.example.org")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.SetDeadline(time.Now().Add(time.Minute))
			if !implicit {
				io.WriteString(c, "220 ready\r\n")
				if line, _ := bufio.NewReader(c).ReadString('\n'); line != "AUTH TLS\r\n" {
					t.Errorf("the client said %q", line)
				}
				io.WriteString(c, "234 go on\r\n")
			}
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*cert}})
			if err := s.Handshake(); err != nil {
				t.Error(err)
			}
			s.Close()
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, pki.PinOf(cert.Leaf)
}

func TestCertShowPrintsWhatAServerPresents(t *testing.T) {
	d := newDesk(t)
	port, pin := presents(t, false)
	for lang, words := range map[string][]string{
		"en": {"Days left:   ", "not by this system"}, "es": {"quedan ", "este sistema no responde por él"},
	} {
		d.want(0, d.types("", "cert", "show", "127.0.0.1", "-p", port, "--lang", lang))
		says(t, d.out.String(), words...)
	}
	implicitPort, implicitPin := presents(t, true)
	for _, c := range []struct {
		args []string
		pin  pki.Pin
	}{
		{[]string{"127.0.0.1", "-p", port}, pin},
		{[]string{"127.0.0.1:" + port}, pin},
		{[]string{"ftpes://me@127.0.0.1:" + port + "/dir"}, pin},
		{[]string{"ftps://127.0.0.1:" + implicitPort}, implicitPin},
	} {
		d.want(0, d.types("", append([]string{"cert", "show"}, c.args...)...))
		if out := d.out.String(); !strings.Contains(out, c.pin.String()) || !strings.Contains(out, "files.example.org") {
			t.Errorf("%v: %s", c.args, out)
		}
	}
	d.want(0, d.types("", "cert", "show", "127.0.0.1", "-p", port, "--json", "--lang", "es"))
	var shown struct {
		Source string
		Pin    string
		Names  []string
		Key    string
		Chain  []pki.Description
		Days   int `json:"days_left"`
		Reason string
	}
	if err := json.Unmarshal(d.out.Bytes(), &shown); err != nil || shown.Pin != pin.String() || shown.Names[0] != "files.example.org" || shown.Key != "ECDSA P-256" {
		t.Errorf("%+v, %v: %s", shown, err, &d.out)
	}
	if shown.Chain == nil || shown.Days < 1 || shown.Reason == "" {
		t.Errorf("%+v", shown)
	}
}

func TestCertShowSaysWhyThereIsNothingToShow(t *testing.T) {
	d := newDesk(t)
	d.want(3, d.types("", "cert", "show", ftptest.Nobody(t)))
	if !strings.Contains(d.err.String(), "presented no certificate") {
		t.Error(d.err.String())
	}
	for _, word := range []string{"", "a b", "http://a", "a:0", "a:x", "[::1", "::1:x"} {
		d.want(2, d.types("", "cert", "show", word))
	}
}

func TestCertMakeShowAndRenew(t *testing.T) {
	d := newDesk(t)
	d.want(1, d.types("", "cert", "show"))
	if !strings.Contains(d.err.String(), "certs/server.crt does not exist") {
		t.Error(d.err.String())
	}
	d.want(0, d.types("", "cert", "make", "files.example.org"))
	pin := d.out.String()
	if !strings.HasPrefix(pin, "sha256//") {
		t.Errorf("printed %q", pin)
	}
	d.want(0, d.types("", "cert", "show"))
	if out := d.out.String(); !strings.Contains(out, strings.TrimSpace(pin)) || !strings.Contains(out, "self-signed") || d.err.Len() > 0 {
		t.Errorf("%s%s", out, &d.err)
	}
	d.want(0, d.types("", "cert", "show", "--lang", "es"))
	if out := d.out.String(); !strings.Contains(out, "Nombres:     files.example.org") {
		t.Error(out)
	}

	d.want(1, d.types("", "cert", "make"))
	if !strings.Contains(d.err.String(), "ftps cert renew") {
		t.Error(d.err.String())
	}
	d.want(0, d.types("", "cert", "renew", "--days", "30"))
	if d.out.String() != pin {
		t.Errorf("the pin changed from %s to %s", pin, &d.out)
	}
	d.want(0, d.types("", "cert", "renew", "--new-key"))
	if d.out.String() == pin {
		t.Error("the pin stayed")
	}
	if left, _ := os.ReadDir("certs"); len(left) != 3 { // certificate, key, old key
		t.Errorf("left %v", left)
	}

	d.want(2, d.types("", "cert", "renew", "--days", "0"))
	d.want(1, d.types("", "cert", "make", "--cert", "one.pem"))
	if !strings.Contains(d.err.String(), "one.pem") {
		t.Error(d.err.String())
	}
	d.want(2, d.types("", "cert", "mkae"))
}

func TestCertShowTellsOfAKeyOthersCanRead(t *testing.T) {
	d := newDesk(t)
	d.want(0, d.types("", "cert", "make", "--cert", "a.crt", "--key", "a.key"))
	if err := os.Chmod("a.key", 0o644); err != nil {
		t.Fatal(err)
	}
	d.want(0, d.types("", "cert", "show", "--cert", "a.crt", "--key", "a.key"))
	if !strings.Contains(d.err.String(), "chmod 600 a.key") {
		t.Error(d.err.String())
	}
}

func TestCertTicketKeysTurnsTheFileThatIsNamed(t *testing.T) {
	d := newDesk(t)
	d.want(2, d.types("", "cert", "ticket-keys"))
	says(t, d.err.String(), "ftps cert ticket-keys FILE")
	d.want(0, d.types("", "cert", "ticket-keys", "a.keys"))
	says(t, d.err.String(), "wrote a.keys, keys: 1")
	if err := os.WriteFile("ftps.yaml", []byte("ticket_keys: a.keys\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.want(0, d.types("", "cert", "ticket-keys", "--lang", "es"))
	says(t, d.err.String(), "se escribió a.keys, claves: 2")
	d.want(0, d.types("", "cert", "ticket-keys", "--ticket-keys", "b.keys"))
	says(t, d.err.String(), "wrote b.keys, keys: 1")
	d.want(0, d.types("", "cert", "ticket-keys", "--forget"))
	says(t, d.err.String(), "wrote a.keys, keys: 1")
	if err := os.Chmod("a.keys", 0o644); err != nil {
		t.Fatal(err)
	}
	d.want(1, d.types("", "cert", "ticket-keys"))
	says(t, d.err.String(), "chmod 600 a.keys")
	if d.out.Len() > 0 {
		t.Errorf("a key on standard output? %s", &d.out)
	}
}
