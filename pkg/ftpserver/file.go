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
	case errors.Is(err, fs.ErrNotExist):
		return s.setTime(ctx, a)
	case err != nil:
		return reply{}, err
	case info.Type != vfs.TypeFile:
		return reply{}, vfs.ErrNotRegular
	}
	return plain(213, ftp.FormatTime(info.ModTime)), nil
}

// setTime is MDTM with a time before the path, which no RFC has and some
// clients send.
func (s *session) setTime(ctx context.Context, a arg) (reply, error) {
	when, path, err := ftp.ParseMFMT(a.text)
	if err != nil {
		return reply{}, fs.ErrNotExist // it was a name after all
	}
	if s.login.account.Perm&vfs.Chtime == 0 {
		return reply{}, refuse("reply.noright", "MDTM")
	}
	_, err = s.change(ctx, "MDTM", path, func(name vfs.Name) error {
		return s.login.account.FS.Chtimes(ctx, name, when)
	})
	return plain(213, ftp.FormatTime(when)), err
}

// mfmt is MFMT (draft-somers-ftp-mfxx §3).
func mfmt(s *session, ctx context.Context, a arg) (reply, error) {
	when, path, err := ftp.ParseMFMT(a.text)
	if err != nil {
		return reply{}, refuseFor(err, "reply.time")
	}
	facts := []ftp.FactValue{{Name: "Modify", Value: ftp.FormatTime(when)}}
	return s.setFacts(ctx, "MFMT", facts, path)
}

// mff is MFF (draft-somers-ftp-mfxx §5).
func mff(s *session, ctx context.Context, a arg) (reply, error) {
	facts, path, err := ftp.ParseMFF(a.text)
	if err != nil {
		return reply{}, refuseFor(err, "reply.syntax")
	}
	return s.setFacts(ctx, "MFF", facts, path)
}

// setFacts changes the facts of a path, all or none: each is read before the
// first is set.
func (s *session) setFacts(ctx context.Context, verb string, facts []ftp.FactValue, path string) (reply, error) {
	name, err := vfs.Resolve(s.folder, path)
	if err != nil {
		return reply{}, err
	}
	tree := s.login.account.FS
	var set []func() error
	var told strings.Builder
	for _, f := range facts {
		switch strings.ToLower(f.Name) {
		case "modify":
			when, err := ftp.ParseTime(f.Value)
			if err != nil {
				return reply{}, refuseFor(err, "reply.time")
			}
			set = append(set, func() error { return tree.Chtimes(ctx, name, when) })
		case "unix.mode":
			mode, err := ftp.ParseMode(f.Value)
			if err != nil {
				return reply{}, refuseFor(err, "reply.mode.octal")
			}
			// The right to set times is not the one that SITE CHMOD asks for.
			if s.login.account.Perm&vfs.Write == 0 {
				return reply{}, refuse("reply.noright", verb+" UNIX.mode")
			}
			set = append(set, func() error { return tree.Chmod(ctx, name, mode) })
		default:
			return reply{}, refuse("reply.mff.fact", "Modify, UNIX.mode")
		}
		told.WriteString(f.Name + "=" + f.Value + ";")
	}
	for _, do := range set {
		if err := do(); err != nil {
			return reply{}, err
		}
	}
	s.emit(event.Changed{Session: s.info, Verb: verb, Name: name.String()})
	return plain(213, told.String()+" "+name.String()), nil
}

// avbl is AVBL (draft-peterson-streamlined-ftp-command-extensions §4): the
// bytes that may still be written.
func avbl(s *session, ctx context.Context, a arg) (reply, error) {
	n, err := s.login.account.FS.Available(ctx, a.path)
	if err != nil {
		return reply{}, err
	}
	return plain(213, strconv.FormatInt(n, 10)), nil
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
	s.once.rename = nil // one RNFR is for one RNTO, whatever becomes of it
	if from == nil {
		return reply{}, refuse("reply.rnto.early")
	}
	// What stands at the new name is replaced: that takes a right of its own.
	if perm := s.login.account.Perm; perm&(vfs.Write|vfs.Delete) == 0 || !perm.Replaces() {
		if _, err := s.login.account.FS.Stat(ctx, a.path); err == nil {
			return reply{}, fs.ErrExist
		}
	}
	if err := s.login.account.FS.Rename(ctx, *from, a.path); err != nil {
		return reply{}, err
	}
	s.emit(event.Changed{Session: s.info, Verb: "RNTO", Name: from.String(), To: a.path.String()})
	return say("reply.rnto"), nil
}
