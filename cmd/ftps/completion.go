package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ftps/pkg/fault"
)

var completionShells = []string{"bash", "zsh", "fish", "powershell"}

func newCompletionCommand(a *app) *cobra.Command {
	cmd := a.command("completion", "completion")
	cmd.Args = a.takes(1, 1)
	cmd.ValidArgs = completionShells
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		root := cmd.Root()
		switch args[0] {
		case "bash":
			return root.GenBashCompletionV2(a.out, true)
		case "zsh":
			return root.GenZshCompletion(a.out)
		case "fish":
			return root.GenFishCompletion(a.out, true)
		case "powershell":
			return root.GenPowerShellCompletionWithDesc(a.out)
		}
		return usage(fault.New("cli.completion.shell", args[0], strings.Join(slices.Clone(completionShells), ", ")))
	}
	return cmd
}
