package layer

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loopback returns the two ends of a TCP connection.
func loopback(t testing.TB) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	for _, conn := range []net.Conn{c, s} {
		conn.SetDeadline(time.Now().Add(time.Minute))
	}
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// handshake makes a TLS connection of two ends; the client's ticket stays
// unread, since it is a client that only writes.
func handshake(t testing.TB, client, server net.Conn) (c, s *tls.Conn) {
	t.Helper()
	c = tls.Client(client, &tls.Config{
		InsecureSkipVerify: true,
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
		ServerName:         "ftp.test",
	})
	s = tls.Server(server, &tls.Config{Certificates: []tls.Certificate{certificate()}})
	done := make(chan error, 1)
	go func() { done <- errors.Join(s.Handshake(), flush(server)) }()
	if err := errors.Join(c.Handshake(), flush(client), <-done); err != nil {
		t.Fatal(err)
	}
	return c, s
}

func flush(c net.Conn) error {
	if g, ok := c.(*Gathering); ok {
		return g.Flush()
	}
	return nil
}

func TestAStreamCutAtARecordBoundaryIsNoEnd(t *testing.T) {
	read := func(wrap func(net.Conn) net.Conn) error {
		client, server := loopback(t)
		c, s := handshake(t, client, wrap(server))
		c.Write([]byte("whole records only"))
		client.CloseWrite() // FIN without close_notify
		_, err := io.ReadAll(s)
		return err
	}
	if err := read(StrictEOF); err != ErrTruncated {
		t.Errorf("the cut reads as %v, want ErrTruncated", err)
	}
	if err := read(func(c net.Conn) net.Conn { return c }); err != nil {
		t.Errorf("without the wrapper the cut reads as %v: it is no longer needed", err)
	}
}

func TestCloseNotifyIsTheOnlyEnd(t *testing.T) {
	client, server := loopback(t)
	c, s := handshake(t, client, StrictEOF(server))
	c.Write([]byte("all"))
	c.CloseWrite()
	if b, err := io.ReadAll(s); err != nil || string(b) != "all" {
		t.Errorf("read %q, %v", b, err)
	}
}

// writes counts the writes that reach it.
type writes struct {
	net.Conn
	n    int
	fail error
}

func (w *writes) Write(b []byte) (int, error) {
	w.n++
	if w.fail != nil {
		return 0, w.fail
	}
	return w.Conn.Write(b)
}

func TestGatherMakesOneWriteOfManyRecords(t *testing.T) {
	client, server := loopback(t)
	w := &writes{Conn: client}
	g := Gather(w, DefaultGather)
	c, s := handshake(t, g, server)
	before := w.n
	want := make([]byte, 4<<20)
	rand.Read(want)
	got := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(s)
		got <- b
	}()
	if _, err := c.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(g.Flush(), c.CloseWrite()); err != nil {
		t.Fatal(err)
	}
	if err := Push(g, time.Second); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(<-got, want) {
		t.Error("what arrived is not what was sent")
	}
	if n := w.n - before; n > 40 {
		t.Errorf("256 records made %d writes, want some 33", n)
	}
}

func TestGatherSendsBeforeItReads(t *testing.T) {
	client, server := loopback(t)
	g := Gather(client, 1000)
	g.Write([]byte("question"))
	go func() {
		b := make([]byte, 8)
		io.ReadFull(server, b)
		server.Write(bytes.ToUpper(b))
	}()
	b := make([]byte, 8)
	if _, err := io.ReadFull(g, b); err != nil || string(b) != "QUESTION" {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestGatherKeepsOrderWhateverTheSizes(t *testing.T) {
	client, server := loopback(t)
	g := Gather(client, 100)
	var want []byte
	go func() {
		defer client.CloseWrite()
		defer g.Flush()
		for i := range 300 {
			g.Write(bytes.Repeat([]byte{byte(i)}, i%211))
		}
	}()
	for i := range 300 {
		want = append(want, bytes.Repeat([]byte{byte(i)}, i%211)...)
	}
	if got, err := io.ReadAll(server); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
}

func TestAFailedFlushMayBeTriedAgain(t *testing.T) {
	client, server := loopback(t)
	w := &writes{Conn: client, fail: os.ErrDeadlineExceeded}
	g := Gather(w, 100)
	g.Write([]byte("patience"))
	if err := g.Flush(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	w.fail = nil
	if err := g.Flush(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8)
	if _, err := io.ReadFull(server, b); err != nil || string(b) != "patience" {
		t.Errorf("read %q, %v", b, err)
	}
}

// sink swallows what is written.
type sink struct{ net.Conn }

func (sink) Write(b []byte) (int, error) { return len(b), nil }

func TestGatherDoesNotAllocate(t *testing.T) {
	if raced {
		t.Skip("the race detector has sync.Pool drop buffers at random")
	}
	g := Gather(sink{}, DefaultGather)
	record := make([]byte, 16<<10)
	n := testing.AllocsPerRun(1000, func() {
		for range 10 {
			g.Write(record)
		}
		g.Flush()
	})
	if n > 0.1 {
		t.Errorf("%v allocations for ten records", n)
	}
}

func TestStallEndsATransferThatStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		s := Stall(a, 10*time.Second)
		begin := time.Now()
		go func() {
			for range 5 {
				time.Sleep(9 * time.Second)
				b.Write([]byte("x"))
			}
		}()
		buf := make([]byte, 1)
		var err error
		n := 0
		for err == nil {
			if _, err = s.Read(buf); err == nil {
				n++
			}
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || n != 5 {
			t.Errorf("%d bytes, then %v", n, err)
		}
		if d := time.Since(begin); d != 55*time.Second {
			t.Errorf("it ended after %v, want 55s", d)
		}
		if _, err := s.Write([]byte("nobody reads")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a write that stands still: %v", err)
		}
	})
}

func TestCountSeesBothDirections(t *testing.T) {
	client, server := loopback(t)
	var n Counter
	c := Count(client, &n)
	c.Write([]byte("12345"))
	server.Write([]byte("123"))
	io.ReadFull(c, make([]byte, 3))
	if n.In.Load() != 3 || n.Out.Load() != 5 {
		t.Errorf("in %d, out %d", n.In.Load(), n.Out.Load())
	}
}

// toll notes what it lets pass.
type toll struct {
	passed int
	err    error
}

func (t *toll) Wait(_ context.Context, n int) error { t.passed += n; return t.err }

func TestRateAsksForEveryByte(t *testing.T) {
	client, server := loopback(t)
	var in, out toll
	c := Rate(t.Context(), client, &in, &out)
	go func() { io.CopyN(server, server, 100<<10); server.CloseWrite() }()
	c.Write(make([]byte, 100<<10))
	io.Copy(io.Discard, c)
	if in.passed != 100<<10 || out.passed != 100<<10 {
		t.Errorf("in %d, out %d", in.passed, out.passed)
	}
	out.err = errors.New("enough")
	if _, err := c.Write([]byte("x")); err != out.err {
		t.Errorf("a refused write: %v", err)
	}
}

// What is gathered leaves in as many packets as it takes: a little more than
// two of the kernel's largest cost a third one for each write.
func TestWhatIsGatheredFillsNoThirdPacket(t *testing.T) {
	const (
		record = 16<<10 + 22            // with the header and the tag of TLS 1.3
		packet = 65160                  // 45 segments of an Ethernet: the kernel gathers no more than 64 KiB
		fits   = DefaultGather / record // whole records
	)
	if rest := fits * record % packet; fits*record > packet && rest < packet/2 {
		t.Errorf("%d records leave %d bytes for a packet of their own", fits, rest)
	}
}
