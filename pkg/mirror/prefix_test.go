package mirror_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"ftps/pkg/ftptest"
	"ftps/pkg/mirror"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/memfs"
)

// committing is a tree that notes each whole content that a name gets.
type committing struct {
	vfs.FS
	mu   *sync.Mutex
	seen *[][]byte
}

func (c committing) Create(ctx context.Context, name vfs.Name, how vfs.How) (vfs.Upload, error) {
	u, err := c.FS.Create(ctx, name, how)
	return noted{u, c, name}, err
}

type noted struct {
	vfs.Upload
	c    committing
	name vfs.Name
}

func (n noted) Commit(ctx context.Context) error {
	if err := n.Upload.Commit(ctx); err != nil {
		return err
	}
	f, err := n.c.FS.Open(ctx, n.name)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	*n.c.seen = append(*n.c.seen, b)
	return err
}

// unhashed is a tree whose parts cannot be read back.
type unhashed struct{ vfs.FS }

func (unhashed) OpenPart(context.Context, vfs.Name) (vfs.File, error) {
	return nil, errors.ErrUnsupported
}

// An upload to our own server that broke off went on by the client's record
// alone: the part was hashed by nobody, and a splice stood under the name
// until the hash of the whole found it out.
func TestAPartOnOurOwnServerIsProvenBeforeAnUploadGoesOn(t *testing.T) {
	changed := content(length)
	changed[5] ^= 1 // far from the end of the part
	another := content(length + 7)[:length]
	for name, v := range map[string]struct {
		local  []byte // what the local file became, with the same time
		part   []byte // what somebody else of the account left
		hidden bool   // the part cannot be hashed
		reason error  // why it is begun again; nil where it goes on
	}{
		"nothing changed":                     {local: content(length)},
		"the local file's beginning changed":  {local: changed, reason: mirror.ErrOverlap},
		"another client left the part":        {local: content(length), part: another[:cutAt], reason: mirror.ErrOverlap},
		"another client left a whole file's":  {local: content(length), part: another, reason: mirror.ErrOverlap},
		"a store that cannot read a part":     {local: content(length), hidden: true, reason: mirror.ErrUnproven},
		"such a store, and the local changed": {local: changed, hidden: true, reason: mirror.ErrUnproven},
	} {
		t.Run(name, func(t *testing.T) {
			var tree vfs.FS = memfs.New()
			if v.hidden {
				tree = unhashed{tree}
			}
			var seen [][]byte
			tree = committing{tree, &sync.Mutex{}, &seen}
			s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "diego", Password: "secreto", FS: tree}}})
			budget := new(atomic.Int64)
			told := &events{}
			tr := mirror.New(mirror.Config{Dial: breaking(s, budget, false), Jobs: 1, Records: t.TempDir(), Progress: told.add})
			defer tr.Close()
			local := filepath.Join(t.TempDir(), "f")
			write(t, local, content(length), longAgo)
			budget.Store(cutAt)
			if _, err := tr.Put(within(t), local, "/f", mirror.Options{}); err == nil {
				t.Fatal("a cut upload succeeded")
			}
			budget.Store(0)
			write(t, local, v.local, longAgo)
			if v.part != nil {
				leavePart(t, tree, "f", v.part)
			}
			r, err := tr.Put(within(t), local, "/f", mirror.Options{Resume: true})
			if err != nil {
				t.Fatal(err)
			}
			again := of[mirror.Restarted](told)
			if v.reason == nil && (len(again) != 0 || r.Bytes >= length) || v.reason != nil && (len(again) != 1 || again[0].Reason != v.reason || r.Bytes != length) {
				t.Errorf("told %v, want %v; %d bytes moved", again, v.reason, r.Bytes)
			}
			if len(seen) != 1 || !bytes.Equal(seen[0], v.local) {
				t.Errorf("%d contents stood under the name, want one, that of the file", len(seen))
			}
			if d := of[mirror.Done](told); len(d) != 1 || d[0].Verified != mirror.ByHash {
				t.Errorf("done: %+v", d)
			}
		})
	}
}

// Without the comparison the splice takes the name, and the hash of the
// whole finds it too late.
func TestControlWithoutTheProofASpliceTakesTheName(t *testing.T) {
	var seen [][]byte
	tree := committing{memfs.New(), &sync.Mutex{}, &seen}
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "diego", Password: "secreto", FS: tree}}})
	budget := new(atomic.Int64)
	tr := mirror.New(mirror.Config{Dial: breaking(s, budget, false), Jobs: 1, Records: t.TempDir()})
	defer tr.Close()
	tr.WithoutOverlap()
	local := filepath.Join(t.TempDir(), "f")
	write(t, local, content(length), longAgo)
	budget.Store(cutAt)
	if _, err := tr.Put(within(t), local, "/f", mirror.Options{}); err == nil {
		t.Fatal("a cut upload succeeded")
	}
	budget.Store(0)
	changed := content(length)
	changed[5] ^= 1
	write(t, local, changed, longAgo)
	if _, err := tr.Put(within(t), local, "/f", mirror.Options{Resume: true}); !errors.Is(err, mirror.ErrHash) {
		t.Errorf("%v", err)
	}
	if !slices.ContainsFunc(seen, func(b []byte) bool { return !bytes.Equal(b, changed) }) {
		t.Error("no splice: the proof is not what guards")
	}
}

func leavePart(t *testing.T, tree vfs.FS, name string, data []byte) {
	t.Helper()
	at, err := vfs.Resolve(vfs.Name{}, name)
	if err != nil {
		t.Fatal(err)
	}
	u, err := tree.Create(t.Context(), at, vfs.How{Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := u.Abort(); err != nil {
		t.Fatal(err)
	}
}
