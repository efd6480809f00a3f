package ftpclient_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest"
)

var longAgo = time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)

func aheadOf(t *testing.T, ctx context.Context, c *ftpclient.Conn) *ftpclient.Pipeline {
	t.Helper()
	p, err := c.Ahead(ctx)
	if err != nil {
		t.Fatalf("Ahead: %v", err)
	}
	return p
}

// store puts files in line as far as there is room, and takes their answers.
func store(t *testing.T, p *ftpclient.Pipeline, files map[string][]byte, names []string) map[string]error {
	t.Helper()
	told := make(map[string]error)
	sent := 0
	for len(told) < len(names) {
		for sent < len(names) && p.Room() {
			if err := p.Store(names[sent], longAgo, files[names[sent]]); err != nil {
				t.Fatalf("Store %s: %v", names[sent], err)
			}
			sent++
		}
		name := names[len(told)]
		dated, err := p.Stored()
		if dated != (err == nil) {
			t.Errorf("%s: dated %v, %v", name, dated, err)
		}
		told[name] = err
	}
	return told
}

// filesAhead are files of all sizes, of which every fifth is refused.
func filesAhead(n int) (files map[string][]byte, names []string) {
	files = make(map[string][]byte)
	for i := range n {
		name := fmt.Sprintf("/f%03d", i)
		if i%5 == 0 {
			name = fmt.Sprintf("/nowhere/f%03d", i)
		}
		files[name] = append([]byte(name), content(i*997)...)
		names = append(names, name)
	}
	return files, names
}

func TestFilesThatGoWithTheirCommandsAreStoredUnderTheirOwnNames(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c, d := piped(t, s)
	files, names := filesAhead(100)
	for range 2 {
		p := aheadOf(t, within(t), c)
		if err := p.Send("STOR", "/x"); !errors.Is(err, ftpclient.ErrLineRefused) {
			t.Errorf("a STOR without its file: %v", err)
		}
		if _, err := p.Upload(); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Upload: %v", err)
		}
		for name, err := range store(t, p, files, names) {
			if refused := strings.HasPrefix(name, "/nowhere"); refused != (err != nil) || refused && ftpclient.Class(err) != ftpclient.NotFound {
				t.Errorf("%s: %v", name, err)
			}
		}
		// What goes down travels over the same connection.
		send(t, p, "RETR", names[7])
		if err := p.Store("/last", time.Time{}, []byte("last")); err != nil {
			t.Fatal(err)
		}
		if got, err := pipedGet(p); err != nil || !bytes.Equal(got, files[names[7]]) {
			t.Errorf("%s: %d bytes, %v", names[7], len(got), err)
		}
		if dated, err := p.Stored(); err != nil || dated {
			t.Errorf("behind a download: %v", err)
		}
		p.Close()
	}
	if n := d.data.Load(); n != 1 {
		t.Errorf("%d data connections", n)
	}
	holdTheirOwn(t, c, files, names)
	if when, err := c.ModTime(within(t), names[7]); err != nil || !when.Equal(longAgo) {
		t.Errorf("its time: %v, %v", when, err)
	}
	if when, err := c.ModTime(within(t), "/last"); err != nil || when.Equal(longAgo) {
		t.Errorf("the time of one that has none: %v, %v", when, err)
	}
	// Another kind of pipeline on the same connection turns it off again.
	p := pipeline(t, within(t), c)
	defer p.Close()
	send(t, p, "STOR", "/nowhere/x")
	send(t, p, "STOR", "/x")
	if err := pipedPut(p, nil); ftpclient.Class(err) != ftpclient.NotFound {
		t.Errorf("%v", err)
	}
	if err := pipedPut(p, []byte("x")); err != nil {
		t.Error(err)
	}
}

// holdTheirOwn sees that each file that is there has its own content.
func holdTheirOwn(t *testing.T, c *ftpclient.Conn, files map[string][]byte, names []string) (there int) {
	t.Helper()
	for _, name := range names {
		got, err := get(t, c, name, 0)
		if ftpclient.Class(err) == ftpclient.NotFound {
			continue
		}
		there++
		if err != nil || !bytes.Equal(got, files[name]) {
			t.Fatalf("%s holds %d bytes %.20q, %v; want %d", name, len(got), got, err, len(files[name]))
		}
	}
	return there
}

// Wherever the data connection breaks: what is told as stored is, and nothing
// stands under the name of another.
func TestADataConnectionThatBreaksBetweenFilesMixesNothingUp(t *testing.T) {
	files, names := filesAhead(12)
	total := 0
	for _, f := range files {
		total += len(f) + 60
	}
	for cut := int64(1); cut < int64(total)+3000; cut += 2503 {
		s := ftptest.Start(t, ftptest.Options{})
		c, d := piped(t, s)
		d.budget.Store(cut)
		p := aheadOf(t, within(t), c)
		told := store(t, p, files, names)
		p.Close()
		d.budget.Store(0)
		there := holdTheirOwn(t, c, files, names)
		for name, err := range told {
			if err == nil {
				there--
			} else if !ftpclient.Again(err) && !strings.HasPrefix(name, "/nowhere") {
				t.Errorf("cut after %d: %s: %v", cut, name, err)
			}
		}
		if there < 0 {
			t.Errorf("cut after %d: %d files that were told as stored are not there", cut, -there)
		}
		c.Close()
	}
}

// The smallest buffers that the kernel gives: whoever writes waits at once
// for the other to read. Nobody may wait for somebody who waits for him.
func TestWithTheSmallestBuffersNobodyWaitsForEachOther(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	narrow := func(conn net.Conn) {
		tcp := conn.(*net.TCPConn)
		tcp.SetReadBuffer(1)
		tcp.SetWriteBuffer(1)
	}
	c := real(t, s, func(cfg *ftpclient.Config) {
		cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err == nil {
				narrow(conn)
			}
			return conn, err
		}
		cfg.Timeout, cfg.FinalTimeout = 30*time.Second, 30*time.Second
	})
	files := map[string][]byte{}
	var names []string
	for i := range 600 {
		name := fmt.Sprintf("/%03d %s", i, strings.Repeat("n", 100))
		if i%3 == 0 {
			name = "/nowhere" + name
		}
		files[name] = content(2000)
		names = append(names, name)
	}
	p := aheadOf(t, within(t), c)
	stored := 0
	for _, err := range store(t, p, files, names) {
		if err == nil {
			stored++
		}
	}
	p.Close()
	if stored != 400 {
		t.Errorf("%d stored", stored)
	}
}

// A server that stops to read, or to answer, is waited for no longer than the
// clocks say; and the context ends it at once.
func TestAServerThatStandsStillIsNotWaitedForInLine(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	for what, stand := range map[string]func(c *ftpclient.Conn, halt func(), cancel context.CancelFunc){
		"the clock":   func(_ *ftpclient.Conn, halt func(), _ context.CancelFunc) { halt() },
		"the context": func(_ *ftpclient.Conn, halt func(), cancel context.CancelFunc) { halt(); cancel() },
	} {
		t.Run(what, func(t *testing.T) {
			var links halting
			c := real(t, s, func(cfg *ftpclient.Config) {
				cfg.DialContext = links.dial
				cfg.Timeout, cfg.FinalTimeout = 2*time.Second, 2*time.Second // the login has them too
				if what == "the context" {
					cfg.Timeout, cfg.FinalTimeout = time.Minute, time.Minute
				}
			})
			ctx, cancel := context.WithCancel(within(t))
			defer cancel()
			p := aheadOf(t, ctx, c)
			if err := p.Store("/first", longAgo, []byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Stored(); err != nil {
				t.Fatal(err)
			}
			for i := range 20 {
				if err := p.Store(fmt.Sprint("/", i), longAgo, content(1<<20)); err != nil {
					t.Fatal(err)
				}
			}
			stand(c, links.halt, cancel)
			if _, err := p.Stored(); err == nil {
				t.Error("stored by a server that stands still")
			}
			p.Close()
			links.free()
		})
	}
}

func TestAServerWithoutTheWordGetsNoFilesAhead(t *testing.T) {
	for _, lines := range [][]string{{}, {" STOR"}, {" STOR modify;"}, {" STOR aheadish;"}} {
		f := ftpclient.ParseFeatures(lines)
		if f.Option("STOR", "ahead") {
			t.Errorf("%q", lines)
		}
	}
	if f := ftpclient.ParseFeatures([]string{" stor Modify;Ahead;"}); !f.Option("STOR", "ahead") || !f.Option("STOR", "modify") {
		t.Error("not found")
	}
}

func TestTheServerTellsOfEachFileThatWentWithItsCommand(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	c, _ := piped(t, s)
	p := aheadOf(t, within(t), c)
	files, names := filesAhead(10)
	store(t, p, files, names)
	p.Close()
	done, refused := 0, 0
	for _, e := range s.Events.All() {
		switch e := e.(type) {
		case event.TransferDone:
			if e.Bound != "session" || e.Code != 250 {
				t.Errorf("%+v", e)
			}
			done++
		case event.CommandRefused:
			refused++
		}
	}
	if done != 8 || refused != 2 {
		t.Errorf("%d done, %d refused", done, refused)
	}
}

// halting are connections through something that can stop to carry.
type halting struct {
	mu    sync.Mutex // held while nothing is carried
	ends  []net.Conn
	pumps sync.WaitGroup
}

func (h *halting) halt() { h.mu.Lock() }

func (h *halting) free() {
	h.mu.Unlock()
	for _, c := range h.ends {
		c.Close()
	}
	h.pumps.Wait()
}

func (h *halting) dial(ctx context.Context, network, address string) (net.Conn, error) {
	far, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	middle, err := l.Accept()
	if err != nil {
		return nil, err
	}
	h.ends = append(h.ends, far, middle)
	h.pumps.Add(2)
	go h.pump(far, middle)
	go h.pump(middle, far)
	return near, nil
}

func (h *halting) pump(to, from net.Conn) {
	defer h.pumps.Done()
	defer to.Close()
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		h.pass()
		if _, werr := to.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

// pass waits for as long as the line is held.
func (h *halting) pass() {
	h.mu.Lock()
	defer h.mu.Unlock()
}
