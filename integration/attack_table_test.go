package integration

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftptest"
	"ftps/pkg/vfs/jail"
)

// testsOf returns the names of the tests in a folder.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s: %v", dir, err)
	}
	names := make(map[string]bool)
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}

func TestTheTableOfAttacksIsTrue(t *testing.T) {
	text, err := os.ReadFile("ATTACKS.md")
	if err != nil {
		t.Fatal(err)
	}
	packages := map[string]map[string]bool{"": testsOf(t, ".")}
	word := regexp.MustCompile("`(?:(pkg/[a-z0-9/]+)\\.)?(Test\\w+)`")
	exist := func(cell string) (names []string) {
		for _, m := range word.FindAllStringSubmatch(cell, -1) {
			if packages[m[1]] == nil {
				packages[m[1]] = testsOf(t, filepath.Join("..", m[1]))
			}
			if !packages[m[1]][m[2]] {
				t.Errorf("ATTACKS.md names %s, which is no test", m[0])
			}
			names = append(names, m[1]+"."+m[2])
		}
		return names
	}
	listed := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 6 || strings.HasPrefix(cells[1], "---") || cells[1] == " Attack " {
			continue
		}
		tests, controls := exist(cells[2]), exist(cells[4])
		if len(tests) != 1 || strings.TrimSpace(cells[3]) == "" {
			t.Errorf("%s: a row has one test and a defence", cells[1])
			continue
		}
		if len(controls) == 0 {
			t.Errorf("%s: nothing shows that the attack succeeds without the defence", cells[1])
		}
		if listed[tests[0]] {
			t.Errorf("%s is listed twice", tests[0])
		}
		listed[tests[0]] = true
	}
	for name := range packages[""] {
		if strings.HasPrefix(name, "TestAttack") && !listed["."+name] {
			t.Errorf("%s is not in ATTACKS.md", name)
		}
	}
}

// The rest of this file are negative controls: each shows what happens
// without the defence that an attack meets.

func TestAnUnboundedReaderKeepsTheWholeLine(t *testing.T) {
	line := "STOR " + strings.Repeat("x", 1<<20) + "\r\n"
	got, err := ftp.NewLineReader(strings.NewReader(line), 2<<20).ReadLine()
	if err != nil || len(got) != len(line)-2 {
		t.Errorf("with a bound of 2 MiB: %d bytes, %v: this shows nothing", len(got), err)
	}
	if _, err := ftp.NewLineReader(strings.NewReader(line), 4096).ReadLine(); err == nil {
		t.Error("with a bound of 4 KiB the line was taken")
	}
}

func TestAHomeThatIsTheMachinesRootShowsEtc(t *testing.T) {
	tree, err := jail.Open("/", jail.Options{Account: "diego"})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	s := ftptest.Start(t, ftptest.Options{Accounts: []ftptest.Account{{Name: "diego", Password: "secreto", FS: tree}}})
	c := s.Login(t, "diego", "secreto")
	c.Cmd(250, "CWD /etc")
	want, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Skip(err)
	}
	if got, code := c.Download("RETR passwd"); code != 226 || !bytes.Equal(got, want) {
		t.Errorf("%d, %d bytes: this shows nothing", code, len(got))
	}
}

// What is sent to a client that does not read stays in the kernel, and who
// waits for its end waits.
func TestAClientThatDoesNotReadHoldsAServerThatWaits(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	server.Write(make([]byte, 1<<20))
	server.(*net.TCPConn).CloseWrite()
	server.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	if _, err := io.Copy(io.Discard, server); err == nil {
		t.Error("the client ended by itself: this shows nothing")
	}
}

func TestARootThatWasNotNamedIsMade(t *testing.T) {
	dir := withAccount(t)
	s := serveIn(t, dir)
	if info, err := os.Stat(filepath.Join(dir, "srv", "diego")); err != nil || !info.IsDir() {
		t.Errorf("the default root: %v", err)
	}
	s.serves(t, "diego", "secreto")
}
