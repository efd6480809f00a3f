package ftpserver

import (
	"context"
	"io"
	"math"

	"ftps/pkg/event"
	"ftps/pkg/ftp"
	"ftps/pkg/vfs"
)

// retrieve is RETR.
func retrieve(s *session, ctx context.Context, a arg) (*transfer, error) {
	offset := s.once.rest
	if err := s.checkOffset(); err != nil {
		return nil, err
	}
	length := int64(math.MaxInt64)
	if r := s.once.rang; !r.IsWhole() {
		offset, length = r.First, r.Len()
	}
	file, err := s.login.account.FS.Open(ctx, a.path)
	if err != nil {
		return nil, err
	}
	if offset > file.Info().Size {
		file.Close()
		return nil, vfs.ErrOffset
	}
	if offset > 0 {
		if _, err := file.Seek(offset, io.SeekStart); err != nil {
			file.Close()
			return nil, err
		}
	}
	ascii := s.params.ascii
	t := &transfer{direction: event.Download, name: a.path, offset: offset}
	t.carry = func(ctx context.Context, f frame) error {
		defer interruptible(ctx, file)()
		dst := f.out
		if ascii {
			dst = ftp.NewASCIIWriter(dst)
		}
		return t.copyData(dst, io.LimitReader(file, length), errSource, errData)
	}
	t.settle = func(_ context.Context, err error) error {
		file.Close()
		return err
	}
	return t, nil
}

// checkOffset refuses REST and RANG where a byte of the file is no byte of
// the transfer (RFC 3659 §5.1: REST with an offset is for MODE S), and TYPE A
// changes what is counted.
func (s *session) checkOffset() error {
	switch {
	case s.once.rest == 0 && s.once.rang.IsWhole():
		return nil
	case s.params.ascii:
		return refuse("reply.rest.ascii")
	case s.params.mode.letter != "S":
		return refuse("reply.rest.mode")
	}
	return nil
}
