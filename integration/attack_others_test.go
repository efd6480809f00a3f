//go:build interop

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// target is a server to attack: ours, or one that others wrote.
type target struct {
	name, version  string
	addr           string
	user, password string
	home           string // the account's files, on this machine
	outside        string // a folder beside them, with a secret
	anonymous      bool   // the one account's name is no secret
	unjailed       bool   // started as the tests start it, it has no chroot
}

// verdict is what came of an attack.
type verdict struct {
	mark string // held, fell, or does not apply
	how  string // a few words, or a figure
}

func resisted(how string) verdict { return verdict{"held", how} }
func fell(how string) verdict     { return verdict{"**fell**", how} }
func without(how string) verdict  { return verdict{"does not apply", how} }

func (v verdict) String() string {
	if v.how == "" {
		return v.mark
	}
	return v.mark + ": " + v.how
}

// judge is the verdict of an attack that either succeeded or did not.
func judge(succeeded bool, how string) verdict {
	if succeeded {
		return fell(how)
	}
	return resisted(how)
}

// targets start one server each, new for each attack: bans and limits of the
// one before must not pass for a defence against the next.
func targets() map[string]func(t *testing.T) target {
	all := map[string]func(t *testing.T) target{"ftps": ourTarget}
	for _, f := range foreigners() {
		all[f.name] = f.target
	}
	return all
}

func ourTarget(t *testing.T) target {
	s := startServer(t, []string{"diego", foreignPassword})
	return target{name: "ftps", version: "this tree", addr: "127.0.0.1:" + s.port, user: "diego", password: foreignPassword, home: s.home("diego")}.withSecret(t)
}

func (f foreign) target(t *testing.T) target {
	o := foreignOptions{}
	if f.name == "Pure-FTPd" {
		o.MaxSessions = 8 // from one address, as Debian sets it
	}
	s := f.serve(t, o)
	return target{name: f.name, version: s.version(), addr: fmt.Sprintf("127.0.0.1:%d", s.Control), user: s.account,
		password: foreignPassword, home: s.Home, anonymous: s.account == "anonymous", unjailed: f.name == "vsftpd"}.withSecret(t)
}

func (g target) withSecret(t *testing.T) target {
	t.Helper()
	g.outside = filepath.Join(filepath.Dir(g.home), "outside")
	must(t, os.MkdirAll(g.outside, 0o755))
	must(t, os.WriteFile(filepath.Join(g.outside, "secret"), []byte(outsideSecret), 0o644))
	return g
}

// plant writes a file into the home, for the account to read and remove.
func (g target) plant(t *testing.T, name string, data []byte) {
	t.Helper()
	path := filepath.Join(g.home, name)
	must(t, os.WriteFile(path, data, 0o666))
	g.give(t, path)
}

// give makes a file the home's owner's.
func (g target) give(t *testing.T, path string) {
	t.Helper()
	if uid, gid, ok := ownerOf(g.home); ok {
		must(t, os.Lchown(path, uid, gid))
	}
}

func (g target) login(t *testing.T) *player {
	t.Helper()
	return g.loginFrom(t, "")
}

func (g target) loginFrom(t *testing.T, local string) *player {
	t.Helper()
	p, err := loginPeer(g.addr, local, g.user, g.password)
	if err != nil {
		t.Fatalf("%s: %v", g.name, err)
	}
	p.limit = 15 * time.Second
	t.Cleanup(p.close)
	return p
}

func TestTheSameAttacksOnOtherServers(t *testing.T) {
	names := []string{"ftps"}
	for _, f := range foreigners() {
		names = append(names, f.name)
	}
	versions := make(map[string]string)
	var b strings.Builder
	for _, a := range tries {
		row := "| " + a.name + " |"
		for _, name := range names {
			v := verdict{"not tried", ""}
			t.Run(a.word+"/"+name, func(t *testing.T) {
				began := time.Now()
				g := targets()[name](t)
				versions[name] = g.version
				v = a.try(t, g)
				fmt.Printf("case: %s: %s: %v: passed in %.1f s\n", a.name, name, v, time.Since(began).Seconds())
				if name == "ftps" && v.mark == "**fell**" {
					t.Errorf("ours %v", v)
				}
			})
			row += " " + strings.ReplaceAll(v.String(), "|", `\|`) + " |"
		}
		b.WriteString(row + "\n")
	}
	if !*update || t.Failed() {
		return
	}
	head := "| attack |"
	for _, name := range names {
		head += " " + name + " " + versions[name] + " |"
	}
	head += "\n|" + strings.Repeat("---|", len(names)+1) + "\n"
	text, err := os.ReadFile("ATTACKS.md")
	must(t, err)
	part := regexp.MustCompile(`(?s)(<!-- others: begin[^>]*-->\n).*?(<!-- others: end -->)`)
	if !part.Match(text) {
		t.Fatal("ATTACKS.md has no place for the table")
	}
	now := part.ReplaceAllString(string(text), "${1}"+strings.ReplaceAll(head+b.String(), "$", "$$")+"${2}")
	must(t, os.WriteFile("ATTACKS.md", []byte(now), 0o644))
}
