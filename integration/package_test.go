//go:build interop

package integration

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// debian returns the root of a Debian 12, bootstrapped once and kept.
func debian(t *testing.T) string {
	t.Helper()
	if root := os.Getenv("FTPS_DEBIAN_ROOT"); root != "" {
		return root
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(cache, "ftps-bookworm")
	if _, err := os.Stat(filepath.Join(root, "etc", "debian_version")); err != nil {
		must(t, os.MkdirAll(cache, 0o755))
		said(t, nil, "debootstrap", "--variant=minbase", "bookworm", root)
	}
	return root
}

// said runs a program that must succeed.
func said(t *testing.T, env []string, words ...string) string {
	t.Helper()
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", words, err, out)
	}
	return string(out)
}

func TestPackageForDebianInstallsStartsUpgradesAndLeavesNothing(t *testing.T) {
	root := debian(t)
	inside := func(words ...string) string {
		t.Helper()
		return said(t, []string{"DEBIAN_FRONTEND=noninteractive", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"},
			append([]string{"chroot", root}, words...)...)
	}
	install := func(version string) {
		t.Helper()
		deb := strings.TrimSpace(said(t, []string{"VERSION=" + version}, "../scripts/package", "deb", t.TempDir()))
		raw, err := os.ReadFile(deb)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(root, "tmp", "ftps.deb"), raw, 0o644))
		inside("dpkg", "-i", "/tmp/ftps.deb")
		os.Remove(filepath.Join(root, "tmp", "ftps.deb"))
	}
	files := func() string { return inside("find", "/", "-xdev", "-name", "*ftps*", "-not", "-path", "/proc/*") }
	before := files()
	t.Cleanup(func() { exec.Command("chroot", root, "dpkg", "--purge", "ftps").Run() })

	install("1.0.0")
	if got := inside("stat", "-c", "%a %U %G", "/var/lib/ftps", "/var/lib/ftps/srv", "/etc/ftps/ftps.yaml"); got != "750 ftps ftps\n750 ftps ftps\n644 root root\n" {
		t.Errorf("modes and owners:\n%s", got)
	}
	for _, path := range []string{"/usr/share/man/man1/ftps-server.1.gz", "/usr/share/man/es/man1/ftps-server.1.gz", "/usr/share/bash-completion/completions/ftps", "/lib/systemd/system/ftps.service"} {
		inside("test", "-s", path)
	}

	// Root adds an account wherever it stands, to the file that the server can read.
	inside("ftps", "useradd", "diego", "--generate")
	if got := inside("stat", "-c", "%a %U %G", "/var/lib/ftps/users.yaml"); got != "600 ftps ftps\n" {
		t.Errorf("the accounts: %s", got)
	}

	// It starts without a service manager.
	control, data := freePorts(t, 1)[0], freePorts(t, 1)[0]
	out := newTranscript()
	cmd := exec.Command("chroot", "--userspec=ftps:ftps", root, "/bin/sh", "-c", fmt.Sprintf(
		"cd /var/lib/ftps && exec /usr/bin/ftps server --no-console --admin-socket off -H 127.0.0.1 -C %d -D %d", control, data))
	cmd.Stdout, cmd.Stderr, cmd.Env = out, out, []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"}
	must(t, cmd.Start())
	_, err := out.find(`Listening on 127\.0\.0\.1:`+strconv.Itoa(control), patience)
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	must(t, err)

	// The unit.
	if got := said(t, nil, "systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "--root="+root, "ftps.service"); strings.Contains(got, "ftps.service") {
		t.Errorf("verify: %s", got)
	}
	got := said(t, nil, "systemd-analyze", "security", "--offline=true", "--no-pager", filepath.Join(root, "lib/systemd/system/ftps.service"))
	m := regexp.MustCompile(`Overall exposure level for \S+: (\d+\.\d+)`).FindStringSubmatch(got)
	if m == nil {
		t.Fatalf("security: %s", got)
	}
	if exposure, _ := strconv.ParseFloat(m[1], 64); exposure >= 2 {
		t.Errorf("exposure %v", exposure)
	}
	t.Logf("exposure %s", m[1])

	// A changed setting outlives an upgrade.
	settings := filepath.Join(root, "etc/ftps/ftps.yaml")
	raw, err := os.ReadFile(settings)
	must(t, err)
	changed := append(raw, "\nbanner: changed here\n"...)
	must(t, os.WriteFile(settings, changed, 0o644))
	install("1.1.0")
	if got := inside("ftps", "version"); !strings.HasPrefix(got, "ftps 1.1.0 ") {
		t.Errorf("after the upgrade: %s", got)
	}
	if raw, err := os.ReadFile(settings); err != nil || string(raw) != string(changed) {
		t.Errorf("the settings after the upgrade: %v\n%s", err, raw)
	}

	inside("dpkg", "--purge", "ftps")
	if after := files(); after != before {
		t.Errorf("the purge left:\n%s", after)
	}
	if out, err := exec.Command("chroot", root, "getent", "passwd", "ftps").Output(); err == nil {
		t.Errorf("the purge left the user: %s", out)
	}
}

func TestPackageOfTheSameCommitIsTheSameBytesFromAnotherFolder(t *testing.T) {
	build := func() [32]byte {
		t.Helper()
		top := filepath.Join(t.TempDir(), "tree")
		said(t, nil, "git", "clone", "-q", "--shared", "..", top)
		said(t, nil, filepath.Join(top, "scripts", "build"), filepath.Join(top, "dist"))
		raw, err := os.ReadFile(filepath.Join(top, "dist", "ftps"))
		must(t, err)
		return sha256.Sum256(raw)
	}
	if first, second := build(), build(); first != second {
		t.Errorf("%x and %x", first, second)
	}
}
