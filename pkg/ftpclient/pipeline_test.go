package ftpclient_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest"
	"ftps/pkg/ftptest/hostile"
	"ftps/pkg/layer"
)

// dials counts data connections, and breaks them after a number of bytes.
type dials struct {
	control string
	data    atomic.Int32
	budget  atomic.Int64 // 0 for no end
}

func (d *dials) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil || address == d.control {
		return conn, err
	}
	d.data.Add(1)
	if d.budget.Load() > 0 {
		conn = &breaking{conn, &d.budget}
	}
	return conn, nil
}

type breaking struct {
	net.Conn
	left *atomic.Int64
}

func (b *breaking) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	return n, b.spend(n, err)
}

func (b *breaking) Write(p []byte) (int, error) {
	if err := b.spend(len(p), nil); err != nil {
		return 0, err
	}
	return b.Conn.Write(p)
}

func (b *breaking) spend(n int, err error) error {
	if b.left.Add(-int64(n)) <= 0 && n > 0 {
		b.Conn.Close()
		return io.ErrClosedPipe
	}
	return err
}

// piped connects to our own server.
func piped(t *testing.T, s *ftptest.Server) (*ftpclient.Conn, *dials) {
	d := &dials{control: s.Addr.String()}
	return real(t, s, func(cfg *ftpclient.Config) { cfg.DialContext = d.dial }), d
}

func pipeline(t *testing.T, ctx context.Context, c *ftpclient.Conn) *ftpclient.Pipeline {
	t.Helper()
	p, err := c.Pipeline(ctx)
	if err != nil {
		t.Fatalf("Pipeline: %v", err)
	}
	return p
}

func send(t *testing.T, p *ftpclient.Pipeline, verb, arg string) {
	t.Helper()
	if err := p.Send(verb, arg); err != nil {
		t.Fatalf("Send %s %s: %v", verb, arg, err)
	}
}

func pipedPut(p *ftpclient.Pipeline, b []byte) error {
	u, err := p.Upload()
	if err != nil {
		return err
	}
	u.Write(b)
	return u.Close()
}

func pipedGet(p *ftpclient.Pipeline) ([]byte, error) {
	d, err := p.Download()
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(d)
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return b, err
}

func TestManyFilesTravelOverOneDataConnection(t *testing.T) {
	c, d := piped(t, ftptest.Start(t, ftptest.Options{}))
	const files = 50
	for round := range 2 {
		p := pipeline(t, within(t), c)
		for i := range files {
			send(t, p, "STOR", fmt.Sprintf("/%d", i))
		}
		for i := range files {
			if err := pipedPut(p, content(i*1500)); err != nil {
				t.Fatalf("put %d: %v", i, err)
			}
		}
		send(t, p, "MLSD", "/")
		for i := range files {
			send(t, p, "RETR", fmt.Sprintf("/%d", i))
			if !p.Room() {
				t.Fatal("no room")
			}
		}
		n := 0
		for e, err := range p.List() {
			if err != nil || e.Size < 0 {
				t.Errorf("%+v %v", e, err)
			}
			n++
		}
		if n != files {
			t.Errorf("%d entries", n)
		}
		for i := range files {
			if got, err := pipedGet(p); err != nil || !bytes.Equal(got, content(i*1500)) {
				t.Fatalf("get %d: %d bytes, %v", i, len(got), err)
			}
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		inStep(t, c)
		if n := d.data.Load(); n != 1 {
			t.Errorf("round %d: %d data connections", round, n)
		}
	}
	// And back to one connection a file.
	if err := c.StreamMode(within(t)); err != nil {
		t.Error(err)
	}
	if got, err := get(t, c, "/3", 1000); err != nil || !bytes.Equal(got, content(4500)[1000:]) {
		t.Errorf("behind the pipeline: %d bytes, %v", len(got), err)
	}
}

func TestARefusedFileDoesNotShiftTheOthers(t *testing.T) {
	c, d := piped(t, ftptest.Start(t, ftptest.Options{}))
	p := pipeline(t, within(t), c)
	defer p.Close()
	names := []string{"/missing/0", "/1", "/missing/2", "/missing/3", "/4"}
	for round, verb := range []string{"STOR", "RETR"} {
		for _, name := range names {
			send(t, p, verb, name)
		}
		for i, name := range names {
			var got []byte
			var err error
			if verb == "STOR" {
				err = pipedPut(p, []byte(name))
			} else if got, err = pipedGet(p); err == nil && string(got) != name {
				t.Errorf("%s holds %q", name, got)
			}
			if refused := i != 1 && i != 4; refused != (ftpclient.Class(err) == ftpclient.NotFound) {
				t.Errorf("round %d: %s %s: %v", round, verb, name, err)
			}
		}
	}
	if d.data.Load() != 1 {
		t.Errorf("%d data connections", d.data.Load())
	}
}

func TestAPipelineCutAnywhereNeverShowsHalfAFile(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	const files, size = 10, 20_000
	whole := 0
	for at := int64(2_500); at < files*(size+500); at += 7_001 {
		for _, verb := range []string{"STOR", "RETR"} {
			c, d := piped(t, s)
			if verb == "RETR" {
				for i := range files {
					if err := put(t, c, fmt.Sprintf("/%d", i), content(size+i), ftpclient.StoreOptions{}); err != nil {
						t.Fatal(err)
					}
				}
			} else {
				for i := range files {
					c.Delete(within(t), fmt.Sprintf("/%d", i))
				}
			}
			d.budget.Store(at)
			p := pipeline(t, within(t), c)
			for i := range files {
				send(t, p, verb, fmt.Sprintf("/%d", i))
			}
			var broken int
			stored := make(map[int]bool)
			for i := range files {
				var err error
				if verb == "STOR" {
					if err = pipedPut(p, content(size+i)); err == nil {
						stored[i] = true
					}
				} else {
					var got []byte
					if got, err = pipedGet(p); err == nil && !bytes.Equal(got, content(size+i)) {
						t.Fatalf("cut at %d: file %d is said to be whole and is not", at, i)
					}
				}
				if err != nil {
					broken++
				} else {
					whole++
				}
			}
			if broken == 0 && at < files*size/2 {
				t.Errorf("%s was not cut at %d", verb, at)
			}
			p.Close()
			inStep(t, c)
			d.budget.Store(0)
			if verb == "STOR" {
				for i := range files {
					got, err := get(t, c, fmt.Sprintf("/%d", i), 0)
					if stored[i] != (err == nil) || err == nil && !bytes.Equal(got, content(size+i)) {
						t.Errorf("cut at %d: file %d stored=%v, read back %d bytes, %v", at, i, stored[i], len(got), err)
					}
				}
			}
			c.Close()
		}
	}
	if whole == 0 {
		t.Error("none came through")
	}
}

func TestAPipelineGivesWayToItsContext(t *testing.T) {
	c, _ := piped(t, ftptest.Start(t, ftptest.Options{}))
	if err := put(t, c, "/big", content(4<<20), ftpclient.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"RETR", "STOR"} {
		ctx, cancel := context.WithCancel(within(t))
		p := pipeline(t, ctx, c)
		for i := range 20 {
			name := "/big"
			if verb == "STOR" {
				name = fmt.Sprintf("/up%d", i)
			}
			send(t, p, verb, name)
		}
		var err error
		if verb == "RETR" {
			d, openErr := p.Download()
			if openErr != nil {
				t.Fatal(openErr)
			}
			io.CopyN(io.Discard, d, 10_000)
			cancel()
			_, err = io.Copy(io.Discard, d)
		} else {
			u, openErr := p.Upload()
			if openErr != nil {
				t.Fatal(openErr)
			}
			u.Write(content(10_000))
			cancel()
			err = u.Close()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", verb, err)
		}
		p.Close()
		inStep(t, c)
		if got, err := get(t, c, "/big", 4<<20-5); err != nil || len(got) != 5 {
			t.Errorf("after %s: %d bytes, %v", verb, len(got), err)
		}
		if _, err := get(t, c, "/up0", 0); ftpclient.Class(err) != ftpclient.NotFound {
			t.Errorf("an upload that was broken off can be read: %v", err)
		}
	}
}

func TestAFileLeftEarlyStopsThePipelineAndNotTheSession(t *testing.T) {
	c, _ := piped(t, ftptest.Start(t, ftptest.Options{}))
	for _, name := range []string{"/a", "/b"} {
		if err := put(t, c, name, content(1<<20), ftpclient.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	p := pipeline(t, within(t), c)
	send(t, p, "RETR", "/a")
	send(t, p, "RETR", "/b")
	d, err := p.Download()
	if err != nil {
		t.Fatal(err)
	}
	io.CopyN(io.Discard, d, 1000)
	if err := d.Close(); !errors.Is(err, ftpclient.ErrAborted) {
		t.Errorf("Close: %v", err)
	}
	if _, err := pipedGet(p); err == nil {
		t.Error("the file behind it came without a data connection")
	}
	p.Close()
	inStep(t, c)
}

func TestAnUploadGivenUpInAPipelineIsNotStored(t *testing.T) {
	c, _ := piped(t, ftptest.Start(t, ftptest.Options{}))
	for _, name := range []string{"/a", "/b"} {
		if err := put(t, c, name, []byte("old"), ftpclient.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	p := pipeline(t, within(t), c)
	send(t, p, "STOR", "/a")
	send(t, p, "STOR", "/b")
	u, err := p.Upload()
	if err != nil {
		t.Fatal(err)
	}
	u.Write(content(5000))
	u.Abort()
	if err := u.Close(); !errors.Is(err, ftpclient.ErrAborted) {
		t.Errorf("Close: %v", err)
	}
	if _, err := u.Write([]byte("more")); err == nil {
		t.Error("it takes more")
	}
	if err := pipedPut(p, []byte("new")); err == nil {
		t.Error("the file behind it went without a data connection")
	}
	p.Close()
	if !c.Usable() {
		t.Fatal("the session went with it")
	}
	for _, name := range []string{"/a", "/b"} {
		if got, err := get(t, c, name, 0); err != nil || string(got) != "old" {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// What comes back belongs to what was sent first. A caller that mistakes the
// order, or sends what has no place in a line, is told; nothing is taken.
func TestAPipelineKeepsItsOrderAgainstItsCaller(t *testing.T) {
	c, _ := piped(t, ftptest.Start(t, ftptest.Options{}))
	want := content(5000)
	if err := put(t, c, "/a", want, ftpclient.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	p := pipeline(t, within(t), c)
	for _, line := range [][2]string{{"USER", "somebody"}, {"ABOR", ""}, {"RETR", "a\r\nDELE a"}, {"RETR", "a\x00"}, {"RETR", ""}} {
		if err := p.Send(line[0], line[1]); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
	if _, err := p.Reply(); err == nil {
		t.Error("a reply to nothing")
	}
	send(t, p, "RETR", "/a")
	send(t, p, "SIZE", "/a")
	if _, err := p.Upload(); err == nil {
		t.Error("a RETR was taken for a STOR")
	}
	if _, err := p.Reply(); err == nil {
		t.Error("a reply before its file")
	}
	d, err := p.Download()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Download(); !errors.Is(err, ftpclient.ErrInUse) {
		t.Errorf("a second one at a time: %v", err)
	}
	got, err := io.ReadAll(d)
	if closing := d.Close(); err != nil || closing != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v, %v", len(got), err, closing)
	}
	if r, err := p.Reply(); err != nil || r.Lines[0] != "5000" {
		t.Errorf("%v, %v", r, err)
	}
	p.Close()
	if _, err := p.Download(); !errors.Is(err, ftpclient.ErrClosed) {
		t.Errorf("after its end: %v", err)
	}
	inStep(t, c)
}

// blockServer lies in MODE B: what it sends for a RETR is said by answer.
func blockServer(t *testing.T, answer func(s *hostile.Session, tc *tls.Conn)) *hostile.Server {
	data := make(map[*hostile.Session]*tls.Conn)
	return hostile.Start(t, hostile.Options{
		Features: append([]string{"X-PIPELINE"}, hostile.DefaultFeatures...),
		Hooks: map[string]func(*hostile.Session, string) bool{
			"MODE": func(s *hostile.Session, _ string) bool { s.Reply(200, "ok"); return true },
			"RETR": func(s *hostile.Session, _ string) bool {
				s.Reply(150, "here it comes")
				if data[s] == nil {
					tc, _, _, err := s.Data()
					if err != nil {
						s.Reply(425, err.Error())
						return true
					}
					data[s] = tc
				}
				answer(s, data[s])
				return true
			},
		},
	})
}

func TestAFileWithoutItsEndBlockIsTruncated(t *testing.T) {
	for name, reply := range map[string]int{"250": 250, "226": 226, "426": 426} {
		t.Run(name, func(t *testing.T) {
			s := blockServer(t, func(s *hostile.Session, tc *tls.Conn) {
				w := ftp.NewBlockWriter(tc, 0)
				w.Write([]byte("half"))
				w.Flush()
				tc.Close() // with close_notify: in order for TLS
				s.Reply(reply, "all is well")
			})
			c := login(t, s, nil)
			p := pipeline(t, within(t), c)
			send(t, p, "RETR", "/f")
			b, err := pipedGet(p)
			if !errors.Is(err, ftpclient.ErrTruncated) || ftpclient.Class(err) != ftpclient.Damaged {
				t.Errorf("%d bytes, %v", len(b), err)
			}
			p.Close()
			inStep(t, c)
		})
	}
}

func TestAWholeFileThatTheServerTakesBackIsNone(t *testing.T) {
	s := blockServer(t, func(s *hostile.Session, tc *tls.Conn) {
		w := ftp.NewBlockWriter(tc, 0)
		w.Write([]byte("all"))
		w.Close()
		s.Reply(451, "read error")
	})
	c := login(t, s, nil)
	p := pipeline(t, within(t), c)
	defer p.Close()
	send(t, p, "RETR", "/f")
	if b, err := pipedGet(p); err == nil {
		t.Errorf("%q passes for the file", b)
	}
}

func TestDoubtfulBlocksAreNoFile(t *testing.T) {
	for name, bytes := range map[string][]byte{
		"suspect": {32, 0, 1, 'x', 64, 0, 0}, "unknown bit": {1, 0, 1, 'x', 64, 0, 0},
	} {
		s := blockServer(t, func(s *hostile.Session, tc *tls.Conn) {
			tc.Write(bytes)
			s.Reply(250, "all is well")
		})
		c := login(t, s, nil)
		p := pipeline(t, within(t), c)
		send(t, p, "RETR", "/f")
		if b, err := pipedGet(p); !errors.Is(err, ftpclient.ErrTruncated) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
		p.Close()
	}
}

func TestNothingIsPipelinedUnasked(t *testing.T) {
	c := login(t, hostile.Start(t, hostile.Options{}), nil)
	if _, err := c.Pipeline(within(t)); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	inStep(t, c)
}

func TestADataConnectionThatIsCutEndsNoFile(t *testing.T) {
	// The raw end of a data connection without close_notify is told apart
	// from one with it, but in MODE B neither ends a file.
	s := blockServer(t, func(s *hostile.Session, tc *tls.Conn) {
		tc.NetConn().Close()
		s.Reply(250, "all is well")
	})
	c := login(t, s, nil)
	p := pipeline(t, within(t), c)
	defer p.Close()
	send(t, p, "RETR", "/f")
	if b, err := pipedGet(p); !errors.Is(err, ftpclient.ErrTruncated) || errors.Is(err, layer.ErrNoEnd) {
		t.Errorf("%q, %v", b, err)
	}
}
