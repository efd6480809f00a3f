package shell

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"

	"ftps/pkg/catalog"
	"ftps/pkg/fault"
	"ftps/pkg/ftpclient"
	"ftps/pkg/pki"
)

// loginAttempts is how often a person may mistype; the server has its own
// idea of it.
const loginAttempts = 3

// Connector makes connections to one server: the first one with questions
// and replies, further ones of the same account without.
type Connector struct {
	Lang     catalog.Lang
	Target   Target
	Config   ftpclient.Config // without address, hooks and trust
	Base     *tls.Config      // client certificates, or nil
	Trust    *pki.Trust
	Ask      bool // put an unknown key to the person at the terminal
	Secrets  Secrets
	Terminal *Terminal // nil: nobody can be asked
	Quiet    bool      // replies up to the login are kept back, unless one is a refusal
	Dialogue *Dialogue
	Err      io.Writer

	user, password string
}

// User is the account after Connect.
func (c *Connector) User() string { return c.user }

// Connect connects and logs in.
func (c *Connector) Connect(ctx context.Context) (*ftpclient.Conn, error) {
	if c.Quiet {
		defer c.Dialogue.hush()()
	}
	conn, err := c.dial(ctx, c.Dialogue)
	var unknown *pki.UnknownHostError
	if err != nil && errors.As(err, &unknown) && c.Terminal != nil && c.Ask {
		// The question is put between two connections: a person takes longer
		// to compare a pin than a server waits for a handshake.
		if err := c.askTrust(ctx, unknown.Question); err != nil {
			return nil, err
		}
		speak := c.Dialogue.hush() // the greeting has been shown
		conn, err = c.dial(ctx, c.Dialogue)
		speak()
	}
	if err != nil {
		return nil, err
	}
	if err := c.login(ctx, conn); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// Again makes the connection of Connect once more: the same account, nobody
// asked, nothing shown. The password has stayed in memory for it.
func (c *Connector) Again(ctx context.Context) (*ftpclient.Conn, error) {
	defer c.Dialogue.mutely()()
	c.Dialogue.anew()
	return c.loggedIn(ctx, c.Dialogue)
}

// Another returns a further connection of the same account.
func (c *Connector) Another(ctx context.Context) (*ftpclient.Conn, error) {
	return c.loggedIn(ctx, c.Dialogue.beside())
}

func (c *Connector) loggedIn(ctx context.Context, d *Dialogue) (*ftpclient.Conn, error) {
	conn, err := c.dial(ctx, d)
	if err != nil {
		return nil, err
	}
	if err := conn.Login(ctx, c.user, c.password); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

func (c *Connector) dial(ctx context.Context, d *Dialogue) (*ftpclient.Conn, error) {
	d.Connecting(c.Lang, c.Target)
	return ftpclient.Dial(ctx, c.config(d))
}

// config is how every connection to the server is made.
func (c *Connector) config(d *Dialogue) ftpclient.Config {
	config := c.Config
	config.Address = c.Target.Address()
	config.ServerName = ""
	config.Implicit = c.Target.Implicit
	config.Lang = c.Lang.String()
	config.TLS = c.Trust.ClientConfig(c.Base)
	config.OnReply = d.Reply
	config.Trace = d.Trace
	return config
}

func (c *Connector) askTrust(ctx context.Context, q pki.Question) error {
	key, args := q.Message()
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = ftpclient.Printable(s)
		}
	}
	fmt.Fprintln(c.Err, catalog.Text(c.Lang, key, args...))
	for {
		answer, err := c.Terminal.Ask(ctx, catalog.Text(c.Lang, "shell.ask.trust"))
		if err != nil {
			return unanswered(err)
		}
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "yes", "y", "sí", "si", "s":
			return c.Trust.Accept(q)
		case "no", "n":
			return &ftpclient.TLSError{Err: fault.Wrap(pki.ErrDeclined, "pki.trust.declined", q.Host)}
		}
	}
}

// unanswered makes a question that was left an interrupt.
func unanswered(err error) error {
	if errors.Is(err, ErrNoAnswer) {
		return context.Canceled
	}
	return err
}

// login sends USER and PASS, asking for what no source gives. Who types it
// may try again.
func (c *Connector) login(ctx context.Context, conn *ftpclient.Conn) error {
	user, password, err := c.Secrets.Find(ctx, c.Target.Host, c.Target.User)
	if err != nil {
		return &misuse{err}
	}
	for attempt := 1; ; attempt++ {
		typed, err := c.loginOnce(ctx, conn, user, password)
		var refused *ftpclient.ReplyError
		if err == nil || !typed || attempt == loginAttempts || !conn.Usable() ||
			!errors.As(err, &refused) || refused.Reply.Code != 530 {
			return err
		}
		if c.Target.User == "" {
			user = ""
		}
		password = ""
	}
}

func (c *Connector) loginOnce(ctx context.Context, conn *ftpclient.Conn, user, password string) (typed bool, err error) {
	if user == "" {
		if c.Terminal == nil {
			return false, &misuse{fault.New("cli.client.user.missing")}
		}
		typed = true
		for user == "" {
			if user, err = c.Terminal.Ask(ctx, catalog.Text(c.Lang, "shell.ask.user")); err != nil {
				return false, unanswered(err)
			}
			user = strings.TrimSpace(user)
		}
	}
	reply, err := conn.User(ctx, user)
	if err != nil {
		return typed, err
	}
	c.user = user
	if reply.Code != 331 { // 230, 232: no password is wanted
		return typed, nil
	}
	if password == "" {
		if c.Terminal == nil {
			return false, &misuse{fault.New("cli.client.password.missing")}
		}
		typed = true
		if password, err = c.Terminal.AskSecret(ctx, catalog.Text(c.Lang, "shell.ask.password")); err != nil {
			return false, unanswered(err)
		}
	}
	c.password = password
	_, err = conn.Pass(ctx, password)
	return typed, err
}
