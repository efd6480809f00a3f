package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ftps/pkg/admin"
	"ftps/pkg/catalog"
	"ftps/pkg/config"
	"ftps/pkg/daemon"
	"ftps/pkg/dataport"
	"ftps/pkg/event"
	"ftps/pkg/fault"
	"ftps/pkg/handover"
	"ftps/pkg/pki"
	"ftps/pkg/wall"
)

func newServerCommand(a *app) *cobra.Command {
	cmd := a.command("server", "server")
	cmd.Args = a.takes(0, 0)
	config.AddFlags(cmd.Flags(), a.text)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if a.elder, err = handover.Inherited(); err != nil {
			return err
		}
		defer func() {
			if err != nil && a.elder != nil { // one that is waiting for us has to know
				daemon.Fail(a.elder, catalog.Explain(a.lang, err))
			}
		}()
		set, err := config.Load(cmd.Flags(), a.configFolders())
		if err != nil {
			return usage(err)
		}
		if set.Lang != "" {
			a.lang, _ = catalog.ParseLang(set.Lang)
		}
		if !set.Demo {
			return a.serve(cmd.Context(), set, &demo{}, func() (*config.Server, error) {
				return config.Load(cmd.Flags(), a.configFolders())
			})
		}
		for _, name := range []string{"host", "users", "root-dir", "cert", "key", "run-as", "public-ip"} {
			if cmd.Flags().Changed(name) {
				return usage(fault.New("cli.demo.refuses", "--"+name))
			}
		}
		d, err := newDemo(cmd.Context())
		if err != nil {
			return err
		}
		defer d.remove()
		return a.serve(cmd.Context(), set, d, nil)
	}
	return cmd
}

// configFolders are where ftps.yaml is looked for after the working folder:
// the user's configuration folder, then the system's.
func (a *app) configFolders() []string {
	var folders []string
	if user, err := os.UserConfigDir(); err == nil {
		folders = append(folders, user)
	}
	return append(folders, "/etc")
}

// serve runs the server until it is told to stop; again reads its settings
// once more, for a reload, and is nil where they do not change.
func (a *app) serve(ctx context.Context, set *config.Server, d *demo, again func() (*config.Server, error)) error {
	screen := &screen{w: a.err}
	console := !set.NoConsole && isTerminal(a.in) && isTerminal(a.out)
	cfg := daemonConfig(set, a.lang)
	cfg.Level = new(slog.LevelVar)
	cfg.Log = slog.New(logHandler(set.LogFormat, isTerminal(a.err), screen, cfg.Level))
	if again != nil {
		cfg.Settings, cfg.Reread = set.Config, a.reread(set, again)
	}
	if set.Webhook != "" {
		secret, err := a.webhookSecret(set.WebhookSecretFile)
		if err != nil {
			return err
		}
		cfg.WebhookSecret = secret
	}
	if set.S3SecretFile != "" {
		secret, err := os.ReadFile(set.S3SecretFile)
		if err != nil {
			return fault.Wrap(err, "cli.server.store.secret", set.S3SecretFile, err)
		}
		cfg.S3.SecretKey = string(bytes.TrimSpace(secret))
	}
	d.apply(set, &cfg)
	if set.Check {
		return a.check(cfg)
	}
	teller := &lateSink{}
	if console {
		cfg.Events = teller
		if isTerminal(a.err) { // one screen: nothing is told twice
			cfg.Told = admin.Tells
		}
	}

	if !console && !d.on {
		cfg.Program, cfg.Args = a.program, os.Args[1:]
	}
	cfg.Elder = a.elder

	// Before anything is bound or made: a signal must not skip what ends it.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, append(upgradeSignals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)...)
	defer signal.Stop(signals)

	server, err := daemon.New(cfg)
	if err != nil {
		return err
	}
	now := make(chan struct{})
	over := make(chan struct{})
	defer close(over)
	go watchSignals(signals, over, server, cancel, now, !d.on && !console)
	d.watchParent(ctx, a.self, cancel)
	a.announce(server, set, d)

	ended := func() {}
	if console {
		in, out := a.in.(*os.File), a.out.(*os.File)
		c, err := admin.NewConsole(server, a.lang, in, out)
		if err != nil {
			return err
		}
		teller.set(admin.Teller{Lang: a.lang, W: c.Writer()})
		if isTerminal(a.err) {
			screen.set(c.Writer())
		}
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			if !c.Run() && ctx.Err() == nil {
				fmt.Fprintln(c.Writer(), a.text("cli.server.console.closed"))
			}
			c.Close()
			screen.set(a.err)
			teller.set(admin.Teller{Lang: a.lang, W: a.out})
		}()
		ended = func() {
			c.Close()
			<-gone
		}
	}
	err = server.Run(ctx, now)
	ended()
	a.say("cli.server.stopped")
	return err
}

// webhookSecret reads the secret of the webhook, which is no setting: those
// are shown.
func (a *app) webhookSecret(file string) ([]byte, error) {
	if file == "" {
		return []byte(a.getenv("FTPS_WEBHOOK_SECRET")), nil
	}
	secret, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.Wrap(err, "hook.secret.file", file, err)
	}
	return bytes.TrimRight(secret, "\r\n"), nil
}

// watchSignals turns signals into the end of the run: the first one lets
// transfers finish, a second one does not. SIGHUP reads settings, accounts
// and certificates again where that is what it means: without a terminal.
// SIGUSR2 is an upgrade.
func watchSignals(signals <-chan os.Signal, over <-chan struct{}, server *daemon.Daemon, stop func(), now chan<- struct{}, reload bool) {
	stopping := false
	for {
		select {
		case <-over:
			return
		case s := <-signals:
			switch {
			case slices.Contains(upgradeSignals, s):
				go server.Upgrade() // the log says how it went
			case s == syscall.SIGHUP && reload:
				_, _ = server.Reload() // the log says how it went
			case stopping:
				close(now)
				return
			default:
				stopping = true
				stop()
			}
		}
	}
}

// reread returns what reads the settings for a reload. The language is the
// locale's where nobody gives one, then as at the start.
func (a *app) reread(start *config.Server, again func() (*config.Server, error)) func() (daemon.Config, []string, error) {
	lang := catalog.FromEnvironment(a.getenv)
	return func() (daemon.Config, []string, error) {
		set, err := again()
		if err != nil {
			return daemon.Config{}, nil, err
		}
		now := lang
		if set.Lang != "" {
			now, _ = catalog.ParseLang(set.Lang)
		}
		var fixed []string
		for _, row := range set.Changed(start) {
			if !row.Live {
				fixed = append(fixed, row.Name)
			}
		}
		return daemonConfig(set, now), fixed, nil
	}
}

// daemonConfig hands the settings to the daemon.
func daemonConfig(set *config.Server, lang catalog.Lang) daemon.Config {
	cfg := daemon.Config{
		Host:         set.Host,
		ControlPort:  set.ControlPort,
		ImplicitPort: set.ImplicitPort,
		FirstData:    set.DataPorts.First,
		LastData:     set.DataPorts.Last,
		PublicIP:     set.PublicIP,
		ProxyFrom:    set.ProxyFrom,
		RunAs:        set.RunAs,
		RootDir:      set.RootDir,
		MakeRoot:     !set.Named("root-dir"),
		Users:        set.Users,
		Umask:        set.Umask,
		NoSync:       set.NoFsync,
		Certs:        certFiles(set),
		MakeCert:     !set.Named("cert") && !set.Named("key"),
		ClientCA:     set.ClientCA,
		TicketKeys:   set.TicketKeys,
		ACME: pki.IssuerOptions{
			Domains: set.ACMEDomains, Cache: set.ACMECache, Directory: set.ACMEDirectory, CA: set.ACMECA,
			Agent: "ftps/" + version(),
		},
		ACMEListen: set.ACMEListen,

		MaxConnections:   set.MaxConnections,
		MaxPerAddress:    set.MaxPerAddress,
		MaxBeforeLogin:   set.MaxBeforeLogin,
		HandshakeTimeout: set.HandshakeTimeout,
		LoginTimeout:     set.LoginTimeout,
		IdleTimeout:      set.IdleTimeout,
		StallTimeout:     set.StallTimeout,
		DataTimeout:      set.DataTimeout,
		DrainTimeout:     set.DrainTimeout,
		SessionTimeout:   set.SessionTimeout,
		MinRate:          set.MinRate,

		BanScore: set.BanScore,
		BanTime:  set.BanTime,
		NeverBan: set.NeverBan,

		Lang:    lang,
		Banner:  set.Banner,
		Version: version(),

		LogLevel:    set.LogLevel,
		AdminSocket: set.AdminSocket,
		Metrics:     set.Metrics,
		Webhook:     set.Webhook,
		Hook:        set.Hook,
		HookTimeout: set.HookTimeout,

		S3: daemon.S3{
			Endpoint: set.S3Endpoint, Region: set.S3Region, AccessKey: set.S3AccessKey,
			SecretKey: set.S3SecretKey, CA: set.S3CA, InClear: set.S3InClear,
		},

		Wall:    wall.Mode(set.Landlock),
		Xferlog: set.Xferlog,
	}
	if cfg.AdminSocket == config.None || cfg.AdminSocket == "false" { // YAML 1.1 readers take off for false
		cfg.AdminSocket = ""
	}
	if cfg.Metrics == config.None {
		cfg.Metrics = ""
	}
	if set.Reuse == dataport.Prefer.String() {
		cfg.Reuse = dataport.Prefer
	}
	return cfg
}

// check is --check: everything that is wrong or wants a look, one line each,
// or that all is well. Only what is wrong makes it fail.
func (a *app) check(cfg daemon.Config) error {
	wrong, warnings := daemon.Check(cfg)
	for _, err := range append(wrong, warnings...) {
		a.complain(err)
	}
	if len(wrong) > 0 {
		return withCode{nil, exitFailed}
	}
	if len(warnings) > 0 {
		return nil
	}
	_, err := fmt.Fprintln(a.out, a.text("cli.server.check.well"))
	return err
}

// announce says where the server listens, the pin, and what to type next.
func (a *app) announce(server *daemon.Daemon, set *config.Server, d *demo) {
	var b strings.Builder
	line := func(key string, args ...any) { b.WriteString(a.text(key, args...) + "\n") }
	line("cli.server.listens", server.Control())
	if implicit, ok := server.Implicit(); ok {
		line("cli.server.implicit", implicit)
	}
	ports := server.DataPorts()
	span := strconv.Itoa(ports[0])
	if len(ports) > 1 {
		span += "-" + strconv.Itoa(ports[len(ports)-1])
	}
	line("cli.server.data", span)
	line("cli.server.pin", server.Pin())
	if d.on {
		line("cli.demo.account", d.user, d.password, d.root())
	} else if server.Accounts() == 0 {
		line("cli.server.noaccounts", a.self, a.usersFlag(set))
	}
	line("cli.server.connect")
	command := fmt.Sprintf("%s client %s -p %d", a.self, reachable(set, server.Control()), server.Control().Port())
	if d.on {
		command += " -u " + d.user + " --password-file " + quoted(d.passwordFile())
	}
	b.WriteString("    " + command + " --pin " + server.Pin().String() + "\n")
	io.WriteString(a.out, b.String())
}

// usersFlag is what makes useradd write the file that the server reads.
func (a *app) usersFlag(set *config.Server) string {
	if !set.Named("users") {
		return ""
	}
	path := set.Users
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return " --users " + quoted(path)
}

// quoted writes a word so that a shell takes it for one.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// reachable is an address of this machine that others can type: the public
// one, the one it was told to listen on, or that of an interface.
func reachable(set *config.Server, control netip.AddrPort) string {
	switch {
	case set.Demo:
		return control.Addr().String()
	case set.PublicIP != "":
		return set.PublicIP
	case !control.Addr().IsUnspecified():
		return set.Host
	}
	addrs, _ := net.InterfaceAddrs()
	best := "127.0.0.1"
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || !prefix.Addr().IsGlobalUnicast() {
			continue
		}
		if prefix.Addr().Is4() {
			return prefix.Addr().String()
		}
		best = prefix.Addr().String()
	}
	return best
}

// logHandler writes the log: text on a terminal, JSON for machines, unless
// someone decided.
func logHandler(format string, terminal bool, w io.Writer, level slog.Leveler) slog.Handler {
	o := &slog.HandlerOptions{Level: level}
	if format == "text" || format == "" && terminal {
		return slog.NewTextHandler(w, o)
	}
	return slog.NewJSONHandler(escaping{w}, o)
}

// escaping completes what JSON leaves out: a C1 control, or a mark that turns
// the direction of a line, comes from a client's name and acts on the terminal
// of who reads the log. Only strings can hold one, so its escape is the same
// JSON.
type escaping struct{ io.Writer }

func (e escaping) Write(line []byte) (int, error) {
	hidden := func(r rune) bool { return r > '~' && !unicode.IsPrint(r) }
	if bytes.IndexFunc(line, hidden) < 0 {
		return e.Writer.Write(line)
	}
	var safe []byte
	for _, r := range string(line) {
		switch {
		case !hidden(r):
			safe = utf8.AppendRune(safe, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			safe = fmt.Appendf(safe, `\u%04x\u%04x`, high, low)
		default:
			safe = fmt.Appendf(safe, `\u%04x`, r)
		}
	}
	if _, err := e.Writer.Write(safe); err != nil {
		return 0, err
	}
	return len(line), nil
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// screen is where log lines go: standard error, or the console while it
// draws on the same terminal.
type screen struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *screen) set(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w = w
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// lateSink is a sink that begins to listen when the console stands.
type lateSink struct {
	mu   sync.Mutex
	sink event.Sink
}

func (l *lateSink) set(sink event.Sink) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sink = sink
}

// Handle implements [event.Sink].
func (l *lateSink) Handle(e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sink != nil {
		l.sink.Handle(e)
	}
}
