package ftpclient

import (
	"context"
	"strings"

	"ftps/pkg/ftp"
)

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
		c.dropKept()
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
