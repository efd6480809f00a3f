package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersionCommand(a *app) *cobra.Command {
	cmd := a.command("version", "version")
	cmd.Args = a.takes(0, 0)
	cmd.RunE = func(*cobra.Command, []string) error {
		_, err := fmt.Fprintln(a.out, "ftps", version(), commit(), runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
		return err
	}
	return cmd
}

// release is the number of a release, which its build sets with
// -ldflags "-X main.release=1.2.3".
var release string

// revision is the commit, set likewise, where the build does not know it by
// itself.
var revision string

// version is what the build says of itself: a release's number, or the
// commit it was built from.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	return "devel"
}

// commit is the commit that the program was built from, as far as the build
// knows.
func commit() string {
	if revision != "" {
		return revision
	}
	commit, dirty := "unknown", ""
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return commit
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			commit = s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	return commit + dirty
}
