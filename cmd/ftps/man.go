//go:build man

package main

import (
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// builders are commands for building a release. They stand behind a build
// tag: what turns help into man pages is of no use to anybody who runs it.
var builders = []func(*app) *cobra.Command{newManCommand}

// newManCommand writes the man pages of all commands into a folder, dated by
// SOURCE_DATE_EPOCH so that a build can be repeated.
func newManCommand(a *app) *cobra.Command {
	return &cobra.Command{Use: "man DIR", Hidden: true, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		if err := os.MkdirAll(args[0], 0o755); err != nil {
			return err
		}
		seconds, _ := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
		date := time.Unix(seconds, 0).UTC()
		cmd.Root().DisableAutoGenTag = true
		return doc.GenManTree(cmd.Root(), &doc.GenManHeader{Section: "1", Source: "ftps " + version(), Manual: "ftps", Date: &date}, args[0])
	}}
}
