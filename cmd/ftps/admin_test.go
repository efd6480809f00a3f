package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// With nobody connected, or no server at all, the shell offered file names.
func TestTheShellsTabOffersNoFilesBehindAnAdminCommand(t *testing.T) {
	d := newDesk(t)
	for words, want := range map[string]string{
		"kick":       "_activeHelp_ kick ID|USER|ADDRESS [REASON]\n:4\n",
		"ban":        "_activeHelp_ ban ADDRESS [TIME, such as 30m]\n:4\n",
		"log-level":  "debug\nerror\ninfo\nwarn\n:4\n",
		"list":       ":4\n",
		"kick diego": "_activeHelp_ kick ID|USER|ADDRESS [REASON]\n:4\n",
	} {
		args := append([]string{"__complete", "admin", "--admin-socket", filepath.Join(t.TempDir(), "none")}, strings.Fields(words)...)
		if code := d.types("", append(args, "")...); code != 0 || d.out.String() != want {
			t.Errorf("%s: exit %d, %q\n%s", words, code, d.out.String(), d.err.String())
		}
	}
}
