package ftpserver

import (
	"context"
	"strconv"
	"strings"

	"ftps/pkg/ftp"
)

// typ is TYPE (RFC 959 §3.1.1): ASCII non-print and image; local bytes of 8
// bits are images by another name.
func typ(s *session, _ context.Context, a arg) (reply, error) {
	switch strings.ToUpper(a.text) {
	case "A", "A N", "A T": // RFC 1123 §4.1.2.2: without a difference between N and T, T is N
		s.params.ascii = true
	case "I", "L 8":
		s.params.ascii = false
	default:
		return reply{}, refuse("reply.parameter", "TYPE", "TYPE A, TYPE I")
	}
	return say("reply.type", strings.ToUpper(a.text)), nil
}

// mode is MODE (RFC 959 §3.4). It ends a data connection that MODE B kept.
func mode(s *session, _ context.Context, a arg) (reply, error) {
	for i := range modes {
		if strings.EqualFold(a.text, modes[i].letter) {
			s.port.dropOpen()
			s.params.mode = &modes[i]
			return say("reply.mode", modes[i].letter), nil
		}
	}
	return reply{}, refuse("reply.parameter", "MODE", "MODE S, MODE B, MODE Z")
}

// stru is STRU (RFC 959 §3.1.2).
func stru(_ *session, _ context.Context, a arg) (reply, error) {
	if !strings.EqualFold(a.text, "F") {
		return reply{}, refuse("reply.parameter", "STRU", "STRU F")
	}
	return say("reply.stru", "F"), nil
}

// rest is REST (RFC 3659 §5): it holds for the next transfer.
func rest(s *session, _ context.Context, a arg) (reply, error) {
	s.once.rest = a.number
	return say("reply.rest", a.number), nil
}

// allo is ALLO (RFC 959 §4.1.3): the upload that follows must have that
// size. Under TYPE A the client may mean other bytes than we store, so there
// it is heard and not held.
func allo(s *session, _ context.Context, a arg) (reply, error) {
	words := strings.Fields(a.text)
	if len(words) != 1 && (len(words) != 3 || !strings.EqualFold(words[1], "R")) {
		return reply{}, refuse("reply.number", "ALLO")
	}
	n, err := ftp.ParseNumber(words[0])
	if err != nil {
		return reply{}, refuseFor(err, "reply.number", "ALLO")
	}
	if s.params.ascii {
		return say("reply.allo.ignored"), nil
	}
	s.once.allo = n
	return say("reply.allo", strconv.FormatInt(n, 10)), nil
}
