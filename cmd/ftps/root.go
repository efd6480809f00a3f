package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ftps/pkg/catalog"
	"ftps/pkg/fault"
	"ftps/pkg/handover"
)

// app is what the program finds around it when it starts. Every subcommand
// gets it, and reads the world through nothing else, so that a test can give
// it another one.
type app struct {
	in       io.Reader
	out, err io.Writer // results; and all the rest
	lang     catalog.Lang
	getenv   func(string) string
	home     string // the user's home folder, "" where there is none
	now      func() time.Time
	self     string         // how the program was called, to be pasted into a shell
	program  string         // path that it was started from, "" where nobody knows
	elder    *handover.Link // to the server whose successor this is, or nil
}

func newApp() *app {
	home, _ := os.UserHomeDir()
	return &app{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		getenv:  os.Getenv,
		home:    home,
		now:     time.Now,
		self:    self(),
		program: program(),
	}
}

// constructors are the subcommands, in the order in which help shows them.
var constructors = []func(*app) *cobra.Command{
	newServerCommand,
	newClientCommand,
	newUseraddCommand,
	newUserdelCommand,
	newPasswdCommand,
	newUsersCommand,
	newCertCommand,
	newAdminCommand,
	newConfigCommand,
	newCompletionCommand,
	newVersionCommand,
	newHelpCommand,
}

// run executes one command line and returns the program's exit code.
func (a *app) run(args []string) int {
	lang, langErr := a.findLang(args)
	a.lang = lang
	root := a.newRoot()
	root.SetArgs(append([]string{}, args...)) // for nil it takes the process's own
	err := langErr
	if err == nil {
		err = root.ExecuteContext(context.Background())
	}
	if err == nil {
		return 0
	}
	a.complain(err)
	return codeOf(err)
}

// findLang looks for the language before any command exists, because the
// commands' own texts need it: --lang, then FTPS_LANG, then the locale.
func (a *app) findLang(args []string) (catalog.Lang, error) {
	lang := catalog.FromEnvironment(a.getenv)
	word := a.getenv("FTPS_LANG")
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if arg == "--lang" && i+1 < len(args) {
			word = args[i+1]
		} else if value, ok := strings.CutPrefix(arg, "--lang="); ok {
			word = value
		}
	}
	if word == "" {
		return lang, nil
	}
	asked, ok := catalog.ParseLang(word)
	if !ok {
		return lang, usage(fault.New("cli.lang.unknown", word))
	}
	return asked, nil
}

func (a *app) newRoot() *cobra.Command {
	root := a.command("ftps", "root")
	root.Args = a.wantCommand
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetGlobalNormalizationFunc(underscores)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(flagFault(err)) })
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { a.help(a.out, cmd) })
	root.SetUsageFunc(func(cmd *cobra.Command) error { a.usage(a.err, cmd); return nil })
	root.PersistentFlags().BoolP("help", "h", false, a.text("cli.flag.help"))
	root.PersistentFlags().String("lang", "", a.text("cli.flag.lang"))
	for _, construct := range slices.Concat(constructors, builders) {
		cmd := construct(a)
		if cmd.Name() == "help" {
			root.SetHelpCommand(cmd)
			continue
		}
		root.AddCommand(cmd)
	}
	return root
}

// command returns a command whose texts are the rows cli.KEY.short and, where
// there is one, cli.KEY.long. Words in capitals in use are translated by the
// row cli.KEY.use, where there is one.
func (a *app) command(use, key string) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: a.text("cli." + key + ".short"), DisableFlagsInUseLine: true}
	if _, ok := catalog.Lookup("cli." + key + ".long"); ok {
		cmd.Long = a.text("cli." + key + ".long")
	}
	if _, ok := catalog.Lookup("cli." + key + ".use"); ok {
		cmd.Use = a.text("cli." + key + ".use")
	}
	return cmd
}

// text returns a sentence of the catalogue in the user's language.
func (a *app) text(key string, args ...any) string { return catalog.Text(a.lang, key, args...) }

// say writes a sentence of the catalogue, behind the program's name, to
// standard error. Results go to a.out instead, by whoever has one.
func (a *app) say(key string, args ...any) { fmt.Fprintln(a.err, "ftps: "+a.text(key, args...)) }

// complain tells why the program ends: one line with the prefix, then the
// hint.
func (a *app) complain(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			a.complain(err)
		}
		return
	}
	if code, ok := err.(withCode); ok {
		if code.error != nil { // else all has been said
			a.complain(code.error)
		}
		return
	}
	fmt.Fprintln(a.err, "ftps: "+catalog.Explain(a.lang, err))
}

// Exit codes that every command may use; the client has more of them.
const (
	exitFailed = 1
	exitUsage  = 2
)

// withCode is an error that names the program's exit code. A nil error in it
// ends the program without a word: all has been said.
type withCode struct {
	error
	code int
}

func (w withCode) Unwrap() error { return w.error }

// usage marks an error as one of the command line: exit code 2.
func usage(err error) error { return withCode{err, exitUsage} }

func codeOf(err error) int {
	var w withCode
	if errors.As(err, &w) {
		return w.code
	}
	return exitFailed
}

// takes returns the check of the number of arguments: at least min, and at
// most max unless that is negative.
func (a *app) takes(min, max int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < min:
			return usage(fault.New("cli.args.missing", cmd.CommandPath(), cmd.UseLine()))
		case max >= 0 && len(args) > max:
			return usage(fault.New("cli.args.extra", args[max], cmd.CommandPath(), cmd.UseLine()))
		}
		return nil
	}
}

// wantCommand is the check of a command that only has subcommands.
func (a *app) wantCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usage(fault.New("cli.command.near", args[0], cmd.CommandPath(), strings.Join(near, ", ")))
	}
	return usage(fault.New("cli.command.unknown", args[0], cmd.CommandPath()))
}

// underscores lets --control_port stand for --control-port.
func underscores(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
}

// flagFault gives pflag's errors the sentences of the catalogue.
func flagFault(err error) error {
	var unknown *pflag.NotExistError
	var without *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	var syntax *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &unknown):
		if unknown.GetSpecifiedShortnames() != "" {
			return fault.New("cli.flag.unknown", "-"+unknown.GetSpecifiedName())
		}
		return fault.New("cli.flag.unknown", "--"+unknown.GetSpecifiedName())
	case errors.As(err, &without):
		return fault.New("cli.flag.novalue", "--"+without.GetFlag().Name)
	case errors.As(err, &invalid):
		var known *fault.Error
		if errors.As(invalid.Unwrap(), &known) {
			return fault.Wrap(err, "cli.flag.refused", "--"+invalid.GetFlag().Name, known)
		}
		return fault.Wrap(err, "cli.flag.invalid", "--"+invalid.GetFlag().Name, invalid.GetValue())
	case errors.As(err, &syntax):
		return fault.New("cli.flag.unknown", syntax.GetSpecifiedFlag())
	}
	return err
}

// self returns the words that start this program again from the same folder:
// "go run ./cmd/ftps", "ftps" where the shell would find this very file, or
// the path it was started by.
func self() string {
	exe, err := os.Executable()
	if err != nil {
		return "ftps"
	}
	if strings.Contains(exe, string(filepath.Separator)+"go-build") {
		return "go run ./cmd/ftps"
	}
	if found, err := exec.LookPath("ftps"); err == nil {
		if abs, err := filepath.Abs(found); err == nil && abs == exe {
			return "ftps"
		}
	}
	return os.Args[0]
}
