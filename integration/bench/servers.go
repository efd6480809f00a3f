package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"
	"time"

	"ftps/pkg/pki"
)

// maker says how one of the servers is started. Each has a block of ports of
// its own on loopback, below those of outgoing connections.
type maker struct {
	name    string
	pkg     string // Debian's; "" for ours and for what is built from source
	library string // the Go module that it shows, where it is built here
	program string // the variable that names its binary, NAME-VERSION, where scripts/bench built it
	account string
	ports   int
	facts   bool // it has MLSD
	start   func(s *server) (*exec.Cmd, error)
}

const (
	ours      = "ftps"
	sftpgo    = "SFTPGo"
	portBlock = 100
	password  = "correct horse 4711"
)

var makers = []maker{
	{name: ours, account: "diego", ports: 23000, facts: true, start: startOurs},
	{name: "vsftpd", pkg: "vsftpd", account: "anonymous", ports: 23100, start: startVsftpd},
	{name: "ProFTPD", pkg: "proftpd-core", account: "diego", ports: 23200, facts: true, start: startProFTPD},
	{name: "Pure-FTPd", pkg: "pure-ftpd", account: "diego", ports: 23300, facts: true, start: startPureFTPd},
	{name: "pyftpdlib", pkg: "python3-pyftpdlib", account: "diego", ports: 23400, facts: true, start: startPyftpdlib},
	{name: "ftpserverlib", library: "github.com/fclairamb/ftpserverlib", account: "diego", ports: 23600, facts: true, start: startLibrary},
	{name: sftpgo, program: "FTPS_SFTPGO", account: "diego", ports: 23700, facts: true, start: startSFTPGo},
}

// another is a second build of our server, to try a change beside what was.
var another = maker{name: "another", account: "diego", ports: 23500, facts: true, start: startOurs}

// server is one that runs, or can.
type server struct {
	maker
	b                    *bench
	Dir, Home, Log, Root string
	Control, First, Last int
	Me, Group            string
	pin                  string
	cmd                  *exec.Cmd
	done                 chan struct{}
}

// tree says that it is this tree's, or another build of it.
func (m maker) tree() bool { return m.pkg == "" && m.library == "" && m.program == "" }

// newServer lays out a server's folder; it does not start it.
func (b *bench) newServer(m maker) (*server, error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, m.name)
	s := &server{maker: m, b: b, Dir: dir, Home: filepath.Join(dir, "home"), Log: filepath.Join(b.dir, m.name+".log"),
		Root: filepath.Join(b.peers, "root"), Me: me.Username, Group: group.Name,
		Control: m.ports, First: m.ports + 10, Last: m.ports + portBlock - 1}
	if err := os.MkdirAll(s.Home, 0o755); err != nil {
		return nil, err
	}
	return s, s.certify()
}

func (s *server) addr() string { return fmt.Sprintf("127.0.0.1:%d", s.Control) }

// run starts the server and waits until it answers.
func (s *server) run() error {
	if s.cmd != nil {
		return nil
	}
	if c, err := net.Dial("tcp", s.addr()); err == nil {
		c.Close()
		return fmt.Errorf("%s: somebody else listens on %s", s.name, s.addr())
	}
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd, err := s.start(s)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	if s.pkg != "" {
		// AES-128-GCM for everyone under TLS 1.3: crypto/tls chooses it, and
		// OpenSSL is told to.
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+s.libraries(), "OPENSSL_CONF="+s.b.opensslConf())
	}
	if s.tree() && s.b.profiles != "" {
		cmd.Env = append(cmd.Env, "FTPS_BENCH_PROFILE="+s.b.profileFile())
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C.UTF-8", "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // these servers fork for each session
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, s.Dir
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.cmd, s.done = cmd, make(chan struct{})
	go func() { cmd.Wait(); close(s.done) }()
	for deadline := time.Now().Add(30 * time.Second); ; {
		c, err := net.Dial("tcp", s.addr())
		if err == nil {
			return c.Close()
		}
		select {
		case <-s.done:
			s.cmd = nil
			text, _ := os.ReadFile(s.Log)
			return fmt.Errorf("%s ended at once:\n%s", s.name, text[max(0, len(text)-2000):])
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.stop()
			return fmt.Errorf("%s does not answer", s.name)
		}
	}
}

// stop ends the server and all that it has forked.
func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	all := tree(s.cmd.Process.Pid) // sessions may have left the group
	syscall.Kill(-s.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(5 * time.Second):
	}
	syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.done
	for _, p := range all {
		syscall.Kill(p.pid, syscall.SIGKILL)
	}
	s.cmd = nil
	for range 100 {
		c, err := net.Dial("tcp", s.addr())
		if err != nil {
			return
		}
		c.Close()
		time.Sleep(50 * time.Millisecond)
	}
}

// version is Debian's, or the module's, or says that it is this tree.
func (s *server) version() string {
	switch {
	case s.library != "":
		out, err := exec.Command("go", "list", "-C", libraryDir, "-m", "-f", "{{.Version}}", s.library).Output()
		if err != nil {
			return "?"
		}
		return strings.TrimSpace(string(out))
	case s.program != "":
		_, version, _ := strings.Cut(filepath.Base(os.Getenv(s.program)), "-")
		return version
	case s.pkg == "":
		return s.b.tree
	}
	list, _ := os.ReadFile(filepath.Join(s.b.peers, "versions"))
	for line := range strings.Lines(string(list)) {
		if name, version, _ := strings.Cut(strings.TrimSpace(line), " "); name == s.pkg {
			return version
		}
	}
	return "?"
}

func (s *server) libraries() string {
	found, _ := filepath.Glob(filepath.Join(s.Root, "usr/lib/*-linux-gnu*"))
	return strings.Join(found, ":")
}

// opensslConf is a configuration for servers and clients with OpenSSL.
func (b *bench) opensslConf() string { return filepath.Join(b.dir, "openssl.cnf") }

const opensslConf = `openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = defaults
[defaults]
Ciphersuites = TLS_AES_128_GCM_SHA256
CipherString = ECDHE-ECDSA-AES128-GCM-SHA256
`

// certify makes the server's key and certificate: server.pem, server.key and
// both.pem.
func (s *server) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(127, 0, 0, 2)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	s.pin = pki.PinOf(cert).String()
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	for name, text := range map[string][]byte{"server.pem": certPEM, "server.key": keyPEM, "both.pem": append(keyPEM, certPEM...)} {
		if err := os.WriteFile(filepath.Join(s.Dir, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// configure fills a template of integration/peers.
func (s *server) configure(name string) (string, error) {
	t, err := template.New(name).Funcs(template.FuncMap{"join": strings.Join}).ParseFiles(filepath.Join("integration/peers", name))
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	// A map: what the tests vary beyond this is not there, and so not done.
	if err := t.Execute(&text, map[string]any{"Dir": s.Dir, "Home": s.Home, "Log": s.Log, "Root": s.Root, "Control": s.Control,
		"First": s.First, "Last": s.Last, "Me": s.Me, "Group": s.Group, "Root0": os.Getuid() == 0, "Without": []string(nil)}); err != nil {
		return "", err
	}
	// The tests read what vsftpd logs; here it would only cost it time. Where
	// it insists on the client's close_notify, lftp's uploads to it fail.
	conf := strings.NewReplacer("log_ftp_protocol=YES\n", "", "debug_ssl=YES\n", "",
		"strict_ssl_read_eof=YES\n", "strict_ssl_read_eof=NO\n").Replace(text.String())
	file := filepath.Join(s.Dir, name)
	return file, os.WriteFile(file, []byte(conf), 0o600)
}

// startOurs starts the binary as a person would, with limits wide enough for
// the load. Uploads are synced, as always.
func startOurs(s *server) (*exec.Cmd, error) {
	users := filepath.Join(s.Dir, "users.yaml")
	if _, err := os.Stat(users); err != nil {
		add := exec.Command(s.b.binary, "useradd", s.account, "--password-stdin", "--users", users, "-R", s.Dir, "--home", "home")
		add.Stdin, add.Dir = strings.NewReader(password+"\n"), s.Dir
		if out, err := add.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("useradd: %w: %s", err, out)
		}
	}
	args := []string{"server", "-H", "127.0.0.1", "-C", fmt.Sprint(s.Control), "-D", fmt.Sprintf("%d-%d", s.First, s.First+15),
		"--users", users, "-R", s.Dir, "--cert", filepath.Join(s.Dir, "server.pem"), "--key", filepath.Join(s.Dir, "server.key"),
		"--no-console", "--log-format", "json", "--admin-socket", "off", "--idle-timeout", "1h",
		"--max-connections", "12000", "--max-connections-per-address", "12000", "--max-before-login", "12000"}
	if os.Getuid() == 0 {
		args = append(args, "--run-as", "root")
	}
	if s.name == "another" {
		return exec.Command(s.b.another, args...), nil
	}
	return exec.Command(s.b.binary, args...), nil
}

func startVsftpd(s *server) (*exec.Cmd, error) {
	if err := os.WriteFile(filepath.Join(s.Dir, "passwords"), []byte(password+"\n"), 0o600); err != nil {
		return nil, err
	}
	conf, err := s.configure("vsftpd.conf")
	return exec.Command(filepath.Join(s.Root, "usr/sbin/vsftpd"), conf), err
}

// hash is the password as crypt(3) has it; openssl is the system's own.
func hash() (string, error) {
	crypt := exec.Command("openssl", "passwd", "-5", "-stdin")
	crypt.Stdin = strings.NewReader(password + "\n")
	out, err := crypt.Output()
	return strings.TrimSpace(string(out)), err
}

func startProFTPD(s *server) (*exec.Cmd, error) {
	secret, err := hash()
	if err != nil {
		return nil, err
	}
	line := fmt.Sprintf("%s:%s:%d:%d::%s:/bin/sh\n", s.account, secret, os.Getuid(), os.Getgid(), s.Home)
	if err := os.WriteFile(filepath.Join(s.Dir, "accounts"), []byte(line), 0o600); err != nil {
		return nil, err
	}
	conf, err := s.configure("proftpd.conf")
	return exec.Command(filepath.Join(s.Root, "usr/sbin/proftpd"), "-n", "-c", conf), err
}

// nobody is whom Pure-FTPd serves files as: it wants to drop to somebody.
func nobody() (uid, gid int, err error) {
	u, err := user.Lookup("nobody")
	if err == nil {
		fmt.Sscan(u.Uid, &uid)
		fmt.Sscan(u.Gid, &gid)
	}
	return uid, gid, err
}

func startPureFTPd(s *server) (*exec.Cmd, error) {
	uid, gid, err := nobody()
	if err != nil {
		return nil, err
	}
	if err := os.Chown(s.Home, uid, gid); err != nil {
		return nil, err
	}
	for _, dir := range []string{s.Dir, s.b.dir} {
		if err := os.Chmod(dir, 0o711); err != nil {
			return nil, err
		}
	}
	secret, err := hash()
	if err != nil {
		return nil, err
	}
	accounts, db := filepath.Join(s.Dir, "accounts"), filepath.Join(s.Dir, "accounts.pdb")
	line := fmt.Sprintf("%s:%s:%d:%d::%s/./::::::::::::\n", s.account, secret, uid, gid, s.Home)
	if err := os.WriteFile(accounts, []byte(line), 0o600); err != nil {
		return nil, err
	}
	index := exec.Command(filepath.Join(s.Root, "usr/bin/pure-pw"), "mkdb", db, "-f", accounts)
	index.Env = append(os.Environ(), "LD_LIBRARY_PATH="+s.libraries())
	if out, err := index.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pure-pw: %w: %s", err, out)
	}
	return exec.Command(filepath.Join(s.Root, "usr/sbin/pure-ftpd"), "--bind", fmt.Sprintf("127.0.0.1,%d", s.Control),
		"--login", "puredb:"+db, "--tls", "3", "--certfile", filepath.Join(s.Dir, "both.pem"),
		"--passiveportrange", fmt.Sprintf("%d:%d", s.First, s.Last), "--noanonymous", "--chrooteveryone", "--dontresolve",
		"--minuid", "100", "--umask", "022:022", "--pidfile", filepath.Join(s.Dir, "pid"), "--syslogfacility", "none",
		"--maxclientsnumber", "2000", "--maxclientsperip", "2000", "--limitrecursion", "2000000:8"), nil
}

func startPyftpdlib(s *server) (*exec.Cmd, error) {
	options, err := json.Marshal(map[string]any{
		"log": s.Log, "both": filepath.Join(s.Dir, "both.pem"), "first": s.First, "last": s.Last, "control": s.Control,
		"user": s.account, "password": password, "home": s.Home, "zone": "", "mdtm_local": false, "implicit": false,
		"read_only": false, "without": []string{}, "max_sessions": 2000, "quiet": true,
	})
	if err != nil {
		return nil, err
	}
	python := "/usr/bin/python3"
	cmd := exec.Command(python, "integration/peers/serve_pyftpdlib.py", string(options))
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	cmd.Args[1] = filepath.Join(here, cmd.Args[1])
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(s.Root, "usr/lib/python3/dist-packages"))
	return cmd, nil
}

// libraryDir holds a minimal server on somebody else's Go library, a module of
// its own.
const libraryDir = "integration/bench/ftpserverlib"

func startLibrary(s *server) (*exec.Cmd, error) {
	program := filepath.Join(s.b.dir, "ftpserverlib-binary")
	if _, err := os.Stat(program); err != nil {
		if out, err := exec.Command("go", "build", "-C", libraryDir, "-trimpath", "-o", program, ".").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build: %w: %s", err, out)
		}
	}
	options, err := json.Marshal(map[string]any{
		"Addr": s.addr(), "Cert": filepath.Join(s.Dir, "server.pem"), "Key": filepath.Join(s.Dir, "server.key"),
		"User": s.account, "Password": password, "Home": s.Home, "First": s.First, "Last": s.Last,
	})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "FTPS_BENCH_OPTIONS="+string(options))
	return cmd, nil
}
