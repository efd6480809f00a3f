package ftpserver

import (
	"context"

	"ftps/pkg/ftp"
)

// rang is RANG (draft-bryan-ftp-range §3): the octets that the next RETR
// sends, or HASH reads.
func rang(s *session, _ context.Context, a arg) (reply, error) {
	r, err := ftp.ParseRange(a.text)
	if err != nil {
		return reply{}, refuseFor(err, "reply.rang.syntax")
	}
	s.once.rang = r
	if r.IsWhole() {
		return say("reply.rang.whole"), nil
	}
	return say("reply.rang", r.First, r.Last), nil
}
