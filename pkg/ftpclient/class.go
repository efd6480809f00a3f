package ftpclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"ftps/pkg/layer"
)

// ClassCode says in one number what kind of failure an error is. The numbers
// are the exit codes of the command-line client.
type ClassCode int

// The classes.
const (
	Done          ClassCode = 0
	Other         ClassCode = 1
	Usage         ClassCode = 2
	CannotConnect ClassCode = 3
	LoginRefused  ClassCode = 4
	TLSFailed     ClassCode = 5
	NotFound      ClassCode = 6
	NoPermission  ClassCode = 7
	SomeFailed    ClassCode = 8
	Damaged       ClassCode = 9
	TimedOut      ClassCode = 10
	NoSpace       ClassCode = 11
	Interrupted   ClassCode = 130
)

// Classified is an error that knows its class; package mirror has one.
type Classified interface {
	error
	Class() ClassCode
}

// Class sorts an error of this package, of package mirror or of the local
// file system.
func Class(err error) ClassCode {
	var (
		own       Classified
		reply     *ReplyError
		tlsErr    *TLSError
		netErr    net.Error
		notFound  *NotFoundError
		nameErr   *NameError
		unknownCA x509.UnknownAuthorityError
		verify    *tls.CertificateVerificationError
	)
	switch {
	case err == nil:
		return Done
	case errors.As(err, &own):
		return own.Class()
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.Is(err, ErrTruncated), errors.Is(err, layer.ErrTruncated) && !errors.As(err, &tlsErr):
		// Before the reply: whatever the server said, the content is not whole.
		// In a handshake there is no content yet.
		return Damaged
	case errors.Is(err, ErrOtherKey), errors.Is(err, ErrInjected),
		errors.As(err, &unknownCA), errors.As(err, &verify):
		return TLSFailed
	case errors.As(err, &reply):
		return classOfReply(reply)
	case errors.Is(err, ErrConnect), errors.Is(err, ErrLost), errors.Is(err, ErrClosed):
		return CannotConnect
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrStalled), errors.Is(err, ErrTimeout),
		errors.As(err, &netErr) && netErr.Timeout():
		return TimedOut
	case errors.As(err, &tlsErr) && broken(err):
		return CannotConnect
	case errors.As(err, &tlsErr):
		return TLSFailed
	case errors.Is(err, ErrUnclean), errors.Is(err, ErrUnconfirmed),
		errors.Is(err, ErrDataLost):
		return Damaged
	case errors.As(err, &notFound), errors.Is(err, fs.ErrNotExist):
		return NotFound
	case errors.Is(err, fs.ErrPermission), errors.As(err, &nameErr):
		return NoPermission
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return NoSpace
	}
	return Other
}

// broken reports whether a handshake ended because the connection under it
// did, and not because one side disliked the other.
func broken(err error) bool {
	return errors.Is(err, layer.ErrTruncated) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED)
}

func classOfReply(e *ReplyError) ClassCode {
	switch e.Reply.Code {
	case 530, 332, 532, 331:
		return LoginRefused
	case 421, 425:
		return CannotConnect
	case 426:
		return Damaged
	case 452, 552:
		return NoSpace
	case 553:
		return NoPermission
	case 521, 522, 533, 534, 535, 536:
		return TLSFailed
	case 550:
		// RFC 959 §4.2.2 has one code for "not found" and "no access"; only
		// the text tells them apart.
		text := strings.ToLower(e.Reply.Text())
		for _, word := range []string{"denied", "permission", "permit", "privilege", "not allowed", "no right", "forbidden", "read-only", "denegado", "permiso", "permitid"} {
			if strings.Contains(text, word) {
				return NoPermission
			}
		}
		return NotFound
	case 450:
		switch e.Command {
		case "STOR", "APPE", "STOU":
			return Other // busy: RFC 959 §4.2.2
		}
		return NotFound
	}
	switch e.Command {
	case "AUTH", "PBSZ", "PROT":
		return TLSFailed
	case "USER", "PASS", "ACCT":
		return LoginRefused
	case "":
		return CannotConnect
	}
	return Other
}
