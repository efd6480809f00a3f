package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"ftps/pkg/fault"
	"ftps/pkg/users"
)

type useraddOptions struct {
	newPassword
	home        string
	perm        string
	quota       string
	maxSessions int
	allowFrom   []string
	expires     string
	reuse       string
}

func newUseraddCommand(a *app) *cobra.Command {
	var o useraddOptions
	cmd := a.command("useradd NAME", "useradd")
	cmd.Args = a.takes(1, 1)
	flags := cmd.Flags()
	o.flags(a, cmd)
	flags.StringVar(&o.home, "home", "", a.text("cli.useradd.flag.home"))
	flags.StringVar(&o.perm, "perm", "rw", a.text("cli.useradd.flag.perm"))
	flags.StringVar(&o.quota, "quota", "", a.text("cli.useradd.flag.quota"))
	flags.IntVar(&o.maxSessions, "max-sessions", 0, a.text("cli.useradd.flag.sessions"))
	flags.StringSliceVar(&o.allowFrom, "allow-from", nil, a.text("cli.useradd.flag.from"))
	flags.StringVar(&o.expires, "expires", "", a.text("cli.useradd.flag.expires"))
	flags.StringVar(&o.reuse, "session-reuse", "", a.text("cli.useradd.flag.reuse"))
	place := a.accountFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		set, err := place()
		if err != nil {
			return err
		}
		return a.runUseradd(cmd.Context(), args[0], set.Users, set.RootDir, o)
	}
	return cmd
}

// runUseradd adds the account name to the file at path.
func (a *app) runUseradd(ctx context.Context, name, path, rootDir string, o useraddOptions) error {
	u, err := o.account(name)
	if err = errors.Join(err, o.check()); err != nil {
		return usage(err)
	}
	// Before anyone types a password twice for nothing.
	list, err := users.Load(path)
	switch {
	case err == nil:
		if there, taken := list.Lookup(name); taken {
			return fault.Wrap(users.ErrExists, "users.name.taken", name, path, there.Line)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	password, err := o.get(ctx, a)
	if err != nil {
		return interrupted(err)
	}
	if u.Hash, err = users.Hash(password, o.cost); err != nil {
		return err
	}
	wrote, err := users.File{Path: path}.Add(ctx, u)
	if err != nil {
		return err
	}
	a.say("cli.useradd.done", name, wrote, a.homeOf(&u, rootDir))
	a.warnReadable(wrote)
	if u.Reuse == "prefer" {
		a.say("cli.useradd.prefer", name)
	}
	return o.show(a, password)
}

// account reads the flags; the error joins all that is wrong with them.
func (o *useraddOptions) account(name string) (users.User, error) {
	u := users.User{Name: name, Home: name, Reuse: o.reuse, MaxSessions: o.maxSessions}
	var wrong []error
	flag := func(flag string, err error) {
		if err != nil {
			wrong = append(wrong, fault.Wrap(err, "cli.flag.refused", "--"+flag, err))
		}
	}
	var err error
	if err = users.CheckName(name); err != nil {
		wrong = append(wrong, err)
	}
	if o.home != "" {
		u.Home = o.home
		flag("home", users.CheckHome(o.home))
	}
	u.Perm, err = users.ParsePerm(o.perm)
	flag("perm", err)
	if o.quota != "" {
		u.Quota, err = users.ParseSize(o.quota)
		if err == nil && u.Quota == 0 {
			err = fault.New("users.size.zero")
		}
		flag("quota", err)
	}
	if o.maxSessions != 0 {
		flag("max-sessions", users.CheckMaxSessions(o.maxSessions))
	}
	for _, word := range o.allowFrom {
		prefix, err := users.ParsePrefix(word)
		flag("allow-from", err)
		u.AllowFrom = append(u.AllowFrom, prefix)
	}
	if o.expires != "" {
		u.Expires, err = users.ParseExpires(o.expires)
		flag("expires", err)
	}
	if o.reuse != "" {
		flag("session-reuse", users.CheckReuse(o.reuse))
	}
	return u, errors.Join(wrong...)
}
