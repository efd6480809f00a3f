package ftpserver

import (
	"context"

	"ftps/pkg/event"
	"ftps/pkg/ftp"
	"ftps/pkg/vfs"
)

// cwd is CWD.
func cwd(s *session, ctx context.Context, a arg) (reply, error) {
	info, err := s.login.account.FS.Stat(ctx, a.path)
	if err != nil {
		return reply{}, err
	}
	if info.Type != vfs.TypeDir {
		return reply{}, vfs.ErrNotDir
	}
	s.folder = a.path
	s.emit(event.FolderChanged{Session: s.info, Folder: a.path.String()})
	return say("reply.cwd"), nil
}

// cdup is CDUP; above the root there is nothing to change to.
func cdup(s *session, ctx context.Context, a arg) (reply, error) {
	var err error
	if a.path, err = vfs.Resolve(s.folder, ".."); err != nil {
		return reply{}, err
	}
	return cwd(s, ctx, a)
}

// pwd is PWD (RFC 959 Appendix II: a quote in the name is doubled).
func pwd(s *session, _ context.Context, _ arg) (reply, error) {
	return plain(257, ftp.QuotePath(s.folder.String())), nil
}

// mkd is MKD; it answers with the absolute path, in the form of PWD.
func mkd(s *session, ctx context.Context, a arg) (reply, error) {
	if err := s.login.account.FS.Mkdir(ctx, a.path); err != nil {
		return reply{}, err
	}
	s.emit(event.Changed{Session: s.info, Verb: "MKD", Name: a.path.String()})
	return plain(257, ftp.QuotePath(a.path.String())), nil
}

// rmd is RMD.
func rmd(s *session, ctx context.Context, a arg) (reply, error) {
	if err := s.login.account.FS.Rmdir(ctx, a.path); err != nil {
		return reply{}, err
	}
	s.emit(event.Changed{Session: s.info, Verb: "RMD", Name: a.path.String()})
	return say("reply.rmd"), nil
}
