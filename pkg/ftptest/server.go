// Package ftptest is to FTP what net/http/httptest is to HTTP: a whole
// server on loopback for the length of a test, and a client that says just
// what the test tells it to.
//
// [Start] serves; [Server.Dial] returns a [Conn], on which a test reads as a
// dialogue:
//
//	s := ftptest.Start(t, ftptest.Options{})
//	c := s.Dial(t)
//	c.Expect(220)
//	c.Cmd(234, "AUTH TLS")
//	c.StartTLS()
//
// Every wait has a deadline, every line of the dialogue is in the test's log,
// and what was started ends with the test.
package ftptest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/dataport"
	"ftps/pkg/event"
	"ftps/pkg/ftpserver"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/memfs"
)

// Patience is the deadline of every wait.
const Patience = 60 * time.Second

// ServerName is the name in the server's certificate.
const ServerName = "ftp.test"

// Account is one account of the server.
type Account struct {
	Name     string
	Password string
	FS       vfs.FS   // an empty memory one when nil
	Perm     vfs.Perm // vfs.ReadWrite when 0
	Reuse    dataport.Reuse
}

// Options say what to start; the zero value is one account, diego with the
// password "secreto".
type Options struct {
	Accounts  []Account
	DataPorts int // 2 when 0
	Implicit  bool
	Lang      catalog.Lang
	Sink      event.Sink
	Server    func(*ftpserver.Config) // last changes
	Ports     func(*dataport.Config)
	Listen    string // address of the control port, 127.0.0.1:0 when empty
}

// Server is a running server.
type Server struct {
	Addr   netip.AddrPort
	FTP    *ftpserver.Server
	Pool   *x509.CertPool // trusts the certificate
	Events *Events

	options Options
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// Start serves until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	if len(o.Accounts) == 0 {
		o.Accounts = []Account{{Name: "diego", Password: "secreto"}}
	}
	for i := range o.Accounts {
		a := &o.Accounts[i]
		if a.FS == nil {
			a.FS = memfs.New()
		}
		if a.Perm == 0 {
			a.Perm = vfs.ReadWrite
		}
	}
	if o.DataPorts == 0 {
		o.DataPorts = 2
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	s := &Server{options: o, Events: &Events{more: make(chan struct{})}}
	sinks := event.Sinks{s.Events}
	if o.Sink != nil {
		sinks = append(sinks, o.Sink)
	}

	cert, pool := certificate(t)
	s.Pool = pool
	control, err := net.Listen("tcp", o.Listen)
	if err != nil {
		t.Fatal(err)
	}
	s.Addr = control.Addr().(*net.TCPAddr).AddrPort()
	ports := dataport.Config{
		TLS:  &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		Sink: sinks,
	}
	host := s.Addr.Addr().String()
	for range o.DataPorts {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		ports.Listeners = append(ports.Listeners, l)
	}
	if o.Ports != nil {
		o.Ports(&ports)
	}
	cfg := ftpserver.Config{
		Backend: accounts(o.Accounts),
		Ports:   dataport.New(ports),
		Sink:    sinks,
		Lang:    o.Lang,
	}
	if o.Server != nil {
		o.Server(&cfg)
	}
	s.FTP = ftpserver.New(cfg)

	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.done.Go(func() { cfg.Ports.Serve(ctx) })
	s.done.Go(func() { s.FTP.Serve(ctx, control, o.Implicit) })
	t.Cleanup(func() {
		over, cut := context.WithTimeout(context.Background(), time.Second)
		defer cut()
		control.Close()
		s.FTP.Shutdown(over)
		cfg.Ports.Close()
		cancel()
		s.done.Wait()
	})
	return s
}

// accounts is the backend of tests: passwords in the clear, no delays.
type accounts []Account

func (l accounts) Login(_ context.Context, a ftpserver.Attempt) (*ftpserver.Account, error) {
	for _, acc := range l {
		if acc.Name == a.Name && acc.Password == a.Password {
			return &ftpserver.Account{
				Name: acc.Name, FS: acc.FS, Perm: acc.Perm, Reuse: acc.Reuse, Close: func() {},
			}, nil
		}
	}
	return nil, ftpserver.ErrLogin
}

func (l accounts) LoginByCertificate(context.Context, ftpserver.Attempt) (*ftpserver.Account, error) {
	return nil, nil
}

// Events remembers what the server told its sink.
type Events struct {
	mu   sync.Mutex
	list []event.Event
	more chan struct{} // closed and replaced at each event
}

// Handle implements event.Sink.
func (e *Events) Handle(ev event.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
	close(e.more)
	e.more = make(chan struct{})
}

// All returns the events so far.
func (e *Events) All() []event.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]event.Event(nil), e.list...)
}

// Wait returns the first event, past or to come, for which ok holds.
func (e *Events) Wait(t testing.TB, what string, ok func(event.Event) bool) event.Event {
	t.Helper()
	deadline := time.After(Patience)
	for {
		e.mu.Lock()
		list, more := e.list, e.more
		e.mu.Unlock()
		for _, ev := range list {
			if ok(ev) {
				return ev
			}
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("no event within %v: %s", Patience, what)
		}
	}
}

// certificate makes a self-signed certificate for ServerName.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: ServerName},
		DNSNames:     []string{ServerName},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}
