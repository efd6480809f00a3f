package ftpserver

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/ftp"
	"ftps/pkg/vfs"
)

// siteRow is one SITE command.
type siteRow struct {
	word   string
	syntax string
	perm   vfs.Perm
	do     handler
}

func siteCommands() []siteRow {
	return []siteRow{
		{"CHMOD", "<SP> mode <SP> path", vfs.Write, siteChmod},
		{"CPFR", "<SP> path", vfs.Read, siteCopyFrom},
		{"CPTO", "<SP> path", vfs.Write, siteCopyTo},
		{"HELP", "", 0, siteHelp},
		{"IDLE", "<SP> seconds", 0, siteIdle},
		{"UTIME", "<SP> time <SP> path", vfs.Chtime, siteUtime},
	}
}

// site is SITE: its own small table.
func site(s *session, ctx context.Context, a arg) (reply, error) {
	word, rest, _ := strings.Cut(a.text, " ")
	for _, r := range siteCommands() {
		if !strings.EqualFold(r.word, word) {
			continue
		}
		if r.perm != 0 && s.login.account.Perm&r.perm == 0 {
			return reply{}, refuse("reply.noright", "SITE "+r.word)
		}
		if r.syntax != "" && rest == "" {
			return reply{}, needArg("SITE "+r.word, r.syntax)
		}
		return r.do(s, ctx, arg{text: rest})
	}
	return reply{}, refuse("reply.site")
}

// knownSite reports whether an argument of SITE begins with a word of the
// table.
func knownSite(text string) bool {
	word, _, _ := strings.Cut(text, " ")
	return slices.ContainsFunc(siteCommands(), func(r siteRow) bool { return strings.EqualFold(r.word, word) })
}

func siteHelp(*session, context.Context, arg) (reply, error) {
	lines := []string{"SITE"}
	for _, r := range siteCommands() {
		lines = append(lines, " "+strings.TrimSpace(r.word+" "+strings.ReplaceAll(r.syntax, "<SP> ", "")))
	}
	return plain(214, append(lines, "End")...), nil
}

func siteChmod(s *session, ctx context.Context, a arg) (reply, error) {
	digits, path, _ := strings.Cut(a.text, " ")
	mode, err := ftp.ParseMode(digits)
	if err != nil || path == "" {
		return reply{}, refuseFor(err, "reply.mode.octal")
	}
	if !s.login.account.Perm.Replaces() {
		return reply{}, refuse("reply.noright", "SITE CHMOD")
	}
	return s.change(ctx, "SITE CHMOD", path, func(name vfs.Name) error {
		return s.login.account.FS.Chmod(ctx, name, mode)
	})
}

func siteUtime(s *session, ctx context.Context, a arg) (reply, error) {
	when, path, err := ftp.ParseMFMT(a.text)
	if err != nil {
		return reply{}, refuseFor(err, "reply.time")
	}
	return s.change(ctx, "SITE UTIME", path, func(name vfs.Name) error {
		return s.login.account.FS.Chtimes(ctx, name, when)
	})
}

// change does one thing to one path and tells the sink.
func (s *session) change(ctx context.Context, verb, path string, do func(vfs.Name) error) (reply, error) {
	name, err := vfs.Resolve(s.folder, path)
	if err != nil {
		return reply{}, err
	}
	if err := do(name); err != nil {
		return reply{}, err
	}
	s.emit(event.Changed{Session: s.info, Verb: verb, Name: name.String()})
	return say("reply.changed"), nil
}

// siteIdle sets the session's idle time-out, never beyond the server's own.
func siteIdle(s *session, _ context.Context, a arg) (reply, error) {
	seconds, err := ftp.ParseNumber(a.text)
	limit := int64(s.cfg.IdleTimeout / time.Second)
	if err != nil || seconds < 1 || seconds > limit {
		return reply{}, refuseFor(err, "reply.idle.range", limit)
	}
	s.params.idle = time.Duration(seconds) * time.Second
	return say("reply.idle.ok", seconds), nil
}

// siteCopyFrom is SITE CPFR, which with CPTO copies a file without moving it
// over the network.
func siteCopyFrom(s *session, ctx context.Context, a arg) (reply, error) {
	name, err := vfs.Resolve(s.folder, a.text)
	if err != nil {
		return reply{}, err
	}
	info, err := s.login.account.FS.Stat(ctx, name)
	switch {
	case err != nil:
		return reply{}, err
	case info.Type != vfs.TypeFile:
		return reply{}, vfs.ErrNotRegular
	}
	s.once.copy = &name
	return say("reply.copy.from"), nil
}

func siteCopyTo(s *session, ctx context.Context, a arg) (reply, error) {
	from := s.once.copy
	s.once.copy = nil
	if from == nil {
		return reply{}, refuse("reply.copy.early")
	}
	return s.change(ctx, "SITE CPTO", a.text, func(to vfs.Name) error {
		if to == *from {
			return fs.ErrExist
		}
		src, err := s.login.account.FS.Open(ctx, *from)
		if err != nil {
			return err
		}
		defer src.Close()
		dst, err := s.login.account.FS.Create(ctx, to, vfs.How{Size: src.Info().Size})
		if err != nil {
			return err
		}
		if _, err = io.CopyBuffer(onlyWriter{dst}, &untilDone{ctx, src}, make([]byte, copyChunk)); err == nil {
			err = dst.Commit(ctx)
		}
		if err != nil {
			return errors.Join(err, dst.Abort())
		}
		return nil
	})
}
