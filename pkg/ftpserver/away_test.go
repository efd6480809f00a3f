package ftpserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"ftps/pkg/ftptest"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/memfs"
)

// away is a tree in a store elsewhere, which knows the hashes of its files
// and serves no byte of them until it is interrupted.
type away struct {
	vfs.FS
	deaf bool          // to interrupts: the negative control
	back chan struct{} // closed when the store answers again
	at   chan struct{} // gets a token from each that waits
	fail error
}

type awayFile struct {
	vfs.File
	*waiting
	fail error
}

type awayUpload struct {
	vfs.Upload
	*waiting
}

type waiting struct {
	deaf  bool
	once  sync.Once
	ended chan struct{}
	back  chan struct{}
	at    chan struct{} // gets a token from each that waits
}

func (w *waiting) Interrupt() {
	if !w.deaf {
		w.once.Do(func() { close(w.ended) })
	}
}

func (w *waiting) wait() error {
	w.at <- struct{}{}
	select {
	case <-w.ended:
		return errors.New("interrupted")
	case <-w.back:
		return errors.New("the store came back")
	}
}

func (a away) Open(ctx context.Context, name vfs.Name) (vfs.File, error) {
	f, err := a.FS.Open(ctx, name)
	return awayFile{f, &waiting{deaf: a.deaf, ended: make(chan struct{}), back: a.back, at: a.at}, a.fail}, err
}

func (a away) Sum(ctx context.Context, name vfs.Name, algorithm string) (sum []byte, length int64, err error) {
	if algorithm != "SHA-256" {
		return nil, 0, errors.ErrUnsupported
	}
	info, err := a.FS.Stat(ctx, name)
	return []byte{0xab}, info.Size, err
}

func (a away) Create(ctx context.Context, name vfs.Name, how vfs.How) (vfs.Upload, error) {
	u, err := a.FS.Create(ctx, name, how)
	return awayUpload{u, &waiting{deaf: a.deaf, ended: make(chan struct{}), back: a.back, at: a.at}}, err
}

func (f awayFile) Read([]byte) (int, error) {
	if f.fail != nil {
		return 0, f.fail
	}
	return 0, f.wait()
}
func (f awayFile) ReadAt([]byte, int64) (int, error) { return 0, io.ErrUnexpectedEOF }
func (u awayUpload) Write([]byte) (int, error)       { return 0, u.wait() }

func serveAway(t *testing.T, a away) *ftptest.Conn {
	a.FS = memfs.New()
	name, err := vfs.Resolve(vfs.Name{}, "f")
	if err != nil {
		t.Fatal(err)
	}
	up, err := a.FS.Create(t.Context(), name, vfs.How{Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	up.Write([]byte("content"))
	if err := up.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "diego", Password: "p", FS: a}}})
	return s.Login(t, "diego", "p")
}

func TestAHashThatTheStoreKnowsIsNotComputed(t *testing.T) {
	c := serveAway(t, away{})
	if got := c.Cmd(213, "HASH f"); !strings.Contains(got, "SHA-256 0-6 ab f") {
		t.Errorf("%q", got)
	}
	c.Cmd(250, "XSHA256 f")
	c.Cmd(451, "XMD5 f") // which it does not know, and cannot be read for
	c.Cmd(451, `XSHA256 "f" 0 2`)
}

// ABOR does not wait until a store that is gone comes back.
func TestABOREndsWhatWaitsForTheStore(t *testing.T) {
	for _, verb := range []string{"RETR f", "STOR g"} {
		for _, deaf := range []bool{false, true} {
			tree := away{deaf: deaf, back: make(chan struct{}), at: make(chan struct{}, 1)}
			c := serveAway(t, tree)
			conn := c.Secure(c.OpenData(c.Passive()))
			c.Send("%s", verb)
			c.Expect(150)
			if verb == "STOR g" {
				conn.Write([]byte("x"))
			} else {
				go conn.Handshake() // ends with the connection
			}
			select {
			case <-tree.at:
			case <-time.After(ftptest.Patience):
				t.Fatal("nobody waits for the store")
			}
			c.Send("ABOR")
			if deaf { // the control: there is no answer before the store has one
				c.Raw().SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				if n, _ := c.Raw().Read(make([]byte, 1)); n > 0 {
					t.Errorf("%s: answered, and nobody heard the interrupt", verb)
				}
				close(tree.back)
			} else {
				c.Expect(426)
				c.Expect(226)
			}
			conn.NetConn().Close()
		}
	}
}

// The reply says that it is not the client's fault, nor the file's.
func TestAStoreThatDoesNotAnswerIs451(t *testing.T) {
	c := serveAway(t, away{fail: fmt.Errorf("%w: connection refused", vfs.ErrUnavailable)})
	conn := c.Secure(c.OpenData(c.Passive()))
	c.Send("RETR f")
	c.Expect(150)
	io.Copy(io.Discard, conn)
	conn.Close()
	code, lines, _ := c.Read()
	if code != 451 || len(lines) == 0 || !strings.Contains(lines[0], "store") {
		t.Errorf("%d %q", code, lines)
	}
	c.Cmd(200, "NOOP")
}
