//go:build interop

package integration

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// peer is a stock client and how it moves a folder. Put and get run it as its
// users do: the folder as a whole where it can, else file by file.
type peer struct {
	name    string
	version string
	user    string // strictUser, but for clients that cannot resume
	fast    bool   // moves thousands of files within minutes
	put     func(t *testing.T, s *site, c *cargo, remote string)
	get     func(t *testing.T, s *site, c *cargo, remote, to string)
	down    func(name string) bool // which names come down under their own name, if not all do
}

// ownVersion stands where others have a version.
const ownVersion = "this tree"

func peers(t *testing.T) []peer {
	npm := basicFTP(t)
	curl := firstMatch(`curl (\S+)`, "curl", "-V") + " " + firstMatch(`(OpenSSL|GnuTLS)/\S+`, "curl", "-V")
	lftp := firstMatch(`Version (\S+)`, "lftp", "--version")
	rclone := firstMatch(`v(\S+)`, "rclone", "version")
	python := "Python " + firstMatch(`Python (\S+)`, "python3", "--version")
	wget := firstMatch(`Wget (\S+)`, "wget", "--version")
	perl := firstMatch(`^(\S+)`, "perl", "-MNet::FTP", "-e", "print $Net::FTP::VERSION")
	php := firstMatch(`PHP (\S+)`, "php", "-v")
	return []peer{
		{"ftps client", ownVersion, strictUser, true, oursPut, oursGet, nil},
		curlPeer("curl, TLS 1.3", curl, strictUser, "tlsv1.3"),
		curlPeer("curl, TLS 1.2", curl, lenientUser, "tlsv1.2", "tls-max = 1.2"),
		curlPeer("curl -Z, TLS 1.3", curl, lenientUser, "tlsv1.3", "parallel", "parallel-max = 8", "no-progress-meter"),
		curlPeer("curl -Z, TLS 1.2", curl, lenientUser, "tlsv1.2", "tls-max = 1.2", "parallel", "parallel-max = 8", "no-progress-meter"),
		lftpPeer("lftp mirror", lftp, "mirror", "set net:connection-limit 1"),
		lftpPeer("lftp mirror -P4", lftp, "mirror -P4", ""),
		{"rclone copy", rclone, strictUser, true, rclonePut, rcloneGet, nil},
		scripted("ftplib, session reused", python, strictUser, "python3", "move.py", "reuse"),
		scripted("ftplib, plain", python, lenientUser, "python3", "move.py", "plain"),
		{"wget -r --ftps-resume-ssl", wget, strictUser, false, nil, wgetGet, wgetKeeps},
		scripted("Net::FTP", perl, lenientUser, "perl", "move.pl"),
		scripted("PHP ftp_ssl_connect", php, lenientUser, "php", "move.php"),
		scripted("basic-ftp", npm.version, strictUser, "node", "move.mjs", npm.module),
	}
}

func TestStockClientsMoveFiles(t *testing.T) {
	t.Parallel()
	short := treeCargo(t, 500)
	whole := short
	if *full {
		short, whole = treeCargo(t, 2000), treeCargo(t, -1)
	}
	small, big := smallCargo(t), bigCargo(t)
	s := startSite(t)
	for _, p := range peers(t) {
		t.Run(p.name, func(t *testing.T) {
			tree := short
			if p.fast {
				tree = whole
			}
			for _, c := range []*cargo{small, big, tree} {
				t.Run(c.name, func(t *testing.T) { p.moves(t, s, c) })
			}
		})
	}
}

// moves has the client upload a cargo and download it again.
func (p *peer) moves(t *testing.T, s *site, c *cargo) {
	remote := "from a client"
	home := filepath.Join(s.home(p.user), remote)
	defer os.RemoveAll(home)
	both := "up and down: "
	if p.put == nil {
		both = "down: "
		must(t, os.CopyFS(home, os.DirFS(c.dir)))
	}
	what := both + c.what
	if p.down != nil {
		if left := len(c.sums) - len(c.only(p.down).sums); left > 0 {
			what += fmt.Sprintf(" (%d of them it saves under a name of its own)", left)
		}
	}
	note(t, p.name, p.version, what)
	if p.put != nil {
		p.put(t, s, c, remote)
		c.same(t, home, "uploaded")
	}
	to := filepath.Join(t.TempDir(), "down")
	p.get(t, s, c, remote, to)
	if p.down != nil {
		c = c.only(p.down)
	}
	c.same(t, to, "downloaded")
}

// Our own client.

func (s *site) ours(t *testing.T, user string, command ...string) string {
	t.Helper()
	args := append([]string{"client", "127.0.0.1", "-p", s.port, "--pin", s.pin, "-u", user, "--password-stdin"}, command...)
	return mustRun(t, s.dir, peerPassword+"\n", nil, ftps, args...)
}

func oursPut(t *testing.T, s *site, c *cargo, remote string) {
	s.ours(t, strictUser, "put", "-r", c.dir, remote)
}

func oursGet(t *testing.T, s *site, c *cargo, remote, to string) {
	s.ours(t, strictUser, "get", "-r", remote, to)
}

// curl, many files by one process.

// curlConfig begins a curl configuration: explicit TLS on both connections.
func (s *site) curlConfig(user string, lines ...string) string {
	return "silent\nshow-error\nssl-reqd\ngloboff\nfail-early\ncacert = " + curlQuote(s.cert) +
		"\nuser = " + curlQuote(user+":"+peerPassword) + "\n" + strings.Join(lines, "\n") + "\n"
}

func curlQuote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// url is the address of a file, below the home.
func (s *site) url(scheme, path string) string {
	return scheme + "://127.0.0.1:" + s.port + "/" + strings.ReplaceAll(url.PathEscape(path), "%2F", "/")
}

func curlPeer(name, version, user string, options ...string) peer {
	return peer{name: name, version: version, user: user,
		put: func(t *testing.T, s *site, c *cargo, remote string) {
			s.curls(t, c, s.curlConfig(user, append(options, "ftp-create-dirs")...), func(file string) string {
				return "upload-file = " + curlQuote(filepath.Join(c.dir, file)) +
					"\nurl = " + curlQuote(s.url("ftp", remote+"/"+file)) + "\n"
			})
		},
		get: func(t *testing.T, s *site, c *cargo, remote, to string) {
			s.curls(t, c, s.curlConfig(user, append(options, "create-dirs")...), func(file string) string {
				return "output = " + curlQuote(filepath.Join(to, file)) +
					"\nurl = " + curlQuote(s.url("ftp", remote+"/"+file)) + "\n"
			})
		}}
}

// curls moves the files of a cargo: a few by one process, many by several
// side by side. (This curl waits a moment, up to a second, before the data
// connection of each file but the first.)
func (s *site) curls(t *testing.T, c *cargo, config string, line func(file string) string) {
	t.Helper()
	processes := 1
	if len(c.sums) > 100 && !strings.Contains(config, "\nparallel\n") {
		processes = 8
	}
	batches := make([]string, processes)
	for i, file := range c.names() {
		batches[i%processes] += line(file)
	}
	errs := make(chan error, processes)
	for _, batch := range batches {
		go func() {
			out, err := peerRun(t, s.dir, config+batch, nil, "curl", "-K", "-")
			if err != nil {
				err = fmt.Errorf("curl: %w\n%s", err, tail(out))
			}
			errs <- err
		}()
	}
	var all error
	for range batches {
		all = errors.Join(all, <-errs)
	}
	must(t, all)
}

// lftp.

// lftp runs a script in a session of the account.
func (s *site) lftp(t *testing.T, user, script string) string {
	t.Helper()
	out, err := s.tryLftp(t, user, script)
	if err != nil {
		t.Fatalf("lftp: %v\n%s", err, tail(out))
	}
	return out
}

func (s *site) tryLftp(t *testing.T, user, script string) (string, error) {
	t.Helper()
	return s.lftpAt(t, "ftp://127.0.0.1:"+s.port, user, script)
}

func (s *site) lftpAt(t *testing.T, address, user, script string) (string, error) {
	t.Helper()
	script = "set cmd:fail-exit yes\nset net:max-retries 2\nset net:timeout 30\n" +
		"set ftp:ssl-force yes\nset ftp:ssl-protect-data yes\nset ssl:verify-certificate yes\n" +
		"set ssl:ca-file " + lftpQuote(s.cert) + "\n" +
		"open --env-password -u " + user + " " + address + "\n" + script + "\n"
	file := filepath.Join(t.TempDir(), "script")
	must(t, os.WriteFile(file, []byte(script), 0o600))
	return peerRun(t, s.dir, "", []string{"LFTP_PASSWORD=" + peerPassword}, "lftp", "--norc", "-f", file)
}

func lftpQuote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

func lftpPeer(name, version, mirror, options string) peer {
	return peer{name: name, version: version, user: strictUser, fast: true,
		put: func(t *testing.T, s *site, c *cargo, remote string) {
			s.lftp(t, strictUser, options+"\n"+mirror+" -R "+lftpQuote(c.dir)+" "+lftpQuote(remote))
		},
		get: func(t *testing.T, s *site, c *cargo, remote, to string) {
			s.lftp(t, strictUser, options+"\n"+mirror+" "+lftpQuote(remote)+" "+lftpQuote(to))
		}}
}

// rclone, with its own number of transfers and checkers.

func (s *site) rclone(t *testing.T, user string, args ...string) string {
	t.Helper()
	obscured := strings.TrimSpace(mustRun(t, s.dir, peerPassword, nil, "rclone", "obscure", "-"))
	env := []string{"RCLONE_CONFIG=/dev/null", "SSL_CERT_FILE=" + s.cert,
		"RCLONE_CONFIG_OURS_TYPE=ftp", "RCLONE_CONFIG_OURS_HOST=127.0.0.1", "RCLONE_CONFIG_OURS_PORT=" + s.port,
		"RCLONE_CONFIG_OURS_USER=" + user, "RCLONE_CONFIG_OURS_PASS=" + obscured, "RCLONE_CONFIG_OURS_EXPLICIT_TLS=true"}
	return mustRun(t, s.dir, "", env, "rclone", args...)
}

func rclonePut(t *testing.T, s *site, c *cargo, remote string) {
	s.rclone(t, strictUser, "copy", c.dir, "ours:"+remote)
	s.rclone(t, strictUser, "check", "--download", c.dir, "ours:"+remote)
	// MFMT: without it rclone would take every file for changed next time.
	first := c.names()[0]
	want, err := os.Stat(filepath.Join(c.dir, first))
	must(t, err)
	got, err := os.Stat(filepath.Join(s.home(strictUser), remote, first))
	must(t, err)
	if got.ModTime().Unix() != want.ModTime().Unix() {
		t.Errorf("%s is of %v, and its copy of %v", first, want.ModTime(), got.ModTime())
	}
}

func rcloneGet(t *testing.T, s *site, c *cargo, remote, to string) {
	// It reads a big file by several ranges and closes each connection as soon
	// as it has its own. rclone 1.60 takes the 426 that this deserves for a
	// failure, from whatever server.
	s.rclone(t, strictUser, "copy", "--multi-thread-streams=0", "ours:"+remote, to)
}

// wget, which only downloads.

func wgetGet(t *testing.T, s *site, c *cargo, remote, to string) {
	// Its names are kept as they came, but for what no file system takes.
	mustRun(t, s.dir, "", nil, "wget", "-nv", "-r", "-l", "inf", "-nH", "--cut-dirs=1", "-P", to, "--restrict-file-names=nocontrol",
		"--ftps-resume-ssl", "--ca-certificate="+s.cert, "--user="+strictUser, "--password="+peerPassword,
		s.url("ftps", remote)+"/")
}

// wgetKeeps says which names wget saves as they are: it cuts them at some 236
// bytes, and takes a percent sign in a listing for the beginning of an escape.
func wgetKeeps(name string) bool {
	return len(name) <= 200 && !strings.Contains(name, "%4")
}

// Clients that are libraries, each driven by a script.

func scripted(name, version, user, program, script string, extra ...string) peer {
	move := func(t *testing.T, s *site, direction, local, remote string) string {
		file, err := filepath.Abs(filepath.Join("testdata", "interop", script))
		must(t, err)
		env := []string{"PEER_PORT=" + s.port, "PEER_CERT=" + s.cert, "PEER_USER=" + user, "PEER_PASSWORD=" + peerPassword}
		return mustRun(t, s.dir, "", env, program, append([]string{file, direction, local, remote}, extra...)...)
	}
	return peer{name: name, version: version, user: user,
		put: func(t *testing.T, s *site, c *cargo, remote string) { move(t, s, "put", c.dir, remote) },
		get: func(t *testing.T, s *site, c *cargo, remote, to string) { move(t, s, "get", to, remote) }}
}

type nodeModule struct{ module, version string }

// basicFTP fetches the module into a folder of the test's own, from the
// registry that the user's own settings name.
func basicFTP(t *testing.T) nodeModule {
	dir := t.TempDir()
	out, err := peerRun(t, dir, "", os.Environ(), "npm", "install", "--no-audit", "--no-fund", "--prefix", dir, "basic-ftp")
	if err != nil {
		t.Errorf("npm: %v\n%s", err, out) // the other clients can go on
	}
	module := filepath.Join(dir, "node_modules", "basic-ftp")
	version := firstMatch(`"version": *"([^"]+)"`, "cat", filepath.Join(module, "package.json"))
	return nodeModule{module, version + ", Node " + firstMatch(`v(\S+)`, "node", "--version")}
}

// Node ends the connection of an empty file as soon as it has the 150, even in
// the midst of the handshake, and then without close_notify: where the 150 was
// quicker than the handshake, one upload of twenty had 426.
func TestStockBasicFTPUploadsEmptyFiles(t *testing.T) {
	t.Parallel()
	npm := basicFTP(t)
	p := scripted("basic-ftp", npm.version, strictUser, "node", "move.mjs", npm.module)
	p.moves(t, startSite(t), newCargo(t, "empties", "300 empty files", func(dir string) {
		for i := range 300 {
			must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o644))
		}
	}))
}
