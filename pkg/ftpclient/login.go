package ftpclient

import (
	"context"

	"ftps/pkg/ftp"
)

// Login sends USER and, if the server asks for it, PASS.
func (c *Conn) Login(ctx context.Context, user, password string) error {
	r, err := c.User(ctx, user)
	if err == nil && r.Code == 331 {
		_, err = c.Pass(ctx, password)
	}
	return err
}

// User sends USER. The reply's code is 331 (a password is needed), 230 or
// 232 (it is not); any other is a [ReplyError].
func (c *Conn) User(ctx context.Context, name string) (ftp.Reply, error) {
	if err := checkPath(name); err != nil {
		return ftp.Reply{}, err
	}
	if err := c.enter(); err != nil {
		return ftp.Reply{}, err
	}
	defer c.leave()
	r, err := c.expect(ctx, "USER", name, 2, 3)
	if err != nil || r.Code == 331 {
		return r, err
	}
	if r.Code/100 != 2 {
		return r, &ReplyError{Command: "USER", Reply: r}
	}
	return r, c.loggedIn(ctx)
}

// Pass sends PASS. The password is in no error and no trace.
func (c *Conn) Pass(ctx context.Context, password string) (ftp.Reply, error) {
	if checkLine(password) != nil {
		// Not the usual NameError: it would carry the password.
		return ftp.Reply{}, &NameError{Name: "PASS"}
	}
	if err := c.enter(); err != nil {
		return ftp.Reply{}, err
	}
	defer c.leave()
	if len(password) >= 4 {
		c.secret = password
		defer func() { c.secret = "" }()
	}
	r, err := c.expect(ctx, "PASS", password, 2)
	if err != nil {
		return r, err
	}
	return r, c.loggedIn(ctx)
}

// loggedIn does what some servers allow only now.
func (c *Conn) loggedIn(ctx context.Context) error {
	c.binary, c.factsAsked = false, false
	if err := c.protect(ctx, true); err != nil {
		return err
	}
	if len(c.features.lines) == 0 {
		return c.askFeatures(ctx)
	}
	return nil
}
