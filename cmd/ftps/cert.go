package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ftps/pkg/catalog"
	"ftps/pkg/config"
	"ftps/pkg/fault"
	"ftps/pkg/ftpclient"
	"ftps/pkg/pki"
	"ftps/pkg/shell"
)

func newCertCommand(a *app) *cobra.Command {
	cmd := a.command("cert", "cert")
	cmd.Args = a.wantCommand
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(newCertShowCommand(a), newCertMakeCommand(a), newCertRenewCommand(a), newCertTicketKeysCommand(a))
	return cmd
}

type certShowOptions struct {
	json    bool
	port    int
	timeout time.Duration
}

func newCertShowCommand(a *app) *cobra.Command {
	var o certShowOptions
	cmd := a.command("show [HOST]", "cert.show")
	cmd.Args = a.takes(0, 1)
	cmd.Flags().BoolVar(&o.json, "json", false, a.text("cli.cert.flag.json"))
	cmd.Flags().IntVarP(&o.port, "port", "p", 0, a.text("cli.cert.flag.port"))
	cmd.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second, a.text("cli.cert.flag.timeout"))
	place := a.certFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		set, err := place()
		if err != nil {
			return err
		}
		if len(args) == 1 {
			return a.runCertShowHost(cmd.Context(), args[0], o)
		}
		return a.runCertShow(append(issuedFiles(set), certFiles(set)...), o)
	}
	return cmd
}

// runCertShow shows the certificates of files, and then what is wrong with
// them.
func (a *app) runCertShow(files []pki.Files, o certShowOptions) error {
	var wrong []error
	for _, pair := range files {
		cert, err := pki.LoadCertificate(pair.Cert)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		if err := a.showCert(pair.Cert, cert, o.json); err != nil {
			return err
		}
		loaded, err := pki.LoadPair(pair)
		switch {
		case errors.Is(err, fs.ErrPermission): // the key is the server's, not the reader's
		case err != nil:
			wrong = append(wrong, err)
		default:
			for _, w := range loaded.Warnings {
				a.complain(w)
			}
		}
	}
	return errors.Join(wrong...)
}

// runCertShowHost shows what a server presents. It trusts nothing and sends
// nothing that is secret.
func (a *app) runCertShowHost(ctx context.Context, word string, o certShowOptions) error {
	target, err := shell.ParseTarget(word, o.port, "")
	if err != nil {
		return usage(err)
	}
	address := target.Address()
	var shown []*x509.Certificate
	conn, err := ftpclient.Dial(ctx, ftpclient.Config{
		Address:  address,
		Implicit: target.Implicit,
		Timeout:  o.timeout,
		TLS: &tls.Config{
			InsecureSkipVerify: true, // to look at it
			VerifyConnection: func(state tls.ConnectionState) error {
				shown = state.PeerCertificates
				return nil
			},
		},
	})
	if err == nil {
		conn.Quit(ctx)
		conn.Close()
	}
	if len(shown) == 0 { // else what came after the handshake is no matter
		if err == nil {
			err = pki.ErrNoCertificate
		}
		return withCode{fault.Wrap(err, "cli.cert.nothing", address, err), int(ftpclient.Class(err))}
	}
	return a.showPresented(target, shown, o.json)
}

// showPresented shows the certificate of a server, those that it sent along,
// and whether this machine's authorities vouch for it.
func (a *app) showPresented(target shell.Target, certs []*x509.Certificate, asJSON bool) error {
	trust, err := pki.NewTrust(pki.Policy{Host: target.Host, Port: target.Port})
	if err != nil {
		return usage(err)
	}
	address, leaf := target.Address(), pki.Describe(certs[0])
	days := int(certs[0].NotAfter.Sub(a.now()).Hours() / 24)
	verdict := trust.Chain(certs)
	chain := []pki.Description{}
	for _, cert := range certs[1:] {
		chain = append(chain, pki.Describe(cert))
	}
	if asJSON {
		object := struct {
			Source string `json:"source"`
			pki.Description
			DaysLeft int               `json:"days_left"`
			Trusted  bool              `json:"trusted"`
			Reason   string            `json:"reason,omitempty"`
			Chain    []pki.Description `json:"chain"`
		}{Source: address, Description: leaf, DaysLeft: days, Trusted: verdict == nil, Chain: chain}
		if verdict != nil {
			object.Reason = catalog.Explain(a.lang, verdict)
		}
		return json.NewEncoder(a.out).Encode(object)
	}
	if err := a.showCert(address, certs[0], false); err != nil {
		return err
	}
	answer := a.text("cli.cert.trusted.yes")
	if verdict != nil {
		answer = a.text("cli.cert.trusted.no", verdict)
	}
	fmt.Fprintln(a.out, a.text("cli.cert.host", days, answer))
	for i, d := range chain {
		fmt.Fprintln(a.out, a.text("cli.cert.chain", i+2, d.Subject, d.Issuer, d.NotAfter.Format(time.DateOnly), d.Pin))
	}
	return nil
}

func (a *app) showCert(source string, cert *x509.Certificate, asJSON bool) error {
	d := pki.Describe(cert)
	if asJSON {
		return json.NewEncoder(a.out).Encode(struct {
			Source string `json:"source"`
			pki.Description
		}{source, d})
	}
	issuer := d.Issuer
	if d.SelfSigned {
		issuer = a.text("cli.cert.self")
	}
	_, err := fmt.Fprintln(a.out, a.text("cli.cert.text", source, d.Pin, d.Subject, orDash(true, strings.Join(d.Names, ", ")),
		issuer, d.NotBefore.Format(time.DateOnly), d.NotAfter.Format(time.DateOnly), d.Key, d.Serial, d.Fingerprint))
	return err
}

type certMakeOptions struct {
	days   int
	newKey bool
}

// maxDays keeps a certificate within the years that X.509's four digits of a
// year can hold, and far within what anyone needs.
const maxDays = 100 * 365

func (o *certMakeOptions) flags(a *app, cmd *cobra.Command) {
	cmd.Flags().IntVar(&o.days, "days", int(pki.Lifetime/(24*time.Hour)), a.text("cli.cert.flag.days"))
}

func (o *certMakeOptions) check() error {
	if o.days < 1 || o.days > maxDays {
		return usage(fault.New("cli.cert.days", o.days, maxDays))
	}
	return nil
}

func (o *certMakeOptions) pki(files pki.Files, names []string) pki.MakeOptions {
	return pki.MakeOptions{Files: files, Names: names, Lifetime: time.Duration(o.days) * 24 * time.Hour, NewKey: o.newKey}
}

func newCertMakeCommand(a *app) *cobra.Command {
	var o certMakeOptions
	cmd := a.command("make [NAME…]", "cert.make")
	o.flags(a, cmd)
	place := a.certFlags(cmd)
	cmd.RunE = func(_ *cobra.Command, names []string) error {
		set, err := place()
		if err != nil {
			return err
		}
		return a.runCertMake(certFiles(set), names, o)
	}
	return cmd
}

// runCertMake makes the pairs that files name, and prints their pins.
func (a *app) runCertMake(files []pki.Files, names []string, o certMakeOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	for _, pair := range files {
		made, err := pki.Make(o.pki(pair, names))
		if err != nil {
			return err
		}
		a.say("cli.cert.made", pair.Cert, pair.Key, made.Certificate.NotAfter.Format(time.DateOnly))
		fmt.Fprintln(a.out, made.Pin)
	}
	return nil
}

func newCertRenewCommand(a *app) *cobra.Command {
	var o certMakeOptions
	cmd := a.command("renew [NAME…]", "cert.renew")
	o.flags(a, cmd)
	cmd.Flags().BoolVar(&o.newKey, "new-key", false, a.text("cli.cert.flag.newkey"))
	place := a.certFlags(cmd)
	cmd.RunE = func(_ *cobra.Command, names []string) error {
		set, err := place()
		if err != nil {
			return err
		}
		return a.runCertRenew(certFiles(set), names, o)
	}
	return cmd
}

// runCertRenew renews the pairs that files name, and prints their pins.
func (a *app) runCertRenew(files []pki.Files, names []string, o certMakeOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	for _, pair := range files {
		made, err := pki.Renew(o.pki(pair, names))
		if err != nil {
			return err
		}
		until := made.Certificate.NotAfter.Format(time.DateOnly)
		if made.KeyKept {
			a.say("cli.cert.renewed", pair.Cert, until)
		} else {
			a.say("cli.cert.rekeyed", pair.Cert, pair.Key, until, made.OldKey)
		}
		fmt.Fprintln(a.out, made.Pin)
	}
	return nil
}

func newCertTicketKeysCommand(a *app) *cobra.Command {
	var forget bool
	cmd := a.command("ticket-keys [FILE]", "cert.tickets")
	cmd.Args = a.takes(0, 1)
	cmd.Flags().BoolVar(&forget, "forget", false, a.text("cli.cert.flag.forget"))
	place := a.settingsFlags(cmd, "ticket-keys", "config")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 1 {
			return a.runCertTicketKeys(args[0], forget)
		}
		set, err := place()
		if err != nil {
			return err
		}
		return a.runCertTicketKeys(set.TicketKeys, forget)
	}
	return cmd
}

// runCertTicketKeys turns the keys of a file that servers share.
func (a *app) runCertTicketKeys(file string, forget bool) error {
	if file == "" {
		return usage(fault.New("cli.cert.tickets.which"))
	}
	n, err := pki.TurnTicketKeys(file, forget)
	if err != nil {
		return err
	}
	a.say("cli.cert.tickets.turned", file, n)
	return nil
}

// certFlags gives a command the flags that say where the server's
// certificates are.
func (a *app) certFlags(cmd *cobra.Command) func() (*config.Server, error) {
	return a.settingsFlags(cmd, "cert", "key", "config")
}

// settingsFlags gives a command some of the server's flags, and returns what
// reads the settings when it runs: the server's, so that both mean the same
// files.
func (a *app) settingsFlags(cmd *cobra.Command, shared ...string) func() (*config.Server, error) {
	all := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	config.AddFlags(all, a.text)
	place := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	for _, name := range shared {
		flag := all.Lookup(name)
		cmd.Flags().AddFlag(flag)
		place.AddFlag(flag)
	}
	return func() (*config.Server, error) {
		if err := a.fromEnvironment(cmd.LocalNonPersistentFlags(), shared...); err != nil {
			return nil, usage(err)
		}
		set, err := config.Load(place, a.configFolders())
		if err != nil {
			return nil, usage(err)
		}
		return set, nil
	}
}

// issuedFiles are the certificates that ACME has issued so far.
func issuedFiles(set *config.Server) (issued []pki.Files) {
	o := pki.IssuerOptions{Cache: set.ACMECache}
	for _, domain := range set.ACMEDomains {
		files := o.Files(domain)
		if _, err := os.Stat(files.Cert); !errors.Is(err, fs.ErrNotExist) {
			issued = append(issued, files)
		}
	}
	return issued
}

// certFiles pairs each --cert with its --key.
func certFiles(set *config.Server) []pki.Files {
	var pairs []pki.Files
	for i := range max(len(set.Certs), len(set.Keys)) {
		var files pki.Files
		if i < len(set.Certs) {
			files.Cert = set.Certs[i]
		}
		// A single file may hold both; so may each of several.
		if i < len(set.Keys) && (set.Named("key") || !set.Named("cert")) {
			files.Key = set.Keys[i]
		} else {
			files.Key = files.Cert
		}
		if files.Cert == "" {
			files.Cert = files.Key
		}
		pairs = append(pairs, files)
	}
	return pairs
}
