package integration

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftptest"
)

// outside is what must not be read, listed, changed or added to.
type outside struct{ dir string }

const outsideSecret = "what lies outside of the home"

// prisoner serves diego, beside whose home lies a folder with a secret.
func prisoner(t *testing.T) (*server, *ftptest.Conn, outside) {
	t.Helper()
	s := startServer(t, []string{"diego", "secreto"})
	out := outside{filepath.Join(s.dir, "srv", "outside")}
	if err := os.Mkdir(out.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out.dir, "secret"), []byte(outsideSecret), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(out.dir, "secret"), 0o644); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return s, s.enter(t, "", "diego", "secreto"), out
}

func (o outside) untouched(t testing.TB) {
	t.Helper()
	entries, err := os.ReadDir(o.dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("outside there are %v, %v", entries, err)
	}
	b, err := os.ReadFile(filepath.Join(o.dir, "secret"))
	if err != nil || string(b) != outsideSecret {
		t.Errorf("outside the secret is %q, %v", b, err)
	}
	if info, err := os.Stat(filepath.Join(o.dir, "secret")); err == nil && info.Mode().Perm() != 0o644 {
		t.Errorf("outside the secret's mode is %v", info.Mode())
	}
}

// walls tries every command that takes a path on one that must lead nowhere.
func walls(t testing.TB, c *ftptest.Conn, folder string, codes ...int) {
	t.Helper()
	refused := func(format string, args ...any) {
		t.Helper()
		line := fmt.Sprintf(format, args...)
		c.Send("%s", line)
		code, lines, err := c.Read()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(codes, code) {
			t.Errorf("%.80q: %d %.80q", line, code, lines)
		}
	}
	file := folder + "/secret"
	for _, verb := range []string{"CWD", "RMDA"} {
		refused("%s %s", verb, folder)
	}
	for _, verb := range []string{"SIZE", "MDTM", "MLST", "HASH", "XCRC", "DELE", "RNFR", "STAT", "SITE CPFR", "SITE CHMOD 777", "MFMT 20200101000000"} {
		refused("%s %s", verb, file)
	}
	for _, verb := range []string{"MKD", "RMD"} {
		refused("%s %s/new", verb, folder)
	}
	for _, line := range []string{"LIST " + folder + "/", "NLST " + folder + "/", "MLSD " + folder + "/", "RETR " + file, "STOR " + file, "APPE " + file, "STOR " + folder + "/new"} {
		if got, code := c.Download("%s", line); !slices.Contains(codes, code) || bytes.Contains(got, []byte("secret")) {
			t.Errorf("%.80q: %d %.80q", line, code, got)
		}
	}
}

func TestAttackTraversal(t *testing.T) {
	s, c, out := prisoner(t)
	c.Cmd(257, "MKD d")
	for _, way := range []string{"../outside", "/../outside", "d/../../outside", "//..//outside", "./.././outside", "d/../d/../../outside", "/d/../../outside"} {
		walls(t, c, way, 550)
	}
	// What is a way up elsewhere is a name here, and nobody has it.
	for _, way := range []string{"..\\outside", "%2e%2e/outside", "..%2foutside", "..;/outside", "\xc0\xae\xc0\xae/outside", out.dir} {
		c.Cmd(550, "CWD %s", way)
		c.Cmd(550, "SIZE %s/secret", way)
	}
	c.Cmd(550, "CWD ..")
	c.Cmd(550, "CDUP")
	// A rename is a way out as well.
	s.plant(t, "diego", "mine", "x")
	c.Cmd(350, "RNFR mine")
	c.Cmd(550, "RNTO ../outside/mine")
	c.Cmd(350, "SITE CPFR mine")
	c.Cmd(550, "SITE CPTO ../outside/mine")
	out.untouched(t)
	whole(t, c)
}

func TestAttackCdEtc(t *testing.T) {
	s, c, _ := prisoner(t)
	c.Cmd(550, "CWD /etc")
	c.Cmd(550, "SIZE /etc/passwd")
	if got, code := c.Download("RETR /etc/passwd"); code != 550 {
		t.Errorf("RETR /etc/passwd: %d, %d bytes", code, len(got))
	}
	// Unless the home has one of its own.
	if err := os.Mkdir(filepath.Join(s.home("diego"), "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.plant(t, "diego", "etc/passwd", "diego's own")
	c.Cmd(250, "CWD /etc")
	if got, code := c.Download("RETR passwd"); code != 226 || string(got) != "diego's own" {
		t.Errorf("the home's own: %d %q", code, got)
	}
}

func TestAttackSymlinksOut(t *testing.T) {
	s, c, out := prisoner(t)
	for name, target := range map[string]string{"relative": "../outside", "absolute": out.dir, "root": "/", "chain": "relative", "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(s.home("diego"), name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"relative", "absolute", "chain", "root" + out.dir} {
		if got, err := os.ReadFile(filepath.Join(s.home("diego"), name, "secret")); string(got) != outsideSecret {
			t.Fatalf("the way %s does not even lead out for a program without a jail: %v", name, err)
		}
		// The link itself may be looked at and removed; the path through it
		// leads nowhere.
		c.Cmd(550, "CWD %s", name)
		for _, line := range []string{"SIZE", "MDTM", "MLST", "HASH", "DELE", "RNFR", "SITE CHMOD 777"} {
			c.Cmd(550, "%s %s/secret", line, name)
		}
		for _, line := range []string{"RETR " + name + "/secret", "STOR " + name + "/secret", "STOR " + name + "/new", "MLSD " + name + "/"} {
			if got, code := c.Download("%s", line); code != 550 && code != 501 {
				t.Errorf("%s: %d %q", line, code, got)
			}
		}
		if got, code := c.Download("LIST %s/", name); bytes.Contains(got, []byte(" secret")) {
			t.Errorf("LIST %s: %d %q", name, code, got)
		}
	}
	c.Cmd(550, "CWD loop")
	out.untouched(t)
	whole(t, c)
}

// One thread swaps a folder and a link that leaves the home without pause
// while the client walks in.
func TestAttackSymlinkRace(t *testing.T) {
	s, c, out := prisoner(t)
	name := func(base string) string { return filepath.Join(s.home("diego"), base) }
	if err := os.Mkdir(name("d"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.plant(t, "diego", "d/secret", "harmless")
	if err := os.Symlink("../outside", name("l")); err != nil {
		t.Fatal(err)
	}
	over, swaps := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { swaps <- n }()
		for {
			for _, step := range [][2]string{{"d", "x"}, {"l", "d"}, {"d", "l"}, {"x", "d"}} {
				select {
				case <-over:
					return
				default:
				}
				if err := os.Rename(name(step[0]), name(step[1])); err != nil {
					t.Errorf("swap: %v", err)
					return
				}
			}
			n++
		}
	}()
	inside, refused := 0, 0
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); {
		got, code := c.Download("RETR d/secret")
		switch {
		case bytes.Contains(got, []byte(outsideSecret)):
			t.Fatal("the client read the secret")
		case code == 226 && string(got) == "harmless":
			inside++
		case code == 550, code == 450: // 450: it was swapped in the middle of the walk
			refused++
		default:
			t.Fatalf("RETR: %d %q", code, got)
		}
		if code := c.Upload([]byte("x"), "STOR d/new"); code == 226 {
			c.Send("DELE d/new")
			c.Read()
		}
		for _, line := range []string{"CWD /d", "CWD /", "SITE CHMOD 600 d/secret", "SITE CHMOD 644 d/secret", "MKD d/f", "RMD d/f", "SIZE d/secret"} {
			c.Send("%s", line)
			_, lines, err := c.Read()
			if err != nil {
				t.Fatal(err)
			}
			if line == "SIZE d/secret" && lines[0] == fmt.Sprint(len(outsideSecret)) {
				t.Fatal("the client was told of the secret")
			}
		}
		if got, _ := c.Download("MLSD d"); bytes.Contains(got, fmt.Appendf(nil, "size=%d;", len(outsideSecret))) {
			t.Fatal("the client was told of the secret")
		}
	}
	close(over)
	t.Logf("%d swaps; %d reads went in, %d were refused", <-swaps, inside, refused)
	if inside == 0 || refused == 0 {
		t.Error("the race never went both ways")
	}
	out.untouched(t)
	c.Cmd(250, "CWD /")
	whole(t, c)
}

func TestAttackCRLFAndNULInNames(t *testing.T) {
	s, c, _ := prisoner(t)
	s.plant(t, "diego", "keep", "content")
	for _, name := range []string{"keep\x00.txt", "keep\x00", "\x00", "a\rb", "keep\r226 done"} {
		for _, verb := range []string{"DELE", "MKD", "SIZE", "RNFR", "CWD", "SITE CHMOD 777"} {
			c.Cmd(501, "%s %s", verb, name)
		}
		if _, code := c.Download("STOR %s", name); code != 501 {
			t.Errorf("STOR %q: %d", name, code)
		}
	}
	// A name with a line break that is on the disk already forges no line.
	forged := "innocent\r\n-rw-r--r-- 1 ftp ftp 1 Jan  1 00:00 forged"
	s.plant(t, "diego", forged, "x")
	s.plant(t, "diego", "type=file;size=1;\nforged", "x")
	for _, command := range []string{"LIST", "NLST", "MLSD", "NLST *"} {
		got, code := c.Download("%s", command)
		lines := strings.Split(strings.TrimSuffix(string(got), "\r\n"), "\r\n")
		if code != 226 || bytes.Contains(got, []byte("forged")) || len(lines) != 1 || !strings.HasSuffix(lines[0], "keep") {
			t.Errorf("%s: %d %q", command, code, got)
		}
	}
	if text := c.Cmd(212, "STAT /"); strings.Contains(text, "forged") {
		t.Errorf("STAT: %q", text)
	}
	if got, code := c.Download("RETR keep"); code != 226 || string(got) != "content" {
		t.Errorf("the file: %d %q", code, got)
	}
}

func TestAttackFIFOsAndDevices(t *testing.T) {
	s, c, _ := prisoner(t)
	at := func(name string) string { return filepath.Join(s.home("diego"), name) }
	if err := exec.Command("mkfifo", at("fifo")).Run(); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("fifo", at("link")); err != nil {
		t.Fatal(err)
	}
	names := []string{"fifo", "link"}
	if err := exec.Command("mknod", at("zero"), "c", "1", "5").Run(); err == nil {
		names = append(names, "zero") // only root may make devices
	}
	soon(t, "a FIFO or a device", func() {
		for _, name := range names {
			for _, command := range []string{"RETR", "STOR", "APPE"} {
				if got, code := c.Download("%s %s", command, name); code != 550 {
					t.Errorf("%s %s: %d, %d bytes", command, name, code, len(got))
				}
			}
			for _, command := range []string{"HASH", "XCRC", "SITE CPFR", "SIZE", "MDTM", "CWD", "SITE CHMOD 777", "MFMT 20200101000000"} {
				c.Cmd(550, "%s %s", command, name)
			}
		}
	})
	whole(t, c)
}

func TestAttack64KiBPaths(t *testing.T) {
	_, c, _ := prisoner(t)
	for _, path := range []string{strings.Repeat("a/", 32<<10), strings.Repeat("a", 64<<10), strings.Repeat("../", 21845), strings.Repeat("/", 64<<10)} {
		c.Cmd(500, "CWD %s", path) // longer than any line may be
	}
	for _, path := range []string{strings.Repeat("a", 256), "d/" + strings.Repeat("ñ", 128), strings.Repeat("a/", 2040) + strings.Repeat("b", 100)} {
		for _, verb := range []string{"MKD", "CWD", "DELE", "SIZE"} {
			c.Cmd(553, "%s %s", verb, path)
		}
	}
	// The longest name that there may be works.
	long := strings.Repeat("n", 255)
	if code := c.Upload([]byte("x"), "STOR %s", long); code != 226 {
		t.Errorf("a name of 255 bytes: %d", code)
	}
	// A path that grows by small steps ends somewhere too.
	deep := strings.Repeat("d", 250)
	steps := 0
	for ; steps < 40; steps++ {
		c.Send("MKD %s", deep)
		if code, _, err := c.Read(); err != nil || code != 257 {
			break
		}
		c.Cmd(250, "CWD %s", deep)
	}
	if steps >= 17 {
		t.Errorf("went down %d folders of 250 bytes", steps)
	}
	c.Cmd(250, "CWD /")
	whole(t, c)
}

func TestAttackHiddenNames(t *testing.T) {
	s, c, _ := prisoner(t)
	data := seeded(64<<10, 3)
	if code := uploadCut(t, c, "f", data, 2*tlsRecord, false); code != 426 {
		t.Fatalf("the cut upload: %d", code)
	}
	var part string
	if err := filepath.WalkDir(s.home("diego"), func(path string, _ fs.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(path), ".ftps-") {
			part = filepath.Base(path)
		}
		return err
	}); err != nil || part == "" {
		t.Fatalf("there is no part: %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(s.home("diego"), part)); err != nil || !bytes.HasPrefix(data, got) || len(got) == 0 {
		t.Fatalf("the part holds nothing to steal: %d bytes, %v", len(got), err)
	}
	for _, name := range []string{part, "/" + part, "./" + part, strings.ToUpper(part), ".ftps-new"} {
		for _, verb := range []string{"SIZE", "DELE", "RNFR", "MKD", "MLST", "HASH", "CWD", "SITE CPFR"} {
			c.Cmd(553, "%s %s", verb, name)
		}
		for _, verb := range []string{"RETR", "STOR", "APPE"} {
			if got, code := c.Download("%s %s", verb, name); code != 553 {
				t.Errorf("%s: %d, %d bytes", verb, code, len(got))
			}
		}
	}
	for _, command := range []string{"LIST", "LIST -a", "NLST", "MLSD", "NLST .ftps*"} {
		if got, _ := c.Download("%s", command); bytes.Contains(bytes.ToLower(got), []byte(".ftps-")) {
			t.Errorf("%s shows %q", command, got)
		}
	}
	s.plant(t, "diego", "mine", "x")
	c.Cmd(350, "RNFR mine")
	c.Cmd(553, "RNTO %s", part)
	whole(t, c)
}

// A hard link is the file itself: whoever could make one in a home, which no
// command does, has let the account read it. But what the account writes to
// the name must not be written into the file that others have.
func TestAttackHardLinksToFilesOutside(t *testing.T) {
	s, c, out := prisoner(t)
	secret := filepath.Join(out.dir, "secret")
	for _, name := range []string{"stored", "appended", "resumed", "copied", "renamed", "removed", "by name"} {
		if err := os.Link(secret, filepath.Join(s.home("diego"), name)); err != nil {
			t.Fatal(err)
		}
	}
	s.plant(t, "diego", "other", "another file")
	s.plant(t, "diego", "one more", "another file")
	for _, line := range []string{"STOR stored", "APPE appended"} {
		if code := c.Upload([]byte("of diego"), "%s", line); code != 226 {
			t.Errorf("%s: %d", line, code)
		}
	}
	c.Cmd(350, "REST 4")
	if code := c.Upload([]byte("of diego"), "STOR resumed"); code != 226 {
		t.Errorf("REST and STOR: %d", code)
	}
	c.Cmd(350, "SITE CPFR other")
	c.Cmd(200, "SITE CPTO copied")
	c.Cmd(350, "RNFR one more")
	c.Cmd(250, "RNTO renamed")
	c.Cmd(250, "DELE removed")
	out.untouched(t)
	for name, want := range map[string]string{
		"stored": "of diego", "appended": outsideSecret + "of diego", "resumed": outsideSecret[:4] + "of diego",
		"copied": "another file", "renamed": "another file",
	} {
		if got, code := c.Download("RETR %s", name); code != 226 || string(got) != want {
			t.Errorf("%s: %d, %q, want %q", name, code, got, want)
		}
	}
	whole(t, c)

	// A server that writes into what has the name writes outside.
	s.plant(t, "diego", "by name", "of diego")
	if got, err := os.ReadFile(secret); string(got) != "of diego" {
		t.Errorf("%q, %v: this shows nothing", got, err)
	}
}
