package shell

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"

	"ftps/pkg/fault"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
	"ftps/pkg/mirror"
)

// runEdit brings a file into the person's editor and back. It goes back only
// if it was changed here, and was not changed there meanwhile; whenever it
// does not, what was typed is kept.
func runEdit(ctx context.Context, s *Session, args arguments, _ io.Writer) error {
	remote, err := s.remotePath(ctx, args.operands[0])
	if err != nil {
		return err
	}
	defer s.Dialogue.hush()()
	before, err := s.Server.Stat(ctx, remote)
	missing := ftpclient.Class(err) == ftpclient.NotFound
	switch {
	case err != nil && !missing:
		return err
	case !missing && isFolder(before):
		return mirror.ErrIsFolder
	}
	dir, err := os.MkdirTemp("", "ftps-edit-") // 0700
	if err != nil {
		return localFault(err)
	}
	local := filepath.Join(dir, path.Base(remote))
	kept := func(err error) error { return fault.Wrap(err, "shell.edit.kept", err, ftp.Sanitise(local)) }
	changed, err := s.editHere(ctx, remote, local, missing)
	switch {
	case err != nil && changed:
		return kept(err)
	case err != nil || !changed:
		_ = os.RemoveAll(dir)
		if err == nil && !s.Quiet {
			s.note("shell.edit.same", ftp.Sanitise(path.Base(remote)))
		}
		return err
	}
	after, err := s.Server.Stat(ctx, remote)
	isMissing := ftpclient.Class(err) == ftpclient.NotFound
	switch {
	case err != nil && !isMissing:
		return kept(err)
	case missing != isMissing, !missing && (after.Size != before.Size || !after.ModTime.Equal(before.ModTime)):
		return kept(fault.New("shell.edit.changed", ftp.Sanitise(remote)))
	}
	s.names.clear()
	w := s.watch(s.Out)
	result, err := s.Files.Put(ctx, local, remote, mirror.Options{}, w.tell)
	w.end(result)
	if err != nil {
		return kept(err)
	}
	_ = os.RemoveAll(dir)
	return nil
}

// editHere fetches the file, runs the editor, and reports whether the file is
// another one now. With an error it reports whether there may be work to keep.
func (s *Session) editHere(ctx context.Context, remote, local string, missing bool) (changed bool, err error) {
	f, err := os.OpenFile(local, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false, localFault(err)
	}
	if !missing {
		err = s.Files.Read(ctx, remote, 0, f)
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return false, err
	}
	before, err := sumOf(local)
	if err != nil {
		return false, localFault(err)
	}
	editor := s.Editor
	if editor == "" {
		editor = "vi"
	}
	// The variable may hold options; the name is an argument of its own, so
	// that nothing in it is a word of the shell's.
	cmd := s.localCommand(ctx, editor+` "$1"`, "sh", local)
	cmd.Stdout = s.Out
	failed := localEnd(ctx, cmd.Run())
	after, err := sumOf(local)
	if errors.Is(err, os.ErrNotExist) {
		return false, localFault(err)
	}
	changed = err != nil || !bytes.Equal(before, after)
	if failed != nil {
		return changed, failed
	}
	return changed, localFault(err)
}

func sumOf(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return h.Sum(nil), err
}
