package ftpserver

import (
	"context"
	"errors"
	"io"
	"net"

	"ftps/pkg/event"
	"ftps/pkg/ftp"
	"ftps/pkg/vfs"
)

// store is STOR: it replaces the file, or with REST goes on from an offset.
func store(s *session, ctx context.Context, a arg) (*transfer, error) {
	if s.once.rest > 0 && s.params.ascii {
		return nil, refuse("reply.rest.ascii")
	}
	return s.upload(ctx, a.path, vfs.How{Offset: s.once.rest, Size: s.once.allo})
}

// appendTo is APPE.
func appendTo(s *session, ctx context.Context, a arg) (*transfer, error) {
	if s.once.rest > 0 {
		return nil, refuse("reply.rest.append")
	}
	return s.upload(ctx, a.path, vfs.How{Append: true, Size: -1})
}

// upload begins an upload. Nothing that a reader can see changes until the
// client's close_notify has come and the file is committed: a data
// connection that never comes, or is refused, or breaks, costs the old file
// nothing.
func (s *session) upload(ctx context.Context, name vfs.Name, how vfs.How) (*transfer, error) {
	file, err := s.login.account.FS.Create(ctx, name, how)
	if err != nil {
		return nil, err
	}
	t := &transfer{direction: event.Upload, name: name, offset: file.Offset()}
	ascii := s.params.ascii
	t.carry = func(_ context.Context, conn net.Conn) error {
		var src io.Reader = conn
		if ascii {
			src = ftp.NewASCIIReader(conn)
		}
		return t.copyData(file, src, errData, nil)
	}
	t.settle = func(ctx context.Context, err error) error {
		if err == nil {
			err = file.Commit(ctx)
		}
		if err != nil {
			return errors.Join(err, file.Abort())
		}
		return nil
	}
	return t, nil
}
