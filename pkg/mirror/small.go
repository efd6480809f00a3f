package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"ftps/pkg/ftpclient"
)

// small brings a file that is held in memory until it is whole: it needs no
// record, for to begin it again costs less, and what breaks off leaves
// nothing behind.
func (r *run) small(ctx context.Context, c *ftpclient.Conn, root *os.Root, item Item, h *sums) (Done, error) {
	d, err := c.Retrieve(ctx, item.Remote, 0)
	if err != nil {
		return Done{}, err
	}
	r.t.tell(Started{Item: item})
	data := make([]byte, item.Size+1)
	m := meter{run: r, item: item}
	n, err := fill(&m, d, data)
	m.flush()
	if err == nil { // there is one byte more than there should be
		d.Close()
		return Done{}, ErrSize
	}
	verified, err := whole(item, int64(n), d.Close())
	if err != nil {
		return Done{}, err
	}
	data = data[:n]
	h.Write(data)
	proven, err := r.t.byHash(ctx, c, item.Remote, item.Size, h)
	if err != nil {
		return Done{}, err
	}
	if proven {
		verified = ByHash
	}
	if err := r.keep(root, item, data); err != nil {
		return Done{}, err
	}
	return Done{Item: item, Bytes: item.Size, Moved: item.Size, SHA256: h.sum(), Verified: verified}, nil
}

// whole judges a download of n bytes that ended with err.
func whole(item Item, n int64, err error) (Verified, error) {
	switch {
	case errors.Is(err, ftpclient.ErrUnclean) && n == item.Size:
		return Unclean, nil
	case errors.Is(err, ftpclient.ErrUnclean) && n < item.Size:
		return 0, fmt.Errorf("%w: %d of %d", ftpclient.ErrTruncated, n, item.Size)
	case err != nil && err != io.EOF:
		return 0, err
	case n != item.Size:
		return 0, ErrSize
	}
	return BySize, nil
}

// keep puts a file that is whole in its place, by way of a name beside it.
func (r *run) keep(root *os.Root, item Item, data []byte) error {
	dir, base := path.Split(item.Local)
	p := &part{root: root, name: dir + partName(base, 1)}
	if names := r.planned(); names[p.name] {
		return errAlone
	}
	// It is a regular file, whatever the flag: without it os would try to make
	// the descriptor nonblocking, and make it blocking again, in four calls.
	var err error
	if p.file, err = root.OpenFile(p.name, os.O_RDWR|os.O_CREATE|os.O_EXCL|nonblock, 0o666); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return errAlone // an earlier part, or somebody's own
		}
		return err
	}
	if _, err = p.file.Write(data); err == nil {
		err = p.settle(item.Local, item.ModTime, r.t.cfg.NoSync)
	}
	if err != nil {
		p.file.Close()
		root.Remove(p.name)
	}
	return err
}
