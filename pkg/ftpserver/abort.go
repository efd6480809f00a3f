package ftpserver

import "context"

// abor is ABOR (RFC 959 §4.1.3). With a transfer in progress its verdict,
// 426, comes first and 226 after it; without one an open or awaited data
// connection is closed and the answer is 226 alone.
func abor(s *session, _ context.Context, _ arg) (reply, error) {
	s.stopTransfer(errAborted)
	s.port.drop()
	return say("reply.abor"), nil
}
