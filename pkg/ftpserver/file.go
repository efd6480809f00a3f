package ftpserver

import (
	"context"
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"ftps/pkg/event"
	"ftps/pkg/ftp"
	"ftps/pkg/vfs"
)

// size is SIZE (RFC 3659 §4): the octets a transfer would send. Under TYPE A
// that would take reading the file, so it is refused there. The part of a
// broken upload answers its length, so that its owner can go on from it.
func size(s *session, ctx context.Context, a arg) (reply, error) {
	if s.params.ascii {
		return reply{}, refuse("reply.size.ascii")
	}
	info, err := s.login.account.FS.Stat(ctx, a.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		n, perr := s.login.account.FS.Part(ctx, a.path)
		if perr != nil {
			return reply{}, err
		}
		return plain(213, strconv.FormatInt(n, 10)), nil
	case err != nil:
		return reply{}, err
	case info.Type != vfs.TypeFile:
		return reply{}, vfs.ErrNotRegular
	}
	return plain(213, strconv.FormatInt(info.Size, 10)), nil
}

// mdtm is MDTM (RFC 3659 §3).
func mdtm(s *session, ctx context.Context, a arg) (reply, error) {
	info, err := s.login.account.FS.Stat(ctx, a.path)
	switch {
	case err != nil:
		return reply{}, err
	case info.Type != vfs.TypeFile:
		return reply{}, vfs.ErrNotRegular
	}
	return plain(213, ftp.FormatTime(info.ModTime)), nil
}

// mfmt is MFMT (draft-somers-ftp-mfxx §3).
func mfmt(s *session, ctx context.Context, a arg) (reply, error) {
	stamp, file, ok := strings.Cut(a.text, " ")
	if !ok {
		return reply{}, refuse("reply.needarg", "MFMT", "MFMT YYYYMMDDHHMMSS path")
	}
	when, err := ftp.ParseTime(stamp)
	if err != nil {
		return reply{}, refuseFor(err, "reply.time")
	}
	name, err := vfs.Resolve(s.folder, file)
	if err != nil {
		return reply{}, err
	}
	if err := s.login.account.FS.Chtimes(ctx, name, when); err != nil {
		return reply{}, err
	}
	s.emit(event.Changed{Session: s.info, Verb: "MFMT", Name: name.String()})
	return plain(213, "Modify="+ftp.FormatTime(when)+"; "+name.String()), nil
}

// dele is DELE.
func dele(s *session, ctx context.Context, a arg) (reply, error) {
	if err := s.login.account.FS.Remove(ctx, a.path); err != nil {
		return reply{}, err
	}
	s.emit(event.Changed{Session: s.info, Verb: "DELE", Name: a.path.String()})
	return say("reply.dele"), nil
}

// rnfr is RNFR.
func rnfr(s *session, ctx context.Context, a arg) (reply, error) {
	if a.path.IsRoot() {
		return reply{}, fs.ErrPermission
	}
	if _, err := s.login.account.FS.Stat(ctx, a.path); err != nil {
		return reply{}, err
	}
	s.once.rename = &a.path
	return say("reply.rnfr"), nil
}

// rnto is RNTO.
func rnto(s *session, ctx context.Context, a arg) (reply, error) {
	from := s.once.rename
	if from == nil {
		return reply{}, refuse("reply.rnto.early")
	}
	if err := s.login.account.FS.Rename(ctx, *from, a.path); err != nil {
		return reply{}, err
	}
	s.emit(event.Changed{Session: s.info, Verb: "RNTO", Name: from.String(), To: a.path.String()})
	return say("reply.rnto"), nil
}
