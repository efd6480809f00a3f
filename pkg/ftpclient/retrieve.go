package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"io"

	"ftps/pkg/ftp"
	"ftps/pkg/layer"
)

// Download is a file on its way here. Read returns io.EOF only when the file
// is whole: the server closed the data connection with close_notify and said
// 2yz. Otherwise it returns the verdict, which Close repeats: [ErrTruncated],
// [ErrUnclean], a [*ReplyError], …
type Download struct {
	t       *transfer
	verdict error // io.EOF for a whole file
}

// Retrieve begins a download at offset bytes.
func (c *Conn) Retrieve(ctx context.Context, path string, offset int64) (*Download, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if err := c.enter(); err != nil {
		return nil, err
	}
	return c.download(ctx, transferKind{verb: "RETR", arg: path, offset: offset})
}

// RetrieveRange begins a download of the bytes from first up to, not
// including, end (RANG); errors.ErrUnsupported where the server has no ranges.
func (c *Conn) RetrieveRange(ctx context.Context, path string, first, end int64) (*Download, error) {
	if !c.features.Has("RANG") {
		return nil, errors.ErrUnsupported
	}
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if first < 0 || end <= first {
		return nil, &ProtocolError{Command: "RANG", Err: ftp.ErrRange}
	}
	if err := c.enter(); err != nil {
		return nil, err
	}
	return c.download(ctx, transferKind{verb: "RETR", arg: path, offset: first, end: end})
}

// download is also what a listing is. The caller has entered the Conn.
func (c *Conn) download(ctx context.Context, k transferKind) (*Download, error) {
	t, err := c.start(ctx, k)
	if err != nil {
		return nil, err
	}
	return &Download{t: t}, nil
}

// Read implements io.Reader.
func (d *Download) Read(p []byte) (int, error) {
	if d.verdict != nil {
		return 0, d.verdict
	}
	if d.t.c.cfg.Rate != nil {
		p = p[:min(len(p), ratePiece)]
	}
	n, err := d.t.stream.Read(p)
	if n > 0 && err == nil && d.t.c.cfg.Rate != nil && d.t.verb == "RETR" {
		err = d.t.c.cfg.Rate.Wait(d.t.ctx, n)
	}
	if err != nil {
		d.end(err)
		if n > 0 {
			return n, nil
		}
		return 0, d.verdict
	}
	return n, nil
}

const ratePiece = 16 << 10

// end finds the verdict once the data connection has ended with err.
func (d *Download) end(err error) {
	t := d.t
	defer t.release()
	switch {
	case t.ctx.Err() != nil:
		t.close(false)
		t.abort()
		d.verdict = t.ctx.Err()
	case err == io.EOF:
		// Our own close_notify, so that the server's end is orderly too. It
		// has said all it wanted, so how that goes does not matter.
		layer.End(t.tc, t.raw, endTimeout)
		t.await(t.c.cfg.FinalTimeout)
		d.verdict = t.verdict(io.EOF)
	case errors.Is(err, layer.ErrTruncated):
		t.close(false)
		t.await(t.c.cfg.Timeout)
		d.verdict = t.verdict(ErrUnclean)
		if d.verdict != ErrUnclean {
			d.verdict = fmt.Errorf("%w: %w", ErrTruncated, d.verdict)
		}
	case isTimeout(err):
		t.close(false)
		t.abort()
		d.verdict = fmt.Errorf("%w: %v", ErrStalled, err)
		if t.final != nil && t.final.Code < 400 {
			// The server says that it is done, and it is not.
			d.verdict = fmt.Errorf("%w: %v", ErrTruncated, err)
		}
	default:
		t.close(false)
		t.await(t.c.cfg.Timeout)
		d.verdict = fmt.Errorf("%w: %v", ErrTruncated, err)
		if t.final != nil && t.final.Code >= 400 {
			d.verdict = fmt.Errorf("%w: %w", d.verdict, &ReplyError{Command: t.verb, Reply: *t.final})
		}
	}
}

// verdict is good if the final reply is 2yz, else what stands against it.
func (t *transfer) verdict(good error) error {
	switch {
	case t.ctx.Err() != nil && t.final == nil:
		return t.ctx.Err()
	case t.lost != nil:
		return t.lost
	case t.final == nil:
		return ErrTimeout
	case t.final.Code/100 != 2:
		return &ReplyError{Command: t.verb, Reply: *t.final}
	}
	return good
}

// Close ends the download and returns the verdict. Before the end it aborts
// the transfer and returns [ErrAborted].
func (d *Download) Close() error {
	if d.verdict == nil {
		d.t.close(false)
		d.t.abort()
		d.t.release()
		d.verdict = ErrAborted
	}
	if d.verdict == io.EOF {
		return nil
	}
	return d.verdict
}

// Resumed reports whether the data connection resumed the control
// connection's TLS session.
func (d *Download) Resumed() bool { return d.t.tc.ConnectionState().DidResume }
