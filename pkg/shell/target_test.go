package shell

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHostsAreReadInEverySpelling(t *testing.T) {
	for _, c := range []struct {
		host string
		port int
		user string
		want Target
	}{
		{"files.example.org", 0, "", Target{Host: "files.example.org", Port: 5000}},
		{"files.example.org", 2121, "diego", Target{Host: "files.example.org", Port: 2121, User: "diego"}},
		{"files.example.org:2121", 0, "", Target{Host: "files.example.org", Port: 2121}},
		{"files.example.org:2121", 2121, "", Target{Host: "files.example.org", Port: 2121}},
		{"192.0.2.1", 0, "", Target{Host: "192.0.2.1", Port: 5000}},
		{"2001:db8::1", 0, "", Target{Host: "2001:db8::1", Port: 5000}},
		{"[2001:db8::1]", 0, "", Target{Host: "2001:db8::1", Port: 5000}},
		{"[2001:db8::1]:990", 0, "", Target{Host: "2001:db8::1", Port: 990, Implicit: true}},
		{"fe80::1%eth0", 0, "", Target{Host: "fe80::1%eth0", Port: 5000}},
		{"host", 990, "", Target{Host: "host", Port: 990, Implicit: true}},
		{"ftpes://host", 0, "", Target{Host: "host", Port: 5000}},
		{"FTPES://diego@host:21/docs/new%20ones", 0, "", Target{Host: "host", Port: 21, User: "diego", Folder: "docs/new ones"}},
		{"ftpes://diego@host", 0, "ana", Target{Host: "host", Port: 5000, User: "ana"}},
		{"ftpes://host/%2Fabs", 0, "", Target{Host: "host", Port: 5000, Folder: "/abs"}},
		{"ftpes://[2001:db8::1]:21/", 0, "", Target{Host: "2001:db8::1", Port: 21}},
		{"ftps://host", 0, "", Target{Host: "host", Port: 990, Implicit: true}},
		{"ftps://host:2990", 0, "", Target{Host: "host", Port: 2990, Implicit: true}},
		{"ftps://host", 2990, "", Target{Host: "host", Port: 2990, Implicit: true}},
	} {
		if got, err := ParseTarget(c.host, c.port, c.user); err != nil || got != c.want {
			t.Errorf("%s %d %q: got %+v, %v", c.host, c.port, c.user, got, err)
		}
	}
	for _, bad := range []string{
		"", ":5000", "host:", "host:0", "host:70000", "host:x", "[host]", "[2001:db8::1", "[2001:db8::1]5", "[2001:db8::1]:",
		"-host", "a b", "a/b", "user@host", "ftp://host", "https://host", "ftpes://", "ftpes://host?x", "ftpes://host#x",
		"ftpes://diego:secret@host", "ftpes://host/a%0d%0ab", "ftpes://a%0ab@host", "host\x1b", "ftpes://ho st",
	} {
		if got, err := ParseTarget(bad, 0, ""); err == nil {
			t.Errorf("%q was read as %+v", bad, got)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error repeats the password: %v", bad, err)
		}
	}
	for _, port := range []int{-1, 65536, 21} {
		if _, err := ParseTarget("host:2121", port, ""); err == nil {
			t.Errorf("port %d was taken", port)
		}
	}
}

func TestPasswordsComeFromWhereTheyWereSaidToBe(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("file", "from file \r\nsecond line\n")
	netrc := write("netrc", `
# machine commented login x password y
machine other login diego password wrong
machine HOST login ana password hers
macdef init
	machine host login diego password macro

machine host
	login diego
	password from-netrc
default login anyone password fallback
`)
	input := bufio.NewReader(strings.NewReader("from stdin\nls\n"))
	for _, c := range []struct {
		what           string
		secrets        Secrets
		host, user     string
		wantUser, want string
	}{
		{"stdin", Secrets{Stdin: input, File: file, Environment: "e"}, "host", "diego", "diego", "from stdin"},
		{"file", Secrets{File: file, Environment: "e"}, "host", "diego", "diego", "from file "},
		{"command", Secrets{Command: "echo from command; echo more", Environment: "e"}, "host", "diego", "diego", "from command"},
		{"environment", Secrets{Environment: "from environment", Netrc: netrc}, "host", "", "", "from environment"},
		{"netrc", Secrets{Netrc: netrc}, "host", "diego", "diego", "from-netrc"},
		{"netrc without a user", Secrets{Netrc: netrc}, "host", "", "ana", "hers"},
		{"netrc default", Secrets{Netrc: netrc}, "elsewhere", "", "anyone", "fallback"},
		{"netrc of another user", Secrets{Netrc: netrc}, "host", "eva", "eva", ""},
		{"no netrc", Secrets{Netrc: dir + "/none"}, "host", "diego", "diego", ""},
		{"nowhere", Secrets{}, "host", "diego", "diego", ""},
	} {
		user, password, err := c.secrets.Find(context.Background(), c.host, c.user)
		if err != nil || user != c.wantUser || password != c.want {
			t.Errorf("%s: got %q %q %v", c.what, user, password, err)
		}
	}
	if rest, _ := input.ReadString('\n'); rest != "ls\n" {
		t.Errorf("the commands behind the password are %q", rest)
	}
	for what, s := range map[string]Secrets{
		"empty file":     {File: write("empty", "\n")},
		"missing file":   {File: dir + "/none"},
		"failed command": {Command: "exit 3"},
	} {
		if _, password, err := s.Find(context.Background(), "host", "diego"); err == nil {
			t.Errorf("%s: got %q", what, password)
		}
	}
	if err := os.Chmod(netrc, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, password, err := (Secrets{Netrc: netrc}).Find(context.Background(), "host", "diego"); err == nil {
		t.Errorf("an open netrc gave %q", password)
	}
}
