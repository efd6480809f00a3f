//go:build interop

package integration

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ftps/pkg/ftptest"
)

// storePeers are the clients that the store is tried with.
func storePeers() []peer {
	return []peer{
		{"ftps client", ownVersion, strictUser, true, oursPut, oursGet, nil},
		curlPeer("curl", "", strictUser, "tlsv1.3"),
		lftpPeer("lftp mirror -P4", "", "mirror -P4", ""),
		{"rclone copy", "", strictUser, true, rclonePutChecked, rcloneGet, nil},
		scripted("ftplib", "", strictUser, "python3", "move.py", "reuse"),
	}
}

// rclonePutChecked copies, has rclone compare every byte, and sees that a
// second copy finds nothing to do: sizes and times came through.
func rclonePutChecked(t *testing.T, s *site, c *cargo, remote string) {
	s.rclone(t, strictUser, "copy", c.dir, "ours:"+remote)
	s.rclone(t, strictUser, "check", "--download", c.dir, "ours:"+remote)
	if said := s.rclone(t, strictUser, "copy", "--dry-run", c.dir, "ours:"+remote); strings.Contains(said, "Skipped copy") {
		t.Errorf("a second copy would move files again: %s", tail(said))
	}
}

func TestS3ClientsMoveFiles(t *testing.T) {
	n := 200
	if *full {
		n = 2000
	}
	small, big, tree := smallCargo(t), bigCargo(t), treeCargo(t, n)
	for _, kind := range []string{"minio", "versitygw"} {
		t.Run(kind, func(t *testing.T) {
			store := startStore(t, kind)
			s := store.startSite(store.address)
			t.Run("all", func(t *testing.T) { // ends when all of them have
				for _, p := range storePeers() {
					t.Run(p.name, func(t *testing.T) {
						t.Parallel() // they wait more than they work
						for _, c := range []*cargo{small, big, tree} {
							t.Run(c.name, func(t *testing.T) {
								remote, to := p.name+" "+c.name, filepath.Join(t.TempDir(), "down")
								p.put(t, s, c, remote)
								p.get(t, s, c, remote, to)
								c.same(t, to, "downloaded")
							})
						}
					})
				}
			})
			store.tidy("", 0)
		})
	}
}

// The contract of a tree, and what a store does in the place of the promises
// that it cannot keep.
func TestS3KeepsTheContractOfATree(t *testing.T) {
	for _, kind := range []string{"minio", "versitygw"} {
		t.Run(kind, func(t *testing.T) {
			store := startStore(t, kind)
			endpoint := url.URL{Scheme: "http", Host: store.address, User: url.UserPassword(storeKey, storeSecret)}
			env := append(os.Environ(), "FTPS_S3_ENDPOINT="+endpoint.String())
			mustRun(t, "../pkg/vfs/s3fs", "", env, "go", "test", "-tags", "interop", "-count=1", ".")
		})
	}
}

func TestS3ADriveThatIsGoneCostsNothing(t *testing.T) {
	store := startStore(t, "minio")
	s := store.startSite(store.address)
	c := smallCargo(t)
	oursPut(t, s, c, "before")
	must(t, os.Rename(filepath.Join(store.dir, "d3"), filepath.Join(store.dir, "gone")))
	to := filepath.Join(t.TempDir(), "down")
	oursGet(t, s, c, "before", to)
	c.same(t, to, "downloaded without a drive")
	oursPut(t, s, c, "after")
	oursGet(t, s, c, "after", to+"2")
	c.same(t, to+"2", "up and down without a drive")
}

func TestS3ADriveThatGoesInTheMiddleCostsNothing(t *testing.T) {
	store := startStore(t, "minio")
	s := store.startSite(store.address)
	content := seeded(48<<20, 4)
	session := s.dialStrict(t)
	conn := session.Secure(session.OpenData(session.Passive()))
	session.Send("STOR big")
	session.Expect(150)
	if _, err := conn.Write(content[:24<<20]); err != nil {
		t.Fatal(err)
	}
	store.awaitPieces(strictUser + "/big")
	must(t, os.Rename(filepath.Join(store.dir, "d2"), filepath.Join(store.dir, "gone")))
	if _, err := conn.Write(content[24<<20:]); err != nil {
		t.Fatal(err)
	}
	conn.CloseWrite()
	io.Copy(io.Discard, conn)
	conn.Close()
	if code, lines, err := awaitReply(session, time.Minute); err != nil || code != 226 {
		t.Fatalf("an upload that loses a drive: %d %q %v", code, lines, err)
	}
	conn = session.Secure(session.OpenData(session.Passive()))
	session.Send("RETR big")
	session.Expect(150)
	got := make([]byte, 1<<20)
	if _, err := io.ReadFull(conn, got); err != nil {
		t.Fatal(err)
	}
	must(t, os.Rename(filepath.Join(store.dir, "d1"), filepath.Join(store.dir, "gone too"))) // two of four hold a whole file
	rest, err := io.ReadAll(conn)
	conn.Close()
	if code, lines, _ := awaitReply(session, time.Minute); code != 226 || err != nil || !bytes.Equal(append(got, rest...), content) {
		t.Errorf("a download that loses a drive: %d %q, %d bytes, %v", code, lines, len(got)+len(rest), err)
	}
}

// A store that stands still for a while and goes on costs time and nothing
// else; one that stands still for longer than anybody waits gets a reply, and
// leaves a part that is gone on with or swept.
func TestS3AStoreThatStandsStillIsWaitedForAndThenGivenUp(t *testing.T) {
	store := startStore(t, "minio")
	s := store.startSite(store.address)
	content := seeded(40<<20, 6)
	stop := func() { must(t, store.cmd.Process.Signal(syscall.SIGSTOP)) }
	goOn := func() { must(t, store.cmd.Process.Signal(syscall.SIGCONT)) }
	t.Cleanup(goOn)
	half := len(content) / 2
	begin := func(c *ftptest.Conn, name string) *tls.Conn {
		conn := c.Secure(c.OpenData(c.Passive()))
		c.Send("STOR %s", name)
		c.Expect(150)
		conn.SetDeadline(time.Now().Add(5 * time.Minute))
		if _, err := conn.Write(content[:half]); err != nil {
			t.Fatal(err)
		}
		store.awaitPieces(strictUser + "/" + name)
		return conn
	}
	end := func(c *ftptest.Conn, conn *tls.Conn, from int) (int, []string) {
		conn.Write(content[from:])
		conn.CloseWrite()
		io.Copy(io.Discard, conn)
		conn.Close()
		code, lines, err := awaitReply(c, 5*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return code, lines
	}

	c := s.dialStrict(t)
	conn := begin(c, "slow")
	sent := half
	for range 4 { // less than anybody's patience each time, and more in all
		stop()
		if _, err := conn.Write(content[sent : sent+1<<20]); err != nil {
			t.Fatal(err)
		}
		sent += 1 << 20
		time.Sleep(storePatience / 3)
		goOn()
	}
	if code, lines := end(c, conn, sent); code != 226 {
		t.Errorf("an upload to a slow store: %d %q", code, lines)
	}
	if got, code := c.Download("RETR slow"); code != 226 || !bytes.Equal(got, content) {
		t.Errorf("%d, %d bytes", code, len(got))
	}

	conn = begin(c, "dead")
	stop()
	code, lines := end(c, conn, half)
	if code != 451 && code != 426 {
		t.Errorf("an upload to a store that stands still: %d %q", code, lines)
	}
	goOn()
	c = s.dialStrict(t)
	size := pendingOf(t, c, "dead")
	c.Cmd(350, "REST %d", size)
	if code := c.Upload(content[size:], "STOR dead"); code != 226 {
		t.Errorf("going on: %d", code)
	}
	store.tidy(strictUser+"/dead", 0)

	conn = c.Secure(c.OpenData(c.Passive()))
	c.Send("RETR dead")
	c.Expect(150)
	conn.SetDeadline(time.Now().Add(5 * time.Minute))
	if _, err := io.ReadFull(conn, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	stop()
	io.Copy(io.Discard, conn)
	conn.Close()
	if code, lines, err := awaitReply(c, 5*time.Minute); err != nil || code < 400 {
		t.Errorf("a download from a store that stands still: %d %q %v", code, lines, err)
	}
	goOn()
	if got, code := s.dialStrict(t).Download("RETR dead"); code != 226 || !bytes.Equal(got, content) {
		t.Errorf("afterwards: %d, %d bytes", code, len(got))
	}
	if most := residentOf(t, s.cmd.Process.Pid); most > 300<<20 {
		t.Errorf("%d MiB resident", most>>20)
	}
}

// storePatience is how long the server waits for a store that stands still.
const storePatience = 20 * time.Second

// A store that dies in the middle: no 226, a part to go on from, and nothing
// left behind once it is whole.
func TestS3TheStoreDiesInTheMiddleAndAnUploadGoesOnAfterwards(t *testing.T) {
	store := startStore(t, "minio")
	s := store.startSite(store.address)
	c := s.dialStrict(t)
	content := seeded(48<<20, 5)
	conn := c.Secure(c.OpenData(c.Passive()))
	c.Send("STOR big")
	c.Expect(150)
	if _, err := conn.Write(content[:24<<20]); err != nil {
		t.Fatal(err)
	}
	store.awaitPieces(strictUser + "/big")
	store.kill()
	conn.Write(content[24<<20:])
	conn.CloseWrite()
	io.Copy(io.Discard, conn)
	conn.Close()
	if code, lines, err := awaitReply(c, 3*time.Minute); err != nil || code != 451 {
		t.Fatalf("%d %q %v", code, lines, err)
	}
	store.start()
	c = s.dialStrict(t)
	size := pendingOf(t, c, "big")
	t.Logf("the store kept %d of %d bytes", size, len(content))
	c.Cmd(350, "REST %d", size)
	if code := c.Upload(content[size:], "STOR big"); code != 226 {
		t.Fatalf("going on: %d", code)
	}
	store.tidy(strictUser+"/big", 0)

	conn = c.Secure(c.OpenData(c.Passive()))
	c.Send("RETR big")
	c.Expect(150)
	head := make([]byte, 1<<20)
	if _, err := io.ReadFull(conn, head); err != nil {
		t.Fatal(err)
	}
	store.kill()
	rest, _ := io.ReadAll(conn)
	conn.Close()
	if code, lines, err := awaitReply(c, 3*time.Minute); err != nil || code != 451 || len(rest)+len(head) == len(content) {
		t.Fatalf("%d %q %v after %d bytes", code, lines, err, len(rest)+len(head))
	}
	c.Cmd(200, "NOOP")
	store.start()
	if got, code := c.Download("RETR big"); code != 226 || !bytes.Equal(got, content) {
		t.Errorf("afterwards: %d, %d bytes", code, len(got))
	}
}

// awaitReply is a reply that may take longer than others.
func awaitReply(c *ftptest.Conn, limit time.Duration) (code int, lines []string, err error) {
	for end := time.Now().Add(limit); ; {
		if code, lines, err = c.Read(); err == nil || time.Now().After(end) {
			return code, lines, err
		}
	}
}

// pendingOf is how much of a broken upload the server has.
func pendingOf(t *testing.T, c *ftptest.Conn, name string) int {
	t.Helper()
	m := regexp.MustCompile(`(\d+)`).FindAllString(c.Cmd(213, "SIZE %s", name), -1)
	n, err := strconv.Atoi(m[len(m)-1])
	if err != nil || n == 0 {
		t.Fatalf("%q: %v", m, err)
	}
	return n
}

// moody stands before a store and answers for it when it is told to.
type moody struct {
	*httptest.Server
	status atomic.Int64 // 0 passes all on
	code   atomic.Pointer[string]
}

func before(t *testing.T, store *objectStore) *moody {
	m := &moody{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(storeURL(store.address))
		r.Out.Host = r.In.Host // which is signed
	}}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := m.status.Load(); status != 0 {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(int(status))
			fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>no</Message></Error>`, *m.code.Load())
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *moody) says(status int, code string) {
	m.code.Store(&code)
	m.status.Store(int64(status))
}

func TestS3AStoreThatSays503Or403GetsTheRightReplies(t *testing.T) {
	store := startStore(t, "minio")
	m := before(t, store)
	s := store.startSite(strings.TrimPrefix(m.URL, "http://"))
	c := s.dialStrict(t)
	if code := c.Upload([]byte("old"), "STOR f"); code != 226 {
		t.Fatal(code)
	}
	for _, mood := range []struct {
		status int
		code   string
		want   int
	}{{503, "SlowDown", 451}, {403, "AccessDenied", 550}, {403, "InvalidAccessKeyId", 451}} {
		m.says(mood.status, mood.code)
		for _, command := range []string{"SIZE f", "DELE f", "MKD folder", "RNFR f", "MDTM f"} {
			c.Cmd(mood.want, "%s", command)
		}
		conn := c.Secure(c.OpenData(c.Passive()))
		c.Send("STOR f")
		c.Expect(mood.want)
		conn.NetConn().Close()
		m.says(0, "")
		// In the middle: the upload has begun when the mood changes.
		conn = c.Secure(c.OpenData(c.Passive()))
		c.Send("STOR f")
		c.Expect(150)
		conn.Write(seeded(12<<20, 1))
		store.awaitPieces(strictUser + "/f")
		m.says(mood.status, mood.code)
		conn.CloseWrite()
		io.Copy(io.Discard, conn)
		conn.Close()
		if code, lines, err := awaitReply(c, time.Minute); err != nil || code != mood.want {
			t.Errorf("%s in the middle: %d %q %v", mood.code, code, lines, err)
		}
		m.says(0, "")
		if got, code := c.Download("RETR f"); code != 226 || string(got) != "old" {
			t.Errorf("after %s: %d %q", mood.code, code, got)
		}
		// The store has refused to be cleaned as well: the next upload of the
		// name does it.
		store.tidy(strictUser+"/f", 1)
		if code := c.Upload([]byte("old"), "STOR f"); code != 226 {
			t.Errorf("once more after %s: %d", mood.code, code)
		}
		store.tidy(strictUser+"/f", 0)
	}
	if most := residentOf(t, s.cmd.Process.Pid); most > 300<<20 {
		t.Errorf("%d MiB resident", most>>20)
	}
}

// What one upload needs does not grow with its length, nor stay behind.
func TestS3MemoryStaysFlat(t *testing.T) {
	size, uploads := 64<<20, 4
	if *full {
		size, uploads = 256<<20, 10
	}
	store := startStore(t, "minio")
	s := store.startSite(store.address)
	c := s.dialStrict(t)
	content := seeded(size, 3)
	var most int
	for i := range uploads {
		if code := c.Upload(content, "STOR f%d", i); code != 226 {
			t.Fatal(code)
		}
		c.Cmd(250, "DELE f%d", i)
		most = max(most, residentOf(t, s.cmd.Process.Pid))
	}
	t.Logf("%d uploads of %d MiB: at most %d MiB resident", uploads, size>>20, most>>20)
	if most > 300<<20 {
		t.Errorf("%d MiB resident", most>>20)
	}
}

func residentOf(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	n, err := strconv.Atoi(string(m[1]))
	must(t, err)
	return n << 10
}

// Two servers before one store: what one began, the other goes on with.
func TestS3OneOfTwoServersDiesAndTheOtherGoesOn(t *testing.T) {
	store := startStore(t, "minio")
	one, two := store.startSite(store.address), store.startSite(store.address)
	content := seeded(40<<20, 9)
	c := one.dialStrict(t)
	if code := c.Upload([]byte("from one"), "STOR shared"); code != 226 {
		t.Fatal(code)
	}
	conn := c.Secure(c.OpenData(c.Passive()))
	c.Send("STOR big")
	c.Expect(150)
	if _, err := conn.Write(content[:30<<20]); err != nil {
		t.Fatal(err)
	}
	other := two.dialStrict(t)
	store.awaitPieces(strictUser + "/big")
	one.cmd.Process.Signal(syscall.SIGKILL)
	<-one.done
	one.done <- nil
	conn.NetConn().Close()
	if got, code := other.Download("RETR shared"); code != 226 || string(got) != "from one" {
		t.Errorf("%d %q", code, got)
	}
	size := pendingOf(t, other, "big")
	t.Logf("%d of %d bytes were stored", size, 30<<20)
	other.Cmd(350, "REST %d", size)
	if code := other.Upload(content[size:], "STOR big"); code != 226 {
		t.Fatalf("going on at the other: %d", code)
	}
	if got, code := other.Download("RETR big"); code != 226 || !bytes.Equal(got, content) {
		t.Errorf("%d, %d bytes", code, len(got))
	}
	store.tidy(strictUser+"/big", 0)
}
