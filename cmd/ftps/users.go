package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ftps/pkg/config"
	"ftps/pkg/fault"
	"ftps/pkg/users"
)

type usersOptions struct {
	json bool
}

func newUsersCommand(a *app) *cobra.Command {
	var o usersOptions
	cmd := a.command("users", "users")
	cmd.Args = a.takes(0, 0)
	cmd.Flags().BoolVar(&o.json, "json", false, a.text("cli.users.flag.json"))
	place := a.accountFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		set, err := place()
		if err != nil {
			return err
		}
		return a.runUsers(set.Users, o)
	}
	return cmd
}

// runUsers lists the accounts of the file at path.
func (a *app) runUsers(path string, o usersOptions) error {
	list, err := users.Load(path)
	if err != nil {
		return err
	}
	if o.json {
		return a.usersJSON(list)
	}
	if list.Len() == 0 {
		a.say("cli.users.none", path, a.self)
		return nil
	}
	table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, a.text("cli.users.header"))
	for u := range list.All {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", u.Name, u.Home, u.Perm,
			orDash(u.Quota != 0, users.FormatSize(u.Quota)), orDash(u.MaxSessions != 0, fmt.Sprint(u.MaxSessions)),
			orDash(len(u.AllowFrom) > 0, networks(u)), orDash(true, a.remarks(u)))
	}
	return table.Flush()
}

func orDash(have bool, word string) string {
	if !have || word == "" {
		return "-"
	}
	return word
}

func networks(u *users.User) string { return strings.Join(prefixes(u), ",") }

func prefixes(u *users.User) []string {
	var words []string
	for _, p := range u.AllowFrom {
		words = append(words, p.String())
	}
	return words
}

// remarks is what is out of the ordinary about an account.
func (a *app) remarks(u *users.User) string {
	var words []string
	if u.Disabled {
		words = append(words, a.text("cli.users.disabled"))
	}
	if u.Expired(a.now()) {
		words = append(words, a.text("cli.users.expired", users.FormatExpires(u.Expires)))
	} else if !u.Expires.IsZero() {
		words = append(words, a.text("cli.users.expires", users.FormatExpires(u.Expires)))
	}
	if u.Reuse != "" {
		words = append(words, "session_reuse "+u.Reuse)
	}
	return strings.Join(words, ", ")
}

// usersJSON writes one object a line. The hash is not for showing.
func (a *app) usersJSON(list *users.List) error {
	encoder := json.NewEncoder(a.out)
	for u := range list.All {
		row := struct {
			Name        string     `json:"name"`
			Home        string     `json:"home"`
			Permissions []string   `json:"permissions"`
			Quota       int64      `json:"quota,omitempty"`
			MaxSessions int        `json:"max_sessions,omitempty"`
			AllowFrom   []string   `json:"allow_from,omitempty"`
			Reuse       string     `json:"session_reuse,omitempty"`
			Disabled    bool       `json:"disabled"`
			Expires     *time.Time `json:"expires,omitempty"`
		}{u.Name, u.Home, strings.Split(u.Perm.String(), ","), u.Quota, u.MaxSessions, prefixes(u), u.Reuse, u.Disabled, nil}
		if !u.Expires.IsZero() {
			row.Expires = &u.Expires
		}
		if err := encoder.Encode(row); err != nil {
			return err
		}
	}
	return nil
}

// accountFlags gives a command the flags that say where the accounts are,
// and returns what reads the settings when it runs: the server's, so that
// both mean the same file.
func (a *app) accountFlags(cmd *cobra.Command) func() (*config.Server, error) {
	shared := []string{"users", "root-dir", "config"}
	all := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	config.AddFlags(all, a.text)
	place := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	for _, name := range shared {
		flag := all.Lookup(name)
		cmd.Flags().AddFlag(flag)
		place.AddFlag(flag)
	}
	return func() (*config.Server, error) {
		// The environment's FTPS_SESSION_REUSE is the server's setting: an
		// account gets one of its own only from the command line.
		if err := a.fromEnvironment(cmd.LocalNonPersistentFlags(), append(shared, "session-reuse")...); err != nil {
			return nil, usage(err)
		}
		set, err := config.Load(place, a.configFolders())
		if err != nil {
			return nil, usage(err)
		}
		return set, nil
	}
}

// fromEnvironment sets the flags that were not given, and are not in except,
// from FTPS_NAME.
func (a *app) fromEnvironment(flags *pflag.FlagSet, except ...string) error {
	var wrong []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "FTPS_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := a.getenv(name)
		if f.Changed || value == "" || slices.Contains(except, f.Name) {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			wrong = append(wrong, fault.Wrap(err, "config.env.value", name, flagFault(err)))
		}
	})
	return errors.Join(wrong...)
}

// homeOf names an account's home for a person: where it lies if it is
// relative to the root folder.
func (a *app) homeOf(u *users.User, rootDir string) string {
	if strings.HasPrefix(u.Home, "/") || strings.Contains(u.Home, "://") {
		return u.Home
	}
	return a.text("cli.users.home.below", u.Home, absolute(rootDir))
}

// warnReadable tells when every user of the machine can read the hashes.
func (a *app) warnReadable(path string) {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o004 != 0 {
		a.say("cli.users.readable", path)
	}
}

// interrupted is what someone does who leaves with Ctrl-C: exit code 130,
// and nothing more to say.
func interrupted(err error) error {
	if errors.Is(err, context.Canceled) {
		return withCode{nil, 130}
	}
	return err
}
