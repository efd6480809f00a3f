package ftpclient

import (
	"context"

	"ftps/pkg/ftp"
)

// path is do with a path that is not empty.
func (c *Conn) path(ctx context.Context, verb, path string, hundreds ...int) (ftp.Reply, error) {
	if err := checkPath(path); err != nil {
		return ftp.Reply{}, err
	}
	return c.do(ctx, verb, path, hundreds...)
}

// Cwd changes the working folder.
func (c *Conn) Cwd(ctx context.Context, path string) error {
	_, err := c.path(ctx, "CWD", path, 2)
	return err
}

// CdUp changes to the parent folder.
func (c *Conn) CdUp(ctx context.Context) error {
	_, err := c.do(ctx, "CDUP", "", 2)
	return err
}

// Pwd returns the working folder.
func (c *Conn) Pwd(ctx context.Context) (string, error) {
	if err := c.enter(); err != nil {
		return "", err
	}
	defer c.leave()
	return c.pwd(ctx)
}

func (c *Conn) pwd(ctx context.Context) (string, error) {
	r, err := c.expect(ctx, "PWD", "", 2)
	if err != nil {
		return "", err
	}
	path, err := ftp.ParseQuotedPath(r.Text())
	if err != nil || checkLine(path) != nil {
		return "", &ProtocolError{Command: "PWD", Err: errSyntax}
	}
	return path, nil
}

// Mkdir makes a folder.
func (c *Conn) Mkdir(ctx context.Context, path string) error {
	_, err := c.path(ctx, "MKD", path, 2)
	return err
}

// Rmdir removes an empty folder.
func (c *Conn) Rmdir(ctx context.Context, path string) error {
	_, err := c.path(ctx, "RMD", path, 2)
	return err
}
