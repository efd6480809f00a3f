package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/layer"
)

// StoreOptions say how an upload begins.
type StoreOptions struct {
	Offset int64 // REST: go on at this byte
	Append bool  // APPE: write at the end
	Size   int64 // the whole file's length, sent with ALLO where the server has it; 0 for unknown

	// ModTime is told before the data, to the second, where the server
	// announces that it takes it so; [Upload.Dated] says whether it did.
	ModTime time.Time
}

// Upload is a file on its way to the server. It is stored when Close returns
// nil.
type Upload struct {
	t       *transfer
	drained chan error // what the server's side of the data connection ended with
	failed  error      // the first failed Write
	over    bool
	dated   bool
	verdict error
}

// Store begins an upload.
func (c *Conn) Store(ctx context.Context, path string, o StoreOptions) (*Upload, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if err := c.enter(); err != nil {
		return nil, err
	}
	if o.Size > 0 && o.Offset == 0 && !o.Append && c.features.Has("ALLO") {
		// RFC 959 §4.1.3. A size that does not fit is refused before a byte
		// moves.
		if _, err := c.expect(ctx, "ALLO", fmt.Sprint(o.Size), 2); err != nil {
			c.leave()
			return nil, err
		}
	}
	dated, err := c.tellModTime(ctx, o.ModTime)
	if err != nil {
		c.leave()
		return nil, err
	}
	k := transferKind{verb: "STOR", arg: path, offset: o.Offset, upload: true}
	if o.Append {
		k.verb, k.offset = "APPE", 0
	}
	t, err := c.start(ctx, k)
	if err != nil {
		return nil, err
	}
	u := &Upload{t: t, drained: make(chan error, 1), dated: dated}
	go u.drain()
	return u, nil
}

// storModTime is the argument of the OPTS that tells the time of the next
// upload, empty where there is none or the server takes none.
func (c *Conn) storModTime(t time.Time) string {
	if t.IsZero() || !c.features.Option("STOR", "modify") {
		return ""
	}
	when := ftp.FormatTime(t.UTC().Truncate(time.Second))
	if when == "" {
		return ""
	}
	return "STOR modify=" + when + ";"
}

// tellModTime tells the time of the upload that follows. An account that may
// not set it stores the file all the same.
func (c *Conn) tellModTime(ctx context.Context, t time.Time) (told bool, err error) {
	arg := c.storModTime(t)
	if arg == "" {
		return false, nil
	}
	_, err = c.expect(ctx, "OPTS", arg, 2)
	var reply *ReplyError
	if errors.As(err, &reply) && reply.Reply.Code != 421 {
		return false, nil
	}
	return err == nil, err
}

// Dated reports that the server was told the file's time and has set it, if
// the upload ends well.
func (u *Upload) Dated() bool { return u.dated }

// drain reads what the server sends: nothing but session tickets and its
// end. Left unread, they would turn our close into a reset, and the kernels
// would throw away the tail of the file.
func (u *Upload) drain() {
	if !u.t.c.guards.drain {
		u.drained <- io.EOF
		return
	}
	_, err := io.CopyN(io.Discard, u.t.tc, 1<<20)
	u.drained <- err // io.EOF after close_notify
}

// Write implements io.Writer.
func (u *Upload) Write(p []byte) (int, error) {
	if u.failed != nil {
		return 0, u.failed
	}
	if u.over {
		return 0, ErrClosed
	}
	sent := 0
	for {
		piece := p[sent:]
		if rate := u.t.c.cfg.Rate; rate != nil {
			piece = piece[:min(len(piece), ratePiece)]
			if err := rate.Wait(u.t.ctx, len(piece)); err != nil {
				u.failed = err
				return sent, err
			}
		}
		n, err := u.t.stream.Write(piece)
		sent += n
		if err != nil {
			u.failed = u.cause(err)
			return sent, u.failed
		}
		if sent == len(p) {
			return sent, nil
		}
	}
}

func (u *Upload) cause(err error) error {
	switch {
	case u.t.ctx.Err() != nil:
		return u.t.ctx.Err()
	case isTimeout(err):
		return fmt.Errorf("%w: %v", ErrStalled, err)
	}
	return fmt.Errorf("%w: %v", ErrDataLost, err)
}

// Close ends the upload in good order, waits for the server's last reply and
// returns the verdict: nil, [ErrUnclean], [ErrUnconfirmed], a [*ReplyError].
func (u *Upload) Close() error {
	if u.over {
		return u.verdict
	}
	u.over = true
	defer u.t.release()
	if u.failed == nil && u.t.ctx.Err() != nil {
		u.failed = u.t.ctx.Err()
	}
	if u.failed != nil {
		u.verdict = u.broken()
	} else {
		u.verdict = u.whole()
	}
	return u.verdict
}

// broken ends an upload of which a Write failed. Mostly the server has given
// up, and its reply says why.
func (u *Upload) broken() error {
	t := u.t
	t.close(true)
	<-u.drained
	if t.ctx.Err() != nil || errors.Is(u.failed, ErrStalled) {
		t.abort()
	} else {
		t.await(t.c.cfg.Timeout)
	}
	if t.ctx.Err() == nil && t.final != nil && t.final.Code >= 400 {
		return &ReplyError{Command: t.verb, Reply: *t.final}
	}
	return u.failed
}

// whole ends an upload of which every byte was written.
func (u *Upload) whole() error {
	t := u.t
	endErr := u.end()
	clean := <-u.drained == io.EOF
	if t.ctx.Err() != nil {
		t.close(true)
		t.abort()
		return t.ctx.Err()
	}
	t.await(t.c.cfg.FinalTimeout)
	err := t.verdict(nil)
	var reply *ReplyError
	switch {
	case err == nil && endErr != nil && !errors.Is(endErr, layer.ErrNoEnd):
		// The tail could not be sent, whatever the server thinks.
		return fmt.Errorf("%w: %v", ErrTruncated, endErr)
	case err == nil && !clean:
		return ErrUnclean
	case err == nil:
		return nil
	case errors.As(err, &reply) && reply.Reply.Code != 426, t.ctx.Err() != nil:
		return err
	}
	// Everything was sent, and 426 or silence is the answer.
	return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
}

// end ends the data connection in order. A server that has said its last
// word and leaves the connection open is not waited for much longer.
func (u *Upload) end() error {
	t := u.t
	ended := make(chan error, 1)
	go func() { ended <- t.c.guards.end(t.tc, t.raw, max(endTimeout, t.c.cfg.Timeout)) }()
	replies := t.replies
	var late <-chan time.Time
	for {
		select {
		case err := <-ended:
			return err
		case a, open := <-replies:
			if !t.took(a, open) {
				replies = nil
				timer := time.NewTimer(min(endTimeout, t.c.cfg.Timeout))
				defer timer.Stop()
				late = timer.C
			}
		case <-late:
			t.close(true)
			<-ended
			return layer.ErrNoEnd
		}
	}
}

// Abort ends the upload so that the server cannot take it for whole, and
// returns [ErrAborted], or nil where Close came first.
func (u *Upload) Abort() error {
	if u.over {
		return nil
	}
	u.over = true
	u.t.close(true)
	<-u.drained
	u.t.abort()
	u.t.release()
	u.verdict = ErrAborted
	return ErrAborted
}

// Resumed reports whether the data connection resumed the control
// connection's TLS session.
func (u *Upload) Resumed() bool { return u.t.tc.ConnectionState().DidResume }
