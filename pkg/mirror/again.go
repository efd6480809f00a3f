package mirror

import (
	"context"
	"errors"
	"path"

	"ftps/pkg/ftpclient"
)

// again runs one small change of the server's tree, and once more on another
// connection where the first broke, as often as a file may be tried. Whether
// the server did it before the connection broke nobody knows: do is told that
// it may have been done. The error is what the last try came to, and reached
// whether the server was still there then.
func (t *Transfer) again(ctx context.Context, item Item, do func(c *ftpclient.Conn, before bool) error) (reached bool, err error) {
	before := false
	for attempt := 0; ; attempt++ {
		c, err := t.pool.Get(ctx)
		reached = err == nil
		if reached {
			err = do(c, before)
			reached = c.Usable()
			before = before || !reached
			t.pool.Put(c)
		}
		if err == nil || ctx.Err() != nil || attempt >= t.cfg.Retries || t.cfg.Dial == nil || !ftpclient.Again(err) {
			return reached, err
		}
		t.tell(Retrying{Item: item, Attempt: attempt + 1, Err: err})
		_ = ftpclient.Pause(ctx, attempt)
	}
}

// remove removes a file or an empty folder. Where it may have been done
// before, a refusal is none if the name is gone: the code is the same for
// that and for every other reason, and so the folder above is asked.
func remove(ctx context.Context, c *ftpclient.Conn, remote string, folder, before bool) error {
	drop := c.Delete
	if folder {
		drop = c.Rmdir
	}
	err := drop(ctx, remote)
	var refused *ftpclient.ReplyError
	if !before || !errors.As(err, &refused) || !c.Usable() {
		return err
	}
	gone, lost := absent(ctx, c, remote)
	switch {
	case lost != nil:
		return lost
	case gone:
		return nil
	}
	return err
}

// absent reports whether a folder's listing, seen as a whole, lacks a name.
// The error is a lost connection.
func absent(ctx context.Context, c *ftpclient.Conn, remote string) (bool, error) {
	for e, err := range c.List(ctx, path.Dir(remote)) {
		switch {
		case err != nil && !c.Usable():
			return false, err
		case err != nil, e.Name == path.Base(remote):
			return false, nil
		}
	}
	return true, nil
}
