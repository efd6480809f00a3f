package mirror

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

// nodeKind is what a scan found at a place.
type nodeKind uint8

const (
	aFile nodeKind = iota
	aFolder
	somethingElse // a symlink, a device, or excluded: never followed, moved or deleted
)

// node is one place of a tree.
type node struct {
	kind    nodeKind
	size    int64
	time    time.Time
	precise bool
	day     bool // time is a mere date
}

// tree is what a scan found below a folder, by paths with slashes. Where
// gaps is not empty it is not complete: what is missing may exist.
type tree struct {
	nodes   map[string]node
	order   []string // folders before what is in them
	gaps    []Failure
	skipped []Failure
	exists  bool // the folder itself
}

func newTree() *tree { return &tree{nodes: make(map[string]node)} }

func (t *tree) add(name string, n node) {
	t.nodes[name] = n
	t.order = append(t.order, name)
}

// scanLocal reads a local tree. No symlink is followed. A folder that does
// not exist is an empty tree.
func scanLocal(ctx context.Context, dir string, choose *choice) (*tree, error) {
	t := newTree()
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, ErrNotFolder
	}
	t.exists = true
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return t, fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			t.gaps = append(t.gaps, Failure{name, err})
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case name == ".":
			return nil
		case choose.leavesOut(name, d.IsDir()):
			t.add(name, node{kind: somethingElse})
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			if strings.Count(name, "/") >= maxDepth {
				return ErrTooDeep
			}
			t.add(name, node{kind: aFolder})
			return nil
		case !d.Type().IsRegular():
			t.add(name, node{kind: somethingElse})
			t.skipped = append(t.skipped, Failure{name, skipReason(d.Type()&fs.ModeSymlink != 0)})
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err != nil {
			t.gaps = append(t.gaps, Failure{name, err})
			return nil
		}
		t.add(name, node{kind: aFile, size: info.Size(), time: info.ModTime(), precise: true})
		return nil
	})
}

func skipReason(link bool) error {
	if link {
		return ErrSymlink
	}
	return ErrNotRegular
}

// scanRemote reads a tree of the server, over as many connections as it is
// wide: one at first, more when folders wait in line.
func (t *Transfer) scanRemote(ctx context.Context, folder string, choose *choice) (*tree, error) {
	c, err := t.pool.Get(ctx)
	if err != nil {
		return nil, err
	}
	top, err := c.Stat(ctx, strings.TrimRight(folder, "/")+rootSlash(folder))
	switch {
	case err != nil && ftpclient.Class(err) == ftpclient.NotFound && c.Usable():
		t.pool.Put(c)
		return newTree(), nil
	case err == nil && top.Type == ftp.File:
		err = ErrNotFolder
	}
	if err != nil {
		t.pool.Put(c)
		return nil, err
	}
	return t.scanFolder(ctx, c, folder, choose)
}

// scanFolder reads the tree below a folder that exists, beginning on c, which
// it puts back.
func (t *Transfer) scanFolder(ctx context.Context, c *ftpclient.Conn, folder string, choose *choice) (*tree, error) {
	s := &scanning{t: t, base: folder, choose: choose, tree: newTree(), waiting: []string{""}, tried: make(map[string]int)}
	s.changed = sync.NewCond(&s.mu)
	ctx, s.stop = context.WithCancelCause(ctx)
	defer s.stop(nil)
	defer context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})()
	s.tree.exists = true
	s.workers = 1
	s.group.Go(func() { s.work(ctx, c) })
	s.group.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return s.tree, nil
}

func rootSlash(folder string) string {
	if strings.Trim(folder, "/") == "" && folder != "" {
		return "/"
	}
	return ""
}

// scanning is a scan of the server under way.
type scanning struct {
	t      *Transfer
	base   string
	choose *choice
	stop   context.CancelCauseFunc
	group  sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond
	tree    *tree
	waiting []string // folders to list, below base
	tried   map[string]int
	listing int // folders being listed
	workers int
}

const (
	// listAhead is how many folders a pipeline takes at a time.
	listAhead = 32
	// crowd is how many folders wait for each connection before there is one
	// more: a login costs more than a few listings.
	crowd = 4
)

// next takes folders from the line, or waits for some. None means that the
// scan is over.
func (s *scanning) next(ctx context.Context, n int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) == 0 && s.listing > 0 && ctx.Err() == nil {
		s.changed.Wait()
	}
	if ctx.Err() != nil {
		return nil
	}
	n = min(n, max(1, len(s.waiting)/max(1, s.workers)), len(s.waiting))
	taken := s.waiting[:n:n]
	s.waiting = s.waiting[n:]
	s.listing += n
	if len(s.waiting) > crowd*s.workers && s.workers < s.t.cfg.Jobs && s.workers < s.t.pool.Limit() {
		s.workers++
		s.group.Go(func() { s.help(ctx) })
	}
	return taken
}

// help is one more worker, if a connection can be had.
func (s *scanning) help(ctx context.Context) {
	c, err := s.t.pool.Get(ctx)
	if err != nil {
		return // the others go on
	}
	s.work(ctx, c)
}

func (s *scanning) work(ctx context.Context, c *ftpclient.Conn) {
	defer func() { s.t.pool.Put(c) }()
	pipe, err := c.Pipeline(ctx)
	if err != nil && !c.Usable() {
		s.stop(err)
		return
	}
	if err == nil {
		defer func() {
			if pipe != nil {
				pipe.Close()
			}
		}()
	} else {
		pipe = nil
	}
	for {
		n := 1
		if pipe != nil {
			n = listAhead
		}
		folders := s.next(ctx, n)
		if len(folders) == 0 {
			return
		}
		sent := 0
		for sent < len(folders) && pipe != nil && pipe.Send("MLSD", s.remote(folders[sent])) == nil {
			sent++
		}
		for i, folder := range folders {
			if pipe != nil && i < sent {
				s.folder(ctx, c, folder, pipe.List())
			} else {
				if pipe != nil {
					pipe.Close()
					pipe = nil
				}
				s.folder(ctx, c, folder, c.List(ctx, s.remote(folder)))
			}
			if !c.Usable() {
				if i+1 < len(folders) {
					// What nobody has listed is not empty.
					s.stop(ftpclient.ErrLost)
				}
				return
			}
		}
	}
}

func (s *scanning) remote(folder string) string {
	if folder == "" {
		if s.base == "" {
			return "."
		}
		return s.base
	}
	return joinRemote(s.base, folder)
}

// later puts a folder back in the line after a pause: the server had no port
// for its listing, or broke it off, and may do better. It says no where the
// retries are used up, and what was not listed is a gap then.
func (s *scanning) later(ctx context.Context, folder string) bool {
	s.mu.Lock()
	attempt := s.tried[folder]
	s.tried[folder]++
	s.mu.Unlock()
	if attempt >= s.t.cfg.Retries || ftpclient.Pause(ctx, attempt) != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listing--
	s.waiting = append(s.waiting, folder)
	s.changed.Broadcast()
	return true
}

// folder notes what a folder's listing says.
func (s *scanning) folder(ctx context.Context, c *ftpclient.Conn, folder string, list func(func(ftp.Entry, error) bool)) {
	found := newTree()
	var below []string
	var fatal, failed error
	for e, err := range list {
		// What is not understood takes memory as well.
		if len(found.nodes)+len(found.gaps)+len(found.skipped) > maxEntries {
			fatal = ErrTooDeep
			break
		}
		if err != nil {
			if !c.Usable() || ctx.Err() != nil {
				fatal = err
			}
			failed = err
			found.gaps = append(found.gaps, Failure{s.remote(folder), err})
			continue
		}
		name := path.Join(folder, e.Name)
		if _, twice := found.nodes[name]; twice {
			found.gaps = append(found.gaps, Failure{s.remote(name), ErrTwice})
			continue
		}
		switch {
		case s.choose.leavesOut(name, e.Type == ftp.Dir):
			found.add(name, node{kind: somethingElse})
		case e.Type == ftp.Dir:
			if strings.Count(name, "/") >= maxDepth {
				fatal = ErrTooDeep
				continue
			}
			found.add(name, node{kind: aFolder})
			below = append(below, name)
		case e.Type == ftp.File:
			found.add(name, node{kind: aFile, size: e.Size, time: e.ModTime, precise: e.Precise, day: e.Day && !e.Precise})
		default:
			found.add(name, node{kind: somethingElse})
			found.skipped = append(found.skipped, Failure{s.remote(name), skipReason(e.Type == ftp.Link)})
		}
	}
	if failed != nil && c.Usable() && ftpclient.Again(failed) && s.later(ctx, folder) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listing--
	s.waiting = append(s.waiting, below...)
	for _, name := range found.order {
		s.tree.add(name, found.nodes[name])
	}
	s.tree.gaps = append(s.tree.gaps, found.gaps...)
	s.tree.skipped = append(s.tree.skipped, found.skipped...)
	if len(s.tree.nodes)+len(s.tree.gaps)+len(s.tree.skipped) > maxEntries {
		fatal = ErrTooDeep
	}
	if fatal != nil {
		s.stop(fatal)
	}
	s.changed.Broadcast()
}
