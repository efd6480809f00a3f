package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ftps/pkg/catalog"
	"ftps/pkg/ftptest"
	"ftps/pkg/ftptest/terminal"
)

var update = flag.Bool("update", false, "rewrite the screens in testdata")

// look is how a person has set up the terminal.
type look struct {
	name    string
	columns int
	env     map[string]string
}

var looks = []look{
	{"80", 80, nil},
	{"plain", 80, map[string]string{"NO_COLOR": "1"}},
	{"narrow", 30, nil},
}

// What a person has before their eyes: login, listing, completion, errors,
// and a server that shows another key.
func TestTheScreens(t *testing.T) {
	kept, err := filepath.Abs(filepath.Join("testdata", "screens"))
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range []catalog.Lang{catalog.English, catalog.Spanish} {
		for _, look := range looks {
			t.Run(fmt.Sprintf("%v/%s", lang, look.name), func(t *testing.T) {
				v := newVisit(t, ftptest.Options{Lang: lang, Accounts: []ftptest.Account{{Name: "diego", Password: "secreto", FS: tree(t, map[string]string{
					"docs/": "", "docs/notes.txt": "notes", "hello.txt": "hello", "help.txt": "help",
					"a-name-that-is-wider-than-the-narrow-window.txt": "wide",
				})}}})
				v.env["FTPS_PASSWORD"] = ""
				for name, value := range look.env {
					v.env[name] = value
				}
				known := filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "ftps", "known_hosts")
				mask := []string{v.pin, "sha256//" + strings.Repeat("P", 43) + "=", v.port, "PORT#", known, "~/.config/ftps/known_hosts"}
				keeps := func(p *terminal.Person, scene string) {
					t.Helper()
					if look.env != nil && strings.Contains(p.Transcript(), "\x1b[3") {
						t.Errorf("%s: colours, with NO_COLOR", scene)
					}
					terminal.Golden(t, filepath.Join(kept, fmt.Sprintf("%s-%v-%s.txt", scene, lang, look.name)), p.Screen(mask...), *update)
				}
				sits := func(args ...string) (*terminal.Person, chan int) {
					p := terminal.Open(t, look.columns, 40)
					return p, v.sitsAt(p, append([]string{"--lang", lang.String()}, args...)...)
				}
				user := catalog.Text(lang, "shell.ask.user")

				p, code := sits("--pin", v.pin)
				p.Sees(user)
				p.Types("diego\n")
				p.Sees("PASS: ")
				p.Types("secreto\n")
				p.Sees("ftp> ")
				p.Types("listar\r")
				p.Sees("226 - ")
				p.Sees("ftp> ")
				p.Types("cd docs\r")
				p.Sees("250 - ")
				p.Sees("ftp> ")
				p.Types("salir\r")
				p.Ends(code, 0)
				keeps(p, "session")

				p, code = sits("--pin", v.pin, "-u", "diego")
				p.Sees("PASS: ")
				p.Types("secreto\n")
				p.Sees("ftp> ")
				// The listing of the folder may still be on its way: TAB does
				// not wait for it, and a person presses it again.
				p.Types("ls docs\r")
				p.Sees("226 - ")
				p.Sees("ftp> ")
				p.Types("get docs/\t")
				p.Sees("get docs/notes.txt ")
				p.Types("\x15desc\t")
				p.Sees("descargar ")
				p.Types("\x15pwd; ls\r")
				p.Sees("226 - ")
				p.Sees("ftp> ")
				p.Types("get he\t")
				p.Sees("get hel")
				p.Types("\t")
				p.Sees("hello.txt  help.txt")
				p.Sees("get hel")
				p.Types("\x03")
				p.Sees("ftp> ")
				p.Types("salir\r")
				p.Ends(code, 0)
				keeps(p, "completion")

				p, code = sits("--pin", v.pin, "-u", "diego")
				p.Sees("PASS: ")
				p.Types("secreto\n")
				p.Sees("ftp> ")
				for _, step := range [][2]string{
					{"get nothing", "550 - "}, {"cd ..", "550 - "}, {"descrgar x", `"descargar"?`}, {"rm", "rm | borrar"}, {"ls >", "ftps: > "},
				} {
					p.Types(step[0] + "\r")
					p.Sees(step[1])
					p.Sees("ftp> ")
				}
				p.Types("salir\r")
				p.Ends(code, 0)
				keeps(p, "error")

				if err := os.MkdirAll(filepath.Dir(known), 0o700); err != nil {
					t.Fatal(err)
				}
				line := fmt.Sprintf("[127.0.0.1]:%s %s\n", v.port, "sha256//"+strings.Repeat("A", 43)+"=")
				if err := os.WriteFile(known, []byte(line), 0o600); err != nil {
					t.Fatal(err)
				}
				p, code = sits("-u", "diego")
				p.Ends(code, 5)
				keeps(p, "pin")
			})
		}
	}
}
