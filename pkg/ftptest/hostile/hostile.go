// Package hostile is a small FTP server over TLS for the tests of clients,
// whose every answer a test can replace: it behaves until told to lie.
//
// It keeps its files in memory, serves TLS on both sockets with real session
// tickets, and can demand that data connections resume the control
// connection's session. It is no server for anything else: it knows one
// account, checks nothing, and has no limits.
package hostile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The one account.
const (
	User     = "diego"
	Password = "correct horse"
)

// Server is one server on a loopback address.
type Server struct {
	// Addr is "127.0.0.1:port".
	Addr string
	// Roots has the server's certificate.
	Roots *x509.CertPool

	o        Options
	listener net.Listener
	tls      *tls.Config

	mu       sync.Mutex
	files    map[string]*File
	sessions map[*Session]bool
	log      []string
	stamps   []string
	number   int
	refused  int

	wg sync.WaitGroup
}

// File is one file or folder of a server.
type File struct {
	Data []byte
	Time time.Time
	Dir  bool
}

// Options change the server's manners. The zero Options are good ones.
type Options struct {
	Implicit      bool
	Certificate   *tls.Certificate // instead of one of Certificate's
	MaxVersion    uint16           // of TLS; 0 for the newest
	Features      []string         // the lines of FEAT; nil for DefaultFeatures
	RequireReuse  bool             // a data connection that does not resume its own control session is refused with 522
	EarlyTLS      bool             // the handshake comes before the 150, else after it
	NoCloseNotify bool             // data connections end with a bare FIN
	MaxSessions   int              // beyond it 421; 0 for no limit
	DataConfig    *tls.Config      // another certificate on data connections
	BlockSize     int              // bytes a write of a download; 0 for all at once
	// Hooks replace what the server does for a verb; "" is the greeting. A
	// hook that returns false leaves the verb to the server.
	Hooks map[string]func(s *Session, arg string) bool
}

// DefaultFeatures are the lines of FEAT.
var DefaultFeatures = []string{
	"AUTH TLS", "PBSZ", "PROT", "UTF8", "EPSV", "SIZE", "MDTM", "MFMT", "REST STREAM",
	"MLST type*;size*;modify*;perm*;", "HASH SHA-256*", "LANG EN*;ES",
}

// Start runs a server until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	cert := Certificate(t)
	if o.Certificate != nil {
		cert = *o.Certificate
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		Addr:     listener.Addr().String(),
		Roots:    x509.NewCertPool(),
		o:        o,
		listener: listener,
		tls:      &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: o.MaxVersion, NextProtos: []string{"ftp", "ftp-data"}},
		files:    map[string]*File{"/": {Dir: true}},
		sessions: make(map[*Session]bool),
	}
	s.Roots.AddCert(cert.Leaf)
	s.wg.Go(s.accept)
	t.Cleanup(s.Close)
	return s
}

// Certificate makes a self-signed certificate for 127.0.0.1, and changes it
// before it is signed.
func Certificate(t testing.TB, change ...func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "hostile"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:     []string{"localhost"},
	}
	for _, c := range change {
		c(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// Client returns what a client needs to trust the server.
func (s *Server) Client() *tls.Config { return &tls.Config{RootCAs: s.Roots} }

// Leaf returns the server's certificate.
func (s *Server) Leaf() *x509.Certificate { return s.tls.Certificates[0].Leaf }

// Close ends every session.
func (s *Server) Close() {
	s.listener.Close()
	s.mu.Lock()
	for c := range s.sessions {
		c.cut()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// Put stores a file, and the folders on the way to it.
func (s *Server) Put(name string, data []byte, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mkdirs(path.Dir(name))
	s.files[name] = &File{Data: slices.Clone(data), Time: t.UTC().Truncate(time.Second)}
}

// Mkdir makes a folder and those on the way to it.
func (s *Server) Mkdir(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mkdirs(name)
}

func (s *Server) mkdirs(dir string) {
	for ; dir != "/"; dir = path.Dir(dir) {
		if s.files[dir] == nil {
			s.files[dir] = &File{Dir: true, Time: time.Now().UTC().Truncate(time.Second)}
		}
	}
}

// File returns a copy of a file.
func (s *Server) File(name string) (File, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.files[name]
	if !ok {
		return File{}, false
	}
	return File{Data: slices.Clone(f.Data), Time: f.Time, Dir: f.Dir}, true
}

// Names lists every file and folder, sorted.
func (s *Server) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Log returns the commands that came, in their order, passwords included.
func (s *Server) Log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// Count returns how many commands of a verb came.
func (s *Server) Count(verb string) int {
	n := 0
	for _, line := range s.Log() {
		if v, _, _ := strings.Cut(line, " "); v == verb {
			n++
		}
	}
	return n
}

// Stamps returns, for each data connection, which session's ticket it
// resumed and of which kind: "0/control"; "" for a full handshake.
func (s *Server) Stamps() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.stamps)
}

// Refused returns how many sessions were turned away for MaxSessions.
func (s *Server) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

func (s *Server) accept() {
	for {
		raw, err := s.listener.Accept()
		if err != nil {
			return
		}
		c := &Session{server: s, raw: raw, wire: raw, cwd: "/"}
		s.mu.Lock()
		c.number = s.number
		s.number++
		c.surplus = s.o.MaxSessions > 0 && len(s.sessions) >= s.o.MaxSessions
		if c.surplus {
			s.refused++
		} else {
			s.sessions[c] = true
		}
		s.mu.Unlock()
		s.wg.Go(func() {
			c.serve()
			s.mu.Lock()
			delete(s.sessions, c)
			s.mu.Unlock()
		})
	}
}

func sum(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}

// Do does what a command without a data connection asks for, as if a session
// had sent it with an absolute path: for a hook that then says nothing of it.
func (s *Server) Do(verb, arg string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	(&Session{server: s, cwd: "/"}).tree(verb, arg)
}
