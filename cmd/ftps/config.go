package main

import (
	"github.com/spf13/cobra"

	"ftps/pkg/config"
)

func newConfigCommand(a *app) *cobra.Command {
	cmd := a.command("config", "config")
	cmd.Args = a.wantCommand
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }

	example := a.command("example", "config.example")
	example.Args = a.takes(0, 0)
	example.RunE = func(*cobra.Command, []string) error { return config.WriteExample(a.out, a.text) }
	cmd.AddCommand(example)
	return cmd
}
