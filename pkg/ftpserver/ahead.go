package ftpserver

import (
	"context"
	"errors"
	"io"
	"strings"

	"ftps/pkg/event"
)

// Files ahead. An upload's data wait for the 1yz, for those of a file that is
// refused would be taken for the next one's: a round trip for each of many
// small files. After OPTS STOR ahead=on they need not, in MODE B:
//
//   - On a data connection that is open already, each STOR owes its file: the
//     client sends it right behind the command, and where the server refuses
//     the STOR, or fails in the middle, it takes exactly this file off the
//     connection and throws it away before it replies.
//   - Each file begins with a marker block (RFC 959 §3.4.2) that says what its
//     STOR said. Where it says anything else, both sides are out of step: the
//     data connection is closed, and all that is on it lost. So the bytes of a
//     file never come under the name of another, whatever went wrong before.
//   - 425, 426 and 421 say that the data connection is gone; with any other
//     reply it stays. What follows on a connection that is gone is answered
//     with 425, and nothing is thrown away for it.

// maxEaten bounds what is thrown away of a file that was refused, in bytes.
const maxEaten = 4 << 20

var errOutOfStep = errors.New("ftpserver: the data are of another file than the command")

// setAhead is the option ahead.
func setAhead(s *session, value string) error {
	on := strings.EqualFold(value, "on")
	if !on && !strings.EqualFold(value, "off") {
		return refuse("reply.opts.stor", "ahead=on, ahead=off")
	}
	s.params.ahead = on
	return nil
}

// aheadOf reports whether the command's file comes ahead of the 1yz, or at
// least is marked as if it did: the first one on a connection waits.
func (s *session) aheadOf(r *row) bool {
	return r.ahead && s.params.ahead && s.params.mode.stays
}

// turnDown answers a transfer command that was refused. A file that has come
// along is thrown away first, as a transfer of its own: the same clocks bound
// it, and ABOR and the end of the session stop it.
func (s *session) turnDown(ctx context.Context, r *row, text string, err error) {
	s.once = freshOneShots()
	if !s.aheadOf(r) || s.port.open == nil || s.srv.trusting.leaves {
		s.reply(ctx, r.verb, reply{}, err)
		return
	}
	t := &transfer{
		direction: event.Upload, refused: true,
		carry:  func(context.Context, frame) error { return err },
		settle: func(_ context.Context, err error) error { return err },
	}
	s.equip(t, r, arg{text: text})
	s.start(ctx, t)
}

// outOfStep is called for a line that could not be read. It may have been a
// STOR, and what came with it nobody's: the data connection ends, once the
// transfer in progress is over.
func (s *session) outOfStep() {
	s.coming = coming{}
	switch {
	case !s.params.ahead:
	case s.transfer != nil:
		s.transfer.last = true
	default:
		s.port.dropOpen()
	}
}

// identify reads the mark of a file that has one.
func (t *transfer) identify(f frame) error {
	if !t.marked {
		return nil
	}
	mark, err := f.mark(maxLine)
	switch {
	case err != nil:
		return blame(errData, err)
	case mark != t.mark && !t.trusting.believes:
		return errors.Join(errOutOfStep, errData)
	}
	return nil
}

// eat takes the rest of a file off the connection that why has refused.
func (t *transfer) eat(f frame, why error) error {
	n, err := io.Copy(io.Discard, io.LimitReader(f.in, maxEaten+1))
	switch {
	case err != nil:
		return blame(errData, err)
	case n > maxEaten:
		return refuseFor(why, "reply.ahead.much", maxEaten>>20)
	}
	return nil
}

// trusting is set by tests alone.
type trusting struct {
	leaves   bool // what came with a refused STOR stays where it is
	believes bool // whatever a file's mark says
}
