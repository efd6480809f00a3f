package ftpserver_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha512"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"

	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
	"ftps/pkg/vfs"
)

// What the RFCs ask for and no other test here tells by itself. The table in
// integration/RFC.md names these tests.

func TestTypesWithOtherNames(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Upload([]byte("one\ntwo\n"), "STOR f")
	for _, ascii := range []string{"A", "a", "A N", "A T"} {
		c.Cmd(200, "TYPE %s", ascii)
		if got, _ := c.Download("RETR f"); string(got) != "one\r\ntwo\r\n" {
			t.Errorf("TYPE %s: %q", ascii, got)
		}
	}
	for _, image := range []string{"I", "i", "L 8"} {
		c.Cmd(200, "TYPE %s", image)
		if got, _ := c.Download("RETR f"); string(got) != "one\ntwo\n" {
			t.Errorf("TYPE %s: %q", image, got)
		}
	}
	for _, no := range []string{"E", "A C", "L 36", "L"} {
		c.Cmd(504, "TYPE %s", no)
	}
}

func TestTheMinimumOfRFC1123IsKnown(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	for _, verb := range strings.Fields("ACCT PORT TYPE MODE STRU RETR STOR APPE RNFR RNTO DELE CWD CDUP RMD MKD PWD LIST NLST PASV SYST STAT HELP NOOP USER PASS QUIT") {
		c.Send("%s", verb)
		if code, _, err := c.Read(); err != nil || code == 500 || code == 502 {
			t.Errorf("%s: %d %v", verb, code, err)
		}
	}
}

func TestQuotesInAnAnsweredNameAreDoubled(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	want := `"/a""b"`
	if got := c.Cmd(257, `MKD a"b`); got != want {
		t.Errorf("MKD: %s", got)
	}
	c.Cmd(250, `CWD a"b`)
	if got := c.Cmd(257, "PWD"); got != want {
		t.Errorf("PWD: %s", got)
	}
}

func TestPathsAreThoseOfTVFS(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(257, "MKD a")
	c.Cmd(257, "MKD a/b")
	c.Cmd(257, "MKD /a/b/c")
	for _, path := range []string{"/a/b", "a/b/", "a/./b", "a//b", "a/b/c/..", "/a/../a/b"} {
		c.Cmd(250, "CWD /")
		c.Cmd(250, "CWD %s", path)
		if got := c.Cmd(257, "PWD"); got != `"/a/b"` {
			t.Errorf("CWD %s leads to %s", path, got)
		}
	}
	if !slices.Contains(strings.Split(c.Cmd(211, "FEAT"), "\n"), " TVFS") {
		t.Error("TVFS is not announced")
	}
}

func TestFilesAndFoldersComeAndGo(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(257, "MKD d")
	c.Cmd(550, "MKD d")
	c.Upload([]byte("x"), "STOR d/f")
	c.Cmd(550, "RMD d") // not empty
	c.Cmd(550, "DELE d")
	c.Cmd(550, "RMD d/f")
	c.Cmd(250, "DELE d/f")
	c.Cmd(550, "DELE d/f")
	c.Cmd(250, "RMD d")
	c.Cmd(550, "RMD d")
	c.Cmd(550, "CWD d")
}

func TestRntoFollowsRnfrAtOnce(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Upload([]byte("x"), "STOR a")
	c.Cmd(503, "RNTO b")
	c.Cmd(550, "RNFR missing")
	c.Cmd(350, "RNFR a")
	c.Cmd(200, "NOOP")
	c.Cmd(503, "RNTO b")
	c.Cmd(350, "RNFR a")
	c.Cmd(250, "RNTO b")
	c.Cmd(550, "SIZE a")
	c.Cmd(213, "SIZE b")
}

func TestQuitWaitsForTheTransfer(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	raw := c.OpenData(c.Passive())
	c.Send("STOR f")
	c.Expect(150)
	c.Send("QUIT")
	conn := c.Secure(raw)
	if _, err := conn.Write([]byte("whole")); err != nil {
		t.Fatal(err)
	}
	conn.CloseWrite()
	io.Copy(io.Discard, conn)
	c.Expect(226)
	c.Expect(221)
	c.ExpectClosed()
	again := s.Login(t, "diego", "secreto")
	if got := again.Cmd(213, "SIZE f"); got != "5" {
		t.Errorf("stored: %s bytes", got)
	}
}

func TestWhatTheServerTellsOfItself(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	if got := c.Cmd(215, "SYST"); got != "UNIX Type: L8" {
		t.Errorf("SYST: %s", got)
	}
	every := c.Cmd(214, "HELP")
	for _, cmd := range ftpserver.Commands() {
		if !slices.Contains(strings.Fields(every), cmd.Verb) {
			t.Errorf("HELP does not name %s", cmd.Verb)
		}
		if got := c.Cmd(214, "HELP %s", cmd.Verb); !strings.HasPrefix(got, cmd.Verb) {
			t.Errorf("HELP %s: %s", cmd.Verb, got)
		}
	}
	c.Cmd(502, "HELP WHAT")
	if got := c.Cmd(214, "SITE HELP"); !strings.Contains(got, "\n CHMOD ") {
		t.Errorf("SITE HELP: %s", got)
	}
	c.Upload([]byte("x"), "STOR f")
	if got := c.Cmd(213, "STAT f"); !strings.Contains(got, " f\n") {
		t.Errorf("STAT of a file: %s", got)
	}
	if got := c.Cmd(211, "STAT"); !strings.Contains(got, "diego") {
		t.Errorf("STAT: %s", got)
	}
	c.Cmd(200, "NOOP")
	c.Cmd(200, "NOOP keep me here")
}

func TestFeatIsWrittenAsRFC2389Says(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Dial(t)
	c.Expect(220)
	lines := strings.Split(c.Cmd(211, "FEAT"), "\n")
	if last := lines[len(lines)-1]; last != "End" {
		t.Errorf("the last line is %q", last)
	}
	var features []string
	for _, line := range lines[1 : len(lines)-1] {
		feature, ok := strings.CutPrefix(line, " ")
		if !ok || strings.HasPrefix(feature, " ") {
			t.Errorf("not exactly one space before %q", line)
		}
		features = append(features, feature)
	}
	for _, want := range []string{
		"AUTH TLS", "PBSZ", "PROT", "EPSV", "EPRT", "REST STREAM", "SIZE", "MDTM", "TVFS", "UTF8", "HOST", "MFMT",
		"MFF Modify;UNIX.mode;", "RANG STREAM", "LANG EN*;ES", "HASH SHA-256*;SHA-512;SHA-1;MD5;CRC32" + quick(), "CSID", "AVBL", "PRET", "MODE Z",
	} {
		if !slices.Contains(features, want) {
			t.Errorf("FEAT does not say %q", want)
		}
	}
	if !slices.ContainsFunc(features, func(f string) bool { return strings.HasPrefix(f, "MLST type*;size*;modify*;") }) {
		t.Errorf("FEAT does not list the facts: %q", features)
	}
	c.Cmd(501, "FEAT now")
	c.Cmd(501, "OPTS NOTHING x")
	c.Cmd(200, "OPTS UTF8 ON")
	c.Cmd(200, "OPTS UTF8")
	c.Cmd(504, "OPTS UTF8 OFF")
}

func TestRepliesAboutProtection(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Dial(t)
	c.Expect(220)
	c.Cmd(503, "PBSZ 0")
	c.Cmd(503, "PROT P")
	c.Cmd(504, "AUTH KERBEROS_V4")
	c.Cmd(504, "AUTH TLS-P")
	c.Cmd(534, "CCC")
	c.Cmd(503, "ADAT AAAA")
	for _, verb := range []string{"MIC", "CONF", "ENC"} {
		c.Cmd(533, "%s AAAA", verb)
	}
	c.Cmd(234, "auth tls-c")
	c.StartTLS()
	c.Cmd(503, "AUTH TLS") // one layer only
	c.Cmd(503, "PROT P")   // before PBSZ
	if got := c.Cmd(200, "PBSZ 4096"); got != "PBSZ=0" {
		t.Errorf("PBSZ 4096: %s", got)
	}
	c.Cmd(501, "PBSZ none")
	c.Cmd(534, "PROT C")
	c.Cmd(536, "PROT S")
	c.Cmd(536, "PROT E")
	c.Cmd(504, "PROT Z")
	c.Cmd(200, "PROT P")
}

func TestEpsvKnowsItsFamily(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(229, "EPSV 1")
	if got := c.Cmd(522, "EPSV 2"); !strings.Contains(got, "(1)") {
		t.Errorf("EPSV 2 over IPv4: %s", got)
	}
	c.Cmd(522, "EPSV 3")
	c.Cmd(501, "EPSV x")
	c.Cmd(227, "PASV")

	s = ftptest.Start(t, ftptest.Options{Listen: "[::1]:0"})
	c = s.Login(t, "diego", "secreto")
	c.Cmd(229, "EPSV 2")
	if got := c.Cmd(522, "EPSV 1"); !strings.Contains(got, "(2)") {
		t.Errorf("EPSV 1 over IPv6: %s", got)
	}
	c.Cmd(425, "PASV") // has no place for an IPv6 address
	if code := c.Upload([]byte("six"), "STOR f"); code != 226 {
		t.Errorf("STOR over IPv6: %d", code)
	}
}

func TestTheFactsOfAnEntry(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{
		{Name: "diego", Password: "secreto"},
		{Name: "reader", Password: "p", Perm: vfs.ReadOnly},
	}})
	c := s.Login(t, "diego", "secreto")
	c.Upload([]byte("12345"), "STOR ñ f")
	c.Cmd(213, "MFMT 20200102030405 ñ f")
	entry := func(c *ftptest.Conn, name string) string {
		t.Helper()
		lines := strings.Split(c.Cmd(250, "MLST %s", name), "\n")
		if len(lines) != 3 || !strings.HasPrefix(lines[1], " ") {
			t.Fatalf("MLST %s: %q", name, lines)
		}
		return lines[1][1:]
	}
	got := entry(c, "ñ f")
	for _, want := range []string{"type=file;", "size=5;", "modify=20200102030405;", "perm=adfrw;", "unique=", "UNIX.mode=0640;", " /ñ f"} {
		if !strings.Contains(got, want) {
			t.Errorf("MLST has no %q: %s", want, got)
		}
	}
	if got := entry(c, "/"); !strings.Contains(got, "type=dir;") || strings.Contains(got, "size=") {
		t.Errorf("MLST /: %s", got)
	}
	reader := s.Login(t, "reader", "p")
	if got := entry(reader, "/"); !strings.Contains(got, "perm=el;") {
		t.Errorf("what may only be read: %s", got)
	}
	if got := c.Cmd(200, "OPTS MLST size;nonsense;type;"); got != "MLST OPTS type;size;" {
		t.Errorf("OPTS MLST: %s", got)
	}
	if got := entry(c, "ñ f"); got != "type=file;size=5; /ñ f" {
		t.Errorf("the facts asked for: %s", got)
	}
	c.Cmd(200, "OPTS MLST")
	if got := entry(c, "ñ f"); got != " /ñ f" {
		t.Errorf("no facts asked for: %q", got)
	}
}

func TestSizeAndTimeOfAFile(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(257, "MKD d")
	c.Upload(noise(12345), "STOR f")
	if got := c.Cmd(213, "SIZE f"); got != "12345" {
		t.Errorf("SIZE: %s", got)
	}
	c.Cmd(213, "MFMT 19991231235959 f")
	if got := c.Cmd(213, "MDTM f"); got != "19991231235959" {
		t.Errorf("MDTM: %s", got)
	}
	for _, line := range []string{"SIZE d", "MDTM d", "SIZE missing", "MDTM missing"} {
		c.Cmd(550, "%s", line)
	}
	for _, line := range []string{"SIZE", "MDTM"} {
		c.Cmd(501, "%s", line)
	}
}

func TestSumsByTheOldVerbs(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	data := noise(1000)
	c.Upload(data, "STOR f")
	for verb, want := range map[string]string{
		"XSHA512": fmt.Sprintf("%X", sha512.Sum512(data)),
		"XSHA1":   fmt.Sprintf("%X", sha1.Sum(data)),
		"XMD5":    fmt.Sprintf("%X", md5.Sum(data)),
		"XCRC":    fmt.Sprintf("%08X", crc32.ChecksumIEEE(data)),
	} {
		if got := c.Cmd(250, "%s f", verb); got != want {
			t.Errorf("%s: %s, want %s", verb, got, want)
		}
	}
}

func TestStructureAndModeOfAFile(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(200, "STRU F")
	c.Cmd(200, "MODE S")
	if code := c.Upload([]byte("x\n"), "STOR f"); code != 226 {
		t.Errorf("STOR: %d", code)
	}
	if got, code := c.Download("RETR f"); code != 226 || !bytes.Equal(got, []byte("x\n")) {
		t.Errorf("RETR: %d %q", code, got)
	}
	c.Cmd(504, "STRU R")
	c.Cmd(504, "STRU P")
	c.Cmd(504, "MODE C")
}

func TestTheServersCharacterOfCSID(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	if got := c.Cmd(200, "CSID Name=x; Version=1;"); !strings.HasPrefix(got, "Name=ftps; ") || !strings.Contains(got, "CaseSensitive=1;") {
		t.Errorf("CSID: %s", got)
	}
}

func TestNamesThatAreNoUTF8AreKept(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c := s.Login(t, "diego", "secreto")
	for _, name := range []string{"ñandú 漢字 😀", "caf\xe9 of Latin-1"} {
		if code := c.Upload([]byte("x"), "STOR %s", name); code != 226 {
			t.Fatalf("STOR %q: %d", name, code)
		}
		if got, _ := c.Download("NLST"); string(got) != name+"\r\n" {
			t.Errorf("%q is listed as %q", name, got)
		}
		if got := c.Cmd(250, "MLST %s", name); !strings.Contains(got, " /"+name+"\n") {
			t.Errorf("%q is told as %q", name, got)
		}
		c.Cmd(250, "DELE %s", name)
	}
	// RFC 854: the data byte 255 is sent twice.
	c.Upload([]byte("x"), "STOR y\xff\xff")
	if got, _ := c.Download("NLST"); string(got) != "y\xff\r\n" {
		t.Errorf("the byte 255 is listed as %q", got)
	}
}
