package integration

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ftps/pkg/ftptest"
	"ftps/pkg/users"
	"ftps/pkg/vfs"
)

// serveAccounts serves accounts that have the password "secreto" and these
// further lines in users.yaml.
func serveAccounts(t *testing.T, extra map[string]string, args ...string) *server {
	t.Helper()
	hash, err := users.Hash("secreto", users.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("users:\n")
	for name, lines := range extra {
		fmt.Fprintf(&b, "  - name: %s\n    password: %s\n    home: %[1]s\n", name, hash)
		for line := range strings.Lines(lines) {
			b.WriteString("    " + strings.TrimSpace(line) + "\n")
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "users.yaml"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return serveIn(t, dir, args...)
}

// deed is something that an account may or may not do; perm are the rights
// of which it needs one.
type deed struct {
	what string
	perm vfs.Perm
	do   func(c *ftptest.Conn) int // the code that decides
}

// say is a deed of one line.
func say(line string, perm vfs.Perm) deed {
	return deed{line, perm, func(c *ftptest.Conn) int {
		c.Send("%s", line)
		code, _, err := c.Read()
		if err != nil {
			return 0
		}
		return code
	}}
}

func deeds() []deed {
	up := func(line string, perm vfs.Perm) deed {
		return deed{line, perm, func(c *ftptest.Conn) int { return c.Upload([]byte("new"), "%s", line) }}
	}
	down := func(line string, perm vfs.Perm) deed {
		return deed{line, perm, func(c *ftptest.Conn) int { _, code := c.Download("%s", line); return code }}
	}
	return []deed{
		down("RETR file", vfs.Read), say("HASH file", vfs.Read), say("XSHA256 file", vfs.Read), say("XCRC file", vfs.Read),
		say("SITE CPFR file", vfs.Read),
		up("STOR new", vfs.Write), up("STOR file", vfs.Write), up("STOU", vfs.Write), say("SITE CHMOD 640 file", vfs.Write),
		up("APPE file", vfs.Append), up("APPE new", vfs.Append),
		say("DELE file", vfs.Delete), say("RMD empty", vfs.Delete), say("RMDA full", vfs.Delete), say("XRMD empty", vfs.Delete),
		say("RNFR file", vfs.Rename), say("RNFR full", vfs.Rename),
		say("MKD made", vfs.Mkdir), say("XMKD made", vfs.Mkdir),
		down("LIST", vfs.List), down("NLST", vfs.List), down("MLSD", vfs.List), down("LIST full", vfs.List),
		say("MLST file", vfs.List), say("STAT file", vfs.List),
		say("SIZE file", vfs.Read|vfs.List), say("MDTM file", vfs.Read|vfs.List), say("AVBL", vfs.Write|vfs.List),
		say("MFMT 20200101000000 file", vfs.Chtime), say("MFF Modify=20200101000000; file", vfs.Chtime),
		say("SITE UTIME 20200101000000 file", vfs.Chtime),
	}
}

// tree is what each deed finds in its home.
func plantTree(t *testing.T, home string) {
	t.Helper()
	entries, _ := os.ReadDir(home)
	for _, e := range entries {
		os.RemoveAll(filepath.Join(home, e.Name()))
	}
	for _, dir := range []string{"empty", "full"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"file", "full/file"} {
		if err := os.WriteFile(filepath.Join(home, file), []byte("old"), 0o640); err != nil {
			t.Fatal(err)
		}
	}
}

// snapshot is every name of a home with its content and time.
func snapshot(t *testing.T, home string) string {
	t.Helper()
	var b strings.Builder
	filepath.WalkDir(home, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		content := []byte(nil)
		if !e.IsDir() {
			content, _ = os.ReadFile(path)
		}
		fmt.Fprintf(&b, "%s %v %q\n", path, info.Mode(), content)
		return nil
	})
	return b.String()
}

// Every deed, in an order of the seed's, by accounts with each single right,
// each set that has a name, and sets drawn at random: done if and only if a
// right allows it, and what is refused has changed nothing.
func TestEachRightAllowsItsDeedsAndNoOthers(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 1))
	all := vfs.ReadWrite
	sets := []vfs.Perm{vfs.ReadOnly, vfs.ReadWrite, vfs.Dropbox}
	for p := vfs.Read; p <= vfs.Chtime; p <<= 1 {
		sets = append(sets, p, all&^p)
	}
	for len(sets) < 24 {
		if p := vfs.Perm(random.Uint32()) & all; p != 0 {
			sets = append(sets, p)
		}
	}
	extra := map[string]string{}
	for i, p := range sets {
		extra[fmt.Sprint("u", i)] = "permissions: [" + p.String() + "]"
	}
	s := serveAccounts(t, extra)
	list := deeds()
	for i, p := range sets {
		name := fmt.Sprint("u", i)
		c := s.dial(t, name, "secreto")
		for _, k := range random.Perm(len(list)) {
			d := list[k]
			plantTree(t, s.home(name))
			before := snapshot(t, s.home(name))
			code := d.do(c)
			allowed := p&d.perm != 0
			if d.what == "STOR file" || d.what == "SITE CHMOD 640 file" { // what is there is left alone by who can only add
				allowed = allowed && p.Replaces()
			}
			switch {
			case allowed && (code < 200 || code >= 400):
				t.Errorf("[%v] %s: %d, and it is a right of the account", p, d.what, code)
			case !allowed && code != 550:
				t.Errorf("[%v] %s: %d, without the right", p, d.what, code)
			case !allowed && snapshot(t, s.home(name)) != before:
				t.Errorf("[%v] %s: refused, and yet done", p, d.what)
			}
			c.Send("ABOR") // a port that a refused transfer left open
			c.Expect(226)
		}
		c.Raw().Close()
	}
}

// What was put into a dropbox is out of its sender's reach: it cannot be
// listed, read, renamed or removed, and only that its name is taken can be
// told.
func TestADropboxTakesAndGivesNothingBack(t *testing.T) {
	s := serveAccounts(t, map[string]string{"box": "permissions: [dropbox]"})
	c := s.dial(t, "box", "secreto")
	if code := c.Upload([]byte("for you alone"), "STOR letter"); code != 226 {
		t.Fatal(code)
	}
	for _, line := range []string{"SIZE %s", "MDTM %s", "MLST %s", "STAT %s", "HASH %s", "RNFR %s", "DELE %s", "SITE CPFR %s", "MFMT 20200101000000 %s"} {
		var said [2]string
		for i, name := range []string{"letter", "nothing"} {
			c.Send(line, name)
			code, lines, err := c.Read()
			if err != nil {
				t.Fatal(err)
			}
			said[i] = strings.ReplaceAll(fmt.Sprint(code, lines), name, "NAME")
		}
		if said[0] != said[1] || !strings.HasPrefix(said[0], "550") {
			t.Errorf(line+": %q, and of nothing %q", "letter", said[0], said[1])
		}
	}
	if got, code := c.Download("RETR letter"); code != 550 || len(got) > 0 {
		t.Errorf("RETR: %d, %q", code, got)
	}
	if text, err := os.ReadFile(filepath.Join(s.home("box"), "letter")); err != nil || string(text) != "for you alone" {
		t.Errorf("on the disk: %q, %v", text, err)
	}
}

// onDisk adds up what lies in a home, hidden parts too.
func onDisk(t *testing.T, home string) (sum int64) {
	t.Helper()
	filepath.WalkDir(home, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			if info, err := e.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}

func left(t *testing.T, c *ftptest.Conn) int64 {
	t.Helper()
	n, err := strconv.ParseInt(c.Cmd(213, "AVBL"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Random uploads, appends, copies, broken uploads and removals against a
// model: n bytes fit and n+1 do not, an overwrite needs room for both, parts
// count, and what the server says is left is what the disk says.
func TestTheQuotaHoldsToTheByte(t *testing.T) {
	const quota = 300_000
	s := serveAccounts(t, map[string]string{"diego": fmt.Sprint("quota: ", quota)})
	c := s.dial(t, "diego", "secreto")
	home := s.home("diego")
	random := rand.New(rand.NewPCG(3, 2))
	model := map[string][]byte{} // whole files
	parts := map[string]int64{}  // unfinished ones
	fits, not := 0, 0
	for step := range 150 {
		room := left(t, c)
		if disk := onDisk(t, home); room != quota-disk {
			t.Fatalf("step %d: %d bytes are left, and the disk holds %d of %d", step, room, disk, quota)
		}
		name := string(rune('a' + random.IntN(4)))
		old, whole := model[name]
		// Sizes close to the edge as often as any others.
		size := random.Int64N(quota / 3)
		edge := room + parts[name]
		if random.IntN(2) == 0 {
			size = max(0, edge+random.Int64N(3)-1)
		}
		switch random.IntN(6) {
		case 0, 1, 2:
			data := seeded(int(size), uint64(step))
			code := c.Upload(data, "STOR %s", name)
			switch {
			case size <= edge && code == 226:
				model[name], fits = data, fits+1
				delete(parts, name)
			case size > edge && code == 552:
				not++
				if !whole {
					parts[name] = partOf(t, c, name)
				}
			default:
				t.Fatalf("step %d: STOR of %d bytes where %d fit: %d", step, size, edge, code)
			}
		case 3:
			if !whole {
				continue
			}
			size = max(0, room-int64(len(old))+random.Int64N(3)-1)
			data := seeded(int(size), uint64(step))
			code := c.Upload(data, "APPE %s", name)
			switch fit := int64(len(old))+size <= room; {
			case fit && code == 226:
				model[name], fits = append(append([]byte(nil), old...), data...), fits+1
			case !fit && code == 552:
				not++
			default:
				t.Fatalf("step %d: APPE of %d to %d bytes where %d fit: %d", step, size, len(old), room, code)
			}
		case 4:
			if !whole {
				continue
			}
			to := name + "-copy"
			c.Cmd(350, "SITE CPFR %s", name)
			c.Send("SITE CPTO %s", to)
			code, _, err := c.Read()
			if err != nil {
				t.Fatal(err)
			}
			switch fit := int64(len(old)) <= room; {
			case fit && code == 200:
				model[to], fits = old, fits+1
			case !fit && code == 552:
				not++
			default:
				t.Fatalf("step %d: a copy of %d bytes where %d fit: %d", step, len(old), room, code)
			}
		case 5:
			for victim := range model {
				c.Cmd(250, "DELE %s", victim)
				delete(model, victim)
				if n := partOf(t, c, victim); n > 0 {
					parts[victim] = n
				}
				break
			}
		}
	}
	if fits < 10 || not < 10 {
		t.Errorf("%d fitted and %d did not: this shows little", fits, not)
	}
	for name, want := range model {
		if got, code := c.Download("RETR %s", name); code != 226 || !bytes.Equal(got, want) {
			t.Errorf("%s: %d, %d bytes of %d", name, code, len(got), len(want))
		}
	}
}

// partOf is the length of a name's unfinished upload.
func partOf(t *testing.T, c *ftptest.Conn, name string) int64 {
	t.Helper()
	c.Send("SIZE %s", name)
	code, lines, err := c.Read()
	if err != nil {
		t.Fatal(err)
	}
	if code != 213 {
		return 0
	}
	n, err := strconv.ParseInt(lines[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Many sessions of one account at once share its quota: just as many files
// get in as have room.
func TestUploadsAtTheSameTimeShareTheQuota(t *testing.T) {
	const each, room, clients = 50_000, 5, 9
	s := serveAccounts(t, map[string]string{"diego": fmt.Sprint("quota: ", each*room)})
	conns := make([]*ftptest.Conn, clients)
	for i := range conns {
		conns[i] = s.dial(t, "diego", "secreto")
	}
	data := seeded(each, 1)
	codes := make([]int, clients)
	var all sync.WaitGroup
	for i, c := range conns {
		// The size is announced: who does not fit is refused before a part is
		// begun, and the parts of those do not take the others' room.
		all.Go(func() {
			c.Send("ALLO %d", each)
			if code, _, err := c.Read(); err == nil && (code == 200 || code == 202) {
				codes[i] = c.Upload(data, "STOR %d", i)
			}
		})
	}
	all.Wait()
	for _, code := range codes {
		if code != 226 && code != 552 {
			t.Errorf("answered %v", codes)
			break
		}
	}
	if sum := onDisk(t, s.home("diego")); sum > each*room {
		t.Errorf("%d bytes on the disk, %d allowed", sum, each*room)
	}
	// Those who were refused in the middle left parts; without them there is
	// room for exactly the rest.
	c := conns[0]
	for i := range clients {
		c.Send("DELE %d", i)
		c.Read()
	}
	os.RemoveAll(s.home("diego")) // parts of refused uploads
	os.MkdirAll(s.home("diego"), 0o750)
	for _, conn := range conns {
		conn.Cmd(221, "QUIT")
		conn.ExpectClosed()
	}
	c = s.dial(t, "diego", "secreto")
	for i := range room {
		if code := c.Upload(data, "STOR %d", i); code != 226 {
			t.Fatalf("file %d of %d: %d", i+1, room, code)
		}
	}
	if code := c.Upload([]byte("x"), "STOR one-more"); code != 552 {
		t.Errorf("one byte more: %d", code)
	}
	c.Cmd(250, "DELE 0")
	if code := c.Upload(data, "STOR again"); code != 226 {
		t.Errorf("into the room that was made: %d", code)
	}
}

// Random logins and ends against a count: an account with max_sessions n has
// n and never n+1, whichever of its sessions ended and however.
func TestMaxSessionsFollowsTheModel(t *testing.T) {
	const most = 3
	s := serveAccounts(t, map[string]string{"diego": fmt.Sprint("max_sessions: ", most), "ana": ""})
	random := rand.New(rand.NewPCG(3, 4))
	var open []*ftptest.Conn
	refused := 0
	for step := range 60 {
		if len(open) > 0 && random.IntN(5) < 2 {
			i := random.IntN(len(open))
			c := open[i]
			open = append(open[:i], open[i+1:]...)
			switch random.IntN(2) {
			case 0:
				c.Cmd(221, "QUIT")
				c.ExpectClosed()
			case 1: // the account is let go, the connection stays
				c.Cmd(220, "REIN")
			}
			continue
		}
		c := s.secured(t, "")
		c.Cmd(331, "USER diego")
		c.Send("PASS secreto")
		code, _, err := c.Read()
		switch {
		case err != nil:
			t.Fatal(err)
		case code == 230 && len(open) < most:
			open = append(open, c)
		case code == 530 && len(open) == most:
			refused++
			c.Raw().Close()
		default:
			t.Fatalf("step %d: with %d of %d sessions open: %d", step, len(open), most, code)
		}
	}
	if refused < 5 {
		t.Errorf("%d logins were refused: this shows little", refused)
	}
	s.serves(t, "ana", "secreto")
}

// The same account opened, closed, expired, limited to addresses: each way
// in is tried after each change, and only those that stand open let in.
func TestWhoMayComeInFollowsUsersYaml(t *testing.T) {
	s := serveAccounts(t, map[string]string{
		"plain": "", "closed": "disabled: true", "open": "disabled: false",
		"past": "expires: 2020-01-31", "future": "expires: 2199-12-31",
		"here": "allow_from: [127.0.0.1/32]", "there": "allow_from: [192.0.2.0/24, '2001:db8::/32']",
		"net": "allow_from: [192.0.2.0/24, 127.0.0.0/30]", "both": "allow_from: [127.0.0.1]\nexpires: 2020-01-31",
	})
	for name, from := range map[string]string{
		"plain": "127.0.0.1 127.0.0.2 127.0.0.5", "closed": "", "open": "127.0.0.1 127.0.0.2 127.0.0.5", "past": "",
		"future": "127.0.0.1 127.0.0.2 127.0.0.5", "here": "127.0.0.1", "there": "", "net": "127.0.0.1 127.0.0.2", "both": "",
	} {
		for _, local := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.5"} {
			c := s.secured(t, local)
			c.Cmd(331, "USER %s", name)
			want := 530
			if strings.Contains(from+" ", local+" ") {
				want = 230
			}
			c.Send("PASS secreto")
			if code, _, err := c.Read(); err != nil || code != want {
				t.Errorf("%s from %s: %d, %v, not %d", name, local, code, err, want)
			}
			c.Raw().Close()
		}
	}
}
