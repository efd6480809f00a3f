package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const unit = "../scripts/ftps.service"

func TestTheServiceUnitIsValidAndExposesLittle(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd-analyze here")
	}
	raw, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	// The program is not installed here, nor is there the user.
	text := strings.ReplaceAll(string(raw), "/usr/local/bin/ftps", ftps)
	text = strings.NewReplacer("User=ftps\n", "User=daemon\n", "Group=ftps\n", "Group=daemon\n").Replace(text)
	path := filepath.Join(t.TempDir(), "ftps.service")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", "--man=no", path).CombinedOutput(); err != nil || strings.Contains(string(out), path) {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", path).CombinedOutput()
	m := regexp.MustCompile(`Overall exposure level for \S+: (\d+\.\d+)`).FindStringSubmatch(string(out))
	if m == nil {
		t.Fatalf("security: %v\n%s", err, out)
	}
	if exposure, _ := strconv.ParseFloat(m[1], 64); exposure >= 2 {
		t.Errorf("exposure %v\n%s", exposure, out)
	}
}

func TestTheServiceUnitStartsTheServerWithFlagsThatItHas(t *testing.T) {
	raw, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/ftps server (.*)$`).FindStringSubmatch(string(raw))
	if m == nil {
		t.Fatal("no ExecStart")
	}
	args := append([]string{"server", "--check", "-C", "0", "-D", "0"}, strings.Fields(m[1])...)
	if os.Getuid() == 0 {
		args = append(args, "--run-as", "root")
	}
	if out, errs, code := run(t, t.TempDir(), "", args...); code != 0 {
		t.Errorf("%s%s", out, errs)
	}
}

// fail2ban cuts the date out of a line and holds its pattern against the
// rest; its <ADDR> is an address.
func TestTheFail2banFilterFindsTheAddressAndNoOther(t *testing.T) {
	raw, err := os.ReadFile("../scripts/fail2ban.conf")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^failregex = (.*)$`).FindStringSubmatch(string(raw))
	if m == nil {
		t.Fatal("no failregex")
	}
	fail := regexp.MustCompile(strings.Replace(m[1], "<ADDR>", `([0-9a-f.:]+)`, 1))
	s := startServer(t, nil)
	hostile := `","remote":"203.0.113.9:1"`
	if _, _, code := s.client(t, hostile, "wrong", "pwd"); code != 4 {
		t.Fatalf("a wrong password: exit %d", code)
	}
	line := s.out.wait(t, `(?m)^.*"msg":"login-refused".*$`)[0]
	rest := regexp.MustCompile(`^\{"time":"[^"]*`).ReplaceAllString(line, "")
	if m := fail.FindStringSubmatch(rest); m == nil || m[1] != "127.0.0.1" {
		t.Errorf("%q in %s", m, line)
	}
	other := s.out.wait(t, `(?m)^.*"msg":"connected".*$`)[0]
	if fail.MatchString(regexp.MustCompile(`^\{"time":"[^"]*`).ReplaceAllString(other, "")) {
		t.Errorf("found in %s", other)
	}
}

// A capability counts in the user namespace that it is held in, and the
// machine's ports are not in the unit's own (PrivateUsers=, systemd.exec(5)).
func TestWhoeverGivesTheUnitAPortBelow1024GivesItTheMachinesUsers(t *testing.T) {
	raw, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), "\nPrivateUsers=yes\n") {
		t.Error("the unit has the machine's users: nothing has to be said of them")
	}
	var beside string
	for _, b := range blocksOf(t, "../docs/operating.md") {
		if b.info == "ini ports" {
			beside = strings.Join(b.lines, "\n")
		}
	}
	for where, text := range map[string]string{"the guide": beside, "the unit": string(raw)} {
		for _, want := range []string{"AmbientCapabilities=CAP_NET_BIND_SERVICE", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "PrivateUsers=no"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %s", where, want)
			}
		}
	}
}

// The machine's own addresses, for a certificate that is made and for what to
// paste, come over a netlink socket.
func TestTheServiceUnitLetsTheServerAskForItsAddresses(t *testing.T) {
	raw, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^RestrictAddressFamilies=.*\bAF_NETLINK\b`).Match(raw) {
		t.Error("no AF_NETLINK")
	}
}
