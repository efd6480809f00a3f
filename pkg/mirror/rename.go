package mirror

import (
	"errors"
	"strings"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

// errNoRename: an upload is whole, and cannot be given its name.
var errNoRename = errors.New("mirror: the server does not rename")

// atomic are the servers that show an upload only when it is whole, by what
// they call themselves (CSID).
const atomicServer = "ftps"

// place chooses the name under which an upload grows. Most servers show a
// file while it is written, and keep what came of it when it breaks off:
// there it grows beside its place.
func (p *putting) place() error {
	p.target = p.item.Remote
	if p.run.t.direct.Load() {
		return nil
	}
	name, err := p.conn.ServerName(p.ctx)
	if err != nil || name == atomicServer {
		return err
	}
	p.target = besides(p.item.Remote)
	return nil
}

// remoteSuffix marks an upload that is not whole yet.
const remoteSuffix = ".ftps-part"

// besides is the name for an upload in progress: always the same for a file,
// so that it can be resumed.
func besides(remote string) string {
	at := strings.LastIndexByte(remote, '/') + 1
	folder, name := remote[:at], remote[at:]
	return folder + fit(name, remoteSuffix, 0)
}

// rename gives a whole upload its name.
func (p *putting) rename() error {
	if p.target == p.item.Remote {
		return nil
	}
	err := p.conn.Rename(p.ctx, p.target, p.item.Remote)
	var reply *ftpclient.ReplyError
	if err == nil || !errors.As(err, &reply) || !p.conn.Usable() {
		return err
	}
	if reply.Command == "RNTO" {
		// Some servers rename over no file that exists.
		e, statErr := p.conn.Stat(p.ctx, p.item.Remote)
		switch {
		case statErr == nil && e.Type == ftp.Dir:
			p.conn.Delete(p.ctx, p.target)
			return err
		case statErr == nil:
			if p.conn.Delete(p.ctx, p.item.Remote) == nil {
				if again := p.conn.Rename(p.ctx, p.target, p.item.Remote); again == nil {
					return nil
				}
			}
		}
	}
	if !p.conn.Usable() {
		return err
	}
	if p.conn.Delete(p.ctx, p.target) != nil && reply.Command == "RNTO" {
		return err // it lies there whole, under the other name
	}
	return errNoRename
}
