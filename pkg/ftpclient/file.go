package ftpclient

import (
	"context"
	"errors"
	"strings"
	"time"

	"ftps/pkg/ftp"
)

// Delete removes a file.
func (c *Conn) Delete(ctx context.Context, path string) error {
	_, err := c.path(ctx, "DELE", path, 2)
	return err
}

// Rename renames or moves a file or a folder.
func (c *Conn) Rename(ctx context.Context, from, to string) error {
	if err := checkPath(from); err != nil {
		return err
	}
	if err := checkPath(to); err != nil {
		return err
	}
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	if _, err := c.expect(ctx, "RNFR", from, 3); err != nil {
		return err
	}
	_, err := c.expect(ctx, "RNTO", to, 2)
	return err
}

// Size returns a file's length in bytes (RFC 3659 §4).
func (c *Conn) Size(ctx context.Context, path string) (int64, error) {
	if err := checkPath(path); err != nil {
		return 0, err
	}
	if err := c.enter(); err != nil {
		return 0, err
	}
	defer c.leave()
	// RFC 3659 §4: the answer depends on TYPE.
	if err := c.setBinary(ctx); err != nil {
		return 0, err
	}
	r, err := c.expect(ctx, "SIZE", path, 2)
	if err != nil {
		return 0, err
	}
	n, err := ftp.ParseNumber(strings.TrimSpace(r.Lines[0]))
	if err != nil {
		return 0, &ProtocolError{Command: "SIZE", Err: err}
	}
	return n, nil
}

// ModTime returns a file's time in UTC (RFC 3659 §3).
func (c *Conn) ModTime(ctx context.Context, path string) (time.Time, error) {
	r, err := c.path(ctx, "MDTM", path, 2)
	if err != nil {
		return time.Time{}, err
	}
	t, err := ftp.ParseTime(strings.TrimSpace(r.Lines[0]))
	if err != nil {
		return time.Time{}, &ProtocolError{Command: "MDTM", Err: err}
	}
	return t, nil
}

// SetModTime sets a file's time with MFMT, or with the MDTM of servers from
// before it; errors.ErrUnsupported where the server has neither.
func (c *Conn) SetModTime(ctx context.Context, path string, t time.Time) error {
	verb := "MFMT"
	if !c.features.Has("MFMT") {
		verb = "MDTM" // which elsewhere looks for a file of that odd name
	}
	if !c.features.Has(verb) || c.noSetTime {
		return errors.ErrUnsupported
	}
	if err := checkPath(path); err != nil {
		return err
	}
	_, err := c.do(ctx, verb, ftp.FormatTime(t.UTC().Truncate(time.Second))+" "+path, 2)
	var reply *ReplyError
	if verb == "MDTM" && errors.As(err, &reply) {
		c.noSetTime = true
	}
	return err
}
