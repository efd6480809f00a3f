package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"ftps/pkg/ftptest"
)

// full asks for the sizes and counts of a release; without it the tests fit
// into a minute or two.
var full = flag.Bool("full", false, "run with the sizes and counts of a release")

// dial logs in to the real binary with the scripted client.
func (s *server) dial(t testing.TB, user, password string) *ftptest.Conn {
	t.Helper()
	c := ftptest.Connect(t, netip.MustParseAddrPort("127.0.0.1:"+s.port), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	c.Enter(user, password)
	return c
}

var errCut = errors.New("cut")

// cutter is a raw connection that dies once so many bytes went out.
type cutter struct {
	net.Conn
	left  int
	reset bool // by RST, else by FIN
}

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) < c.left {
		c.left -= len(p)
		return c.Conn.Write(p)
	}
	n, _ := c.Conn.Write(p[:c.left])
	c.left = 0
	if c.reset {
		c.Conn.(*net.TCPConn).SetLinger(0)
		c.Conn.Close()
	} else {
		c.Conn.(*net.TCPConn).CloseWrite()
	}
	return n, errCut
}

// uploadCut uploads data and cuts the connection after so many bytes of TLS
// application records; it returns the final reply's code.
func uploadCut(t testing.TB, c *ftptest.Conn, name string, data []byte, after int, reset bool) int {
	t.Helper()
	raw := &cutter{Conn: c.OpenData(c.Passive()), left: 1 << 40, reset: reset}
	c.Send("STOR %s", name)
	c.Expect(150)
	config := c.TLS.Clone()
	config.DynamicRecordSizingDisabled = true // 16 KiB a record
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(context.Background()); err != nil {
		t.Fatal(err)
	}
	raw.left = after
	if _, err := conn.Write(data); err == nil && after < len(data) {
		t.Fatalf("the connection was not cut after %d bytes", after)
	}
	io.Copy(io.Discard, conn)
	raw.Close()
	code, _, err := c.Read()
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// tlsRecord is what a full TLS 1.3 record of 16 KiB takes on the wire.
const tlsRecord = 5 + 16<<10 + 1 + 16

func TestAnUploadCutAnywhereIsNeverAFile(t *testing.T) {
	s := startServer(t, []string{"diego", "secreto"})
	home := filepath.Join(s.dir, "srv", "diego")
	c := s.dial(t, "diego", "secreto")
	old := []byte("the old content")
	if code := c.Upload(old, "STOR old"); code != 226 {
		t.Fatalf("STOR: %d", code)
	}

	check := func(t *testing.T, name string, code int, what string) {
		t.Helper()
		if code != 426 {
			t.Errorf("%s: final reply %d, want 426", what, code)
		}
		if got, err := os.ReadFile(filepath.Join(home, "old")); err != nil || !bytes.Equal(got, old) {
			t.Errorf("%s: the old file is now %d bytes, %v", what, len(got), err)
		}
		if _, err := os.Stat(filepath.Join(home, "new")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a half file stands under its name", what)
		}
	}

	t.Run("at every record boundary", func(t *testing.T) {
		data := seeded(64*(16<<10), 1)
		for record := range 64 {
			for _, reset := range []bool{false, true} {
				for _, name := range []string{"old", "new"} {
					code := uploadCut(t, c, name, data, record*tlsRecord, reset)
					check(t, name, code, fmt.Sprintf("%s cut after %d records, reset %v", name, record, reset))
				}
			}
		}
	})
	t.Run("at seeded offsets", func(t *testing.T) {
		size := 4 << 20
		if *full {
			size = 64 << 20
		}
		data := seeded(size, 2)
		random := rand.New(rand.NewPCG(2026, 11))
		for range 200 {
			after, reset := random.IntN(size), random.IntN(2) == 0
			code := uploadCut(t, c, "new", data, after, reset)
			check(t, "new", code, fmt.Sprintf("cut after %d bytes, reset %v", after, reset))
		}
		// What is there of it is the beginning of the file, and can be gone
		// on from.
		part, err := strconv.Atoi(c.Cmd(213, "SIZE new"))
		if err != nil || part >= size {
			t.Fatalf("SIZE of the part: %d, %v", part, err)
		}
		c.Cmd(350, "REST %d", part)
		if code := c.Upload(data[part:], "STOR new"); code != 226 {
			t.Fatalf("going on from %d: %d", part, code)
		}
		got, err := os.ReadFile(filepath.Join(home, "new"))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("after going on: %d bytes of %d, %v", len(got), size, err)
		}
	})
	if list, code := c.Download("NLST"); code != 226 || string(list) != "new\r\nold\r\n" && string(list) != "old\r\nnew\r\n" {
		t.Errorf("listed at the end: %q", list)
	}
}

// seeded returns n bytes that do not repeat, the same for the same seed.
func seeded(n int, seed uint64) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}
