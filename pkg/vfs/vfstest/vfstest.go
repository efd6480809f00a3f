// Package vfstest is the contract of [vfs.FS] as tests, to run over every
// tree there is. Each promise is one named subtest.
package vfstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"ftps/pkg/vfs"
)

// Umask is the umask that the trees under test must have.
const Umask = 0o027

// Run holds a tree against the contract. open returns a new, empty tree with
// the umask [Umask] for each subtest.
func Run(t *testing.T, open func(t *testing.T) vfs.FS) { RunBut(t, nil, open) }

// RunBut is Run for a tree that cannot keep every promise: but names the ones
// it does not keep, each of which needs a test of its own for what happens
// instead. A name that no promise has fails.
func RunBut(t *testing.T, but []string, open func(t *testing.T) vfs.FS) {
	left := len(but)
	defer func() {
		if left != 0 {
			t.Errorf("%d of the exceptions name no promise: %q", left, but)
		}
	}()
	for _, group := range [][]promise{reading, writing, parts, changing, counting} {
		for _, p := range group {
			if slices.Contains(but, p.says) {
				left--
				continue
			}
			t.Run(p.says, func(t *testing.T) {
				tree := open(t)
				t.Cleanup(func() {
					if err := tree.Close(); err != nil {
						t.Errorf("closing the tree: %v", err)
					}
				})
				p.holds(&bench{T: t, FS: tree})
			})
		}
	}
}

// promise is one sentence of the contract.
type promise struct {
	says  string
	holds func(b *bench)
}

// bench is a tree on which a test works in short words. Each of them ends the
// test where something else happens than it says.
type bench struct {
	*testing.T
	vfs.FS
}

// whole is how an ordinary upload begins.
var whole = vfs.How{Size: -1}

// at returns the name of a path, which may have components of any length that
// names may have.
func (b *bench) at(path string) vfs.Name {
	b.Helper()
	name, err := vfs.Resolve(vfs.Name{}, path)
	if err != nil {
		b.Fatalf("name %.60q: %v", path, err)
	}
	return name
}

// begin begins an upload.
func (b *bench) begin(path string, how vfs.How) vfs.Upload {
	b.Helper()
	u, err := b.Create(b.Context(), b.at(path), how)
	if err != nil {
		b.Fatalf("create %.60q %+v: %v", path, how, err)
	}
	b.Cleanup(func() { u.Abort() })
	return u
}

func (b *bench) write(u vfs.Upload, content string) {
	b.Helper()
	if n, err := io.WriteString(u, content); n != len(content) || err != nil {
		b.Fatalf("write: %d of %d bytes, %v", n, len(content), err)
	}
}

func (b *bench) commit(u vfs.Upload) {
	b.Helper()
	if err := u.Commit(b.Context()); err != nil {
		b.Fatalf("commit: %v", err)
	}
	if err := u.Abort(); err != nil {
		b.Fatalf("abort after commit: %v", err)
	}
}

func (b *bench) abort(u vfs.Upload) {
	b.Helper()
	if err := u.Abort(); err != nil {
		b.Fatalf("abort: %v", err)
	}
}

// put uploads a whole file, in two pieces.
func (b *bench) put(path, content string) {
	b.Helper()
	u := b.begin(path, whole)
	half := len(content) / 2
	b.write(u, content[:half])
	b.write(u, content[half:])
	b.commit(u)
}

// leave begins an upload and breaks it off.
func (b *bench) leave(path, content string) {
	b.Helper()
	u := b.begin(path, whole)
	b.write(u, content)
	b.abort(u)
}

func (b *bench) mkdir(path string) {
	b.Helper()
	if err := b.Mkdir(b.Context(), b.at(path)); err != nil {
		b.Fatalf("mkdir %.60q: %v", path, err)
	}
}

func (b *bench) read(path string) string {
	b.Helper()
	file, err := b.Open(b.Context(), b.at(path))
	if err != nil {
		b.Fatalf("open %.60q: %v", path, err)
	}
	defer file.Close()
	var content bytes.Buffer
	if _, err := io.Copy(&content, file); err != nil {
		b.Fatalf("read %.60q: %v", path, err)
	}
	return content.String()
}

// holds demands the content of a file.
func (b *bench) holds(path, content string) {
	b.Helper()
	if got := b.read(path); got != content {
		b.Fatalf("%.60q holds %.80q, want %.80q", path, got, content)
	}
}

// shows demands the entries of a folder.
func (b *bench) shows(folder string, want ...string) {
	b.Helper()
	var got []string
	for info, err := range b.List(b.Context(), b.at(folder)) {
		if err != nil {
			b.Fatalf("list %.60q: %v", folder, err)
		}
		got = append(got, info.Name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		b.Fatalf("%.60q shows %.200q, want %.200q", folder, got, want)
	}
}

// part demands the length of a part, or that there is none: -1.
func (b *bench) part(path string, want int64) {
	b.Helper()
	got, err := b.Part(b.Context(), b.at(path))
	file, err2 := b.OpenPart(b.Context(), b.at(path))
	switch {
	case err2 == nil:
		defer file.Close()
		if n := file.Info().Size; n != got || err != nil {
			b.Fatalf("the part of %.60q has %d bytes when opened, and %d (%v)", path, n, got, err)
		}
	case !errors.Is(err2, errors.ErrUnsupported) && !errors.Is(err, fs.ErrNotExist):
		b.Fatalf("the part of %.60q cannot be opened: %v", path, err2)
	}
	if want < 0 {
		b.fails(err, fs.ErrNotExist)
		return
	}
	if err != nil || got != want {
		b.Fatalf("the part of %.60q has %d bytes (%v), want %d", path, got, err, want)
	}
}

// fails demands an error.
func (b *bench) fails(err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Fatalf("error %v, want %v", err, want)
	}
}

func (b *bench) stat(path string) vfs.Info {
	b.Helper()
	info, err := b.Stat(b.Context(), b.at(path))
	if err != nil {
		b.Fatalf("stat %.60q: %v", path, err)
	}
	return info
}

// refuses demands that an upload does not even begin.
func (b *bench) refuses(path string, how vfs.How, want error) {
	b.Helper()
	u, err := b.Create(b.Context(), b.at(path), how)
	if err == nil {
		u.Abort()
	}
	b.fails(err, want)
}

// used demands the bytes that the tree holds, parts and all.
func (b *bench) used(want int64) {
	b.Helper()
	got, err := b.Used(b.Context())
	if err != nil || got != want {
		b.Fatalf("the tree holds %d bytes (%v), want %d", got, err, want)
	}
}

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// dated fails the test where a file has another time, alone or in a listing.
func (b *bench) dated(name string, want time.Time) {
	b.Helper()
	if got := b.stat(name).ModTime; !got.Equal(want) {
		b.Errorf("the time of %s is %v, want %v", name, got, want)
	}
	at := b.at(name)
	for info, err := range b.List(b.Context(), at.Parent()) {
		b.ok(err)
		if info.Name == at.Base() && !info.ModTime.Equal(want) {
			b.Errorf("the time of %s is %v in a listing, want %v", name, info.ModTime, want)
		}
	}
}

// optional skips the test where the store cannot do what it is about.
func (b *bench) optional(err error) {
	b.Helper()
	if errors.Is(err, errors.ErrUnsupported) {
		b.Skipf("not supported: %v", err)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// ended is a context that is over.
func ended() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errOver)
	return ctx
}

var errOver = errors.New("over")

// long is a name of the greatest length, different for each n.
func long(n int) string {
	head := fmt.Sprintf("%d-", n)
	return head + strings.Repeat("x", vfs.MaxName-len(head))
}
