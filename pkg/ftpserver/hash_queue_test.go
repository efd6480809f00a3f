package ftpserver_test

import (
	"context"
	"testing"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/memfs"
)

// gated is a tree whose files are read only once the gate is open.
type gated struct {
	vfs.FS
	reading chan struct{} // holds a token for each reader at the gate
	gate    chan struct{}
}

func newGated(t *testing.T) *gated {
	g := &gated{memfs.New(), make(chan struct{}, 100), make(chan struct{})}
	name, err := vfs.Resolve(vfs.Name{}, "f")
	if err != nil {
		t.Fatal(err)
	}
	up, err := g.FS.Create(t.Context(), name, vfs.How{Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	up.Write([]byte("content"))
	if err := up.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *gated) Open(ctx context.Context, name vfs.Name) (vfs.File, error) {
	f, err := g.FS.Open(ctx, name)
	return gatedFile{f, g}, err
}

type gatedFile struct {
	vfs.File
	g *gated
}

func (f gatedFile) ReadAt(p []byte, at int64) (int, error) {
	f.g.reading <- struct{}{}
	<-f.g.gate
	return f.File.ReadAt(p, at)
}

// reads waits for somebody to read.
func (g *gated) reads(t *testing.T) {
	t.Helper()
	select {
	case <-g.reading:
	case <-time.After(ftptest.Patience):
		t.Fatal("nobody reads")
	}
}

func hashing(t *testing.T, n int) (*ftptest.Server, *gated) {
	g := newGated(t)
	return ftptest.Start(t, ftptest.Options{
		Accounts: []ftptest.Account{{Name: "diego", Password: "p", FS: g}, {Name: "ana", Password: "p", FS: g}},
		Server:   func(c *ftpserver.Config) { c.Hashes = n },
	}), g
}

// Each line that asks for a hash costs a core for as long as the file is
// long.
func TestNHashesAtOnceAndTheNextWaits(t *testing.T) {
	for _, n := range []int{1, 2} {
		s, g := hashing(t, n)
		var conns []*ftptest.Conn
		for range n + 1 {
			c := s.Login(t, "diego", "p")
			c.Send("HASH f")
			conns = append(conns, c)
		}
		for range n {
			g.reads(t)
		}
		for s.FTP.HashesWaiting() != 1 {
			time.Sleep(time.Millisecond)
		}
		if len(g.reading) > 0 {
			t.Errorf("with %d places one more is at it", n)
		}
		close(g.gate)
		for _, c := range conns {
			c.Expect(213)
		}
	}
}

// The negative control: where there are places enough, whoever asks has a
// core.
func TestWithoutABoundEveryHashIsAtItAtOnce(t *testing.T) {
	const all = 8
	s, g := hashing(t, all)
	var conns []*ftptest.Conn
	for range all {
		c := s.Login(t, "diego", "p")
		c.Send("HASH f")
		conns = append(conns, c)
	}
	for range all {
		g.reads(t)
	}
	close(g.gate)
	for _, c := range conns {
		c.Expect(213)
	}
}

func TestABORAndADisconnectLeaveTheLineForHashes(t *testing.T) {
	s, g := hashing(t, 1)
	first := s.Login(t, "diego", "p")
	first.Send("HASH f")
	g.reads(t)
	waits := func(n int) {
		t.Helper()
		deadline := time.Now().Add(ftptest.Patience)
		for s.FTP.HashesWaiting() != n {
			if time.Now().After(deadline) {
				t.Fatalf("%d wait, want %d", s.FTP.HashesWaiting(), n)
			}
			time.Sleep(time.Millisecond)
		}
	}
	aborts, leaves := s.Login(t, "ana", "p"), s.Login(t, "ana", "p")
	aborts.Send("XSHA256 f")
	waits(1)
	leaves.Send("XMD5 f")
	waits(2)
	aborts.Send("ABOR")
	aborts.Expect(426)
	aborts.Expect(226)
	waits(1)
	leaves.Raw().Close()
	waits(0)
	s.Events.Wait(t, "the end of who left", func(e event.Event) bool {
		gone, ok := e.(event.Disconnected)
		return ok && gone.User == "ana"
	})
	// What was sent behind a command that takes long is heard after it.
	aborts.Send("HASH f")
	waits(1)
	aborts.Send("PWD")
	close(g.gate)
	first.Expect(213)
	aborts.Expect(213)
	aborts.Expect(257)
	if got, code := aborts.Download("RETR f"); code != 226 || string(got) != "content" {
		t.Errorf("a download after it: %d %q", code, got)
	}
}
