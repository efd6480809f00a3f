package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/event"
	"ftps/pkg/fault"
	"ftps/pkg/vfs"
	"ftps/pkg/xferlog"
)

// enqueue is the near end of the queue. What nobody there would hear of does
// not wake it.
func (d *Daemon) enqueue(e event.Event) {
	if _, quiet := e.(event.TransferStarted); quiet && d.cfg.Events == nil && !d.tracing() {
		return
	}
	d.queue.Handle(e)
}

// hear is the far end of the queue.
func (d *Daemon) hear(e event.Event, gone lost) {
	if p, ok := e.(pumped); ok {
		p.beat.Store(time.Now().UnixNano())
		return
	}
	if gone != (lost{}) {
		d.log.Warn("events-lost", "number", gone.chatter+gone.audit, "audit", gone.audit)
	}
	if d.cfg.Events != nil {
		d.cfg.Events.Handle(e)
	}
	if d.xferlog != nil {
		d.xferlog.Handle(e)
	}
	for _, h := range d.hooks {
		h.Handle(e)
	}
	if !d.cfg.Told(e) {
		d.record(e)
	}
}

// openXferlog opens the transfer log.
func (d *Daemon) openXferlog() (*xferlog.Log, error) {
	path := d.cfg.Xferlog
	l, err := xferlog.Open(path, func(err error) {
		d.log.Error("xferlog", "file", path, "cause", d.cause(err))
	})
	if err != nil {
		return nil, fault.Wrap(err, "cli.server.xferlog", path, err)
	}
	return l, nil
}

// record writes an event's line in the log. The messages are words that a
// machine may look for, the same in every language; causes are for a person.
func (d *Daemon) record(e event.Event) {
	switch e := e.(type) {
	case event.Connected:
		d.line(slog.LevelInfo, "connected", e.Session, nil)
	case event.Line:
		message := "heard"
		if e.Sent {
			message = "said"
		}
		d.line(slog.LevelDebug, message, e.Session, nil, "line", e.Text)
	case event.Secured:
		d.line(slog.LevelInfo, "secured", e.Session, nil,
			"version", tls.VersionName(e.Version), "cipher", tls.CipherSuiteName(e.Cipher))
	case event.HandshakeFailed:
		d.line(slog.LevelWarn, "handshake-failed", e.Session, e.Err, "data", e.Data)
	case event.LoggedIn:
		d.line(slog.LevelInfo, "login", e.Session, nil)
	case event.LoginFailed:
		d.line(slog.LevelWarn, "login-refused", e.Session, e.Cause, "name", e.Name)
	case event.FolderChanged:
		d.line(slog.LevelInfo, "folder", e.Session, nil, "folder", e.Folder)
	case event.CommandRefused:
		level := slog.LevelInfo
		if unmeant(e.Code, e.Cause) {
			level = slog.LevelError
		}
		d.line(level, "refused", e.Session, e.Cause, "verb", e.Verb, "code", e.Code)
	case event.DataRefused:
		d.line(slog.LevelWarn, "data-refused", e.Session, e.Cause, "peer", e.Peer.String())
	case event.TransferStarted:
		d.line(slog.LevelDebug, "transfer-started", e.Session, nil,
			"direction", e.Direction.String(), "verb", e.Verb, "name", e.Name)
	case event.TransferDone:
		level := slog.LevelInfo
		switch {
		case unmeant(e.Code, e.Cause):
			level = slog.LevelError
		case e.Code >= 400:
			level = slog.LevelWarn
		}
		d.line(level, "transfer", e.Session, e.Cause,
			"direction", e.Direction.String(), "verb", e.Verb, "name", e.Name, "code", e.Code,
			"bytes", e.Bytes, "offset", e.Offset, "seconds", e.Duration.Seconds(), "bound", e.Bound)
	case event.Changed:
		attrs := []any{"verb", e.Verb, "name", e.Name}
		if e.To != "" {
			attrs = append(attrs, "to", e.To)
		}
		d.line(slog.LevelInfo, "changed", e.Session, nil, attrs...)
	case event.Kicked:
		d.line(slog.LevelWarn, "kicked", e.Session, nil, "reason", e.Reason)
	case event.Disconnected:
		d.line(slog.LevelInfo, "disconnected", e.Session, e.Cause, "seconds", e.Duration.Seconds())
	case event.Banned:
		d.line(slog.LevelWarn, "banned", e.Session, nil, "seconds", e.Span.Seconds(), "last", e.Last)
	case event.TurnedAway:
		attrs := []any{"number", e.Number, "remote", e.Remote.String(), "cause", d.cause(e.Cause)}
		if name := settingOf(e.Cause); name != "" {
			attrs = append(attrs, "setting", name)
		}
		d.log.Warn("turned-away", attrs...)
	case event.Trouble:
		d.log.Error("trouble", "where", e.Where, "cause", d.cause(e.Err))
	}
}

// unmeant tells a 451 that nobody meant to happen from that of a client that
// sent other than it had announced.
func unmeant(code int, cause error) bool {
	return code == 451 && !errors.Is(cause, vfs.ErrIncomplete)
}

// tracing reports whether the log tells the dialogue: at level debug.
func (d *Daemon) tracing() bool { return d.log.Enabled(context.Background(), slog.LevelDebug) }

// line writes a line of a session: it always has the field session, and user
// once someone has logged in.
func (d *Daemon) line(level slog.Level, message string, s event.Session, cause error, attrs ...any) {
	head := []any{"session", s.ID, "id", s.Number, "remote", s.Remote.String()}
	if s.User != "" {
		head = append(head, "user", s.User)
	}
	attrs = append(head, attrs...)
	if cause != nil {
		attrs = append(attrs, "cause", d.cause(cause))
		if name := settingOf(cause); name != "" {
			attrs = append(attrs, "setting", name)
		}
	}
	d.log.Log(context.Background(), level, message, attrs...)
}

func (d *Daemon) cause(err error) string {
	if err == nil {
		return ""
	}
	return catalog.Explain(d.lang(), err)
}
