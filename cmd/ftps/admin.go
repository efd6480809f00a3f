package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ftps/pkg/admin"
	"ftps/pkg/config"
	"ftps/pkg/fault"
)

// exitUnreached is the code of a server that cannot be reached, as for the
// client.
const exitUnreached = 3

type adminOptions struct {
	json, watch bool
	every       time.Duration
}

// newAdminCommand makes a subcommand of each row of the console's table.
func newAdminCommand(a *app) *cobra.Command {
	cmd := a.command("admin", "admin")
	cmd.Args = a.wantCommand
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	config.AddNamed(cmd.PersistentFlags(), a.text, "admin-socket", "config")
	for _, row := range admin.Commands() {
		if row.Names[0] == "help" {
			continue // cobra's own
		}
		o := &adminOptions{every: time.Second}
		sub := &cobra.Command{
			Use: row.Usage(a.lang), Aliases: row.Names[1:], Short: a.text(row.Help), DisableFlagsInUseLine: true,
		}
		sub.Args = a.takes(row.Min, row.Max)
		if row.JSON {
			sub.Flags().BoolVar(&o.json, "json", false, a.text("cli.admin.json"))
		}
		if row.Watch {
			sub.Flags().BoolVar(&o.watch, "watch", false, a.text("cli.admin.watch"))
		}
		sub.RunE = func(cmd *cobra.Command, args []string) error {
			return a.administer(cmd, o, append([]string{row.Names[0]}, args...))
		}
		sub.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return a.offer(cmd, row, args), cobra.ShellCompDirectiveNoFileComp
		}
		cmd.AddCommand(sub)
	}
	return cmd
}

// offerLimit is how long a TAB waits for a server.
const offerLimit = 2 * time.Second

// offer is what the shell's TAB offers behind a command: what the server has
// now, or else how the command is used.
func (a *app) offer(cmd *cobra.Command, row admin.Command, args []string) (words []string) {
	if len(args) == 0 {
		words = row.Offers(func(command string) string {
			path, err := a.adminSocket(cmd)
			if err != nil {
				return ""
			}
			server, err := admin.Dial(path)
			if err != nil {
				return ""
			}
			defer server.Close()
			ctx, stop := context.WithTimeout(cmd.Context(), offerLimit)
			defer stop()
			answer, _ := server.Do(ctx, admin.Request{Lang: a.lang.String(), JSON: true, Words: []string{command}})
			return answer.Out
		})
	}
	if len(words) == 0 && row.Args != "" {
		words = cobra.AppendActiveHelp(words, row.Usage(a.lang))
	}
	return words
}

// administer has the server run one command, once or until Ctrl-C.
func (a *app) administer(cmd *cobra.Command, o *adminOptions, words []string) error {
	path, err := a.adminSocket(cmd)
	if err != nil {
		return err
	}
	server, err := admin.Dial(path)
	if err != nil {
		return withCode{err, exitUnreached}
	}
	defer server.Close()
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
	defer stop()
	request := admin.Request{Lang: a.lang.String(), JSON: o.json, Words: words}
	if !o.watch {
		return a.relay(ctx, server, request, a.show)
	}
	tick := time.NewTicker(o.every)
	defer tick.Stop()
	for {
		if err := a.relay(ctx, server, request, a.repaint); err != nil {
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// relay runs one command and shows what it says.
func (a *app) relay(ctx context.Context, server *admin.Client, r admin.Request, show func(string) error) error {
	answer, err := server.Do(ctx, r)
	if err != nil {
		return withCode{err, exitUnreached}
	}
	if err := show(answer.Out); err != nil {
		return err
	}
	if answer.Error != "" {
		return errors.New(answer.Error) // in our language already
	}
	return nil
}

func (a *app) show(out string) error {
	_, err := fmt.Fprint(a.out, out)
	return err
}

// repaint shows a table in the place of the one before, cut to the screen.
// Where there is no screen the tables follow each other.
func (a *app) repaint(out string) error {
	f, ok := a.out.(*os.File)
	if !ok || !isTerminal(f) {
		return a.show(out)
	}
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return a.show(out)
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	lines = lines[:min(len(lines), max(height-1, 1))]
	for i, line := range lines {
		if runes := []rune(line); len(runes) > width {
			lines[i] = string(runes[:width])
		}
	}
	return a.show("\x1b[H\x1b[2J" + strings.Join(lines, "\n") + "\n")
}

// adminSocket finds the socket: the one that was named, or the only one in
// the runtime folder. A settings file is read as the server reads it, unless
// the flag says all: who mends a server must not need a whole file for it.
func (a *app) adminSocket(cmd *cobra.Command) (string, error) {
	if flag := cmd.Flags().Lookup("admin-socket"); flag.Changed {
		if path := flag.Value.String(); path != config.Auto && path != config.None {
			return path, nil
		}
	} else {
		set, err := config.Load(cmd.Flags(), a.configFolders())
		if err != nil {
			return "", usage(err)
		}
		if set.AdminSocket != config.Auto && set.AdminSocket != config.None {
			return set.AdminSocket, nil
		}
	}
	live := admin.Live(os.Geteuid(), a.getenv)
	switch len(live) {
	case 0:
		return "", withCode{fault.New("cli.admin.none"), exitUnreached}
	case 1:
		return live[0], nil
	}
	slices.Sort(live)
	return "", usage(fault.New("cli.admin.several", strings.Join(live, ", ")))
}
