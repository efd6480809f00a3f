package ftpserver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/memfs"
)

// ahead is a session whose files come ahead of the 1yz, over a data
// connection that a first file, "first", has left open.
type ahead struct {
	*ftptest.Conn
	t    *testing.T
	data *tls.Conn
}

func aheadOf(t *testing.T, s *ftptest.Server, user, password string) *ahead {
	t.Helper()
	a := &ahead{Conn: s.Login(t, user, password), t: t}
	a.Cmd(200, "MODE B")
	a.Cmd(200, "OPTS STOR ahead=on;")
	a.open()
	return a
}

func (a *ahead) open() {
	a.t.Helper()
	a.data = a.Secure(a.OpenData(a.Passive()))
	a.Send("STOR first")
	a.Expect(150)
	a.file("first", "first")
	a.Expect(250)
}

// file sends the file of a STOR that said mark.
func (a *ahead) file(mark, content string) {
	a.t.Helper()
	if _, err := a.data.Write(fileAhead(mark, content)); err != nil {
		a.t.Fatalf("sending %s: %v", mark, err)
	}
}

func fileAhead(mark, content string) []byte {
	var b bytes.Buffer
	w := ftp.NewBlockWriter(&b, 0)
	w.Mark(mark)
	io.WriteString(w, content)
	w.Close()
	return b.Bytes()
}

// inStep stores a file and sees that it is there.
func (a *ahead) inStep(what string) {
	a.t.Helper()
	a.Send("STOR after")
	a.file("after", "content of "+what)
	a.Expect(125)
	a.Expect(250)
	a.holds("after", "content of "+what)
}

func (a *ahead) holds(name, want string) {
	a.t.Helper()
	a.Send("RETR %s", name)
	a.Expect(125)
	if got, err := io.ReadAll(ftp.NewBlockReader(a.data)); err != nil || string(got) != want {
		a.t.Fatalf("%s holds %.60q, %v; want %.60q", name, got, err, want)
	}
	a.Expect(250)
}

// heard sends a line and waits until the server is at it.
func (a *ahead) heard(s *ftptest.Server, line string) {
	a.t.Helper()
	for _, line := range []string{"NOOP", line} {
		a.Send("%s", line)
		for deadline := time.Now().Add(ftptest.Patience); s.FTP.Sessions()[0].Command != line[:4]; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				a.t.Fatalf("%s is not heard", line)
			}
		}
	}
	a.Expect(200)
}

// refusals are STORs that are refused, each at another step of the way.
var refusals = []struct {
	what, line, mark string
	code             int
}{
	{"a path above the home", "STOR ../x", "../x", 550},
	{"a folder of that name", "STOR folder", "folder", 550},
	{"no such folder", "STOR nowhere/x", "nowhere/x", 550},
	{"no name", "STOR", "", 501},
	{"an offset, which MODE B has not", "REST 5\r\nSTOR x", "x", 504},
	{"a name that is too long", "STOR " + strings.Repeat("n", 300), strings.Repeat("n", 300), 553},
}

func TestARefusedFileIsThrownAwayAndTheNextOneIsItself(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	a := aheadOf(t, s, "diego", "secreto")
	a.Cmd(257, "MKD folder")
	for _, r := range refusals {
		for _, size := range []int{0, 1, 100_000} {
			a.file(r.mark, strings.Repeat("x", size)) // before the command: it may come at any time
			a.Send("%s", r.line)
			if strings.HasPrefix(r.line, "REST") {
				a.Expect(350)
			}
			if code, _, err := a.Read(); err != nil || code/100 != 5 {
				t.Fatalf("%s: %d, %v; want %d", r.what, code, err, r.code)
			}
			a.inStep(r.what)
		}
	}
	for _, e := range s.Events.All() {
		if done, ok := e.(event.TransferDone); ok && done.Code >= 400 {
			t.Errorf("a command that was refused is told as a transfer: %+v", done)
		}
	}
}

// Without the marks, and with what was refused left where it is, one file's
// content stands under the name of another: this is what both are there
// against.
func TestWithoutThrowingAwayAndWithoutMarksContentsAreMixedUp(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Server: (*ftpserver.Config).BelievingEveryMark})
	a := aheadOf(t, s, "diego", "secreto")
	a.Send("STOR ../refused")
	a.file("../refused", "of the one that is refused")
	a.Expect(550)
	a.Send("STOR next")
	a.file("next", "of the next one")
	a.Expect(125)
	a.Expect(250)
	a.holds("next", "of the one that is refused")
}

// Where they are out of step all the same, the marks tell it, and nothing is
// stored.
func TestAFileThatIsMarkedForAnotherIsNotTaken(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Server: (*ftpserver.Config).LeavingRefusedFiles})
	a := aheadOf(t, s, "diego", "secreto")
	a.Send("STOR ../refused\r\nSTOR first\r\nSTOR third")
	a.data.Write(fileAhead("../refused", "of the one that is refused"))
	a.data.Write(fileAhead("first", "of the next one")) // or it is closed already
	a.data.Write(fileAhead("third", "of the third"))
	a.Expect(550)
	a.Expect(125)
	a.Expect(426)
	a.Expect(425) // nothing is left of the connection, and of what was on it
	a.open()
	a.holds("first", "first")
	a.Cmd(550, "SIZE third")
	for _, mark := range []string{"", "Named", "named/", "other"} {
		a.Send("STOR named")
		a.file(mark, "x")
		a.Expect(125)
		a.Expect(426)
		a.open()
	}
	// Without a mark, as a client has it that has not turned this on.
	a.Send("STOR named")
	io.WriteString(a.data, "\x40\x00\x01x")
	a.Expect(125)
	a.Expect(426)
	a.open()
	a.Cmd(550, "SIZE named")
}

// failing is a tree whose files cannot be written beyond so many bytes, or
// not be made final.
type failing struct {
	vfs.FS
	after int
	with  error
}

func (f failing) Create(ctx context.Context, name vfs.Name, how vfs.How) (vfs.Upload, error) {
	up, err := f.FS.Create(ctx, name, how)
	if strings.HasPrefix(name.String(), "/bad") {
		up = &failingUpload{up, f.after, f.with}
	}
	return up, err
}

type failingUpload struct {
	vfs.Upload
	left int
	with error
}

func (u *failingUpload) Write(p []byte) (int, error) {
	if u.left -= len(p); u.left < 0 {
		return 0, u.with
	}
	return u.Upload.Write(p)
}

func (u *failingUpload) Commit(ctx context.Context) error { return u.with }

func TestAFileThatFailsInTheMiddleIsTakenToItsEnd(t *testing.T) {
	for _, r := range []struct {
		with error
		code int
	}{{vfs.ErrQuota, 552}, {vfs.ErrNoSpace, 452}, {io.ErrUnexpectedEOF, 451}} {
		tree := failing{memfs.New(), 300_000, r.with}
		s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "diego", Password: "secreto", FS: tree}}})
		a := aheadOf(t, s, "diego", "secreto")
		for _, size := range []int{0, 10, 299_999, 300_001, 1_000_000} {
			a.Send("STOR bad\r\nSTOR good")
			go a.data.Write(append(fileAhead("bad", strings.Repeat("x", size)), fileAhead("good", fmt.Sprint(size))...))
			a.Expect(125)
			a.Expect(r.code)
			a.Expect(125)
			a.Expect(250)
			a.holds("good", fmt.Sprint(size))
			a.Cmd(550, "RETR bad")
			a.inStep("what follows")
		}
	}
}

func TestOfARefusedFileSoMuchIsThrownAwayAndNotMore(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	for _, r := range []struct {
		size  int
		codes []int
	}{
		{ftpserver.MaxEaten, []int{550, 125, 250}},
		{ftpserver.MaxEaten + 1, []int{426, 425}},
		{4 * ftpserver.MaxEaten, []int{426, 425}},
	} {
		a := aheadOf(t, s, "diego", "secreto")
		a.Send("STOR ../refused\r\nSTOR next")
		go a.data.Write(append(fileAhead("../refused", strings.Repeat("x", r.size)), fileAhead("next", "next")...))
		for _, code := range r.codes {
			a.Expect(code)
		}
	}
}

// Whatever ends the data connection, or the waiting for a refused file, what
// is in line behind it is answered and not stored.
func TestWhatBreaksWhileARefusedFileIsAwaitedTakesTheLineAlong(t *testing.T) {
	for what, r := range map[string]struct {
		do    func(a *ahead, s *ftptest.Server)
		codes []int
	}{
		"the data connection ends":   {func(a *ahead, _ *ftptest.Server) { a.data.CloseWrite() }, []int{426, 425}},
		"the data connection breaks": {func(a *ahead, _ *ftptest.Server) { a.data.NetConn().Close() }, []int{426, 425}},
		"ABOR":                       {func(a *ahead, _ *ftptest.Server) { a.Send("ABOR") }, []int{426, 425, 226}},
		"an administrator":           {func(a *ahead, s *ftptest.Server) { s.FTP.Kick(0, "test") }, []int{426, 421}},
		"the least that can come":    {func(a *ahead, _ *ftptest.Server) { io.WriteString(a.data, "\x10\x00\x03../") }, []int{426, 425}},
		"what is no block":           {func(a *ahead, _ *ftptest.Server) { io.WriteString(a.data, "\x20\x00\x03../") }, []int{426, 425}},
		"too long a mark":            {func(a *ahead, _ *ftptest.Server) { io.WriteString(a.data, "\x10\xff\xff") }, []int{426, 425}},
		"its half": {func(a *ahead, _ *ftptest.Server) {
			a.data.Write(fileAhead("../refused", "xx")[:17])
			a.data.CloseWrite()
		}, []int{426, 425}},
	} {
		t.Run(what, func(t *testing.T) {
			s := ftptest.Start(t, ftptest.Options{})
			a := aheadOf(t, s, "diego", "secreto")
			a.heard(s, "STOR ../refused")
			if what != "ABOR" {
				a.Send("STOR next")
			}
			r.do(a, s)
			for _, code := range r.codes {
				if what == "ABOR" && code == 425 {
					continue
				}
				a.Expect(code)
			}
			if r.codes[len(r.codes)-1] != 421 {
				a.Cmd(550, "SIZE next")
				a.open()
				a.inStep(what)
			}
		})
	}
}

func TestWhoSendsNoFileBehindARefusedSTORIsNotWaitedForLong(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) { c.StallTimeout = time.Second }})
	a := aheadOf(t, s, "diego", "secreto")
	a.Send("STOR ../refused")
	a.Expect(426)
	a.Cmd(425, "STOR next")
}

func TestALineThatCannotBeReadEndsTheDataConnection(t *testing.T) {
	for _, line := range []string{
		"STOR " + strings.Repeat("n", 5000), "STOR a\x00b", "STOR \xffx", "\x01STOR x",
	} {
		s := ftptest.Start(t, ftptest.Options{})
		a := aheadOf(t, s, "diego", "secreto")
		a.Write(line + "\r\nSTOR first\r\n")
		a.data.Write(fileAhead("whatever", "of whatever was meant")) // or it is closed already
		a.data.Write(fileAhead("first", "of the next"))
		if code, _, err := a.Read(); err != nil || code/100 != 5 {
			t.Errorf("%.20q: %d, %v", line, code, err)
		}
		a.Expect(425)
		a.data = a.Secure(a.OpenData(a.Passive()))
		a.Send("RETR first")
		a.Expect(150)
		if got, _ := io.ReadAll(ftp.NewBlockReader(a.data)); string(got) != "first" {
			t.Errorf("%.20q: %q", line, got)
		}
		a.Expect(250)
	}
}

func TestFilesBothWaysInOneLineStayInStep(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	a := aheadOf(t, s, "diego", "secreto")
	var lines strings.Builder
	var files []byte
	const rounds = 30
	for i := range rounds {
		fmt.Fprintf(&lines, "STOR f%d\r\nRETR f%d\r\nSTOR ../no\r\nRETR missing\r\nNOOP\r\nHASH f%d\r\n", i, i, i)
		files = append(files, fileAhead(fmt.Sprint("f", i), fmt.Sprint("content ", i))...)
		files = append(files, fileAhead("../no", fmt.Sprint("refused ", i))...)
	}
	a.Write(lines.String())
	go a.data.Write(files)
	for i := range rounds {
		a.Expect(125)
		a.Expect(250)
		a.Expect(125)
		got, err := io.ReadAll(ftp.NewBlockReader(a.data))
		if want := fmt.Sprint("content ", i); err != nil || string(got) != want {
			t.Fatalf("file %d: %q, %v", i, got, err)
		}
		a.Expect(250)
		a.Expect(550)
		a.Expect(550)
		a.Expect(200)
		a.Expect(213)
	}
}

func TestWhoHasNoRightToStoreStaysInStep(t *testing.T) {
	tree := memfs.New()
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{
		{Name: "diego", Password: "p", FS: tree},
		{Name: "reader", Password: "p", FS: tree, Perm: vfs.ReadOnly},
	}})
	w := aheadOf(t, s, "diego", "p")
	w.inStep("the writer")
	c := &ahead{Conn: s.Login(t, "reader", "p"), t: t}
	c.Cmd(200, "MODE B")
	c.Cmd(200, "OPTS STOR ahead=on;")
	c.data = c.Secure(c.OpenData(c.Passive()))
	c.Cmd(550, "STOR x") // no data connection is open yet: no file comes along
	c.Send("RETR after")
	c.Expect(150)
	io.Copy(io.Discard, ftp.NewBlockReader(c.data))
	c.Expect(250)
	for i := range 5 {
		c.Send("STOR first")
		c.file("first", fmt.Sprint(i))
		c.Expect(550)
		c.holds("first", "first")
	}
}

func TestAheadEndsWithMODEAndREINAndItsOwnWord(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	a := aheadOf(t, s, "diego", "secreto")
	if !strings.Contains(a.Cmd(211, "FEAT"), "\n STOR ahead;") {
		t.Error("it is not announced")
	}
	a.Cmd(501, "OPTS STOR")
	a.Cmd(501, "OPTS STOR ahead")
	a.Cmd(501, "OPTS STOR ahead=perhaps")
	a.Cmd(501, "OPTS STOR ahead=off;unknown=1")
	a.inStep("a refused OPTS, which changes nothing")

	a.Cmd(200, "OPTS STOR AHEAD=off")
	a.Cmd(550, "STOR ../x") // at once: nothing comes with it
	a.Send("STOR plain")
	a.Expect(125)
	io.WriteString(a.data, "\x40\x00\x01x")
	a.Expect(250)

	a.Cmd(200, "OPTS STOR ahead=on")
	a.Cmd(200, "MODE S")
	a.Cmd(550, "STOR ../x")
	if code := a.Upload([]byte("as ever"), "STOR stream"); code != 226 {
		t.Errorf("in MODE S: %d", code)
	}
	a.Cmd(220, "REIN")
	a.Login("diego", "secreto")
	a.Cmd(200, "MODE B")
	a.data = a.Secure(a.OpenData(a.Passive()))
	a.Send("STOR plain")
	a.Expect(150)
	io.WriteString(a.data, "\x40\x00\x01y")
	a.Expect(250)
	a.holds("plain", "y")
}

// While a refused file is awaited the server may be asked to go: what is in
// line is left unanswered, as its client can tell.
func TestAShutdownWaitsForARefusedFileToo(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	a := aheadOf(t, s, "diego", "secreto")
	a.data.Write(fileAhead("../refused", "xx")[:15])
	a.heard(s, "STOR ../refused")
	ctx, cancel := context.WithTimeout(t.Context(), ftptest.Patience)
	defer cancel()
	over := make(chan error, 1)
	go func() { over <- s.FTP.Shutdown(ctx) }()
	a.data.Write(fileAhead("../refused", "xx")[15:])
	a.Expect(550)
	a.Expect(421)
	a.Raw().Close()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

// Files of one name have one mark. Each is owed to its own STOR, so that what
// comes of one never is the other's, whichever of them is refused.
func TestFilesOfOneNameComeInTheirOrder(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	a := aheadOf(t, s, "diego", "secreto")
	a.Send("STOR same\r\nMKD folder\r\nSTOR folder\r\nSTOR folder\r\nRMD folder\r\nSTOR folder\r\nSTOR same\r\nSTOR same")
	go func() {
		for i, name := range []string{"same", "folder", "folder", "folder", "same", "same"} {
			a.data.Write(fileAhead(name, fmt.Sprint(i)))
		}
	}()
	for _, code := range []int{125, 250, 257, 550, 550, 250, 125, 250, 125, 250, 125, 250} {
		a.Expect(code)
	}
	a.holds("folder", "3")
	a.holds("same", "5")
	a.inStep("what follows")
}

// What is thrown away is held nowhere, however much and however often.
func TestManyRefusedFilesAreHeldNowhere(t *testing.T) {
	const files, size = 300, 256 << 10
	s := ftptest.Start(t, ftptest.Options{})
	a := aheadOf(t, s, "diego", "secreto")
	blocks := fileAhead("../refused", strings.Repeat("x", size))
	// What other tests have left, and what only waits to be collected, is not
	// held here.
	held := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, most := held(), int64(0)
	for i := range files {
		a.Send("STOR ../refused")
		if _, err := a.data.Write(blocks); err != nil {
			t.Fatal(err)
		}
		a.Expect(550)
		if i%50 == 49 {
			most = max(most, held()-before)
		}
	}
	if most > files*size/4 {
		t.Errorf("%d MiB are held of %d", most>>20, files*size>>20)
	}
	a.inStep("all of them")
}
