package ftpserver

import (
	"context"
	"io"
	"net"

	"ftps/pkg/event"
	"ftps/pkg/ftp"
	"ftps/pkg/vfs"
)

// retrieve is RETR.
func retrieve(s *session, ctx context.Context, a arg) (*transfer, error) {
	offset := s.once.rest
	if offset > 0 && s.params.ascii {
		return nil, refuse("reply.rest.ascii") // RFC 3659 §5: octets of the file, which TYPE A changes
	}
	file, err := s.login.account.FS.Open(ctx, a.path)
	if err != nil {
		return nil, err
	}
	if offset > file.Info().Size {
		file.Close()
		return nil, vfs.ErrOffset
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		file.Close()
		return nil, err
	}
	ascii := s.params.ascii
	t := &transfer{direction: event.Download, name: a.path, offset: offset}
	t.carry = func(_ context.Context, conn net.Conn) error {
		var dst io.Writer = conn
		if ascii {
			dst = ftp.NewASCIIWriter(conn)
		}
		return t.copyData(dst, file, errSource, errData)
	}
	t.settle = func(_ context.Context, err error) error {
		file.Close()
		return err
	}
	return t, nil
}
