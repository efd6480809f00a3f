package ftpserver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"ftps/pkg/dataport"
	"ftps/pkg/event"
	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/jail"
	"ftps/pkg/vfs/memfs"
)

// noise returns n bytes that look like nothing, the same for the same n.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(uint64(n), 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestFilesGoUpAndComeBack(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			s := ftptest.Start(t, ftptest.Options{})
			c := s.Dial(t)
			c.TLS.MaxVersion = version
			c.Expect(220)
			c.Cmd(234, "AUTH TLS")
			c.StartTLS()
			c.Cmd(331, "USER diego")
			c.Cmd(230, "PASS secreto")
			c.Cmd(200, "PBSZ 0")
			c.Cmd(200, "PROT P")
			c.Cmd(200, "TYPE I")
			for _, size := range []int{0, 1, 16384, 16385, 1 << 20} {
				want := noise(size)
				name := fmt.Sprintf("file %d ñ 漢字 😀", size)
				if code := c.Upload(want, "STOR %s", name); code != 226 {
					t.Fatalf("STOR of %d bytes: %d", size, code)
				}
				if got := c.Cmd(213, "SIZE %s", name); got != fmt.Sprint(size) {
					t.Errorf("SIZE: %s, want %d", got, size)
				}
				got, code := c.Download("RETR %s", name)
				if code != 226 || !bytes.Equal(got, want) {
					t.Errorf("RETR of %d bytes: %d, %d bytes", size, code, len(got))
				}
			}
			for _, e := range s.Events.All() {
				if d, ok := e.(event.TransferDone); ok && d.Bound != "session" {
					t.Errorf("%s %s: bound by %q", d.Verb, d.Name, d.Bound)
				}
			}
		})
	}
}

func TestRestAndAppendGoOn(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	content := func(want string) {
		t.Helper()
		if got, code := c.Download("RETR f"); code != 226 || string(got) != want {
			t.Fatalf("content: %d %q, want %q", code, got, want)
		}
	}
	c.Upload([]byte("hello world"), "STOR f")
	c.Cmd(350, "REST 6")
	if got, code := c.Download("RETR f"); code != 226 || string(got) != "world" {
		t.Errorf("RETR from 6: %d %q", code, got)
	}
	content("hello world") // REST holds for one transfer
	c.Cmd(350, "REST 6")
	if code := c.Upload([]byte("there"), "STOR f"); code != 226 {
		t.Errorf("STOR from 6: %d", code)
	}
	content("hello there")
	c.Cmd(350, "REST 5")
	c.Upload([]byte("!"), "STOR f")
	content("hello!")
	c.Upload([]byte(" bye"), "APPE f")
	content("hello! bye")
	c.Upload([]byte("made by APPE"), "APPE g")
	c.Cmd(213, "SIZE g")
	c.Cmd(350, "REST 100")
	if _, code := c.Download("RETR f"); code != 554 {
		t.Errorf("RETR beyond the end: %d", code)
	}
	c.Cmd(350, "REST 100")
	if code := c.Upload([]byte("x"), "STOR f"); code != 554 {
		t.Errorf("STOR beyond the end: %d", code)
	}
	content("hello! bye")
}

func TestAlloHoldsTheUploadToItsWord(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Upload([]byte("old"), "STOR f")
	c.Cmd(200, "ALLO 10")
	if code := c.Upload([]byte("nine byte"), "STOR f"); code != 451 {
		t.Errorf("nine of ten bytes: %d", code)
	}
	if got, _ := c.Download("RETR f"); string(got) != "old" {
		t.Errorf("the old file became %q", got)
	}
	c.Cmd(200, "ALLO 9")
	if code := c.Upload([]byte("nine byte"), "STOR f"); code != 226 {
		t.Errorf("nine of nine bytes: %d", code)
	}
}

func TestTypeAChangesLineEndsBothWays(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(200, "TYPE A")
	c.Upload([]byte("one\r\ntwo\r\n"), "STOR f")
	if got, _ := c.Download("RETR f"); string(got) != "one\r\ntwo\r\n" {
		t.Errorf("TYPE A: %q", got)
	}
	c.Cmd(550, "SIZE f")
	c.Cmd(350, "REST 1")
	if _, code := c.Download("RETR f"); code != 504 {
		t.Errorf("REST in TYPE A: %d", code)
	}
	c.Cmd(200, "TYPE I")
	if got, _ := c.Download("RETR f"); string(got) != "one\ntwo\n" {
		t.Errorf("stored as %q", got)
	}
}

func TestListingsShowWhatIsThere(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(257, "MKD sub")
	c.Upload([]byte("abc"), "STOR a.txt")
	c.Upload([]byte("abcd"), "STOR b.bin")
	c.Upload([]byte("x"), "STOR -la")
	ask := func(format string, args ...any) string {
		t.Helper()
		got, code := c.Download(format, args...)
		if code != 226 {
			t.Fatalf(format+": %d", append(args, code)...)
		}
		return string(got)
	}
	for _, cmd := range []string{"LIST", "LIST -a", "LIST -al .", "LIST /"} {
		if got := ask("%s", cmd); strings.Count(got, "\r\n") != 4 || !strings.Contains(got, " a.txt\r\n") {
			t.Errorf("%s:\n%s", cmd, got)
		}
	}
	if got := ask("LIST -la"); strings.Count(got, "\r\n") != 1 {
		t.Errorf("a file named like an option:\n%s", got)
	}
	if got := ask("NLST *.txt"); got != "a.txt\r\n" {
		t.Errorf("NLST *.txt: %q", got)
	}
	if got := ask("NLST a.txt"); got != "a.txt\r\n" {
		t.Errorf("NLST a.txt: %q", got)
	}
	if got := ask("NLST sub"); got != "" {
		t.Errorf("NLST of an empty folder: %q", got)
	}
	mlsd := ask("MLSD")
	for _, want := range []string{"type=file;", "type=dir;", "size=4;", "; b.bin\r\n"} {
		if !strings.Contains(strings.ToLower(mlsd), want) {
			t.Errorf("MLSD has no %q:\n%s", want, mlsd)
		}
	}
	if got := c.Cmd(250, "MLST sub"); !strings.Contains(strings.ToLower(got), "type=dir;") || !strings.Contains(got, " /sub\n") {
		t.Errorf("MLST sub: %s", got)
	}
	for cmd, code := range map[string]int{"MLSD a.txt": 501, "MLSD missing": 550, "LIST missing": 550, "NLST missing": 550, "RETR sub": 550} {
		if _, got := c.Download("%s", cmd); got != code {
			t.Errorf("%s: %d, want %d", cmd, got, code)
		}
	}
	c.Cmd(200, "OPTS MLST size;type;")
	if got := strings.ToLower(c.Cmd(250, "MLST a.txt")); strings.Contains(got, "modify") {
		t.Errorf("facts that were turned off: %s", got)
	}
	if got := c.Cmd(212, "STAT /"); !strings.Contains(got, "a.txt") {
		t.Errorf("STAT /: %s", got)
	}
}

func TestALineBreakInANameForgesNoLine(t *testing.T) {
	tree := memfs.New()
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "diego", Password: "secreto", FS: hostile{tree}}}})
	c := s.Login(t, "diego", "secreto")
	got, code := c.Download("NLST")
	if code != 226 || string(got) != "honest\r\n" {
		t.Errorf("NLST: %d %q", code, got)
	}
}

func TestATransferNeedsAProtectedPromisedPort(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := secured(t, s)
	c.Cmd(331, "USER diego")
	c.Cmd(230, "PASS secreto")
	c.Cmd(521, "EPSV")
	c.Cmd(521, "RETR x")
	c.Cmd(503, "PROT P")
	c.Cmd(200, "PBSZ 0")
	c.Cmd(200, "PROT P")
	c.Cmd(425, "RETR x")
	c.Cmd(425, "STOR x")
}

func TestAborEndsTheTransferAndThenItself(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(226, "ABOR")
	c.Passive()
	c.Cmd(226, "ABOR") // closes the promised port
	c.Cmd(425, "RETR x")

	c.Upload(noise(8<<20), "STOR big")
	raw := c.OpenData(c.Passive())
	c.Send("RETR big")
	c.Expect(150)
	conn := c.Secure(raw)
	if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if got := c.Cmd(211, "STAT"); !strings.Contains(got, "RETR /big") {
		t.Errorf("STAT during a transfer: %s", got)
	}
	c.Write("\xff\xf4\xff\xf2ABOR\r\n") // as Telnet has it: IAC IP, IAC DM
	c.Expect(426)
	c.Expect(226)
	conn.Close()
	if code := c.Upload([]byte("x"), "STOR after"); code != 226 {
		t.Errorf("after ABOR: %d", code)
	}
}

func TestASerialCommandWaitsForTheTransfer(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	raw := c.OpenData(c.Passive())
	c.Send("STOR f")
	c.Expect(150)
	c.Send("SIZE f")
	c.Send("PWD")
	conn := c.Secure(raw)
	conn.Write([]byte("12345"))
	conn.CloseWrite()
	io.Copy(io.Discard, conn)
	c.Expect(226)
	if got := c.Expect(213); got != "5" {
		t.Errorf("SIZE was answered before the file was there: %s", got)
	}
	c.Expect(257)
}

func TestAnUploadWithoutCloseNotifyIsNotAFile(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Upload([]byte("old"), "STOR old")
	for _, name := range []string{"old", "new"} {
		raw := c.OpenData(c.Passive())
		c.Send("STOR %s", name)
		c.Expect(150)
		conn := c.Secure(raw)
		if _, err := conn.Write(noise(1 << 14)); err != nil {
			t.Fatal(err)
		}
		raw.Close() // no close_notify
		c.Expect(426)
	}
	if got, code := c.Download("RETR old"); code != 226 || string(got) != "old" {
		t.Errorf("the old file: %d %q", code, got)
	}
	if _, code := c.Download("RETR new"); code != 550 {
		t.Errorf("half a file can be read: %d", code)
	}
	if got, _ := c.Download("NLST"); string(got) != "old\r\n" {
		t.Errorf("half a file is listed: %q", got)
	}
	// It can be gone on from, by the account that left it.
	if got := c.Cmd(213, "SIZE new"); got != fmt.Sprint(1<<14) {
		t.Fatalf("SIZE of the part: %s", got)
	}
	c.Cmd(350, "REST %d", 1<<14)
	if code := c.Upload([]byte("end"), "STOR new"); code != 226 {
		t.Errorf("going on: %d", code)
	}
	if got, _ := c.Download("RETR new"); !bytes.Equal(got, append(noise(1<<14), "end"...)) {
		t.Errorf("put together: %d bytes", len(got))
	}
}

func TestRightsAreHeldByTheTable(t *testing.T) {
	rights := map[string]vfs.Perm{
		"DELE f": vfs.Delete, "RMD d": vfs.Delete, "MKD n": vfs.Mkdir, "RNFR f": vfs.Rename,
		"MLST f": vfs.List, "STAT /": vfs.List, "MFMT 20260101000000 f": vfs.Chtime,
	}
	data := map[string]vfs.Perm{
		"RETR f": vfs.Read, "STOR n": vfs.Write, "APPE f": vfs.Append, "LIST": vfs.List, "NLST": vfs.List, "MLSD": vfs.List,
	}
	for line, right := range rights {
		s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "a", Password: "p", Perm: vfs.ReadWrite &^ right}}})
		c := s.Login(t, "a", "p")
		c.Cmd(550, "%s", line)
	}
	for line, right := range data {
		s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "a", Password: "p", Perm: vfs.ReadWrite &^ right}}})
		c := s.Login(t, "a", "p")
		c.Passive()
		c.Cmd(550, "%s", line)
	}
}

func TestADropboxTakesAndNeverShows(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "a", Password: "p", Perm: vfs.Dropbox}}})
	c := s.Login(t, "a", "p")
	if code := c.Upload([]byte("x"), "STOR f"); code != 226 {
		t.Fatalf("STOR: %d", code)
	}
	for _, line := range []string{"SIZE f", "MDTM f", "MLST f", "DELE f", "STAT f", "RNFR f"} {
		c.Cmd(550, "%s", line)
	}
	for _, line := range []string{"RETR f", "LIST", "NLST", "MLSD"} {
		if _, code := c.Download("%s", line); code != 550 {
			t.Errorf("%s: %d", line, code)
		}
	}
}

func TestAHundredClientsAtOnceLoseNothing(t *testing.T) {
	const clients, files = 100, 4
	tree := memfs.New()
	s := ftptest.Start(t, ftptest.Options{
		DataPorts: 4, Accounts: []ftptest.Account{{Name: "diego", Password: "secreto", FS: tree}},
		// However long a busy machine has them wait for each other.
		Server: func(c *ftpserver.Config) { c.HandshakeTimeout, c.LoginTimeout = time.Hour, time.Hour },
		Ports: func(c *dataport.Config) {
			c.Turn, c.Unused, c.Want, c.Handshake, c.Grace = time.Hour, time.Hour, time.Hour, time.Hour, time.Hour
		},
	})
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			c := s.Login(t, "diego", "secreto")
			for j := range files {
				want := noise(1000*i + j)
				name := fmt.Sprintf("file-%d-%d", i, j)
				if code := c.Upload(want, "STOR %s", name); code != 226 {
					t.Errorf("STOR %s: %d", name, code)
					return
				}
				if got, code := c.Download("RETR %s", name); code != 226 || !bytes.Equal(got, want) {
					t.Errorf("RETR %s: %d, %d bytes of %d", name, code, len(got), len(want))
				}
			}
			c.Cmd(221, "QUIT")
		})
	}
	all.Wait()
	n := 0
	for _, err := range tree.List(context.Background(), vfs.Name{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != clients*files {
		t.Errorf("%d files, want %d", n, clients*files)
	}
}

func TestNoFactIsAnnouncedThatIsNeverTold(t *testing.T) {
	tree, err := jail.Open(t.TempDir(), jail.Options{Account: "diego"}) // a tree that knows owners
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "diego", Password: "secreto", FS: tree}}})
	c := s.Login(t, "diego", "secreto")
	c.Upload([]byte("x"), "STOR f")
	_, announced, _ := strings.Cut(c.Cmd(211, "FEAT"), " MLST ")
	announced, _, _ = strings.Cut(announced, "\n")
	told := strings.ToLower(c.Cmd(250, "MLST f"))
	for name := range strings.SplitSeq(strings.TrimSuffix(announced, ";"), ";") {
		if !strings.Contains(told, strings.ToLower(strings.TrimSuffix(name, "*"))+"=") {
			t.Errorf("FEAT announces %s; MLST says %s", name, told)
		}
	}
}
