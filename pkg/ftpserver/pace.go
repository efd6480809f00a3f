package ftpserver

import (
	"context"
	"time"

	"ftps/pkg/dataport"
	"ftps/pkg/layer"
)

// pacer is a rate for a connection that gathers what is written to it.
type pacer struct {
	rate layer.Waiter
	conn *dataport.Conn
}

// paced returns the rate for conn, or nil for no rate.
func paced(rate layer.Waiter, conn *dataport.Conn) layer.Waiter {
	if rate == nil {
		return nil
	}
	return pacer{rate, conn}
}

// Wait lets n bytes pass. Where that took a while, the bytes before them are
// not left to be gathered any longer: at a slow rate the client would see
// nothing for minutes, and then all of it at once.
func (p pacer) Wait(ctx context.Context, n int) error {
	begun := time.Now()
	if err := p.rate.Wait(ctx, n); err != nil {
		return err
	}
	if time.Since(begun) < time.Millisecond {
		return nil
	}
	return p.conn.Flush()
}
