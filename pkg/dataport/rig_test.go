package dataport

import (
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
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/layer"
)

var (
	alice = netip.MustParseAddr("203.0.113.5") // one client address
	mall  = netip.MustParseAddr("203.0.113.6") // another one
)

var serverCert = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Unix(1<<33, 0),
		DNSNames:     []string{"ftp.test"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// rig is a set of data ports in memory, with clients to try them.
type rig struct {
	t      *testing.T
	ports  *Ports
	listen map[int]*memListener
	stop   func()

	mu     sync.Mutex
	events []event.Event
}

// inBubble runs a story on n data ports in faked time.
func inBubble(t *testing.T, n int, tune func(*Config), story func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, n, tune)
		defer r.stop()
		story(t, r)
	})
}

func newRig(t *testing.T, n int, tune func(*Config)) *rig {
	r := &rig{t: t, listen: make(map[int]*memListener)}
	cfg := Config{
		TLS:  &tls.Config{Certificates: []tls.Certificate{serverCert()}, MinVersion: tls.VersionTLS12},
		Sink: event.Func(r.handle),
	}
	for i := range n {
		l := memListen(uint16(5000 + i))
		r.listen[5000+i] = l
		cfg.Listeners = append(cfg.Listeners, l)
	}
	if tune != nil {
		tune(&cfg)
	}
	r.ports = New(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.ports.Serve(ctx) }()
	r.stop = func() { cancel(); <-done }
	return r
}

func (r *rig) handle(e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// refusals returns the causes of the connections refused so far.
func (r *rig) refusals() (keys []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if d, ok := e.(event.DataRefused); ok {
			keys = append(keys, d.Cause.Error())
		}
	}
	return keys
}

// open opens a connection to a data port.
func (r *rig) open(from netip.Addr, port int) net.Conn {
	r.t.Helper()
	if l := r.listen[port]; l != nil {
		return l.dial(from)
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}, Timeout: time.Minute}
	raw, err := d.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		r.t.Fatal(err)
	}
	return raw
}

// onLoopback is a rig of n real ports, in real time.
func onLoopback(t *testing.T, n int, tune func(*Config)) *rig {
	t.Helper()
	r := newRig(t, 0, func(c *Config) {
		for range n {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			c.Listeners = append(c.Listeners, l)
		}
		if tune != nil {
			tune(c)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// tcpPair returns both ends of a real connection.
func tcpPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

// onceCache is a session cache that shows each ticket once, as curl's does
// for TLS 1.3 and as RFC 8446 §C.4 wants it.
type onceCache struct{ tls.ClientSessionCache }

func (c onceCache) Get(key string) (*tls.ClientSessionState, bool) {
	s, ok := c.ClientSessionCache.Get(key)
	c.ClientSessionCache.Put(key, nil)
	return s, ok && s != nil
}

// client is a control connection and its user, as far as data ports matter.
type client struct {
	r    *rig
	from netip.Addr
	tls  *tls.Config
	s    *Session
	name string
}

// client connects and logs in. cache nil means one of its own.
func (r *rig) client(from netip.Addr, account string, reuse Reuse, cache tls.ClientSessionCache) *client {
	c := r.connect(from, cache)
	c.login(account, reuse)
	return c
}

func (r *rig) connect(from netip.Addr, cache tls.ClientSessionCache) *client {
	return r.connectAs(from, cache, &tls.Config{})
}

func (r *rig) connectAs(from netip.Addr, cache tls.ClientSessionCache, cfg *tls.Config) *client {
	r.t.Helper()
	if cache == nil {
		cache = tls.NewLRUClientSessionCache(1)
	}
	cfg = cfg.Clone()
	cfg.InsecureSkipVerify, cfg.ServerName, cfg.ClientSessionCache = true, "ftp.test", cache
	remote := netip.AddrPortFrom(from, 30000)
	c := &client{r: r, from: from, tls: cfg}
	c.s = r.ports.Session(event.Session{ID: "id", Remote: remote})
	near, far := memPair(remote, netip.MustParseAddrPort("192.0.2.1:21"))
	server := tls.Server(far, c.s.ControlTLS())
	greeted := make(chan error, 1)
	go func() {
		_, err := server.Write([]byte("!"))
		greeted <- err
	}()
	control := tls.Client(near, cfg)
	// In TLS 1.3 the ticket comes with the first Read.
	if _, err := io.ReadFull(control, make([]byte, 1)); err != nil {
		r.t.Fatalf("control connection: %v", err)
	}
	if err := <-greeted; err != nil {
		r.t.Fatalf("control connection: %v", err)
	}
	return c
}

func (c *client) login(account string, reuse Reuse) {
	c.r.t.Helper()
	c.name = account
	if err := c.s.LoggedIn(account, reuse); err != nil {
		c.r.t.Fatal(err)
	}
}

// pasv gets a promise.
func (c *client) pasv() *Promise {
	c.r.t.Helper()
	pr, err := c.s.Promise(c.r.t.Context())
	if err != nil {
		c.r.t.Fatalf("PASV of %s: %v", c.name, err)
	}
	return pr
}

// dial opens a data connection and completes its handshake.
func (c *client) dial(port int) (*tls.Conn, error) {
	return handshake(c.r.open(c.from, port), c.tls)
}

func handshake(raw net.Conn, cfg *tls.Config) (*tls.Conn, error) {
	tc := tls.Client(layer.StrictEOF(raw), cfg)
	raw.SetDeadline(time.Now().Add(time.Minute))
	err := tc.Handshake()
	raw.SetDeadline(time.Time{})
	return tc, err
}

// shakes begins a handshake that must succeed, and yields what came of it.
func (c *client) shakes(raw net.Conn) <-chan *tls.Conn {
	shaken := make(chan *tls.Conn)
	go func() {
		tc, err := handshake(raw, c.tls)
		if err != nil {
			c.r.t.Error(err)
		}
		shaken <- tc
	}()
	return shaken
}

// mustDial is dial that must succeed.
func (c *client) mustDial(port int) *tls.Conn {
	c.r.t.Helper()
	tc, err := c.dial(port)
	if err != nil {
		c.r.t.Fatalf("data connection of %s: %v", c.name, err)
	}
	return tc
}

// result is what a Take came to.
type result struct {
	conn *Conn
	err  error
	at   time.Duration // after it began
}

// take runs Take in the background.
func take(pr *Promise, d event.Direction) <-chan result {
	ch := make(chan result, 1)
	begin := time.Now()
	go func() {
		conn, err := pr.Take(context.Background(), d)
		ch <- result{conn, err, time.Since(begin)}
	}()
	return ch
}

// download plays a whole listing or RETR: the server sends text, the client
// must read it.
func (c *client) download(text string) error {
	pr, err := c.s.Promise(c.r.t.Context())
	if err != nil {
		return err
	}
	tc, err := c.dial(pr.Port())
	if err != nil {
		pr.Cancel()
		return err
	}
	res := <-take(pr, event.Download)
	if res.err != nil {
		return res.err
	}
	sent := make(chan error, 1)
	go func() {
		res.conn.Write([]byte(text))
		sent <- res.conn.Finish()
	}()
	got, err := io.ReadAll(tc)
	tc.Close()
	if err == nil && string(got) != text {
		err = errors.New("got " + string(got) + ", want " + text)
	}
	return errors.Join(err, <-sent)
}

// upload plays a whole STOR, the way curl does: hello before the command.
func (c *client) upload(text string) error {
	pr, err := c.s.Promise(c.r.t.Context())
	if err != nil {
		return err
	}
	tc, err := c.dial(pr.Port())
	if err != nil {
		pr.Cancel()
		return err
	}
	return c.store(pr, tc, text)
}

func (c *client) store(pr *Promise, tc *tls.Conn, text string) error {
	return c.storing(take(pr, event.Upload), tc, text)
}

func (c *client) storing(done <-chan result, tc *tls.Conn, text string) error {
	read := make(chan struct{})
	go func() {
		defer close(read)
		tc.Write([]byte(text))
		tc.CloseWrite()
		io.Copy(io.Discard, tc)
		tc.Close()
	}()
	defer func() { <-read }()
	res := <-done
	if res.err != nil {
		return res.err
	}
	got, err := io.ReadAll(res.conn)
	if err == nil && string(got) != text {
		err = errors.New("got " + string(got) + ", want " + text)
	}
	return errors.Join(err, res.conn.Finish())
}
