package ftpclient

import (
	"context"
	"strings"

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

// Delete removes a file.
func (c *Conn) Delete(ctx context.Context, path string) error {
	_, err := c.path(ctx, "DELE", path, 2)
	return err
}

// Rename renames or moves a file or a folder.
func (c *Conn) Rename(ctx context.Context, from, to string) error {
	if err := checkPath(from); err != nil {
		return err
	}
	if err := checkPath(to); err != nil {
		return err
	}
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	if _, err := c.expect(ctx, "RNFR", from, 3); err != nil {
		return err
	}
	_, err := c.expect(ctx, "RNTO", to, 2)
	return err
}

// Noop asks for a sign of life.
func (c *Conn) Noop(ctx context.Context) error {
	_, err := c.do(ctx, "NOOP", "", 2)
	return err
}

// Quit takes leave of the server and closes the connection.
func (c *Conn) Quit(ctx context.Context) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	_, err := c.expect(ctx, "QUIT", "", 2)
	if c.Usable() {
		c.closed.Store(true)
		c.control.Close() // with close_notify
	}
	return err
}

// refusedVerbs are what Quote does not send: what would change the
// protection behind the library's back, and what needs a data connection.
const refusedVerbs = " AUTH CCC PBSZ PROT REIN QUIT EPSV PASV LPSV SPSV EPRT PORT LPRT" +
	" RETR STOR STOU APPE LIST NLST MLSD REST ABOR MODE STRU TYPE "

// Quote sends a line as it is and returns the final reply, whatever its
// code. Lines that would change the protection or need a data connection are
// refused with [ErrLineRefused].
func (c *Conn) Quote(ctx context.Context, line string) (ftp.Reply, error) {
	verb, arg, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
	verb = strings.ToUpper(verb)
	if err := checkPath(verb); err != nil {
		return ftp.Reply{}, err
	}
	if strings.Contains(refusedVerbs, " "+verb+" ") {
		return ftp.Reply{}, ErrLineRefused
	}
	if err := c.enter(); err != nil {
		return ftp.Reply{}, err
	}
	defer c.leave()
	return c.command(ctx, verb, arg)
}
