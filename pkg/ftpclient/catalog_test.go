package ftpclient_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"ftps/pkg/catalog"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

func TestEveryErrorReadsWellInBothLanguages(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	reply := ftp.Reply{Code: 550, Lines: []string{"No\x1b[31m existe"}}
	for _, err := range []error{
		ftpclient.ErrConnect, ftpclient.ErrTruncated, ftpclient.ErrUnclean, ftpclient.ErrUnconfirmed,
		ftpclient.ErrDataLost, ftpclient.ErrAborted, ftpclient.ErrInUse, ftpclient.ErrClosed,
		ftpclient.ErrInjected, ftpclient.ErrOtherKey, ftpclient.ErrStalled, ftpclient.ErrTimeout,
		ftpclient.ErrLost, ftpclient.ErrLineRefused, ftpclient.ErrListingTooLong,
		&ftpclient.ReplyError{Command: "RETR", Reply: reply},
		&ftpclient.ReplyError{Reply: reply},
		&ftpclient.ConnectError{Address: "host:21", Err: refused},
		&ftpclient.ConnectError{Address: "host:21", Data: true, Err: context.DeadlineExceeded},
		&ftpclient.ConnectError{Address: "host:21", Err: &net.DNSError{Name: "host", IsNotFound: true}},
		&ftpclient.TLSError{Err: errors.New("x")},
		&ftpclient.TLSError{Data: true, Err: ftpclient.ErrOtherKey},
		&ftpclient.ProtocolError{Command: "PASV", Err: errors.New("x")},
		&ftpclient.NameError{Name: "a\nb"},
		&ftpclient.NameError{Name: "../x", FromServer: true},
		&ftpclient.UnknownLineError{Line: "?"},
		&ftpclient.NotFoundError{Name: "x"},
		fmt.Errorf("%w: %w", ftpclient.ErrTruncated, &ftpclient.ReplyError{Command: "RETR", Reply: reply}),
	} {
		en, es := catalog.Explain(catalog.English, err), catalog.Explain(catalog.Spanish, err)
		for _, text := range []string{en, es} {
			if strings.Contains(text, "client.") || strings.Contains(text, "%!") || strings.Contains(text, "\x1b") {
				t.Errorf("%v: %q", err, text)
			}
		}
		if en == es {
			t.Errorf("%v: both languages say %q", err, en)
		}
	}
}
