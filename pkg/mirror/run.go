package mirror

import (
	"context"
	"errors"
	"os"
	"path"
	"sync"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

// all makes the folders and then moves the files, on as many connections as
// there are. Its error is what ended the run as a whole.
func (r *run) all(ctx context.Context) error {
	if r.plan.Direction == Download && r.plan.Tree {
		// As with cp -r, the folder above must exist.
		if err := os.Mkdir(r.plan.Root, 0o777); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	root, err := os.OpenRoot(r.plan.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := r.folders(ctx, root); err != nil {
		return err
	}

	jobs := make(chan []Item)
	batches := r.batches()
	needed, enough := context.WithCancel(ctx)
	defer enough()
	var workers sync.WaitGroup
	for i := range min(r.t.cfg.Jobs, len(batches)) {
		workers.Go(func() {
			if i > 0 {
				r.t.pool.More(needed)
			}
			for batch := range jobs {
				r.several(ctx, root, batch)
			}
		})
	}
	for _, batch := range batches {
		select {
		case jobs <- batch:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(jobs)
	enough()
	workers.Wait()
	if r.plan.Direction == Download {
		r.sync(root)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// folders makes the folders of the plan, parents first. Under one that
// cannot be made the files fail by themselves.
func (r *run) folders(ctx context.Context, root *os.Root) error {
	if r.plan.Direction == Download {
		for _, f := range r.plan.Folders {
			if f.Local == "." {
				continue
			}
			err := root.Mkdir(f.Local, 0o777)
			if errors.Is(err, os.ErrExist) {
				if info, statErr := root.Stat(f.Local); statErr == nil && info.IsDir() {
					err = nil
				}
			}
			if err != nil {
				r.failed(f, err)
			}
		}
		return ctx.Err()
	}
	for _, f := range r.plan.Folders {
		reached, err := r.t.again(ctx, f, func(c *ftpclient.Conn, _ bool) error { return makeRemote(ctx, c, f.Remote) })
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.failed(f, err)
		if !reached {
			return err
		}
	}
	return nil
}

// makeRemote makes a folder that may exist already. Servers have one code
// for that and for every other reason.
func makeRemote(ctx context.Context, c *ftpclient.Conn, folder string) error {
	if folder == "" || folder == "." || folder == "/" {
		return nil
	}
	err := c.Mkdir(ctx, folder)
	var reply *ftpclient.ReplyError
	if errors.As(err, &reply) && c.Usable() {
		e, statErr := c.Stat(ctx, folder)
		switch {
		case statErr == nil && e.Type == ftp.Dir:
			return nil
		case statErr != nil && !c.Usable():
			return statErr
		}
	}
	return err
}

// one moves one file, with as many tries as it may have.
func (r *run) one(ctx context.Context, root *os.Root, item Item) {
	resume := r.o.Resume
	for attempt := 0; ; attempt++ {
		if ctx.Err() != nil {
			return // counted with what is left
		}
		c, err := r.t.pool.Get(ctx)
		if err == nil {
			var d Done
			switch {
			case r.segmented(c, item):
				c, d, err = r.segments(ctx, c, root, item, resume)
			case r.plan.Direction == Download:
				d, err = r.download(ctx, c, root, item, resume)
			default:
				d, err = r.upload(ctx, c, root, item, resume)
			}
			if c != nil {
				r.t.pool.Put(c)
			}
			if err == nil {
				r.done(d)
				return
			}
		}
		if r.cutShort(ctx, err) {
			return
		}
		if ctx.Err() != nil || attempt >= r.t.cfg.Retries || !ftpclient.Again(err) {
			r.failed(item, err)
			return
		}
		r.t.tell(Retrying{Item: item, Attempt: attempt + 1, Err: err})
		resume = true
		_ = ftpclient.Pause(ctx, attempt)
	}
}

// cutShort reports that a file failed for the whole run having ended: it is
// one of those that are left.
func (r *run) cutShort(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (ftpclient.Again(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded))
}

// left counts the files that are neither done nor failed once the run has
// ended for a reason of its own.
func (r *run) left(why error) {
	for _, item := range r.plan.Files {
		if !r.ended[item.ID] {
			r.result.Left++
			r.t.tell(Left{Item: item, Err: why})
		}
	}
}

// sync makes the new names durable, once a folder instead of once a file.
func (r *run) sync(root *os.Root) {
	if r.t.cfg.NoSync {
		return
	}
	folders := make(map[string]bool)
	for _, item := range r.plan.Files {
		folders[path.Dir(item.Local)] = true
	}
	for folder := range folders {
		if d, err := root.Open(folder); err == nil {
			d.Sync()
			d.Close()
		}
	}
}
