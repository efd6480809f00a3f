package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"ftps/pkg/fault"
	"ftps/pkg/ftpclient"
)

// MirrorOptions are those of [Transfer.Compare].
type MirrorOptions struct {
	Upload    bool // from here to the server
	Delete    bool // what the source does not have goes
	MaxDelete int  // more than so many deletions are none; 0 means no bound
	OnlyNewer bool // what is newer in the target stays
	// Exclude and Include are patterns as path.Match has them: without a
	// slash they are about a name, with one about a path below the source,
	// and with one at the end about folders. What is excluded is neither
	// moved nor deleted, unless it is included as well.
	Exclude, Include []string
}

// ChangeKind says why a name differs between source and target.
type ChangeKind string

// The kinds of change.
const (
	IsNew   ChangeKind = "new"      // only the source has it
	IsNewer ChangeKind = "newer"    // the source's is newer, or of another size
	IsGone  ChangeKind = "gone"     // only the target has it
	Clashes ChangeKind = "conflict" // the target's is newer, or of another type
)

// Change is one name that differs.
type Change struct {
	Kind   ChangeKind
	Name   string // below source and target, with slashes
	Folder bool
	Size   int64 // of the source's file; of the target's where it is gone
	Kept   bool  // nothing will be done about it
	Type   bool  // a conflict between a file and a folder, or something else
}

// Changes are what a mirror would do, and all that it will.
type Changes struct {
	Options MirrorOptions
	Changes []Change
	Same    int   // files that are equal
	Bytes   int64 // to move
	Skipped []Failure
	// Gaps are what could not be seen. With one in the source nothing is
	// deleted.
	Gaps       []Failure
	Incomplete bool // a gap in the source

	plan *Plan
}

// Count returns how many changes there are of a kind.
func (c *Changes) Count(kind ChangeKind) int {
	n := 0
	for _, change := range c.Changes {
		if change.Kind == kind {
			n++
		}
	}
	return n
}

// deletions are what Apply removes.
func (c *Changes) deletions() []Change {
	return slices.DeleteFunc(slices.Clone(c.Changes), func(change Change) bool { return change.Kind != IsGone || change.Kept })
}

// TooMany is a [*TooManyError] where there is more to delete than is allowed.
func (c *Changes) TooMany() error {
	n := len(c.deletions())
	if limit := c.Options.MaxDelete; limit > 0 && n > limit {
		return &TooManyError{n, limit}
	}
	return nil
}

// Errors of a mirror.
var (
	// ErrIncomplete: the source could not be read as a whole, so nothing is
	// deleted: a name that was not seen is not gone.
	ErrIncomplete error = fault.New("client.mirror.incomplete")
	// ErrConflict: a file and a folder have the same name.
	ErrConflict error = fault.New("client.mirror.conflict")
)

// TooManyError: there is more to delete than is allowed, and nothing is.
type TooManyError struct{ Deletions, Max int }

func (e *TooManyError) Error() string {
	return fmt.Sprintf("%d deletions, %d allowed", e.Deletions, e.Max)
}

// Message implements the catalogue's interface.
func (e *TooManyError) Message() (string, []any) {
	return "client.mirror.max-delete", []any{e.Deletions, e.Max}
}

// Compare scans source and target, which are folders, and says what makes
// the target equal to the source. Nothing is changed.
func (t *Transfer) Compare(ctx context.Context, source, target string, o MirrorOptions) (*Changes, error) {
	return retried(ctx, t, func() (*Changes, error) { return t.differences(ctx, source, target, o) })
}

func (t *Transfer) differences(ctx context.Context, source, target string, o MirrorOptions) (*Changes, error) {
	choose, err := newChoice(o.Exclude, o.Include)
	if err != nil {
		return nil, err
	}
	local, remote := target, source
	if o.Upload {
		local, remote = source, target
	}
	var here, there *tree
	var hereErr, thereErr error
	var both sync.WaitGroup
	both.Go(func() { here, hereErr = scanLocal(ctx, local, choose) })
	both.Go(func() { there, thereErr = t.scanRemote(ctx, remote, choose) })
	both.Wait()
	if err := errors.Join(hereErr, thereErr); err != nil {
		return nil, told(err)
	}
	from, to := there, here
	p := &Plan{Direction: Download, Tree: true, Root: local, Base: remote}
	if o.Upload {
		from, to = here, there
		p.Direction = Upload
	}
	if !from.exists {
		if o.Upload {
			return nil, told(&fs.PathError{Op: "open", Path: source, Err: fs.ErrNotExist})
		}
		return nil, &ftpclient.NotFoundError{Name: source}
	}
	c := &Changes{Options: o, plan: p, Skipped: from.skipped, Incomplete: len(from.gaps) > 0}
	c.Gaps = append(slices.Clone(from.gaps), to.gaps...)
	if !to.exists {
		p.Folders = append(p.Folders, Item{Remote: remote, Local: ".", Folder: true})
	}
	c.wanted(from, to, t.keepsTimes(ctx, o))
	c.gone(from, to)
	return c, nil
}

// keepsTimes reports whether files in the target can have the source's time.
func (t *Transfer) keepsTimes(ctx context.Context, o MirrorOptions) bool {
	if !o.Upload {
		return true
	}
	c, err := t.pool.Get(ctx)
	if err != nil {
		return true
	}
	defer t.pool.Put(c)
	return c.Features().Has("MFMT")
}

// wanted finds what the target lacks.
func (c *Changes) wanted(from, to *tree, times bool) {
	var lost []string // folders in whose place there is something else
	for _, name := range from.order {
		n := from.nodes[name]
		old, there := to.nodes[name]
		switch {
		case n.kind == somethingElse, slices.ContainsFunc(lost, func(above string) bool { return strings.HasPrefix(name, above) }):
		case there && old.kind != n.kind:
			c.Changes = append(c.Changes, Change{Kind: Clashes, Name: name, Folder: n.kind == aFolder, Size: n.size, Kept: true, Type: true})
			if n.kind == aFolder {
				lost = append(lost, name+"/")
			}
		case n.kind == aFolder:
			if !there {
				c.Changes = append(c.Changes, Change{Kind: IsNew, Name: name, Folder: true})
				c.plan.Folders = append(c.plan.Folders, c.item(name, n))
			}
		case !there:
			c.move(IsNew, name, n)
		case n.equal(old, times):
			c.Same++
		case n.precise && old.precise && seconds(old.time).After(seconds(n.time)):
			c.move(Clashes, name, n)
		default:
			c.move(IsNewer, name, n)
		}
	}
}

func (c *Changes) item(name string, n node) Item {
	return Item{
		Remote: joinRemote(c.plan.Base, name), Local: name, Size: n.size, ModTime: n.time,
		Precise: n.precise, Folder: n.kind == aFolder,
	}
}

func (c *Changes) move(kind ChangeKind, name string, n node) {
	change := Change{Kind: kind, Name: name, Size: n.size, Kept: kind == Clashes && c.Options.OnlyNewer}
	c.Changes = append(c.Changes, change)
	if !change.Kept {
		c.plan.file(c.item(name, n))
		c.Bytes += max(0, n.size)
	}
}

func seconds(t time.Time) time.Time { return t.Truncate(time.Second) }

// equal reports whether two files are taken for the same: by size and time.
// Where a server cannot set times, an upload is newer than its source; where
// it tells none to the second, a minute is as near as it gets, or a day.
func (n node) equal(old node, times bool) bool {
	switch {
	case n.size < 0 || n.size != old.size || n.time.IsZero() || old.time.IsZero():
		return false
	case n.precise && old.precise && times:
		return seconds(n.time).Equal(seconds(old.time))
	case !times && !old.day:
		return !old.time.Before(n.time.Truncate(time.Minute))
	case !times:
		return old.time.Add(old.slack()).After(n.time)
	}
	d := n.time.Sub(old.time)
	return -n.slack() < d && d < old.slack()
}

// slack is how much later than listed a file may be. A mere date is that of
// the server's zone, which in another half of the year is an hour off.
func (n node) slack() time.Duration {
	if n.day {
		return 25 * time.Hour
	}
	return time.Minute
}

// gone finds what only the target has. What is neither file nor folder
// stays, and so do the folders above it.
func (c *Changes) gone(from, to *tree) {
	stays := make(map[string]bool)
	var gone []Change
	// From below: a folder goes when all that is in it goes.
	for _, name := range slices.Backward(to.order) {
		n := to.nodes[name]
		_, wanted := from.nodes[name]
		if wanted || n.kind == somethingElse || stays[name] {
			for above := path.Dir(name); above != "."; above = path.Dir(above) {
				stays[above] = true
			}
			continue
		}
		gone = append(gone, Change{Kind: IsGone, Name: name, Folder: n.kind == aFolder, Size: n.size,
			Kept: !c.Options.Delete || c.Incomplete})
	}
	c.Changes = append(c.Changes, gone...)
}

// Apply does what Compare found: it moves files first, and deletes only when
// all of them were moved.
func (t *Transfer) Apply(ctx context.Context, c *Changes) (Result, error) {
	if err := c.TooMany(); err != nil {
		return Result{}, err
	}
	deletions := c.deletions()
	c.plan.Gaps, c.plan.Skipped = c.Gaps, c.Skipped
	result := Result{Gaps: c.Gaps, Skipped: len(c.Skipped)}
	var err error
	if len(c.plan.Files)+len(c.plan.Folders) > 0 {
		if result, err = t.Run(ctx, c.plan, Options{}); err != nil && ctx.Err() != nil {
			return result, err
		}
	} else if len(c.Gaps) > 0 {
		err = &PartialError{Gaps: len(c.Gaps), First: c.Gaps[0].Err}
	}
	if c.Incomplete && c.Options.Delete {
		err = &PartialError{Gaps: len(c.Gaps), First: fmt.Errorf("%w: %w", ErrIncomplete, c.Gaps[0].Err)}
	}
	for _, change := range c.Changes {
		if change.Type {
			result.Failed = append(result.Failed, Failure{Name: change.Name, Err: ErrConflict})
			t.tell(Failed{Item: Item{Remote: change.Name, Local: change.Name, Folder: change.Folder}, Err: ErrConflict})
		}
	}
	if len(result.Failed) == 0 && !c.Incomplete && len(deletions) > 0 {
		if err2 := t.delete(ctx, c, deletions, &result); err2 != nil {
			return result, told(err2)
		}
	}
	var partial *PartialError
	if len(result.Failed) > 0 && (err == nil || errors.As(err, &partial)) {
		err = &PartialError{Failed: len(result.Failed), Gaps: len(c.Gaps), Of: len(c.Changes), First: result.Failed[0].Err}
	}
	return result, err
}

// delete removes what is gone, folders after what is in them.
func (t *Transfer) delete(ctx context.Context, c *Changes, deletions []Change, result *Result) error {
	remove := t.removeLocal
	if c.Options.Upload {
		remove = t.removeRemote
	}
	return remove(ctx, c.plan, deletions, func(change Change, err error) {
		item := deleted(c.plan, change)
		if err != nil {
			result.Failed = append(result.Failed, Failure{Name: change.Name, Err: told(err)})
			t.tell(Failed{Item: item, Err: told(err)})
			return
		}
		result.Deleted++
		t.tell(Deleted{Item: item})
	})
}

func (t *Transfer) removeLocal(ctx context.Context, p *Plan, deletions []Change, tell func(Change, error)) error {
	root, err := os.OpenRoot(p.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, change := range deletions {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err := straight(root, change.Name, change.Folder)
		if err == nil {
			err = root.Remove(change.Name)
		}
		tell(change, err)
	}
	return nil
}

// straight makes sure that no folder on the way has become a symlink since
// the scan, and that the thing itself is still of its type.
func straight(root *os.Root, name string, folder bool) error {
	for above := path.Dir(name); above != "."; above = path.Dir(above) {
		if info, err := root.Lstat(above); err != nil || !info.IsDir() {
			return ErrSymlink
		}
	}
	info, err := root.Lstat(name)
	if err == nil && info.IsDir() != folder || err == nil && !folder && !info.Mode().IsRegular() {
		return ErrConflict
	}
	return err
}

func (t *Transfer) removeRemote(ctx context.Context, p *Plan, deletions []Change, tell func(Change, error)) error {
	for _, change := range deletions {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		item := deleted(p, change)
		reached, err := t.again(ctx, item, func(c *ftpclient.Conn, before bool) error {
			return remove(ctx, c, item.Remote, change.Folder, before)
		})
		tell(change, err)
		if err != nil && !reached {
			return err
		}
	}
	return nil
}

func deleted(p *Plan, change Change) Item {
	return Item{Remote: joinRemote(p.Base, change.Name), Local: change.Name, Folder: change.Folder}
}
