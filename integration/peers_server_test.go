//go:build interop

package integration

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"ftps/pkg/pki"
)

// foreign is a server that others wrote.
type foreign struct {
	name    string
	pkg     string // Debian's
	account string
	// ports is the first of its block of portBlock on loopback: the control
	// port, and from the tenth on those of passive mode.
	ports int
	// can says what its configuration can do without and with.
	canDeny     bool // take commands away
	relayed     bool // by a relay before it
	canImplicit bool
	canReadOnly bool
	canQuota    bool
	canZone     bool // list in a time zone of its own and tell MDTM in UTC
	// noTickets: under TLS 1.3 it gives no session that could be resumed.
	noTickets bool
	// full is what a full disk comes to, "" where the server never says.
	full string
	// reused counts in its log the data connections that resumed the session;
	// nil where the log does not say.
	reused func(log string) int
	start  func(t *testing.T, s *foreignServer) *exec.Cmd
}

// The blocks of ports: as many turns of four as fit below firstPort.
const (
	firstForeignPort = 20000
	portBlock        = 50
)

// foreigners is the register of servers and their ports.
func foreigners() []foreign {
	return []foreign{
		{name: "vsftpd", pkg: "vsftpd", account: "anonymous", ports: firstForeignPort, canDeny: true, canImplicit: true, canReadOnly: true,
			full: "451", reused: func(log string) int { return strings.Count(log, ", reused, no cert") }, start: startVsftpd},
		{name: "ProFTPD", pkg: "proftpd-core", account: "diego", ports: firstForeignPort + portBlock, canDeny: true, canImplicit: true, canReadOnly: true, canZone: true,
			full: "452", reused: func(log string) int { return strings.Count(log, "client reused TLS session for data connection") }, start: startProFTPD},
		{name: "Pure-FTPd", pkg: "pure-ftpd", account: "diego", ports: firstForeignPort + 2*portBlock, canDeny: true, relayed: true, canReadOnly: true, canZone: true, canQuota: true,
			full: "451", noTickets: true, start: startPureFTPd},
		{name: "pyftpdlib", pkg: "python3-pyftpdlib", account: "diego", ports: firstForeignPort + 3*portBlock, canDeny: true, canImplicit: true, canReadOnly: true, canZone: true,
			start: startPyftpdlib},
	}
}

// foreignOptions change a server from its default: explicit TLS, everything
// allowed, times in UTC.
type foreignOptions struct {
	Implicit    bool
	ReadOnly    bool
	Quota       int      // bytes
	Full        int      // bytes on the disk of the account
	Without     []string // commands that it shall not have
	Zone        string   // list in this time zone
	MaxSessions int
	NoReuse     bool   // data connections need not resume the session
	Told        string // the address that PASV tells
	MinTLS      string // "1.3": nothing older
	MaxTLS      string // "1.2": nothing newer
}

// foreignServer is one that runs. Its exported fields are for the templates
// of the configurations.
type foreignServer struct {
	foreign
	foreignOptions
	Dir                  string // settings, certificates, logs
	Home                 string // the account's files
	Log                  string
	Root                 string // where Debian's packages are unpacked
	Control, First, Last int
	Me, Group            string // the user that runs this
	pin                  string
}

const foreignPassword = "a secret: 'of' theirs"

// NoFacts tells a server that has a switch for it to announce no MLSD.
func (s *foreignServer) NoFacts() bool {
	return slices.Contains(s.Without, "MLSD") || slices.Contains(s.Without, "MLST")
}

// Root0 reports whether the server may chroot.
func (s *foreignServer) Root0() bool { return os.Getuid() == 0 }

// foreignRoot is where integration/peers/install unpacked the servers.
func foreignRoot(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("FTPS_PEERS")
	if dir == "" {
		cache, err := os.UserCacheDir()
		must(t, err)
		dir = filepath.Join(cache, "ftps", "peers")
	}
	if out, err := exec.Command("peers/install", dir).CombinedOutput(); err != nil {
		t.Fatalf("unpacking other people's servers: %v\n%s", err, out)
	}
	return dir
}

// version is that of Debian's package.
func (s *foreignServer) version() string { return foreignVersion(filepath.Dir(s.Root), s.pkg) }

func foreignVersion(dir, pkg string) string {
	list, _ := os.ReadFile(filepath.Join(dir, "versions"))
	for line := range strings.Lines(string(list)) {
		if name, version, _ := strings.Cut(strings.TrimSpace(line), " "); name == pkg {
			return version
		}
	}
	return "?"
}

// serve runs the server until the test ends.
func (f foreign) serve(t *testing.T, o foreignOptions) *foreignServer {
	t.Helper()
	me, err := user.Current()
	must(t, err)
	group, err := user.LookupGroupId(me.Gid)
	must(t, err)
	dir := t.TempDir()
	s := &foreignServer{foreign: f, foreignOptions: o, Dir: dir, Home: filepath.Join(dir, "home"), Log: filepath.Join(dir, "log"),
		Root: filepath.Join(foreignRoot(t), "root"), Me: me.Username, Group: group.Name}
	must(t, os.Mkdir(s.Home, 0o755))
	if o.Full > 0 {
		must(t, syscall.Mount("tmpfs", s.Home, "tmpfs", 0, fmt.Sprintf("size=%d", o.Full)))
		// Detached: the kernel may still be clearing up after a killed session.
		t.Cleanup(func() { syscall.Unmount(s.Home, syscall.MNT_DETACH) })
	}
	must(t, os.WriteFile(s.Log, nil, 0o644))
	s.takePorts(t)
	s.certify(t)

	cmd := f.start(t, s)
	if len(cmd.Env) == 0 {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+s.libraries(), "LC_ALL=C.UTF-8")
	if o.MinTLS+o.MaxTLS != "" {
		cmd.Env = append(cmd.Env, "OPENSSL_CONF="+s.configure(t, "openssl.cnf"))
	}
	if o.Zone != "" {
		cmd.Env = append(cmd.Env, "TZ="+o.Zone)
	} else {
		cmd.Env = append(cmd.Env, "TZ=UTC")
	}
	// A group of its own: these servers fork for each session.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out := newTranscript()
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, dir
	must(t, cmd.Start())
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(10 * time.Second):
		}
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-done
		if t.Failed() {
			t.Logf("%s said:\n%s%s", s.name, tail(out.String()), tail(s.log()))
		}
	})
	s.answers(t, done, out)
	if s.relayed && len(s.Without) > 0 {
		s.relay(t)
	}
	return s
}

// libraries is the folder of the unpacked shared libraries.
func (s *foreignServer) libraries() string {
	found, _ := filepath.Glob(filepath.Join(s.Root, "usr/lib/*-linux-gnu*"))
	return strings.Join(found, ":")
}

// log is what the server has logged so far.
func (s *foreignServer) log() string {
	text, _ := os.ReadFile(s.Log)
	return string(text)
}

// takePorts takes the server's block of ports until the test ends; where
// another test, or another run of them, has it, the next one.
func (s *foreignServer) takePorts(t *testing.T) {
	t.Helper()
	for first := s.ports; first < firstPort; first += 4 * portBlock {
		// A name that one process can have, and that ends with it.
		held, err := net.Listen("unix", fmt.Sprintf("@ftps-ports-%d", first))
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first))
		if err != nil {
			held.Close()
			continue
		}
		l.Close()
		t.Cleanup(func() { held.Close() })
		s.Control, s.First, s.Last = first, first+10, first+portBlock-1
		return
	}
	t.Fatalf("the ports of %s are taken", s.name)
}

// answers waits until the server takes connections.
func (s *foreignServer) answers(t *testing.T, done <-chan struct{}, out *transcript) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Control))
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-done:
			t.Fatalf("%s ended at once:\n%s%s", s.name, out, s.log())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer:\n%s", s.name, out)
		}
	}
}

// certify makes an authority (ca.pem) and a certificate under it (server.pem,
// server.key, both.pem).
func (s *foreignServer) certify(t *testing.T) {
	t.Helper()
	make := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		template.SerialNumber = big.NewInt(time.Now().UnixNano())
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
		if signer == nil {
			parent, signer = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		must(t, err)
		cert, err := x509.ParseCertificate(der)
		must(t, err)
		return cert, key
	}
	ca, caKey := make(&x509.Certificate{Subject: pkix.Name{CommonName: "an authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}, nil, nil)
	cert, key := make(&x509.Certificate{Subject: pkix.Name{CommonName: s.name}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, ca, caKey)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for name, text := range map[string][]byte{
		"ca.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), "server.pem": certPEM,
		"server.key": keyPEM, "both.pem": slices.Concat(keyPEM, certPEM),
	} {
		must(t, os.WriteFile(filepath.Join(s.Dir, name), text, 0o600))
	}
	s.pin = pki.PinOf(cert).String()
}

// configure fills a template of integration/peers.
func (s *foreignServer) configure(t *testing.T, name string) string {
	t.Helper()
	tmpl, err := template.New(name).Funcs(template.FuncMap{"join": strings.Join}).ParseFiles(filepath.Join("peers", name))
	must(t, err)
	var text bytes.Buffer
	must(t, tmpl.Execute(&text, s))
	file := filepath.Join(s.Dir, name)
	must(t, os.WriteFile(file, text.Bytes(), 0o600))
	return file
}

func startVsftpd(t *testing.T, s *foreignServer) *exec.Cmd {
	must(t, os.WriteFile(filepath.Join(s.Dir, "passwords"), []byte(foreignPassword+"\n"), 0o600))
	return exec.Command(filepath.Join(s.Root, "usr/sbin/vsftpd"), s.configure(t, "vsftpd.conf"))
}

// hash is the password as crypt(3) has it.
func (s *foreignServer) hash(t *testing.T) string {
	t.Helper()
	crypt := exec.Command("openssl", "passwd", "-5", "-stdin")
	crypt.Stdin = strings.NewReader(foreignPassword + "\n")
	hash, err := crypt.Output()
	must(t, err)
	return strings.TrimSpace(string(hash))
}

func startProFTPD(t *testing.T, s *foreignServer) *exec.Cmd {
	line := fmt.Sprintf("%s:%s:%d:%d::%s:/bin/sh\n", s.account, s.hash(t), os.Getuid(), os.Getgid(), s.Home)
	must(t, os.WriteFile(filepath.Join(s.Dir, "accounts"), []byte(line), 0o600))
	return exec.Command(filepath.Join(s.Root, "usr/sbin/proftpd"), "-n", "-c", s.configure(t, "proftpd.conf"))
}

// startPureFTPd: it has no settings file but flags, and wants root to chroot.
func startPureFTPd(t *testing.T, s *foreignServer) *exec.Cmd {
	if os.Getuid() != 0 {
		t.Skip("Pure-FTPd of Debian starts as root only")
	}
	nobody, err := user.Lookup("nobody")
	must(t, err)
	var uid, gid int
	fmt.Sscan(nobody.Uid, &uid)
	fmt.Sscan(nobody.Gid, &gid)
	must(t, os.Chown(s.Home, uid, gid))
	// The folders above it are made for their owner alone.
	for dir := s.Dir; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o711))
	}
	db := filepath.Join(s.Dir, "accounts.pdb")
	// Its own tool would hash the password so that each login costs seconds.
	quota := ""
	if s.Quota > 0 {
		quota = fmt.Sprint(s.Quota)
		count := filepath.Join(s.Home, ".ftpquota")
		must(t, os.WriteFile(count, []byte("0 0\n"), 0o600)) // as pure-quotacheck does
		must(t, os.Chown(count, uid, gid))
	}
	line := fmt.Sprintf("%s:%s:%d:%d::%s/./:::::::%s::::::\n", s.account, s.hash(t), uid, gid, s.Home, quota)
	accounts := filepath.Join(s.Dir, "accounts")
	must(t, os.WriteFile(accounts, []byte(line), 0o600))
	index := exec.Command(filepath.Join(s.Root, "usr/bin/pure-pw"), "mkdb", db, "-f", accounts)
	index.Env = append(os.Environ(), "LD_LIBRARY_PATH="+s.libraries())
	if out, err := index.CombinedOutput(); err != nil {
		t.Fatalf("pure-pw: %v\n%s", err, out)
	}
	args := []string{"--bind", fmt.Sprintf("127.0.0.1,%d", s.Control), "--login", "puredb:" + db, "--tls", "3",
		"--certfile", filepath.Join(s.Dir, "both.pem"), "--passiveportrange", fmt.Sprintf("%d:%d", s.First, s.Last),
		"--noanonymous", "--chrooteveryone", "--dontresolve", "--minuid", "100", "--umask", "022:022",
		"--pidfile", filepath.Join(s.Dir, "pid"), "--maxclientsnumber", "50", "--maxclientsperip", "50"}
	if s.MaxSessions > 0 {
		args[len(args)-1] = fmt.Sprint(s.MaxSessions)
	}
	if s.Told != "" {
		args = append(args, "--forcepassiveip", s.Told)
	}
	if s.ReadOnly {
		must(t, os.Chmod(s.Home, 0o555))
	}
	return exec.Command(filepath.Join(s.Root, "usr/sbin/pure-ftpd"), args...)
}

func startPyftpdlib(t *testing.T, s *foreignServer) *exec.Cmd {
	settings, err := json.Marshal(map[string]any{
		"log": s.Log, "both": filepath.Join(s.Dir, "both.pem"), "control": s.Control, "first": s.First, "last": s.Last,
		"user": s.account, "password": foreignPassword, "home": s.Home, "implicit": s.Implicit, "read_only": s.ReadOnly,
		"zone": s.Zone, "mdtm_local": false, "without": append([]string{}, s.Without...), "max_sessions": s.MaxSessions,
		"told": s.Told,
	})
	must(t, err)
	script, err := filepath.Abs("peers/serve_pyftpdlib.py")
	must(t, err)
	// Debian's Python: its modules are Debian's.
	cmd := exec.Command("/usr/bin/python3", "-s", script, string(settings))
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(s.Root, "usr/lib/python3/dist-packages"))
	return cmd
}

// client runs our client against the server, which it trusts by its pin.
func (s *foreignServer) client(t *testing.T, command ...string) (stdout, stderr string, code int) {
	t.Helper()
	return s.clientWith(t, []string{"--pin", s.pin}, command...)
}

// clientWith is client with flags of the caller's for trust and the like.
func (s *foreignServer) clientWith(t *testing.T, flags []string, command ...string) (stdout, stderr string, code int) {
	t.Helper()
	host := "127.0.0.1"
	if s.Implicit {
		host = "ftps://127.0.0.1"
	}
	args := append([]string{"client", host, "-p", fmt.Sprint(s.Control), "-u", s.account, "--password-stdin"}, flags...)
	ctx, cancel := context.WithTimeout(t.Context(), peerPatience())
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, ftps, append(args, command...)...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = s.Dir, cleanEnv(s.Dir), strings.NewReader(foreignPassword+"\n"), &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%q: %v\n%s", command, err, errs.String())
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// does is client for what has to succeed.
func (s *foreignServer) does(t *testing.T, command ...string) string {
	t.Helper()
	out, errs, code := s.client(t, command...)
	if code != 0 {
		t.Fatalf("%q: exit %d\n%s%s", command, code, tail(out), tail(errs))
	}
	return out
}
