package ftpserver

import (
	"context"
	"errors"
	"io/fs"

	"ftps/pkg/event"
	"ftps/pkg/ftp"
	"ftps/pkg/vfs"
)

// store is STOR: it replaces the file, or with REST goes on from an offset.
func store(s *session, ctx context.Context, a arg) (*transfer, error) {
	if err := s.checkOffset(); err != nil {
		return nil, err
	}
	return s.upload(ctx, a.path, vfs.How{Offset: s.once.rest, Size: s.once.allo})
}

// appendTo is APPE.
func appendTo(s *session, ctx context.Context, a arg) (*transfer, error) {
	if s.once.rest > 0 || !s.once.rang.IsWhole() {
		return nil, refuse("reply.rest.append")
	}
	return s.upload(ctx, a.path, vfs.How{Append: true, Size: -1})
}

// stou is STOU: under a name that nobody has, which the 150 tells
// (RFC 1123 §4.1.2.9).
func stou(s *session, ctx context.Context, _ arg) (*transfer, error) {
	for {
		name := s.folder.Child("stou-" + newID() + newID())
		t, err := s.upload(ctx, name, vfs.How{New: true, Size: s.once.allo})
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			t.opening = plain(150, "FILE: "+name.String())
		}
		return t, err
	}
}

// upload begins an upload. Nothing that a reader can see changes until the
// client's close_notify has come and the file is committed: a data
// connection that never comes, or is refused, or breaks, costs the old file
// nothing.
func (s *session) upload(ctx context.Context, name vfs.Name, how vfs.How) (*transfer, error) {
	if !s.login.account.Perm.Replaces() {
		how.New = true
	}
	how.ModTime = s.coming.modTime
	file, err := s.login.account.FS.Create(ctx, name, how)
	if err != nil {
		return nil, err
	}
	t := &transfer{direction: event.Upload, name: name, offset: file.Offset()}
	ascii := s.params.ascii
	t.carry = func(ctx context.Context, f frame) error {
		defer interruptible(ctx, file)()
		src := f.in
		if ascii {
			src = ftp.NewASCIIReader(src)
		}
		return t.copyData(file, src, errData, nil)
	}
	t.settle = func(ctx context.Context, err error) error {
		defer interruptible(ctx, file)()
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

// interruptible has the end of ctx end what waits for the tree, where that
// can take long, until stop is called: else ABOR would wait as well.
func interruptible(ctx context.Context, file any) (stop func() bool) {
	if travels, ok := file.(vfs.Interruptible); ok {
		return context.AfterFunc(ctx, travels.Interrupt)
	}
	return func() bool { return true }
}
