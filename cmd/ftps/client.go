package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ftps/pkg/doctor"
	"ftps/pkg/fault"
	"ftps/pkg/ftpclient"
	"ftps/pkg/limit"
	"ftps/pkg/mirror"
	"ftps/pkg/pki"
	"ftps/pkg/shell"
)

// maxJobs bounds -j: beyond it a server sees an attack.
const maxJobs = 32

type clientOptions struct {
	port            int
	user            string
	passwordStdin   bool
	passwordFile    string
	passwordCommand string
	pins            []string
	trust           string
	ca              string
	clientCert      string
	clientKey       string
	commands        []string
	batch           string
	json            bool
	jobs            int
	retries         int
	verify          string
	limitRate       string
	timeout         time.Duration
	active          bool
	verbose         bool

	host    string
	command []string // the COMMAND and its words
}

func newClientCommand(a *app) *cobra.Command { return a.clientCommand(a.runClient) }

// clientCommand reads the command line and gives run what it says.
func (a *app) clientCommand(run func(context.Context, clientOptions) error) *cobra.Command {
	var o clientOptions
	cmd := a.command("client", "client")
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	text := func(name string) string { return a.text("cli.client.flag." + name) }
	flags.IntVarP(&o.port, "port", "p", 0, text("port"))
	flags.StringVarP(&o.user, "user", "u", "", text("user"))
	flags.BoolVar(&o.passwordStdin, "password-stdin", false, text("password-stdin"))
	flags.StringVar(&o.passwordFile, "password-file", "", text("password-file"))
	flags.StringVar(&o.passwordCommand, "password-command", "", text("password-command"))
	flags.StringArrayVar(&o.pins, "pin", nil, text("pin"))
	flags.StringVar(&o.trust, "trust", "", text("trust"))
	flags.StringVar(&o.ca, "ca", "", text("ca"))
	flags.StringVar(&o.clientCert, "client-cert", "", text("client-cert"))
	flags.StringVar(&o.clientKey, "client-key", "", text("client-key"))
	flags.StringArrayVarP(&o.commands, "command", "c", nil, text("command"))
	flags.StringVarP(&o.batch, "batch", "b", "", text("batch"))
	flags.BoolVar(&o.json, "json", false, text("json"))
	flags.IntVarP(&o.jobs, "jobs", "j", 4, text("jobs"))
	flags.IntVar(&o.retries, "retries", 3, text("retries"))
	flags.StringVar(&o.verify, "verify", mirror.VerifyAuto.String(), text("verify"))
	flags.StringVar(&o.limitRate, "limit-rate", "", text("limit-rate"))
	flags.DurationVar(&o.timeout, "timeout", 30*time.Second, text("timeout"))
	flags.BoolVar(&o.active, "active", false, text("active"))
	flags.BoolVarP(&o.verbose, "verbose", "v", false, text("verbose"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage(fault.New("cli.client.host.missing", cmd.UseLine()))
		}
		// Flags may stand behind HOST too; the first word behind it that is
		// none begins the COMMAND, and all that follows is the command's.
		if err := flags.Parse(args[1:]); err != nil {
			return usage(flagFault(err))
		}
		if help, _ := flags.GetBool("help"); help {
			return cmd.Help()
		}
		o.host, o.command = args[0], flags.Args()
		if err := fromEnvironment(flags, a.getenv); err != nil {
			return usage(err)
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

// fromEnvironment gives each flag that was not given the value of its
// variable: FTPS_LIMIT_RATE for --limit-rate.
func fromEnvironment(flags *pflag.FlagSet, getenv func(string) string) error {
	var wrong error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "FTPS_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := getenv(name)
		if value == "" || f.Changed || f.Name == "help" || f.Name == "lang" || wrong != nil {
			return
		}
		words := []string{value}
		if f.Name == "pin" {
			words = strings.Fields(value)
		}
		for _, word := range words {
			if err := flags.Set(f.Name, word); err != nil {
				wrong = fault.Wrap(err, "cli.client.env", name, value)
			}
		}
	})
	return wrong
}

// runClient connects, runs what was asked for, and takes leave. The errors
// of a session have been told when it returns.
func (a *app) runClient(ctx context.Context, o clientOptions) error {
	secret := a.getenv("FTPS_PASSWORD")
	// What this program starts has no business with it.
	_ = os.Unsetenv("FTPS_PASSWORD")

	w, err := a.newClientWork(o, secret)
	if err != nil {
		return usage(err)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := w.run(ctx); err != nil {
		return withCode{code: int(ftpclient.Class(err))}
	}
	return nil
}

// clientWork is one run of the client, all of its flags understood.
type clientWork struct {
	clientOptions
	app       *app
	connector *shell.Connector
	session   shell.Options
	terminal  *shell.Terminal // nil: nobody can be asked
	script    io.Reader       // what is run without a COMMAND; nil: the shell
	history   string
	proof     mirror.Verify
}

func (a *app) newClientWork(o clientOptions, secret string) (*clientWork, error) {
	if len(o.commands) > 0 && o.batch != "" || len(o.command) > 0 && (len(o.commands) > 0 || o.batch != "") {
		return nil, fault.New("cli.client.script.several")
	}
	if o.jobs < 1 || o.jobs > maxJobs {
		return nil, fault.New("cli.client.jobs.bad", maxJobs)
	}
	proof, err := mirror.ParseVerify(o.verify)
	if err != nil {
		return nil, err
	}
	bookmarks, err := shell.BookmarksPath()
	if err != nil {
		bookmarks = ""
	}
	target, err := o.target(a, bookmarks)
	if err != nil {
		return nil, err
	}
	w := &clientWork{app: a, clientOptions: o, proof: proof, history: shell.HistoryPath(a.getenv)}
	in, out, errs := file(a.in), file(a.out), file(a.err)
	if shell.IsTerminal(in) && shell.IsTerminal(out) {
		w.terminal = shell.NewTerminal(in, out)
	} else if shell.IsTerminal(in) && shell.IsTerminal(errs) {
		w.terminal = shell.NewTerminal(in, errs)
	}
	// One buffer for all that reads standard input: its first line may be the
	// password, and the rest the commands.
	input := bufio.NewReader(a.in)
	if err := w.scripts(input); err != nil {
		return nil, err
	}
	w.session = shell.Options{
		Lang: a.lang, Out: a.out, Err: a.err, JSON: o.json, Home: a.home,
		ColourOut: shell.Coloured(shell.IsTerminal(out), a.getenv),
		ColourErr: shell.Coloured(shell.IsTerminal(errs), a.getenv),
		Host:      target.Host,
		Target:    target,
		Bookmarks: bookmarks,
		Shell:     a.getenv("SHELL"),
		Pager:     a.getenv("PAGER"),
		Editor:    cmp.Or(a.getenv("VISUAL"), a.getenv("EDITOR")),
	}
	if w.terminal != nil {
		w.session.In = in
	}
	if shell.IsTerminal(errs) {
		w.session.Progress = errs
	} else {
		w.session.Quiet = len(o.command) > 0
	}
	// Who runs one command, or a script, wants to see what these do.
	quiet := len(o.command) > 0 || w.script != nil
	w.session.Dialogue = shell.NewDialogue(a.err, w.session.ColourErr, o.verbose)

	w.connector = &shell.Connector{
		Lang: a.lang, Target: target, Terminal: w.terminal, Quiet: quiet, Dialogue: w.session.Dialogue, Err: a.err,
		Config: ftpclient.Config{Timeout: o.timeout, Active: o.active},
	}
	if err := w.trustAs(a, target); err != nil {
		return nil, err
	}
	if err := w.secrets(a, input, secret); err != nil {
		return nil, err
	}
	if o.limitRate != "" {
		perSecond, ok := shell.ParseBytes(o.limitRate)
		if !ok || perSecond < 1 {
			return nil, fault.New("cli.client.rate.bad", o.limitRate)
		}
		w.connector.Config.Rate = limit.NewRate(perSecond)
	}
	return w, nil
}

// target is the server that HOST names: a bookmark's, whose account, pin and
// port serve where no flag says otherwise, or the one by that name.
func (o *clientOptions) target(a *app, bookmarks string) (shell.Target, error) {
	list, err := shell.LoadBookmarks(bookmarks)
	if err != nil {
		a.complain(err)
	}
	b, ok := shell.FindBookmark(list, o.host)
	if !ok {
		return shell.ParseTarget(o.host, o.port, o.user)
	}
	t := b.Target()
	if o.port == 0 && len(o.pins) == 0 && b.Pin != "" {
		o.pins = []string{b.Pin}
	}
	t.Port, t.User = cmp.Or(o.port, t.Port), cmp.Or(o.user, t.User)
	return t, nil
}

// file is the file behind a stream, or nil.
func file(stream any) *os.File {
	f, _ := stream.(*os.File)
	return f
}

// scripts finds what to run: a COMMAND, -c, -b, standard input, or else the
// shell.
func (w *clientWork) scripts(input io.Reader) error {
	switch {
	case len(w.command) > 0:
	case len(w.commands) > 0:
		w.script = strings.NewReader(strings.Join(w.commands, "\n"))
	case w.batch == "-":
		w.script = input
	case w.batch != "":
		text, err := os.ReadFile(w.batch)
		if err != nil {
			return fault.Wrap(err, "cli.client.batch", w.batch, err.Error())
		}
		w.script = strings.NewReader(string(text))
	case w.terminal == nil:
		w.script = input
	}
	return nil
}

// trustAs makes the policy by which the server is trusted.
func (w *clientWork) trustAs(a *app, target shell.Target) (err error) {
	w.connector.Trust, err = w.policy(a, target, w.pins)
	return err
}

// policy is how a server is trusted, and known by these pins alone if there
// are any.
func (w *clientWork) policy(a *app, target shell.Target, pins []string) (*pki.Trust, error) {
	policy := pki.Policy{
		Host: target.Host, Port: target.Port, Mode: pki.Strict,
		Warn: func(err error) { a.complain(err) },
	}
	if w.terminal != nil {
		policy.Mode = pki.Ask
	}
	var err error
	if w.trust != "" {
		if policy.Mode, err = pki.ParseMode(w.trust); err != nil {
			return nil, err
		}
	}
	for _, text := range pins {
		pin, err := pki.ParsePin(text)
		if err != nil {
			return nil, err
		}
		policy.Pins = append(policy.Pins, pin)
	}
	if w.ca != "" {
		pem, err := os.ReadFile(w.ca)
		if err != nil {
			return nil, fault.Wrap(err, "pki.file.unreadable", w.ca, err.Error())
		}
		policy.Roots = x509.NewCertPool()
		if !policy.Roots.AppendCertsFromPEM(pem) {
			return nil, fault.New("cli.client.ca.empty", w.ca)
		}
	}
	if path, err := pki.DefaultKnownHosts(); err == nil {
		policy.KnownHosts = pki.OpenKnownHosts(path)
	}
	if (w.clientCert == "") != (w.clientKey == "") {
		return nil, fault.New("cli.client.key.pair")
	}
	if w.clientCert != "" {
		pair, err := tls.LoadX509KeyPair(w.clientCert, w.clientKey)
		if err != nil {
			return nil, fault.Wrap(err, "pki.pair.bad", w.clientCert, w.clientKey, err.Error())
		}
		w.connector.Base = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	}
	w.connector.Ask = policy.Mode == pki.Ask
	return pki.NewTrust(policy)
}

// travel leads the session to a bookmark's server. The password that was
// given for the first one is not for others: it is looked for in the netrc,
// or asked for.
func (w *clientWork) travel(a *app, link *shell.Link) func(context.Context, shell.Bookmark) (string, error) {
	return func(ctx context.Context, b shell.Bookmark) (string, error) {
		var pins []string
		if b.Pin != "" {
			pins = []string{b.Pin}
		}
		trust, err := w.policy(a, b.Target(), pins)
		if err != nil {
			return "", err
		}
		there := *w.connector
		there.Target, there.Trust = b.Target(), trust
		there.Secrets = shell.Secrets{Netrc: w.connector.Secrets.Netrc, Err: a.err}
		if err := link.Move(ctx, &there); err != nil {
			return "", err
		}
		return there.User(), nil
	}
}

// secrets says where the password is looked for.
func (w *clientWork) secrets(a *app, input *bufio.Reader, environment string) error {
	given := 0
	for _, is := range []bool{w.passwordStdin, w.passwordFile != "", w.passwordCommand != ""} {
		if is {
			given++
		}
	}
	if given > 1 {
		return fault.New("cli.client.password.several")
	}
	s := shell.Secrets{File: w.passwordFile, Command: w.passwordCommand, Environment: environment, Err: a.err}
	// At a terminal the same line is asked for, without echo.
	if w.passwordStdin && w.terminal == nil {
		s.Stdin = input
	}
	if !w.passwordStdin {
		s.Netrc = a.getenv("NETRC")
		if s.Netrc == "" && a.home != "" {
			s.Netrc = filepath.Join(a.home, ".netrc")
		}
	} else {
		s.Environment = ""
	}
	w.connector.Secrets = s
	return nil
}

func (w *clientWork) run(ctx context.Context) error {
	// Ctrl-C ends the program while it connects, and a script or a single
	// command; in the shell it ends the command that runs.
	whole, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	w.session.Examination = w.connector.Examination
	if len(w.command) > 0 && strings.EqualFold(w.command[0], "doctor") {
		// It has to find out by itself how far a connection comes.
		session, err := shell.New(w.session)
		if err != nil {
			return w.session.Tell(err)
		}
		return session.Command(whole, w.command)
	}
	link := &shell.Link{Connector: w.connector, Retries: w.retries}
	if err := link.Open(whole); err != nil {
		return w.session.Tell(err)
	}
	defer link.Close()
	w.session.Server, w.session.User = link, w.connector.User()
	w.session.Files = shell.Mover{Link: link, Config: mirror.Config{Jobs: w.jobs, Verify: w.proof, SHA256: w.session.JSON}}
	session, err := shell.New(w.session)
	if err != nil {
		return w.session.Tell(err)
	}
	link.Lost = session.Lost
	session.Go = w.travel(w.app, link)
	session.Examination = func() doctor.Options { return link.Connector.Examination() }
	if folder := w.connector.Target.Folder; folder != "" {
		if err := session.Command(whole, []string{"cd", folder}); err != nil {
			return err
		}
	}
	switch {
	case len(w.command) > 0:
		err = session.Command(whole, w.command)
	case w.script != nil:
		err = session.Script(whole, w.script)
	default:
		stop()
		return session.Interact(ctx, w.terminal, w.history)
	}
	session.Leave(whole)
	return err
}
