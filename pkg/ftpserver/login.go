package ftpserver

import (
	"cmp"
	"context"
	"errors"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/vfs"
)

// user is USER. It answers 331 for every name, known or not.
func user(s *session, ctx context.Context, a arg) (reply, error) {
	if s.login.account != nil {
		return reply{}, refuse("reply.user.again")
	}
	state := s.control.tls.ConnectionState()
	if len(state.PeerCertificates) > 0 {
		account, err := s.srv.cfg.Backend.LoginByCertificate(ctx, s.attempt(a.text, ""))
		if err != nil {
			return reply{}, s.loginFailed(a.text, err)
		}
		if account != nil {
			return s.enter(account, "reply.user.certificate")
		}
	}
	s.login.name = a.text
	return say("reply.user.ok"), nil
}

// attempt is a try at a login by this session.
func (s *session) attempt(name, password string) Attempt {
	state := s.control.tls.ConnectionState()
	return Attempt{
		Name:     name,
		Password: password,
		Session:  s.info.ID,
		Remote:   s.info.Remote.Addr(),
		Host:     cmp.Or(s.control.host, state.ServerName),
		TLS:      &state,
	}
}

// pass is PASS: it asks the backend, and counts what it refuses.
func pass(s *session, ctx context.Context, a arg) (reply, error) {
	name := s.login.name
	if s.login.account != nil || name == "" {
		return reply{}, refuse("reply.pass.early")
	}
	s.login.name = ""
	s.srv.early.step(s) // the check may take its time
	account, err := s.srv.cfg.Backend.Login(ctx, s.attempt(name, a.text))
	if err != nil {
		return reply{}, s.loginFailed(name, err)
	}
	return s.enter(account, "reply.login.ok")
}

// enter makes the session the account's.
func (s *session) enter(account *Account, key string) (reply, error) {
	if err := s.data.LoggedIn(account.Name, account.Reuse); err != nil {
		// The tickets that this TLS session gave out stand for the account
		// that logged in first.
		account.Close()
		return reply{}, refuseFor(err, "reply.login.other")
	}
	s.srv.early.remove(s)
	s.login.account = account
	s.info.User = account.Name
	s.folder = vfs.Name{}
	s.emit(event.LoggedIn{Session: s.info})
	return say(key), nil
}

// loginFailed chooses the reply to a login that was refused.
func (s *session) loginFailed(name string, err error) error {
	s.emit(event.LoginFailed{Session: s.info, Name: name, Cause: err})
	switch {
	case errors.Is(err, ErrSessions):
		return refuseFor(err, "reply.login.sessions")
	case !errors.Is(err, ErrLogin):
		return err // the backend's own trouble: 451
	}
	s.login.failures++
	if s.login.failures >= s.srv.cfg.LoginAttempts {
		s.end(errTooMany)
		return refuseFor(err, "reply.login.toomany")
	}
	return refuseFor(err, "reply.login.no")
}

// rein is REIN. It keeps the TLS layer, against RFC 4217 §13, since there is
// never a byte in clear; all else is as after AUTH.
func rein(s *session, _ context.Context, _ arg) (reply, error) {
	s.data.Forget()
	since := s.login.since
	if s.login.account != nil {
		since = time.Now() // who never logged in gains no time by REIN
	}
	s.reset()
	s.login.since = since
	return say("reply.rein"), nil
}

// reset forgets who is there and all that was set.
func (s *session) reset() {
	s.port.drop()
	s.logout()
	s.login = loginState{failures: s.login.failures, since: s.login.since}
	s.protect = protection{}
	s.params = s.freshParameters()
	s.once = freshOneShots()
	s.coming = coming{}
	s.port = portState{}
	s.folder = vfs.Name{}
	s.control.lang = s.cfg.Lang
}

// quit is QUIT.
func quit(s *session, _ context.Context, _ arg) (reply, error) {
	s.end(nil)
	return say("reply.bye"), nil
}
