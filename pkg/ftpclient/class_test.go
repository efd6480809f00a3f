package ftpclient_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
	"ftps/pkg/layer"
)

// A person acts on the exit code: a line that breaks is worth another try, a
// key that is wrong is not.
func TestAConnectionThatBreaksIsNoFailureOfTrustAndNoMissingFile(t *testing.T) {
	reset := &os.SyscallError{Syscall: "read", Err: syscall.ECONNRESET}
	busy := ftp.Reply{Code: 450, Lines: []string{"in use"}}
	for _, v := range []struct {
		what string
		err  error
		want ftpclient.ClassCode
	}{
		{"a handshake that was reset", &ftpclient.TLSError{Err: reset}, ftpclient.CannotConnect},
		{"a data handshake that was reset", fmt.Errorf("RETR: %w", &ftpclient.TLSError{Data: true, Err: reset}), ftpclient.CannotConnect},
		{"a handshake that was hung up on", &ftpclient.TLSError{Err: layer.ErrTruncated}, ftpclient.CannotConnect},
		{"a data handshake that was hung up on", fmt.Errorf("RETR: %w", &ftpclient.TLSError{Data: true, Err: layer.ErrTruncated}), ftpclient.CannotConnect},
		{"a file that was hung up on", layer.ErrTruncated, ftpclient.Damaged},
		{"a handshake that was refused", &ftpclient.TLSError{Err: fmt.Errorf("remote error: tls: access denied")}, ftpclient.TLSFailed},
		{"a connection that broke in an earlier command", ftpclient.ErrClosed, ftpclient.CannotConnect},
		{"a file in use", &ftpclient.ReplyError{Command: "STOR", Reply: busy}, ftpclient.Other},
		{"a folder that is not there, as some say it", &ftpclient.ReplyError{Command: "LIST", Reply: busy}, ftpclient.NotFound},
	} {
		if got := ftpclient.Class(v.err); got != v.want {
			t.Errorf("%s: class %d, want %d", v.what, got, v.want)
		}
	}
}
