//go:build interop

package integration

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftp"
)

// spoken is one command that a stock client says, and its reply.
type spoken struct {
	feature string // the FEAT line it is announced by, its first word
	line    string
	reply   string // a regular expression
}

// helloText is the content of the file that the commands are tried on.
const helloText = "hello, world"

func commandsByFtplib(text string) []spoken {
	b := []byte(text)
	sum := func(format string, digest any) string { return `(?i)^2\d\d.*` + fmt.Sprintf(format, digest) }
	return []spoken{
		{"", "SYST", `^215 UNIX`},
		{"", "STAT", `^211.* \| 211 `},
		{"", "STAT hello", `^213.*hello.* \| 213 `},
		{"", "HELP", `^214.*RETR`},
		{"", "HELP stor", `^214 STOR`},
		{"", "SITE HELP", `^214`},
		{"", "NOOP", `^200 `},
		{"", "XPWD", `^257 "/"`},
		{"", "CLNT ftplib", `^200 `},
		{"CSID", "CSID Name=ftplib; Version=3;", `^200 .*Name=ftps`},
		{"UTF8", "OPTS UTF8 ON", `^200 `},
		{"", "TYPE I", `^200 `},
		{"SIZE", "SIZE hello", `^213 12$`},
		{"MDTM", "MDTM 20200102030405 hello", `^213`},
		{"MDTM", "MDTM hello", `^213 20200102030405`},
		{"MFMT", "MFMT 20210102030405 hello", `^213 Modify=20210102030405; .*hello`},
		{"MFF", "MFF Modify=20220102030405;UNIX.mode=0600; hello", `(?i)^213 .*Modify=20220102030405;`},
		{"", "MDTM hello", `^213 20220102030405`},
		{"", "MFCT 20210102030405 hello", `^50`},
		{"MLST", "OPTS MLST size;modify;", `^200 MLST OPTS size;modify;$`},
		{"MLST", "MLST hello", `^250-.* \|  size=12;modify=20220102030405; .*hello \| 250 `},
		{"HASH", "HASH hello", sum("SHA-256 0-11 %x .*hello", sha256.Sum256(b))},
		{"HASH", "OPTS HASH SHA-512", `^200 SHA-512`},
		{"HASH", "HASH hello", sum("SHA-512 0-11 %x", sha512.Sum512(b))},
		{"XSHA256", "XSHA256 hello", sum("%x", sha256.Sum256(b))},
		{"XSHA512", "XSHA512 hello", sum("%x", sha512.Sum512(b))},
		{"XSHA1", "XSHA1 hello", sum("%x", sha1.Sum(b))},
		{"XMD5", "XMD5 hello", sum("%x", md5.Sum(b))},
		{"XCRC", "XCRC hello", sum("%08x", crc32.ChecksumIEEE(b))},
		{"RANG", "RANG 7 11", `^350 `},
		{"RANG", "! retr RETR hello", `^226 .* \| world$`},
		{"REST", "REST 7", `^350 `},
		{"REST", "! retr RETR hello", `^226 .* \| world$`},
		{"", "ALLO 3", `^20`},
		{"", "! stor new STOU", `^226 `},
		{"STOR", "OPTS STOR modify=20240102030405;", `^200 STOR OPTS`},
		{"", "! stor !!! APPE hello", `^226 `},
		{"STOR", "MDTM hello", `^213 20240102030405`},
		{"", "SIZE hello", `^213 15$`},
		{"AVBL", "AVBL", `^213 \d+$`},
		{"", "SITE CHMOD 640 hello", `^200 `},
		{"", "SITE UTIME 20230102030405 hello", `^2`},
		{"", "SITE CPFR hello", `^350 `},
		{"", "SITE CPTO copy", `^2\d0 `},
		{"", "RNFR copy", `^350 `},
		{"", "RNTO moved", `^250 `},
		{"", "DELE moved", `^250 `},
		{"", "XMKD deep", `^257 "/deep"`},
		{"TVFS", "MKD deep/er", `^257 "/deep/er"`},
		{"TVFS", "CWD /deep/./er/../er", `^250 `},
		{"", "XCUP", `^2`},
		{"", "CDUP", `^2`},
		{"RMDA", "RMDA deep", `^250 `},
		{"", "CWD deep", `^550 `},
		{"LANG", "LANG es", `^200 `},
		{"LANG", "CWD nowhere", `^550 .*No existe`},
		{"LANG", "LANG en", `^200 `},
		{"", "ABOR", `^22[56] `},
		{"", "! during big STAT", `^211.*RETR.* \| 226 `},
		{"", "! abor big", `^426 .* \| 22[56] `},
		{"", "! retr RETR big.txt", `^226 .* \| small$`},
		{"", "ACCT x", `^(202|50\d) `},
		{"", "SMNT x", `^(202|50\d) `},
		{"", "HOST other.example", `^50[134] `},
		{"", "WOBBLE", `^500 `},
	}
}

// featuresUsed notes which features the tests of this file used.
type featuresUsed map[string]bool

func TestStockClientsUseEveryFeatureAnnounced(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	// What every session of these clients begins with.
	used := featuresUsed{"AUTH": true, "PBSZ": true, "PROT": true}
	must(t, os.WriteFile(filepath.Join(s.home(strictUser), "hello"), []byte(helloText), 0o644))
	must(t, os.WriteFile(filepath.Join(s.home(strictUser), "big.txt"), []byte("small"), 0o644))
	must(t, os.WriteFile(filepath.Join(s.home(strictUser), "big"), seeded(32<<20, 5), 0o644))

	t.Run("commands by ftplib", func(t *testing.T) {
		note(t, "ftplib", "Python "+firstMatch(`Python (\S+)`, "python3", "--version"), "about 60 commands: HASH, MFMT, RANG, STOU, ABOR …")
		list := commandsByFtplib(helloText)
		var said strings.Builder
		for _, c := range list {
			fmt.Fprintln(&said, c.line)
		}
		script, err := filepath.Abs("testdata/interop/talk.py")
		must(t, err)
		env := []string{"PEER_PORT=" + s.port, "PEER_CERT=" + s.cert, "PEER_USER=" + strictUser, "PEER_PASSWORD=" + peerPassword}
		out := mustRun(t, s.dir, said.String(), env, "python3", "-B", script, "reuse")
		replies := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		if len(replies) != len(list) {
			t.Fatalf("%d replies to %d commands:\n%s", len(replies), len(list), out)
		}
		for i, c := range list {
			if !regexp.MustCompile(c.reply).MatchString(replies[i]) {
				t.Errorf("%s: %s; want %s", c.line, replies[i], c.reply)
			} else if c.feature != "" {
				used[c.feature] = true
			}
		}
	})

	t.Run("lftp", func(t *testing.T) {
		note(t, "lftp", firstMatch(`Version (\S+)`, "lftp", "--version"), "MODE Z, PRET, HOST, MFMT, LANG, EPSV, get -c, chmod, mv, rm -r")
		text := strings.Repeat("compressible ", 100_000)
		local := t.TempDir()
		must(t, os.WriteFile(filepath.Join(local, "z.txt"), []byte(text), 0o644))
		day := time.Date(2019, 8, 7, 6, 5, 4, 0, time.UTC)
		must(t, os.Chtimes(filepath.Join(local, "z.txt"), day, day))
		must(t, os.WriteFile(filepath.Join(local, "resumed"), []byte(helloText[:5]), 0o644))
		out := s.lftp(t, strictUser, "set ftp:use-mode-z yes\nset ftp:prefer-epsv yes\nset ftp:use-pret yes\ndebug 9\n"+
			"lcd "+lftpQuote(local)+"\nput z.txt\nget z.txt -o back.txt\n"+
			"set ftp:use-mode-z no\nget -c hello -o resumed\n"+
			"chmod 600 z.txt\nmkdir -p a/b\nmv z.txt a/b/z.txt\ncls -l a/b\nquote STAT\nrm -r a\n")
		if back, err := os.ReadFile(filepath.Join(local, "back.txt")); err != nil || string(back) != text {
			t.Errorf("by MODE Z came %d bytes of %d, %v", len(back), len(text), err)
		}
		if got, err := os.ReadFile(filepath.Join(local, "resumed")); err != nil || string(got) != helloText+"!!!" {
			t.Errorf("get -c made %q, %v", got, err)
		}
		for feature, said := range map[string]string{
			"MODE": `---> MODE Z\n.*200`, "PRET": `---> PRET STOR z.txt\n.*200`, "HOST": `---> HOST .*\n.*220`,
			"MFMT": `---> MFMT 20190807060504 z.txt\n.*213`, "EPSV": `---> EPSV\n.*229`, "LANG": `---> LANG.*\n.*200`,
			"UTF8": `---> OPTS UTF8 ON\n.*200`, "SITE": `---> SITE CHMOD 600 z.txt\n.*200`, "RNTO": `---> RNTO a/b/z.txt\n.*250`,
		} {
			if !regexp.MustCompile(said).MatchString(out) {
				t.Errorf("lftp did not come to say %q and be heard", said)
			}
			used[feature] = true
		}
		if t.Failed() {
			t.Log(tail(out))
		}
		if replied(out, 426) {
			t.Errorf("a transfer was answered 426:\n%s", tail(out))
		}
	})

	t.Run("active mode by lftp", func(t *testing.T) {
		note(t, "lftp", firstMatch(`Version (\S+)`, "lftp", "--version"), "active mode, IPv4 and IPv6 (PORT, EPRT), data connections resumed, both ways")
		used["PORT"] = s.activeLftp(t, "127.0.0.1", "PORT")
		used["EPRT"] = startSite(t, "-H", "::1").activeLftp(t, "[::1]", "EPRT")
	})

	t.Run("active mode by curl", func(t *testing.T) {
		// curl 7.88, which Debian 12 has, forgets TLS on connections that it
		// accepts and sends the file as it is (curl#10666, mended in 8.0.0): that must be
		// refused, and what a newer one sends must arrive.
		note(t, "curl --ftp-port", firstMatch(`curl (\S+)`, "curl", "-V"), "active mode: whole, or refused where curl sends it in clear")
		local := filepath.Join(t.TempDir(), "f")
		must(t, os.WriteFile(local, seeded(200_000, 4), 0o644))
		out, failed := peerRun(t, s.dir, s.curlConfig(lenientUser, "ftp-port = \"-\"", "upload-file = "+curlQuote(local),
			"url = "+curlQuote(s.url("ftp", "active"))), nil, "curl", "-K", "-")
		got, err := os.ReadFile(filepath.Join(s.home(lenientUser), "active"))
		if stored := err == nil && string(got) == string(seeded(200_000, 4)); stored != (failed == nil) || !stored && err == nil {
			t.Errorf("curl ended with %v, and %d bytes are there, %v\n%s", failed, len(got), err, out)
		}
	})

	t.Run("block mode and pipelining by the scripted client", func(t *testing.T) {
		// No stock client speaks either.
		note(t, "the tests' scripted client", ownVersion, "MODE B, three files up and down over one data connection, commands in one piece")
		c := s.dial(t, strictUser, peerPassword)
		c.Cmd(200, "MODE B")
		conn := c.Secure(c.OpenData(c.Passive()))
		var burst strings.Builder
		for _, verb := range []string{"STOR", "RETR"} {
			for i := range 3 {
				fmt.Fprintf(&burst, "%s block%d\r\n", verb, i)
			}
		}
		c.Write(burst.String())
		begin := 150
		for i := range 6 {
			c.Expect(begin)
			begin = 125
			want := seeded(50_000*(i%3), uint64(i%3))
			if i < 3 {
				w := ftp.NewBlockWriter(conn, 0)
				w.Write(want)
				must(t, w.Close())
			} else if got, err := io.ReadAll(ftp.NewBlockReader(conn)); err != nil || string(got) != string(want) {
				t.Fatalf("block%d: %d bytes of %d, %v", i%3, len(got), len(want), err)
			}
			c.Expect(250)
		}
		used["X-PIPELINE"] = true
	})

	t.Run("files ahead of the 1yz by the scripted client", func(t *testing.T) {
		note(t, "the tests' scripted client", ownVersion, "OPTS STOR ahead=on: files behind their STORs, every second one refused and thrown away")
		c := s.dial(t, strictUser, peerPassword)
		c.Cmd(200, "MODE B")
		c.Cmd(200, "OPTS STOR ahead=on;")
		conn := c.Secure(c.OpenData(c.Passive()))
		var burst strings.Builder
		w := ftp.NewBlockWriter(conn, 0)
		send := func(name string, data []byte) {
			w = ftp.NewBlockWriter(conn, 0)
			must(t, w.Mark(name))
			w.Write(data)
			must(t, w.Close())
		}
		c.Send("STOR ahead")
		c.Expect(150)
		send("ahead", nil)
		c.Expect(250)
		for i := range 10 {
			fmt.Fprintf(&burst, "STOR nowhere/ahead%d\r\nSTOR ahead%d\r\n", i, i)
		}
		c.Write(burst.String())
		for i := range 10 {
			send(fmt.Sprintf("nowhere/ahead%d", i), seeded(1000*i, 7))
			send(fmt.Sprintf("ahead%d", i), seeded(1000*i, uint64(i)))
		}
		for i := range 10 {
			c.Expect(550)
			c.Expect(125)
			c.Expect(250)
			got, err := os.ReadFile(filepath.Join(s.home(strictUser), fmt.Sprint("ahead", i)))
			if err != nil || string(got) != string(seeded(1000*i, uint64(i))) {
				t.Errorf("ahead%d: %d bytes, %v", i, len(got), err)
			}
		}
		used["STOR"] = true
	})

	t.Run("nothing else is announced", func(t *testing.T) {
		note(t, "the tests' scripted client", ownVersion, "FEAT announces nothing that was not used above")
		c := s.dial(t, strictUser, peerPassword)
		for _, line := range strings.Split(c.Cmd(211, "FEAT"), "\n") {
			words := strings.Fields(line)
			if len(words) > 0 && words[0] == strings.ToUpper(words[0]) && !used[words[0]] {
				t.Errorf("FEAT announces %q, and no client used it", line)
			}
		}
	})
}

// activeLftp moves a file both ways in active mode and reports whether lftp
// said the verb.
func (s *site) activeLftp(t *testing.T, host, verb string) bool {
	t.Helper()
	local := filepath.Join(t.TempDir(), "f")
	content := seeded(200_000, 6)
	must(t, os.WriteFile(local, content, 0o644))
	out, err := s.lftpAt(t, "ftp://"+host+":"+s.port, strictUser, "set ftp:passive-mode no\ndebug 9\n"+
		"put "+lftpQuote(local)+" -o active\nget active -o "+lftpQuote(local+".back")+"\ncls active")
	if err != nil {
		t.Errorf("lftp: %v\n%s", err, tail(out))
	}
	if back, err := os.ReadFile(local + ".back"); err != nil || string(back) != string(content) {
		t.Errorf("by %s came %d bytes of %d, %v", verb, len(back), len(content), err)
	}
	if strings.Contains(out, "Switching passive mode on") {
		t.Errorf("lftp gave active mode up:\n%s", tail(out))
	}
	return strings.Contains(out, "---> "+verb+" ")
}

func TestStockClientsOverImplicitTLS(t *testing.T) {
	t.Parallel()
	port := fmt.Sprint(freePorts(t, 1)[0])
	s := startSite(t, "--implicit-port", port)
	s.port = port // from here on, for every client
	local := filepath.Join(t.TempDir(), "f")
	content := seeded(300_000, 8)
	must(t, os.WriteFile(local, content, 0o644))
	same := func(t *testing.T, path string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || string(got) != string(content) {
			t.Errorf("%s: %d bytes of %d, %v", path, len(got), len(content), err)
		}
	}
	back := func(t *testing.T) string { return filepath.Join(t.TempDir(), "back") }
	t.Run("curl", func(t *testing.T) {
		note(t, "curl ftps://", firstMatch(`curl (\S+)`, "curl", "-V"), "implicit TLS, up and down")
		to := back(t)
		mustRun(t, s.dir, s.curlConfig(strictUser)+"upload-file = "+curlQuote(local)+"\nurl = "+curlQuote(s.url("ftps", "f"))+"\n", nil, "curl", "-K", "-")
		mustRun(t, s.dir, s.curlConfig(strictUser)+"output = "+curlQuote(to)+"\nurl = "+curlQuote(s.url("ftps", "f"))+"\n", nil, "curl", "-K", "-")
		same(t, to)
	})
	t.Run("lftp", func(t *testing.T) {
		note(t, "lftp ftps://", firstMatch(`Version (\S+)`, "lftp", "--version"), "implicit TLS, up and down")
		to := back(t)
		if out, err := s.lftpAt(t, "ftps://127.0.0.1:"+port, strictUser, "put "+lftpQuote(local)+" -o g\nget g -o "+lftpQuote(to)); err != nil {
			t.Fatalf("lftp: %v\n%s", err, out)
		}
		same(t, to)
	})
	t.Run("wget", func(t *testing.T) {
		note(t, "wget --ftps-implicit", firstMatch(`Wget (\S+)`, "wget", "--version"), "implicit TLS, down")
		must(t, os.WriteFile(filepath.Join(s.home(strictUser), "h"), content, 0o644))
		to := back(t)
		mustRun(t, s.dir, "", nil, "wget", "-nv", "--ftps-implicit", "--ftps-resume-ssl", "--ca-certificate="+s.cert,
			"--user="+strictUser, "--password="+peerPassword, "-O", to, s.url("ftps", "h"))
		same(t, to)
	})
	t.Run("ftps client", func(t *testing.T) {
		note(t, "ftps client ftps://", ownVersion, "implicit TLS, up and down")
		to := back(t)
		for _, command := range [][]string{{"put", local, "i"}, {"get", "i", to}} {
			args := append([]string{"client", "ftps://127.0.0.1:" + port, "--pin", s.pin, "-u", strictUser, "--password-stdin"}, command...)
			mustRun(t, s.dir, peerPassword+"\n", nil, ftps, args...)
		}
		same(t, to)
	})
}

func TestAStockClientThatCannotResumeIsToldWhatToChange(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	note(t, "ftplib, plain", "Python "+firstMatch(`Python (\S+)`, "python3", "--version"), "refused without session_reuse: prefer, with the reason")
	script, err := filepath.Abs("testdata/interop/move.py")
	must(t, err)
	env := []string{"PEER_PORT=" + s.port, "PEER_CERT=" + s.cert, "PEER_USER=" + strictUser, "PEER_PASSWORD=" + peerPassword}
	out, err := peerRun(t, s.dir, "", env, "python3", "-B", script, "put", smallCargo(t).dir, "up", "plain")
	if err == nil || !regexp.MustCompile(`522 .*resume.*session_reuse: prefer`).MatchString(out) {
		t.Errorf("plain ftplib ended with %v and said:\n%s", err, tail(out))
	}
}

func TestCurlResumesAppendsAndAsksForParts(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	note(t, "curl", firstMatch(`curl (\S+)`, "curl", "-V"), "-C - both ways, -a, -r, -I, -l, -Q, -R, --ftp-method")
	home := s.home(strictUser)
	local := t.TempDir()
	content := seeded(500_000, 3)
	put := func(path string, b []byte) { must(t, os.WriteFile(path, b, 0o644)) }
	curl := func(lines ...string) string {
		t.Helper()
		return mustRun(t, local, s.curlConfig(strictUser, lines...), nil, "curl", "-K", "-")
	}
	url := func(path string) string { return "url = " + curlQuote(s.url("ftp", path)) }
	same := func(path string, want []byte) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || string(got) != string(want) {
			t.Errorf("%s: %d bytes, want %d, %v", path, len(got), len(want), err)
		}
	}
	put(filepath.Join(local, "f"), content)
	put(filepath.Join(home, "f"), content[:123_456])
	curl("continue-at = \"-\"", "upload-file = f", url("f"))
	same(filepath.Join(home, "f"), content)

	put(filepath.Join(local, "g"), content[:99])
	curl("continue-at = \"-\"", "output = g", url("f"))
	same(filepath.Join(local, "g"), content)

	curl("append", "upload-file = g", url("f"))
	same(filepath.Join(home, "f"), append(append([]byte{}, content...), content...))

	curl("range = 1000-1999", "output = part", url("f"))
	same(filepath.Join(local, "part"), content[1000:2000])

	if out := curl("head", url("f")); !strings.Contains(out, "Content-Length: 1000000") || !strings.Contains(out, "Last-Modified: ") {
		t.Errorf("curl -I: %q", out)
	}
	for _, method := range []string{"multicwd", "nocwd", "singlecwd"} {
		curl("ftp-method = "+method, "ftp-create-dirs", "upload-file = g", url("a/b/"+method))
		same(filepath.Join(home, "a", "b", method), content)
	}
	curl(`quote = "RNFR f"`, `quote = "RNTO renamed"`, `quote = "-DELE renamed"`, "list-only", url(""))
	if out := curl("list-only", url("")); strings.TrimSpace(out) != "a" {
		t.Errorf("curl -l shows %q", out)
	}
}
