package load_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ftps/integration/load"
	"ftps/pkg/ftptest"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/memfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func do(t *testing.T, o load.Order) load.Result {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := load.Main(string(text), strings.NewReader("go\n"), &out); err != nil {
		t.Fatalf("%s: %v", o.Work, err)
	}
	_, told, _ := strings.Cut(out.String(), "\n")
	var r load.Result
	if err := json.Unmarshal([]byte(told), &r); err != nil {
		t.Fatalf("%s told %q: %v", o.Work, out.String(), err)
	}
	return r
}

// The same figures go up and come down again, by every kind of work.
func TestEveryWorkDoesWhatItCounts(t *testing.T) {
	tree := memfs.New()
	folder, err := vfs.Resolve(vfs.Name{}, "files")
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Mkdir(t.Context(), folder); err != nil {
		t.Fatal(err)
	}
	s := ftptest.Start(t, ftptest.Options{DataPorts: 4, Accounts: []ftptest.Account{{Name: "diego", Password: "secreto", FS: tree}}})
	o := load.Order{Addr: s.Addr.String(), User: "diego", Password: "secreto", Sessions: 2}
	for _, w := range []struct {
		work, name string
		count      int
		bytes      int64
		old        bool
		want       int64 // bytes
	}{
		{work: "up", name: "files/big", count: 2, bytes: 3 << 20, want: 6 << 20},
		{work: "down", name: "files/big.0", count: 2, bytes: 3 << 20, want: 6 << 20},
		{work: "put", name: "files", count: 6, bytes: 4 << 10, want: 24 << 10},
		{work: "get", name: "files", count: 6, old: true, want: 24 << 10},
		{work: "noop", count: 10},
		{work: "handshake", count: 4},
		{work: "login", count: 4},
		{work: "idle", count: 4},
	} {
		o.Work, o.Name, o.Count, o.Bytes, o.TLS12 = w.work, w.name, w.count, w.bytes, w.old
		r := do(t, o)
		if r.Fault != "" || r.Ops != int64(w.count) || r.Bytes != w.want {
			t.Errorf("%s: %d of %d done, %d bytes of %d: %s", w.work, r.Ops, w.count, r.Bytes, w.want, r.Fault)
		}
		if r.Full != 0 || r.Bytes > 0 && r.Resumed != r.Ops {
			t.Errorf("%s: %d data connections resumed and %d did not", w.work, r.Resumed, r.Full)
		}
		if old := strings.HasPrefix(r.TLS, "TLS 1.2"); old != w.old {
			t.Errorf("%s: spoke %s", w.work, r.TLS)
		}
	}
	o.Work, o.Name, o.Count, o.TLS12, o.Sessions = "list", "files", 1, false, 1
	if r := do(t, o); r.Fault != "" || r.Bytes < 8*int64(len(load.FileName(0))) {
		t.Errorf("list: %+v", r)
	}
}

func TestWhatAServerRefusesIsAFault(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{})
	r := do(t, load.Order{Work: "down", Addr: s.Addr.String(), User: "diego", Password: "secreto", Name: "nothing", Count: 1})
	if !strings.Contains(r.Fault, "550") {
		t.Errorf("the fault is %q", r.Fault)
	}
}

// echo answers each line with itself until its client has ended.
func echo(t *testing.T) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.Copy(c, c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

func TestALinkTakesItsTimeAndCountsTheRoundTripsThatDependOnEachOther(t *testing.T) {
	const trip = 20 * time.Millisecond
	port := echo(t)
	link, err := load.NewLink("127.0.0.2", "127.0.0.1", []string{port}, trip, 0)
	if err != nil {
		t.Skipf("127.0.0.2: %v", err)
	}
	defer link.Close()
	began := time.Now()
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.2", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	// Three that wait for each other, then ten at once: the connect, three
	// and one.
	buf := make([]byte, 1)
	for range 3 {
		c.Write([]byte("x"))
		io.ReadFull(c, buf)
	}
	c.Write([]byte("0123456789"))
	if _, err := io.ReadFull(c, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 5*trip {
		t.Errorf("five round trips took %v", took)
	}
	if got := link.RoundTrips(); got != 5 {
		t.Errorf("%v round trips depend on each other, want 5", got)
	}
	c.(*net.TCPConn).CloseWrite()
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("the end: %v", err)
	}
	if link.Connections() != 1 {
		t.Errorf("%d connections", link.Connections())
	}
}

func TestALinkIsAsWideAsItSays(t *testing.T) {
	port := echo(t)
	link, err := load.NewLink("127.0.0.2", "127.0.0.1", []string{port}, 2*time.Millisecond, 1<<20)
	if err != nil {
		t.Skipf("127.0.0.2: %v", err)
	}
	defer link.Close()
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.2", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	began := time.Now()
	go c.Write(make([]byte, 100<<10))
	if _, err := io.ReadFull(c, make([]byte, 100<<10)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 90*time.Millisecond {
		t.Errorf("100 KiB at 1 MiB a second took %v", took)
	}
}
