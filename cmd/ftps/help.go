package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newHelpCommand(a *app) *cobra.Command {
	cmd := a.command("help", "help")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		about, rest, err := cmd.Root().Find(args)
		if err != nil || len(rest) > 0 {
			return a.wantCommand(cmd.Root(), args)
		}
		a.help(a.out, about)
		return nil
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		about, _, err := cmd.Root().Find(args)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, sub := range about.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, cobra.CompletionWithDesc(sub.Name(), sub.Short))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// help writes what a command is for, and its usage.
func (a *app) help(w io.Writer, cmd *cobra.Command) {
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	fmt.Fprintln(w, strings.TrimSpace(about))
	fmt.Fprintln(w)
	a.usage(w, cmd)
}

// usage writes how a command is typed: cobra's template has its words built
// in, so it is written here, in the user's language.
func (a *app) usage(w io.Writer, cmd *cobra.Command) {
	fmt.Fprintln(w, a.text("cli.usage.usage"))
	line := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		line = cmd.CommandPath() + " " + a.text("cli.usage.command")
	}
	if cmd.HasAvailableFlags() {
		line += " " + a.text("cli.usage.options")
	}
	fmt.Fprintln(w, "  "+line)
	if cmd.HasExample() {
		fmt.Fprintf(w, "\n%s\n%s\n", a.text("cli.usage.examples"), strings.TrimRight(cmd.Example, "\n"))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n%s\n", a.text("cli.usage.commands"))
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				fmt.Fprintf(w, "  %-*s  %s\n", cmd.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	if cmd.HasAvailableLocalFlags() {
		fmt.Fprintf(w, "\n%s\n", a.text("cli.usage.flags"))
		a.flags(w, cmd.LocalFlags())
	}
	if cmd.HasAvailableInheritedFlags() {
		fmt.Fprintf(w, "\n%s\n", a.text("cli.usage.global"))
		a.flags(w, cmd.InheritedFlags())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintln(w)
		fmt.Fprintln(w, a.text("cli.usage.more", cmd.CommandPath()))
	}
}

// flags writes one line a flag: names, the word for its value, what it does
// and the default.
func (a *app) flags(w io.Writer, set *pflag.FlagSet) {
	type row struct{ left, right string }
	var rows []row
	width := 0
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		left := "      --" + f.Name
		if f.Shorthand != "" {
			left = "  -" + f.Shorthand + ", --" + f.Name
		}
		value, about := pflag.UnquoteUsage(f)
		if f.NoOptDefVal == "" && value != "" {
			left += " " + strings.ToUpper(value)
		}
		if shown := f.DefValue; shown != "" && shown != "false" && shown != "0" && shown != "[]" && shown != "0s" {
			about += " " + a.text("cli.usage.default", shown)
		}
		rows = append(rows, row{left, about})
		width = max(width, len([]rune(left)))
	})
	for _, r := range rows {
		fmt.Fprintf(w, "%s%s  %s\n", r.left, strings.Repeat(" ", width-len([]rune(r.left))), r.right)
	}
}
