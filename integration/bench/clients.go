package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// job is what a client program shall do.
type job struct {
	s      *server
	b      *bench
	host   string // 127.0.0.1, or a link's address
	remote string // a file or a folder of the account
	local  string
}

// client is a program that moves files. A nil function is what it cannot.
type client struct {
	name               string
	getFile, putFile   func(j job) *exec.Cmd
	getFiles, putFiles func(j job) *exec.Cmd
	version            []string
}

var clients = []client{
	{name: "ftps", version: nil,
		getFile:  func(j job) *exec.Cmd { return j.ours("get", j.remote, j.local) },
		putFile:  func(j job) *exec.Cmd { return j.ours("put", j.local, j.remote) },
		getFiles: func(j job) *exec.Cmd { return j.ours("-j", "4", "get", "-r", j.remote, j.local) },
		putFiles: func(j job) *exec.Cmd { return j.ours("-j", "4", "put", "-r", j.local, j.remote) },
	},
	{name: "curl", version: []string{"curl", "--version"},
		getFile: func(j job) *exec.Cmd { return j.curl("-o", j.local, j.url(j.remote)) },
		putFile: func(j job) *exec.Cmd { return j.curl("-T", j.local, j.url(j.remote)) },
	},
	{name: "lftp get", version: []string{"lftp", "--version"},
		getFile: func(j job) *exec.Cmd { return j.lftp(fmt.Sprintf("get %s -o %s", j.remote, j.local)) },
		putFile: func(j job) *exec.Cmd { return j.lftp(fmt.Sprintf("put %s -o %s", j.local, j.remote)) },
	},
	{name: "lftp pget -n 4",
		getFile: func(j job) *exec.Cmd { return j.lftp(fmt.Sprintf("pget -n 4 %s -o %s", j.remote, j.local)) },
	},
	{name: "lftp mirror -P 4",
		getFiles: func(j job) *exec.Cmd { return j.lftp(fmt.Sprintf("mirror -P 4 %s %s", j.remote, j.local)) },
		putFiles: func(j job) *exec.Cmd { return j.lftp(fmt.Sprintf("mirror -R -P 4 %s %s", j.local, j.remote)) },
	},
	{name: "rclone", version: []string{"rclone", "--version"},
		getFile:  func(j job) *exec.Cmd { return j.rclone("copyto", "--multi-thread-streams=0", "it:"+j.remote, j.local) },
		putFile:  func(j job) *exec.Cmd { return j.rclone("copyto", j.local, "it:"+j.remote) },
		getFiles: func(j job) *exec.Cmd { return j.rclone("copy", "it:"+j.remote, j.local) },
		putFiles: func(j job) *exec.Cmd { return j.rclone("copy", j.local, "it:"+j.remote) },
	},
	{name: "ftplib", version: []string{"/usr/bin/python3", "--version"},
		getFile: func(j job) *exec.Cmd { return j.ftplib("get", j.remote, j.local) },
		putFile: func(j job) *exec.Cmd { return j.ftplib("put", j.remote, j.local) },
	},
}

// ours is this tree's client as it comes: syncing, verifying, with the pin.
func (j job) ours(words ...string) *exec.Cmd {
	args := []string{"client", j.host, "-p", fmt.Sprint(j.s.Control), "-u", j.s.account, "--pin", j.s.pin}
	cmd := exec.Command(j.b.binary, append(args, words...)...)
	cmd.Env = append(os.Environ(), "FTPS_PASSWORD="+password, "HOME="+j.b.dir, "XDG_STATE_HOME="+j.b.dir, "XDG_CACHE_HOME="+j.b.dir)
	return cmd
}

func (j job) url(name string) string { return fmt.Sprintf("ftp://%s:%d/%s", j.host, j.s.Control, name) }

func (j job) curl(words ...string) *exec.Cmd {
	cmd := exec.Command("curl", append([]string{"-sS", "--ssl-reqd", "-k", "--user", j.s.account + ":" + password}, words...)...)
	cmd.Env = append(os.Environ(), "OPENSSL_CONF="+j.b.opensslConf())
	return cmd
}

func (j job) lftp(command string) *exec.Cmd {
	script := "set cmd:fail-exit yes; set net:max-retries 2; set net:timeout 60; set ftp:ssl-force yes; set ftp:ssl-protect-data yes; " +
		"set ssl:verify-certificate no; set ssl:priority NORMAL:-CIPHER-ALL:+AES-128-GCM; set ftp:prefer-epsv yes; " +
		fmt.Sprintf("open --env-password -u %s ftp://%s:%d; %s; quit", j.s.account, j.host, j.s.Control, command)
	cmd := exec.Command("lftp", "--norc", "-c", script)
	cmd.Env = append(os.Environ(), "LFTP_PASSWORD="+password, "HOME="+j.b.dir)
	return cmd
}

func (j job) rclone(words ...string) *exec.Cmd {
	obscure := exec.Command("rclone", "obscure", password)
	hidden, _ := obscure.Output()
	cmd := exec.Command("rclone", words...)
	cmd.Env = append(os.Environ(), "RCLONE_CONFIG=/dev/null", "RCLONE_CONFIG_IT_TYPE=ftp", "RCLONE_CONFIG_IT_HOST="+j.host,
		fmt.Sprintf("RCLONE_CONFIG_IT_PORT=%d", j.s.Control), "RCLONE_CONFIG_IT_USER="+j.s.account,
		"RCLONE_CONFIG_IT_PASS="+strings.TrimSpace(string(hidden)), "RCLONE_CONFIG_IT_EXPLICIT_TLS=true",
		"RCLONE_CONFIG_IT_NO_CHECK_CERTIFICATE=true")
	if j.s.name == "vsftpd" {
		// With it rclone 1.60 fails at TLS 1.3: "illegal parameter".
		cmd.Env = append(cmd.Env, "RCLONE_CONFIG_IT_DISABLE_TLS13=true")
	}
	return cmd
}

func (j job) ftplib(verb, remote, local string) *exec.Cmd {
	cmd := exec.Command("/usr/bin/python3", "integration/bench/ftplib_one.py", verb, remote, local)
	cmd.Env = append(os.Environ(), fmt.Sprintf("PEER_PORT=%d", j.s.Control), "PEER_USER="+j.s.account, "PEER_PASSWORD="+password,
		"PEER_HOST="+j.host, "OPENSSL_CONF="+j.b.opensslConf())
	return cmd
}

// clientRun runs a client program beside a server.
func (b *bench) clientRun(p *partRun, f figure, j job, cmd *exec.Cmd) (time.Duration, error) {
	root := j.s.cmd.Process.Pid
	before, spectators := treeCPU(root), watchOthers(b.ownCPU(j.s))
	began := time.Now()
	limit := time.AfterFunc(3*time.Minute, func() { cmd.Process.Kill() })
	out, err := cmd.CombinedOutput()
	limit.Stop()
	wall := time.Since(began)
	f.Wall, f.Server = wall.Seconds(), treeCPU(root)-before
	if cmd.ProcessState != nil {
		f.Client = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	}
	f.Others, f.Load = spectators.used(b.ownCPU(j.s)), loadAverage()
	if err != nil {
		f.Fault = fmt.Sprintf("%v: %.300s", err, strings.TrimSpace(string(out)))
	}
	p.add(f)
	return wall, nil
}

// bigClients has each client move one big file with our server.
func bigClients(b *bench, p *partRun) error {
	size := int64(b.small(1024)) * mib
	local := filepath.Join(b.dir, "local")
	var names []string
	for _, c := range clients {
		if c.getFile != nil {
			names = append(names, c.name)
		}
	}
	s, err := b.server(ours)
	if err != nil {
		return err
	}
	if err := b.bigFile(s, "big", size); err != nil {
		return err
	}
	return b.interleaved(b.rounds, names, func(round int, name string) error {
		c := clientNamed(name)
		os.RemoveAll(local)
		if err := os.Mkdir(local, 0o755); err != nil {
			return err
		}
		f := figure{Who: name, Round: round, Bytes: size, Ops: 1}
		f.Work = "client down"
		j := job{s: s, b: b, host: "127.0.0.1", remote: "big", local: filepath.Join(local, "big")}
		if _, err := b.clientRun(p, f, j, c.getFile(j)); err != nil {
			return err
		}
		if c.putFile != nil {
			f.Work, j.local, j.remote = "client up", filepath.Join(b.dir, fmt.Sprintf("source-%d", size)), "client-up"
			if _, err := b.clientRun(p, f, j, c.putFile(j)); err != nil {
				return err
			}
			clear("client-up")(s)
		}
		return os.RemoveAll(local)
	})
}

func clientNamed(name string) client {
	for _, c := range clients {
		if c.name == name {
			return c
		}
	}
	return client{}
}

// manyWork moves many small files down and up and checks how many came.
func (b *bench) manyWork(p *partRun, round int, s *server, c client, n int, tag string) error {
	from, to := filepath.Join(b.dir, fmt.Sprint("many", n)), filepath.Join(b.dir, "local")
	if err := b.files(from, n, smallSize); err != nil {
		return err
	}
	remote := fmt.Sprint("m", n)
	if err := b.files(filepath.Join(s.Home, remote), n, smallSize); err != nil {
		return err
	}
	os.RemoveAll(to)
	f := figure{Work: tag + " down", Who: c.name + " with " + s.name, Round: round, Ops: int64(n), Bytes: int64(n) * smallSize}
	j := job{s: s, b: b, host: "127.0.0.1", remote: remote, local: to}
	if _, err := b.clientRun(p, f, j, c.getFiles(j)); err != nil {
		return err
	}
	b.verify(p, to, n)
	os.RemoveAll(to)
	if c.name == "lftp mirror -P 4" && s.name == "vsftpd" {
		return nil // its uploads break off there, again and again
	}
	if err := s.folder("drop"); err != nil {
		return err
	}
	f.Work, j.local, j.remote = tag+" up", from, "drop/new"
	if _, err := b.clientRun(p, f, j, c.putFiles(j)); err != nil {
		return err
	}
	b.verify(p, filepath.Join(s.Home, "drop"), n)
	clear("drop")(s)
	return nil
}

// verify notes a fault where fewer files came than should.
func (b *bench) verify(p *partRun, dir string, n int) {
	got := 0
	filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasPrefix(d.Name(), "file-") {
			got++
		}
		return nil
	})
	if last := &p.Figures[len(p.Figures)-1]; got != n && last.Fault == "" {
		last.Fault = fmt.Sprintf("%d files of %d", got, n)
		fmt.Println("   FAULT", last.Fault)
	}
}

// manyClients has our client, rclone and lftp move small files with our
// server and with the two fastest others.
func manyClients(b *bench, p *partRun) error {
	n := b.small(2000)
	pairs := []string{"ftps@ftps", "ftps@Pure-FTPd", "ftps@vsftpd", "rclone@Pure-FTPd", "rclone@vsftpd"}
	run := func(n int) func(round int, pair string) error {
		return func(round int, pair string) error {
			who, with, _ := strings.Cut(pair, "@")
			s, err := b.server(with)
			if err != nil {
				return err
			}
			return b.manyWork(p, round, s, clientNamed(who), n, "many")
		}
	}
	if err := b.interleaved(b.rounds, pairs, run(n)); err != nil {
		return err
	}
	// It waits 50 ms for each file: a few tell what many would.
	return b.interleaved(1, []string{"lftp mirror -P 4@vsftpd", "lftp mirror -P 4@Pure-FTPd"}, run(n/4))
}

// clientVersions asks each program.
func clientVersions() map[string]string {
	versions := map[string]string{}
	number := regexp.MustCompile(`\d+\.\d+(\.\d+)?[^\s,;|]*`)
	for _, c := range clients {
		if c.version == nil {
			continue
		}
		out, _ := exec.Command(c.version[0], c.version[1:]...).CombinedOutput()
		versions[c.name] = number.FindString(string(out))
	}
	return versions
}
