package ftpserver_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"net/netip"
	"testing"
	"time"

	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/memfs"
)

// A client that has a file's last bytes in its kernel's buffers and does not
// read them keeps the transfer at its end: that end is bounded, but a kick
// does not wait for it.
func TestAKickDoesNotWaitForTheEndOfATransfer(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	if code := c.Upload(noise(1<<20), "STOR f"); code != 226 {
		t.Fatal(code)
	}
	raw := c.OpenData(c.Passive())
	c.Send("RETR f")
	c.Expect(150)
	conn := c.Secure(raw)
	if _, err := io.ReadFull(conn, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	for s.FTP.Sessions()[0].Bytes < 1<<20 {
		time.Sleep(time.Millisecond) // all of it is on its way
	}
	kicked := time.Now()
	s.FTP.Kick(0, "testing")
	c.Expect(426)
	c.Expect(421)
	if took := time.Since(kicked); took > 8*time.Second { // the end of a transfer may take 10 s
		t.Errorf("the kick took %v", took)
	}
}

// Tickets of a session that was ended are good for nothing: the account's
// other sessions take tickets of each other.
func TestTicketsOfAKickedSessionAreWorthless(t *testing.T) {
	for _, kick := range []bool{true, false} {
		s := ftptest.Start(t, ftptest.Options{})
		first := s.Login(t, "diego", "secreto")
		if code := first.Upload([]byte("secret"), "STOR f"); code != 226 {
			t.Fatal(code)
		}
		if kick {
			s.FTP.Kick(0, "testing")
			first.Expect(421)
		} else {
			first.Cmd(221, "QUIT") // the control: leaving is no reason
		}
		first.ExpectClosed()

		c := s.Login(t, "diego", "secreto")
		port := c.Passive()
		old := first.Secure(c.OpenData(port))
		if err := old.Handshake(); err != nil {
			t.Fatal(err)
		}
		c.Send("RETR f")
		c.Expect(150)
		if !kick {
			if got, err := io.ReadAll(old); string(got) != "secret" {
				t.Errorf("the control: the old ticket got %q, %v: this shows nothing", got, err)
			}
			old.Close()
			c.Expect(226)
			continue
		}
		c.Expect(522)
		if got, _ := io.ReadAll(old); len(got) > 0 {
			t.Errorf("the ticket of a session that was ended got %q", got)
		}
	}
}

// The negative control.
func TestADropboxThatReplacesEmptiesWhatOthersLeft(t *testing.T) {
	tree := memfs.New()
	s := weak(t, func(c *ftpserver.Config) { c.WithoutRights("STOR") },
		ftptest.Account{Name: "owner", Password: "p", FS: tree},
		ftptest.Account{Name: "box", Password: "p", FS: tree, Perm: vfs.Dropbox})
	owner, box := s.Login(t, "owner", "p"), s.Login(t, "box", "p")
	owner.Upload([]byte("precious"), "STOR a")
	if code := box.Upload(nil, "STOR a"); code != 226 {
		t.Errorf("STOR over a file: %d", code)
	}
	if got, _ := owner.Download("RETR a"); len(got) > 0 {
		t.Errorf("%q is still there: this shows nothing", got)
	}
}

// Who is not admitted is counted by no limit but this one.
func TestARefusedFloodHoldsAFewDescriptorsOnly(t *testing.T) {
	if shut := refusedFlood(t, nil); shut != 50 {
		t.Errorf("%d were shut out at once, want 50", shut)
	}
}

// The negative control.
func TestWithoutABoundARefusedFloodHoldsEveryDescriptor(t *testing.T) {
	if shut := refusedFlood(t, (*ftpserver.Config).WithoutBounds); shut != 0 {
		t.Errorf("%d were shut out at once: this shows nothing", shut)
	}
}

// refusedFlood sends 50 connections more than are told that there are too
// many, which all say nothing, and counts those that were shut out at once:
// the rest stay for the hour that their handshake may take.
func refusedFlood(t *testing.T, off func(*ftpserver.Config)) (shut int) {
	full := errors.New("full")
	s := ftptest.Start(t, ftptest.Options{Implicit: true, Server: func(c *ftpserver.Config) {
		c.Admit = func(netip.Addr) (func(), error) { return nil, full }
		c.HandshakeTimeout = time.Hour
		if off != nil {
			off(c)
		}
	}})
	const flood = ftpserver.MaxRefusing + 50
	closed := make(chan error, flood)
	for range flood {
		conn, err := net.Dial("tcp", s.Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() { // says nothing
			_, err := conn.Read(make([]byte, 1))
			closed <- err
		}()
	}
	count := func(most int, limit time.Duration) {
		late := time.After(limit)
		for shut < most {
			select {
			case <-closed:
				shut++
			case <-late:
				return
			}
		}
	}
	if off == nil {
		count(50, ftptest.Patience)
	}
	count(flood, 500*time.Millisecond) // nobody else is
	return shut
}

// Whoever is nobody yet must not fill the log.
func TestRefusedCommandsBeforeTheLoginAreBounded(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	for name, c := range map[string]*ftptest.Conn{"clear": s.Dial(t), "TLS": secured(t, s)} {
		if name == "clear" {
			c.Expect(220)
		}
		for range 100 {
			c.Cmd(530, "LIST")
		}
		c.Cmd(421, "LIST")
		c.ExpectClosed()
	}
	// After it, who is told no often is a client at work.
	c := s.Login(t, "diego", "secreto")
	for range 150 {
		c.Cmd(550, "SIZE missing")
	}
}

// The negative control.
func TestWithoutABoundWhoIsNobodyYetIsRefusedForEver(t *testing.T) {
	s := weak(t, (*ftpserver.Config).WithoutBounds)
	c := secured(t, s)
	for range 300 {
		c.Cmd(530, "LIST")
	}
}

func TestRightsThatOtherCommandsWouldBypass(t *testing.T) {
	tree := memfs.New()
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{
		{Name: "owner", Password: "p", FS: tree},
		{Name: "timer", Password: "p", FS: tree, Perm: vfs.Chtime},
		{Name: "renamer", Password: "p", FS: tree, Perm: vfs.Rename},
	}})
	owner := s.Login(t, "owner", "p")
	owner.Upload([]byte("a"), "STOR a")
	owner.Upload([]byte("b"), "STOR b")
	owner.Cmd(213, "MFF UNIX.mode=600; a")

	timer := s.Login(t, "timer", "p")
	timer.Cmd(213, "MFF Modify=20260101000000; a")
	timer.Cmd(550, "MFF UNIX.mode=777; a") // as SITE CHMOD
	timer.Cmd(550, "SITE CHMOD 777 a")

	// A rename over a file removes that file.
	renamer := s.Login(t, "renamer", "p")
	renamer.Cmd(350, "RNFR a")
	renamer.Cmd(550, "RNTO b")
	if got, _ := owner.Download("RETR b"); string(got) != "b" {
		t.Errorf("the file that was renamed over: %q", got)
	}
	renamer.Cmd(350, "RNFR a")
	renamer.Cmd(250, "RNTO c")
}

// The negative control.
func TestWithoutTheChecksOtherCommandsBypassRights(t *testing.T) {
	tree := memfs.New()
	s := weak(t, func(c *ftpserver.Config) { c.WithoutRights("MFF", "RNTO") },
		ftptest.Account{Name: "owner", Password: "p", FS: tree},
		ftptest.Account{Name: "timer", Password: "p", FS: tree, Perm: vfs.Chtime},
		ftptest.Account{Name: "renamer", Password: "p", FS: tree, Perm: vfs.Rename})
	owner := s.Login(t, "owner", "p")
	owner.Upload([]byte("a"), "STOR a")
	owner.Upload([]byte("b"), "STOR b")
	s.Login(t, "timer", "p").Cmd(213, "MFF UNIX.mode=777; a")
	renamer := s.Login(t, "renamer", "p")
	renamer.Cmd(350, "RNFR a")
	renamer.Cmd(250, "RNTO b")
	if got, _ := owner.Download("RETR b"); string(got) != "a" {
		t.Errorf("the file that was renamed over: %q: this shows nothing", got)
	}
}

// A dropbox takes what is new. What somebody left before is not the sender's
// to empty.
func TestADropboxReplacesNothing(t *testing.T) {
	tree := memfs.New()
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{
		{Name: "owner", Password: "p", FS: tree},
		{Name: "box", Password: "p", FS: tree, Perm: vfs.Dropbox},
		{Name: "mover", Password: "p", FS: tree, Perm: vfs.Write | vfs.Rename},
	}})
	owner := s.Login(t, "owner", "p")
	owner.Upload([]byte("precious"), "STOR a")
	box := s.Login(t, "box", "p")
	if code := box.Upload([]byte("x"), "STOR a"); code != 550 {
		t.Errorf("STOR over a file: %d", code)
	}
	box.Passive()
	box.Cmd(550, "APPE a")
	box.Cmd(550, "RNFR a")
	box.Cmd(550, "DELE a")
	box.Cmd(550, "SITE CHMOD 000 a")
	for _, line := range []string{"STOR b", "STOU"} {
		if code := box.Upload([]byte("new"), "%s", line); code != 226 {
			t.Errorf("%s: %d", line, code)
		}
	}
	// A file that comes while the upload is under way is not replaced either.
	port := box.Passive()
	conn := box.Secure(box.OpenData(port))
	box.Send("STOR late")
	box.Expect(150)
	conn.Write([]byte("x"))
	owner.Upload([]byte("first"), "STOR late")
	conn.CloseWrite()
	io.Copy(io.Discard, conn)
	box.Expect(550)

	mover := s.Login(t, "mover", "p")
	mover.Cmd(350, "RNFR b")
	mover.Cmd(550, "RNTO a")
	for name, want := range map[string]string{"a": "precious", "b": "new", "late": "first"} {
		if got, _ := owner.Download("RETR %s", name); string(got) != want {
			t.Errorf("%s holds %q", name, got)
		}
	}
}

// A session that waits for a data port is ended while it waits.
func TestAKickDoesNotWaitForADataPort(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{DataPorts: 1})
	holder := s.Login(t, "diego", "secreto")
	c := s.Login(t, "diego", "secreto")
	port := holder.Passive()
	holder.OpenData(port)
	holder.Send("STOR f") // holds the port until its connection comes
	holder.Expect(150)
	c.Write("NOOP\r\nEPSV\r\n")
	c.Expect(200) // the next line is read at once
	kicked := time.Now()
	s.FTP.Kick(1, "testing")
	code, _, err := c.Read()
	if code == 425 { // it was waiting already
		code, _, err = c.Read()
	}
	if code != 421 {
		t.Errorf("the kick: %d, %v", code, err)
	}
	if took := time.Since(kicked); took > 8*time.Second { // the end of a transfer may take 10 s
		t.Errorf("the kick took %v", took)
	}
}

// slowTree is a tree in which an upload takes long to begin, as one does that
// goes on from a large file on a disk that cannot clone.
type slowTree struct {
	vfs.FS
	began chan struct{}
}

func (s slowTree) Create(ctx context.Context, name vfs.Name, _ vfs.How) (vfs.Upload, error) {
	close(s.began)
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func TestAKickDoesNotWaitForAnUploadToBegin(t *testing.T) {
	tree := slowTree{memfs.New(), make(chan struct{})}
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "diego", Password: "secreto", FS: tree}}})
	c := s.Login(t, "diego", "secreto")
	c.Passive()
	c.Send("APPE f")
	<-tree.began
	s.FTP.Kick(0, "testing")
	c.Expect(426)
	c.Expect(421)
}

// watched is a tree that knows how many names of a folder were read before
// one was removed.
type watched struct {
	vfs.FS
	read, most int
}

func (w *watched) List(ctx context.Context, name vfs.Name) iter.Seq2[vfs.Info, error] {
	return func(yield func(vfs.Info, error) bool) {
		for info, err := range w.FS.List(ctx, name) {
			if w.read++; w.read > w.most {
				w.most = w.read
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

func (w *watched) Remove(ctx context.Context, name vfs.Name) error {
	w.read = 0
	return w.FS.Remove(ctx, name)
}

func TestRmdaHoldsAFewNamesAtATime(t *testing.T) {
	tree := &watched{FS: memfs.New()}
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "diego", Password: "secreto", FS: tree}}})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(257, "MKD d")
	for i := range 2500 {
		c.Cmd(257, "MKD d/%d", i)
	}
	c.Cmd(250, "RMDA d")
	if tree.most > 1001 {
		t.Errorf("%d names were held at once", tree.most)
	}
	c.Cmd(550, "CWD d")
}
