package ftpserver

import (
	"ftps/pkg/event"
	"ftps/pkg/ftp"
)

// masked stands where a trace leaves something out.
const masked = "****"

// trace tells the sink what the client said, while somebody wants to know.
func (s *session) trace(l line) {
	if l.err == nil && s.cfg.Trace() {
		s.emit(event.Line{Session: s.info, Text: s.srv.unveiled(l.text)})
	}
}

// unveiled is a line as a trace may show it. Of a line that is no command of
// the table nothing is shown but that it was there: it may be a password that
// was typed a line too early or too late.
func (s *Server) unveiled(text []byte) string {
	cmd, err := ftp.ParseCommand(text)
	if err != nil {
		return masked
	}
	r, known := s.table[cmd.Verb]
	switch {
	case !known:
		return masked
	case cmd.Arg == "":
		return r.verb
	case r.secret:
		return r.verb + " " + masked
	case r.verb == "SITE" && !knownSite(cmd.Arg):
		return r.verb + " " + masked // other servers change passwords with SITE PSWD
	}
	return r.verb + " " + cmd.Arg
}
