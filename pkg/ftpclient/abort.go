package ftpclient

import (
	"net"
	"time"
)

// cut ends a data connection at once. For an upload it is a reset: after a
// mere FIN a careless server keeps what came as a whole file.
func cut(tcp net.Conn, upload bool) {
	if l, ok := tcp.(interface{ SetLinger(int) error }); ok && upload {
		l.SetLinger(0)
	}
	tcp.Close()
}

// close cuts the data connection, if there is one.
func (t *transfer) close(upload bool) {
	if t.stopCancel != nil {
		t.stopCancel()
	}
	if t.tcp != nil {
		cut(t.tcp, upload)
	}
}

// abort tells the server to stop and reads what it has to say: the
// transfer's own final reply (426, or 226 if it was done), and ABOR's (226,
// 225, or a refusal). RFC 959 §4.1.3. The data connection is cut already.
func (t *transfer) abort() {
	if t.final != nil || t.lost != nil {
		return
	}
	c := t.c
	// Not a deadline: the reply reader lifts that when it sees a late 1yz.
	timer := time.AfterFunc(min(abortTimeout, c.cfg.Timeout), func() { c.Close() })
	defer timer.Stop()
	c.wire.SetWriteDeadline(time.Now().Add(abortTimeout))
	if err := c.send("ABOR", ""); err != nil {
		t.lost = err
		c.Close()
		return
	}
	for {
		a, open := <-t.replies
		if !t.took(a, open) {
			break
		}
	}
	if t.lost == nil && c.Usable() {
		if _, err := c.final("ABOR"); err != nil {
			c.Close()
		}
	}
	t.settle()
}
