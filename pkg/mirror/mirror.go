// Package mirror moves many files between a server and the local disk, on
// several connections: whole folders, resumed where they stopped, and proven
// when they are done.
//
// A transfer has two steps that can be taken apart: a [Plan] says which
// folders and files there are, and [Transfer.Run] moves them. [Transfer.Get]
// and [Transfer.Put] take both.
//
// [Transfer.Compare] and [Transfer.Apply] are the same two steps of a mirror:
// what differs between two folders, and making the target equal.
//
// A file that is reported as done is whole: the data connection ended with
// close_notify, the server confirmed it, and where the size is known it is
// the one that arrived; [Done.Verified] says what proves it, at best the
// server's own hash. Names from a server never lead out of the target:
// the local side works inside an os.Root. Nothing is printed; [Event]s tell
// what goes on.
package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"ftps/pkg/fault"
	"ftps/pkg/ftpclient"
)

// Config says over which connections files move, and who listens.
type Config struct {
	// Dial makes one more connection, logged in. It may be nil where Conn is
	// set: then there is no second one.
	Dial func(ctx context.Context) (*ftpclient.Conn, error)
	// Conn, if not nil, is used beside those that Dial makes, and not closed.
	Conn *ftpclient.Conn
	// Jobs is how many connections are used at most, Conn included; 0 means
	// 4. A server that allows fewer is believed.
	Jobs int
	// Site names the server and the account in the records that resume
	// needs: "diego@example.net:5000".
	Site string
	// Records is the folder for the records of uploads under way; empty
	// means "ftps/uploads" in the user's cache folder. Without a record an
	// upload begins again.
	Records string
	// Retries is how often a file that broke off is taken up again.
	Retries int
	// Verify says what must prove a file whole.
	Verify Verify
	// SHA256 has that of each file that is to be proven told in its [Done],
	// whatever proves it: else only where it is the proof.
	SHA256 bool
	// NoSync leaves out the sync to the disk before a file is in its place.
	NoSync bool
	// Progress, if not nil, is called with each event, from many goroutines
	// at once.
	Progress func(Event)
}

// Options are one call's.
type Options struct {
	Recursive bool // folders too
	Resume    bool // go on where an earlier transfer stopped
	// Segments is over how many connections one large file comes; 0 and 1
	// are one.
	Segments int
}

// Transfer moves files. Its methods are called one at a time.
type Transfer struct {
	cfg  Config
	pool *Pool
	same func(ours, theirs []byte) bool // whether an overlap is one; a test lets all pass

	noHash atomic.Bool // the server announces hashes and has none
	noPipe atomic.Bool // commands cannot be sent ahead here
	direct atomic.Bool // uploads cannot be renamed here
}

// New returns a Transfer, which the caller closes.
func New(cfg Config) *Transfer {
	if cfg.Jobs <= 0 {
		cfg.Jobs = 4
	}
	return &Transfer{cfg: cfg, same: bytes.Equal, pool: NewPool(cfg.Conn, cfg.Dial, cfg.Jobs)}
}

// Close closes the connections that were made on the way, and leaves the
// caller's own as it was.
func (t *Transfer) Close() {
	t.pool.Close()
	if c := t.cfg.Conn; c != nil && c.Usable() {
		ctx, cancel := context.WithTimeout(context.Background(), restoreTime)
		defer cancel()
		c.StreamMode(ctx)
	}
}

// restoreTime bounds what Close waits for the server.
const restoreTime = 5 * time.Second

// Errors of this package; what the connections and the disk return stands
// beside them.
var (
	// ErrIsFolder: a folder was named and Options.Recursive is not set.
	ErrIsFolder error = &classed{fault.New("client.is-folder"), ftpclient.Usage}
	// ErrNotFolder: the target ends in a slash and is no folder.
	ErrNotFolder error = fault.New("client.not-folder")
	// ErrNotRegular: a local file that is a device, a FIFO or a socket.
	ErrNotRegular error = fault.New("client.not-regular")
	// ErrSymlink: a symlink in a tree that leads out of it, or to a folder.
	ErrSymlink error = fault.New("client.symlink")
	// ErrSize: more or fewer bytes arrived than the file is long.
	ErrSize error = damage(fault.New("client.size"))
	// ErrHash: the server's hash of the file is not that of what passed.
	ErrHash error = damage(fault.New("client.hash"))
	// ErrNoHash: a hash was demanded, and the server tells none.
	ErrNoHash error = fault.New("client.no-hash")
	// ErrChanged: the source changed while it was read.
	ErrChanged error = damage(fault.New("client.changed"))
	// ErrTooDeep: a tree that is deeper than any that was made by hand.
	ErrTooDeep error = fault.New("client.too-deep")
	// ErrTwice: two entries of one folder have the same name.
	ErrTwice error = fault.New("client.twice")
)

// classed is an error that knows its class.
type classed struct {
	fault *fault.Error
	class ftpclient.ClassCode
}

func damage(f *fault.Error) error { return &classed{f, ftpclient.Damaged} }

func (c *classed) Error() string { return c.fault.Error() }

// Message implements the catalogue's interface.
func (c *classed) Message() (string, []any) { return c.fault.Message() }

// Class implements [ftpclient.Classified].
func (c *classed) Class() ftpclient.ClassCode { return c.class }

// Why a resume begins again.
var (
	ErrNoRecord      error = fault.New("client.resume.no-record")
	ErrSourceChanged error = fault.New("client.resume.changed")
	ErrOverlap       error = fault.New("client.resume.overlap")
	ErrNoResume      error = fault.New("client.resume.refused")
	ErrUnproven      error = fault.New("client.resume.unproven")
)

// Result sums up a run. Each file of the plan counts once: as done, as failed
// or as left.
type Result struct {
	Files   int   // done
	Left    int   // not done when something ended the whole run, and no fault of theirs
	Bytes   int64 // moved over the wire for those that are done
	Deleted int   // by a mirror
	Skipped int   // symlinks and devices, left out on purpose
	Failed  []Failure
	Gaps    []Failure // what the scan could not see
	Limit   int       // connections that the server allowed
	Seconds float64
}

// Failure is one name and what went wrong with it.
type Failure struct {
	Name string
	Err  error
}

// PartialError says that a run of many files did not do all of them.
type PartialError struct {
	Failed, Gaps, Of int
	First            error
}

func (e *PartialError) Error() string {
	return fmt.Sprintf("%d of %d failed, %d gaps: %v", e.Failed, e.Of, e.Gaps, e.First)
}

// Unwrap returns the first failure.
func (e *PartialError) Unwrap() error { return e.First }

// Message implements the catalogue's interface.
func (e *PartialError) Message() (string, []any) {
	if e.Failed == 0 {
		return "client.gaps", []any{e.Gaps, e.First}
	}
	return "client.partial", []any{e.Failed, e.Of, e.First}
}

// Class implements [ftpclient.Classified].
func (e *PartialError) Class() ftpclient.ClassCode { return ftpclient.SomeFailed }

// Get brings a remote file or folder here, placed as cp would: into local if
// that is a folder, else as local. Remote paths are absolute, or relative to
// the folder after login.
func (t *Transfer) Get(ctx context.Context, remote, local string, o Options) (Result, error) {
	plan, err := retried(ctx, t, func() (*Plan, error) { return t.PlanGet(ctx, remote, local, o) })
	if err != nil {
		return Result{}, told(err)
	}
	return t.Run(ctx, plan, o)
}

// Put sends a local file or folder, placed as cp would: into remote if that
// is a folder, else as remote.
func (t *Transfer) Put(ctx context.Context, local, remote string, o Options) (Result, error) {
	plan, err := retried(ctx, t, func() (*Plan, error) { return t.PlanPut(ctx, local, remote, o) })
	if err != nil {
		return Result{}, told(err)
	}
	return t.Run(ctx, plan, o)
}

// Run does what a plan says. The error is nil if all of it was done; for a
// plan of one file it is that file's own, else a [*PartialError], or what
// ended the whole run: a context, a full disk, a server out of reach.
func (t *Transfer) Run(ctx context.Context, p *Plan, o Options) (Result, error) {
	start := time.Now()
	t.tell(Planned{Plan: p})
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r := &run{t: t, plan: p, o: o, stop: stop, ended: make([]bool, len(p.Files))}
	for _, skip := range p.Skipped {
		t.tell(Skipped{Name: skip.Name, Reason: skip.Err})
	}
	for _, gap := range p.Gaps {
		t.tell(Gap(gap))
	}
	err := told(r.all(ctx))
	r.left(err)
	r.result.Gaps, r.result.Skipped = p.Gaps, len(p.Skipped)
	r.result.Limit = t.pool.Limit()
	r.result.Seconds = time.Since(start).Seconds()
	if err == nil {
		err = r.verdict()
	}
	return r.result, err
}

func (r *run) verdict() error {
	failed, gaps := r.result.Failed, r.plan.Gaps
	switch {
	case len(failed)+len(gaps) == 0:
		return nil
	case !r.plan.Tree && len(failed) == 1:
		return failed[0].Err
	case len(failed) > 0:
		return &PartialError{Failed: len(failed), Gaps: len(gaps), Of: len(r.plan.Files) + len(r.plan.Folders), First: failed[0].Err}
	}
	return &PartialError{Gaps: len(gaps), Of: len(r.plan.Files), First: gaps[0].Err}
}

func (t *Transfer) tell(e Event) {
	if t.cfg.Progress != nil {
		t.cfg.Progress(e)
	}
}

// run is one run of a plan.
type run struct {
	t    *Transfer
	plan *Plan
	o    Options
	stop context.CancelCauseFunc

	mu     sync.Mutex
	result Result
	ended  []bool          // by the ID of a file: it is done, or has failed
	names  map[string]bool // see planned
}

func (r *run) failed(item Item, err error) {
	if r.note(item, err); ends(err) {
		r.stop(told(err))
	}
}

// ends reports a failure after which the next file would fare no better.
func ends(err error) bool {
	class := ftpclient.Class(told(err))
	return class == ftpclient.NoSpace || class == ftpclient.LoginRefused
}

// note counts a file or folder as failed.
func (r *run) note(item Item, err error) {
	err = told(err)
	r.mu.Lock()
	r.result.Failed = append(r.result.Failed, Failure{Name: item.Name(), Err: err})
	if !item.Folder {
		r.ended[item.ID] = true
	}
	r.mu.Unlock()
	r.t.tell(Failed{Item: item, Err: err})
}

func (r *run) done(d Done) {
	r.mu.Lock()
	r.result.Files++
	r.ended[d.Item.ID] = true
	r.result.Bytes += d.Moved
	r.mu.Unlock()
	r.t.tell(d)
}

// told gives an error of the local disk a sentence that a person may read.
func told(err error) error {
	var known interface{ Message() (string, []any) }
	var at *fs.PathError
	var link *os.LinkError
	var name string
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.As(err, &at):
		name = at.Path
	case errors.As(err, &link):
		name = link.New
	default:
		return err
	}
	name = ftpclient.Printable(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.Wrap(err, "client.local.not-found", name)
	case errors.Is(err, fs.ErrPermission):
		return fault.Wrap(err, "client.local.permission", name)
	case errors.Is(err, fs.ErrExist):
		return fault.Wrap(err, "client.local.exists", name)
	case ftpclient.Class(err) == ftpclient.NoSpace:
		return fault.Wrap(err, "client.local.no-space", name)
	}
	cause := err
	if at != nil {
		cause = at.Err
	}
	return fault.Wrap(err, "client.local", name, cause)
}

// retried looks again where the connection broke: nothing has been changed
// yet.
func retried[T any](ctx context.Context, t *Transfer, look func() (T, error)) (T, error) {
	for attempt := 0; ; attempt++ {
		found, err := look()
		if err == nil || attempt >= t.cfg.Retries || t.cfg.Dial == nil || !ftpclient.Again(err) ||
			ftpclient.Pause(ctx, attempt) != nil {
			return found, err
		}
	}
}
