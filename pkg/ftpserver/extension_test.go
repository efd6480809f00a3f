package ftpserver_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
	"ftps/pkg/vfs"
)

func TestBlockModeKeepsTheDataConnection(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(200, "MODE B")
	conn := c.Secure(c.OpenData(c.Passive()))
	for i := range 5 {
		want := noise(100_000 * i)
		c.Send("STOR f%d", i)
		c.Expect(map[bool]int{true: 150, false: 125}[i == 0])
		w := ftp.NewBlockWriter(conn, 0)
		w.Write(want)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		c.Expect(250)
		c.Send("RETR f%d", i)
		c.Expect(125)
		got, err := io.ReadAll(ftp.NewBlockReader(conn))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("file %d: %d bytes of %d, %v", i, len(got), len(want), err)
		}
		c.Expect(250)
	}
	c.Cmd(350, "REST 10")
	c.Cmd(504, "RETR f1")
	c.Cmd(226, "ABOR") // closes it
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the kept connection after ABOR: %v", err)
	}
	c.Cmd(425, "RETR f1")
}

func TestCommandsMayBePipelinedInBlockMode(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	for i := range 50 {
		c.Upload(noise(i), "STOR f%d", i)
	}
	if !strings.Contains(c.Cmd(211, "FEAT"), "X-PIPELINE") {
		t.Fatal("pipelining is not announced")
	}
	c.Cmd(200, "MODE B")
	conn := c.Secure(c.OpenData(c.Passive()))
	var burst strings.Builder
	for i := range 50 {
		fmt.Fprintf(&burst, "RETR f%d\r\n", i)
	}
	c.Write(burst.String())
	for i := range 50 {
		c.Expect(map[bool]int{true: 150, false: 125}[i == 0])
		got, err := io.ReadAll(ftp.NewBlockReader(conn))
		if err != nil || !bytes.Equal(got, noise(i)) {
			t.Fatalf("file %d: %d bytes, %v", i, len(got), err)
		}
		c.Expect(250)
	}
}

func TestABlockModeUploadWithoutItsEndIsNotAFile(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(200, "MODE B")
	conn := c.Secure(c.OpenData(c.Passive()))
	c.Send("STOR f")
	c.Expect(150)
	w := ftp.NewBlockWriter(conn, 0)
	w.Write([]byte("half of it"))
	w.Flush()
	conn.CloseWrite() // in order for TLS, but no EOF block
	c.Expect(426)
	c.Cmd(200, "MODE S")
	if _, code := c.Download("RETR f"); code != 550 {
		t.Errorf("half a file can be read: %d", code)
	}
}

func TestZlibModeBothWays(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(200, "MODE Z")
	want := bytes.Repeat([]byte("all the same "), 10_000)
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	z.Write(want)
	z.Close()
	if code := c.Upload(packed.Bytes(), "STOR f"); code != 226 {
		t.Fatalf("STOR: %d", code)
	}
	got, code := c.Download("RETR f")
	r, err := zlib.NewReader(bytes.NewReader(got))
	if err != nil {
		t.Fatalf("RETR: %d, %v", code, err)
	}
	if plain, err := io.ReadAll(r); err != nil || !bytes.Equal(plain, want) {
		t.Errorf("RETR: %d bytes, %v", len(plain), err)
	}
	for what, data := range map[string][]byte{
		"cut":            packed.Bytes()[:packed.Len()-3],
		"with a tail":    append(bytes.Clone(packed.Bytes()), "tail"...),
		"no zlib at all": []byte("plain text"),
	} {
		if code := c.Upload(data, "STOR g"); code != 426 {
			t.Errorf("%s: %d", what, code)
		}
	}
	c.Cmd(200, "MODE S")
	if got, _ := c.Download("RETR f"); !bytes.Equal(got, want) {
		t.Errorf("stored: %d bytes", len(got))
	}
}

func TestHashIsOfTheFileOrOfARange(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	data := noise(100_000)
	c.Upload(data, "STOR f 1")
	whole := sha256.Sum256(data)
	if got, want := c.Cmd(213, "HASH f 1"), fmt.Sprintf("SHA-256 0-99999 %x f 1", whole); got != want {
		t.Errorf("HASH: %s, want %s", got, want)
	}
	c.Cmd(350, "RANG 10 19")
	part := sha256.Sum256(data[10:20])
	if got, want := c.Cmd(213, "HASH f 1"), fmt.Sprintf("SHA-256 10-19 %x f 1", part); got != want {
		t.Errorf("HASH of a range: %s, want %s", got, want)
	}
	if got := c.Cmd(250, "XSHA256 f 1"); got != strings.ToUpper(hex.EncodeToString(whole[:])) {
		t.Errorf("XSHA256: %s", got)
	}
	if got := c.Cmd(250, `XSHA256 "f 1" 10 19`); got != strings.ToUpper(hex.EncodeToString(part[:])) {
		t.Errorf("XSHA256 of a range: %s", got)
	}
	c.Cmd(200, "OPTS HASH CRC32")
	if got := c.Cmd(211, "FEAT"); !strings.Contains(got, "HASH SHA-256;SHA-512;SHA-1;MD5;CRC32*"+quick()+"\n") {
		t.Errorf("FEAT: %s", got)
	}
	c.Cmd(501, "OPTS HASH ROT13")
	c.Cmd(550, "HASH missing")
	c.Cmd(350, "RANG 5 200000")
	c.Cmd(554, "HASH f 1")
}

func TestRangSendsTheseBytesAndNoOthers(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Upload([]byte("0123456789"), "STOR f")
	c.Cmd(350, "RANG 2 4")
	if got, code := c.Download("RETR f"); code != 226 || string(got) != "234" {
		t.Errorf("RANG 2 4: %d %q", code, got)
	}
	if got, _ := c.Download("RETR f"); string(got) != "0123456789" {
		t.Errorf("RANG held for two: %q", got)
	}
	c.Cmd(501, "RANG 4 2")
	c.Cmd(350, "RANG 2 4")
	c.Cmd(350, "RANG 1 0")
	if got, _ := c.Download("RETR f"); string(got) != "0123456789" {
		t.Errorf("RANG 1 0: %q", got)
	}
}

func TestActiveModeConnectsToTheClientAndToNobodyElse(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	for line, code := range map[string]int{
		"PORT 127,0,0,2,200,10":       504, // another host
		"PORT 8,8,8,8,200,10":         504,
		"PORT 127,0,0,1,0,22":         504, // a privileged port
		"PORT 127,0,0,1,200,10,1":     501,
		"PORT 127,0,0,1,999,10":       501,
		"EPRT |1|127.0.0.2|50000|":    504,
		"EPRT |2|::|999|":             504,
		"EPRT |3|127.0.0.1|50000|":    522,
		"EPRT |2|::ffff:8.8.8.8|999|": 504,
		"EPRT nonsense":               501,
	} {
		c.Cmd(code, "%s", line)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	for _, cmd := range []string{
		fmt.Sprintf("PORT 127,0,0,1,%d,%d", port>>8, port&255),
		fmt.Sprintf("EPRT |1|127.0.0.1|%d|", port),
		fmt.Sprintf("EPRT |2|::|%d|", port), // as lftp says it of itself
	} {
		c.Cmd(200, "%s", cmd)
		c.Send("STOR f")
		c.Expect(150)
		raw, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn := tls.Client(raw, c.TLS) // the client of the control connection is TLS's client here too
		conn.Write([]byte("active"))
		conn.CloseWrite()
		io.Copy(io.Discard, conn)
		conn.Close()
		c.Expect(226)
		if got, _ := c.Download("RETR f"); string(got) != "active" {
			t.Errorf("%s: %q", cmd, got)
		}
	}
	c.Cmd(200, "EPSV ALL")
	c.Cmd(503, "PASV")
	c.Cmd(503, "PORT 127,0,0,1,200,10")
	c.Cmd(503, "EPRT |1|127.0.0.1|50000|")
	c.Passive()
}

func TestStouChoosesANameAndTellsIt(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	var names []string
	for range 2 {
		raw := c.OpenData(c.Passive())
		c.Send("STOU")
		name, ok := strings.CutPrefix(c.Expect(150), "FILE: ")
		if !ok {
			t.Fatal("the 150 does not name the file")
		}
		names = append(names, name)
		conn := c.Secure(raw)
		conn.Write([]byte(name))
		conn.CloseWrite()
		io.Copy(io.Discard, conn)
		c.Expect(226)
		if got, _ := c.Download("RETR %s", name); string(got) != name {
			t.Errorf("%s holds %q", name, got)
		}
	}
	if names[0] == names[1] {
		t.Error("the same name twice")
	}
}

func TestTimesAndModesCanBeSet(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Upload([]byte("x"), "STOR a file")
	for _, line := range []string{
		"MFMT 20200102030405 a file", "MDTM 20200102030405 a file",
		"MFF Modify=20200102030405;UNIX.mode=0640; a file", "SITE UTIME 20200102030405 a file",
	} {
		c.Cmd(213, "MFMT 19990101000000 a file")
		code, _, err := func() (int, []string, error) { c.Send("%s", line); return c.Read() }()
		if err != nil || code/100 != 2 {
			t.Fatalf("%s: %d %v", line, code, err)
		}
		if got := c.Cmd(213, "MDTM a file"); got != "20200102030405" {
			t.Errorf("after %s: %s", line, got)
		}
	}
	c.Cmd(200, "SITE CHMOD 600 a file")
	if got := c.Cmd(250, "MLST a file"); !strings.Contains(got, "UNIX.mode=0600") {
		t.Errorf("after SITE CHMOD: %s", got)
	}
	c.Cmd(504, "MFF Color=red; a file")
	c.Cmd(501, "SITE CHMOD 999 a file")
	c.Cmd(550, "MFMT 20200102030405 missing")
	c.Cmd(504, "MFCT 20200102030405 a file")
}

// OPTS STOR modify: the time comes before the data, and is that file's alone.
func TestTheTimeToldBeforeAnUploadIsThatFilesAlone(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	if got := c.Cmd(211, "FEAT"); !strings.Contains(got, " STOR ") || !strings.Contains(got, "modify;") {
		t.Fatalf("FEAT: %s", got)
	}
	const when = "20200102030405"
	year := time.Now().UTC().Format("2006")
	dated := func(name, want string) {
		t.Helper()
		if got := c.Cmd(213, "MDTM %s", name); !strings.HasPrefix(got, want) {
			t.Errorf("the time of %s: %s, want %s", name, got, want)
		}
	}
	tell := func() { t.Helper(); c.Cmd(200, "OPTS STOR modify=%s;", when) }

	tell()
	c.Cmd(213, "AVBL") // what is no upload leaves it
	c.Download("MLSD")
	c.Upload([]byte("x"), "STOR f")
	dated("f", when)
	c.Upload([]byte("x"), "STOR g")
	dated("g", year)
	tell()
	c.Upload([]byte("y"), "APPE g")
	dated("g", when)
	c.Cmd(200, "OPTS STOR modify=20200102030405.678")
	c.Upload([]byte("x"), "STOR fraction")
	dated("fraction", when)

	// One that is refused has had it.
	c.Cmd(257, "MKD d")
	tell()
	c.Cmd(550, "STOR ../../x\x01")
	c.Upload([]byte("x"), "STOR h")
	dated("h", year)
	tell()
	c.Upload([]byte("x"), "STOR d")
	c.Upload([]byte("x"), "STOR i")
	dated("i", year)
	// It goes with the one who said it.
	tell()
	c.Cmd(220, "REIN")
	c.Login("diego", "secreto")
	c.Upload([]byte("x"), "STOR k")
	dated("k", year)

	for _, bad := range []string{"modify=", "modify", "modify=20201332000000;", "modify=-1", "colour=red;", "modify=20200102030405;x", ""} {
		c.Cmd(501, "OPTS STOR %s", bad)
	}
	c.Upload([]byte("x"), "STOR l")
	dated("l", year)
}

func TestWhoMayNotSetTimesMayNotTellThemBeforeEither(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "a", Password: "p", Perm: vfs.ReadWrite &^ vfs.Chtime}}})
	c := s.Login(t, "a", "p")
	c.Cmd(550, "OPTS STOR modify=20200102030405;")
	c.Upload([]byte("x"), "STOR f")
	if got := c.Cmd(213, "MDTM f"); strings.HasPrefix(got, "2020") {
		t.Errorf("MDTM: %s", got)
	}
	d := s.Dial(t)
	d.Expect(220)
	d.Cmd(530, "OPTS STOR modify=20200102030405;")
}

func TestCopyOnTheServersSide(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	want := noise(1 << 20)
	c.Upload(want, "STOR f")
	c.Cmd(503, "SITE CPTO g")
	c.Cmd(350, "SITE CPFR f")
	c.Cmd(200, "SITE CPTO g")
	if got, _ := c.Download("RETR g"); !bytes.Equal(got, want) {
		t.Errorf("the copy: %d bytes", len(got))
	}
	c.Cmd(350, "SITE CPFR f")
	c.Cmd(550, "SITE CPTO f")
	c.Cmd(550, "SITE CPFR missing")
	c.Cmd(350, "SITE CPFR f")
	c.Cmd(550, "SITE CPTO ../g")
	if got, _ := c.Download("RETR f"); !bytes.Equal(got, want) {
		t.Errorf("the original: %d bytes", len(got))
	}
}

func TestRmdaRemovesAFolderWithAllInIt(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(257, "MKD a")
	c.Cmd(257, "XMKD a/b")
	c.Upload([]byte("x"), "STOR a/b/f")
	c.Upload([]byte("x"), "STOR a/f")
	c.Upload([]byte("x"), "STOR kept")
	c.Cmd(550, "RMD a")
	c.Cmd(550, "RMDA /")
	c.Cmd(250, "RMDA a")
	if got, _ := c.Download("NLST"); string(got) != "kept\r\n" {
		t.Errorf("left: %q", got)
	}
}

func TestOldNamesOfCommands(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(257, "XMKD d")
	c.Cmd(250, "XCWD d")
	c.Cmd(257, "XPWD")
	c.Cmd(250, "XCUP")
	c.Cmd(250, "XRMD d")
	c.Cmd(200, "CLNT some client")
	c.Cmd(200, "CSID Name=test; Version=1;")
	c.Cmd(200, "PRET RETR x")
	c.Cmd(202, "ACCT x")
	c.Cmd(502, "SMNT x")
	c.Cmd(200, "SITE IDLE 30")
	c.Cmd(501, "SITE IDLE 9999999")
	if n, err := strconv.ParseInt(c.Cmd(213, "AVBL"), 10, 64); err != nil || n < 1 {
		t.Errorf("AVBL: %d %v", n, err)
	}
}

func TestSiteCommandsHoldTheRights(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "a", Password: "p", Perm: vfs.ReadOnly}}})
	c := s.Login(t, "a", "p")
	for _, line := range []string{
		"SITE CHMOD 600 f", "SITE UTIME 20200101000000 f", "SITE CPTO f", "MFMT 20200101000000 f",
		"MFF Modify=20200101000000; f", "MDTM 20200101000000 f", "RMDA f", "STAT /missing",
	} {
		c.Cmd(550, "%s", line)
	}
}

func TestHostChoosesAndIsHeldToSNI(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) {
		c.KnowsHost = func(name string) bool { return name == ftptest.ServerName || name == "other.test" }
	}})
	c := s.Dial(t)
	c.Expect(220)
	c.Cmd(504, "HOST nobody.test")
	c.Cmd(501, "HOST two words")
	c.Cmd(220, "HOST %s", ftptest.ServerName)
	c.Cmd(234, "AUTH TLS")
	c.StartTLS()
	c.Cmd(504, "HOST other.test") // the handshake was for another name
	c.Cmd(220, "HOST %s", ftptest.ServerName)
	c.Login("diego", "secreto")
	c.Cmd(503, "HOST %s", ftptest.ServerName)
}

// pace lets a fixed number of bytes pass and then none until it is opened.
type pace struct {
	left   int
	opened chan struct{}
	dry    chan struct{}
}

func (p *pace) Wait(ctx context.Context, n int) error {
	if p.left -= n; p.left >= 0 {
		return nil
	}
	select {
	case <-p.dry:
	default:
		close(p.dry)
	}
	select {
	case <-p.opened:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func TestARateHoldsATransferAndAKickEndsIt(t *testing.T) {
	p := &pace{left: 100_000, opened: make(chan struct{}), dry: make(chan struct{})}
	s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) {
		c.Backend = paced{c.Backend, p}
	}})
	c := s.Login(t, "diego", "secreto")
	raw := c.OpenData(c.Passive())
	c.Send("STOR f")
	c.Expect(150)
	conn := c.Secure(raw)
	go conn.Write(make([]byte, 1<<20))
	select {
	case <-p.dry:
	case <-time.After(ftptest.Patience):
		t.Fatal("the pace was never asked")
	}
	s.FTP.Kick(0, "test")
	c.Expect(426)
	c.Expect(421)
}

// paced is a backend whose accounts upload at a pace.
type paced struct {
	ftpserver.Backend
	up *pace
}

func (b paced) Login(ctx context.Context, a ftpserver.Attempt) (*ftpserver.Account, error) {
	acc, err := b.Backend.Login(ctx, a)
	if err == nil {
		acc.Up = b.up
	}
	return acc, err
}
