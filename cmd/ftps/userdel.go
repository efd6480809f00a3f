package main

import (
	"context"

	"github.com/spf13/cobra"

	"ftps/pkg/fault"
	"ftps/pkg/users"
)

func newUserdelCommand(a *app) *cobra.Command {
	cmd := a.command("userdel NAME", "userdel")
	cmd.Args = a.takes(1, 1)
	place := a.accountFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		set, err := place()
		if err != nil {
			return err
		}
		return a.runUserdel(cmd.Context(), args[0], set.Users, set.RootDir)
	}
	return cmd
}

// runUserdel takes the account name out of the file at path. Its files are
// somebody's work and stay.
func (a *app) runUserdel(ctx context.Context, name, path, rootDir string) error {
	list, err := users.Load(path)
	if err != nil {
		return err
	}
	u, ok := list.Lookup(name)
	if !ok {
		return fault.Wrap(users.ErrNoAccount, "users.name.unknown", name, path)
	}
	wrote, err := users.File{Path: path}.Remove(ctx, name)
	if err != nil {
		return err
	}
	a.say("cli.userdel.done", name, wrote, a.homeOf(u, rootDir))
	return nil
}
