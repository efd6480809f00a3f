package ftpserver

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/memfs"
)

// The state of a session when the fuzzer's lines begin.
type stage int

const (
	stageFresh    stage = iota // the greeting was sent
	stageSecured               // behind AUTH
	stageLoggedIn              // behind USER, PASS, PBSZ, PROT
	stagePortOpen              // and EPSV
	stageTransfer              // and a transfer that is under way
)

// How the lines are said, in the bits of the fuzzer's number.
const (
	howPipelined = 1 << iota // all at once, rather than each after the reply to the one before
	howConnects              // data connections are opened
	howAbrupt                // and end without close_notify
	howVanishes              // the connection is cut at the end, rather than QUIT
	howBlocks                // what is sent on data connections: blocks,
	howZlib                  // or zlib, or text
	howPerm0                 // two bits: the account's rights
	howPerm1
	howTransfer0 // two bits: the transfer under way
	howTransfer1
)

// The limits of an input: more of the same shows nothing new. There are fewer
// lines than maxRefused, which is tested by itself.
const (
	fuzzBytes = 32 << 10
	fuzzLines = 60
)

// FuzzFresh says anything to a session that has sent its greeting.
func FuzzFresh(f *testing.F) { fuzzSession(f, stageFresh) }

// FuzzSecured says anything to a session behind AUTH.
func FuzzSecured(f *testing.F) { fuzzSession(f, stageSecured) }

// FuzzLoggedIn says anything to a session that has logged in.
func FuzzLoggedIn(f *testing.F) { fuzzSession(f, stageLoggedIn) }

// FuzzPortOpen says anything to a session that has a data port.
func FuzzPortOpen(f *testing.F) { fuzzSession(f, stagePortOpen) }

// FuzzTransfer says anything to a session with a transfer under way.
func FuzzTransfer(f *testing.F) { fuzzSession(f, stageTransfer) }

func fuzzSession(f *testing.F, st stage) {
	for i, seed := range fuzzSeeds() {
		f.Add([]byte(seed), uint16(howConnects))
		f.Add([]byte(seed), uint16(i*37)|howPipelined)
	}
	r := newRig(f)
	f.Fuzz(func(t *testing.T, input []byte, how uint16) {
		if len(input) > fuzzBytes || bytes.Count(input, []byte{'\n'}) > fuzzLines {
			return
		}
		for _, found := range r.converse(t, st, input, how) {
			t.Error(found)
		}
	})
}

// converse holds one session and returns what is wrong with it.
func (r *rig) converse(t testing.TB, st stage, input []byte, how uint16) (found []string) {
	tree := &watched{FS: fuzzTree(t)}
	perm := []vfs.Perm{vfs.ReadWrite, vfs.ReadOnly, vfs.Dropbox, vfs.ReadWrite &^ vfs.List}[how/howPerm0%4]
	g := &gate{open: make(chan struct{})}
	r.mu.Lock()
	r.tree, r.perm, r.gate = tree, perm, g
	r.mu.Unlock()
	var before bytes.Buffer
	digest(t, tree, vfs.Name{}, &before)

	s := &speaker{t: t, patience: r.patience, number: int(r.srv.next.Load())}
	s.raw = r.begin(st != stageFresh)
	s.conn = s.raw
	s.in = bufio.NewReader(s.conn)
	defer s.raw.Close()
	if how&(howConnects|howAbrupt) != 0 {
		s.sends, s.abrupt = fuzzData(how), how&howAbrupt != 0
	}
	stopActive := s.serveActive(r.active)
	s.expect(220)
	running := s.reach(st, how)
	release := func() { // what holds the transfer under way back
		close(g.open)
		if s.early != nil {
			close(s.early)
		}
	}
	if st != stageTransfer {
		release()
		release = func() {}
	}
	s.finals, s.starts = nil, 0

	lines := r.lines(input)
	if how&howVanishes == 0 {
		lines = append(lines, "QUIT\r\n")
	}
	var err error
	if st == stageTransfer || how&howPipelined != 0 {
		err = s.sayAll(lines, how&howVanishes != 0, release)
	} else {
		err = s.sayEach(lines, how&howVanishes != 0)
	}
	s.raw.Close()
	if err != nil && !errors.Is(err, io.EOF) && how&howVanishes == 0 {
		s.find("%v", err)
	}
	stopActive()
	s.transfer.Wait()
	r.judge(t, s, lines, running, how, tree, before.Bytes())
	return s.found
}

// reach brings the session to the stage, by what a client would say.
func (s *speaker) reach(st stage, how uint16) (running int) {
	if st < stageLoggedIn {
		return 0
	}
	for _, c := range []struct {
		line string
		code int
	}{{"USER diego", 331}, {"PASS secreto", 230}, {"PBSZ 0", 200}, {"PROT P", 200}, {"TYPE I", 200}} {
		s.say(c.line + "\r\n")
		s.expect(c.code)
	}
	if st == stageLoggedIn {
		return 0
	}
	s.say("EPSV\r\n")
	s.expect(229)
	if st == stagePortOpen {
		return 0
	}
	kind := how / howTransfer0 % 4
	if kind != 3 { // 3: the transfer waits for its connection
		s.sends = fuzzData(how)
	}
	if kind == 0 {
		s.early = make(chan struct{}) // the client takes its time
	}
	line := []string{"STOR upload\r\n", "RETR file.txt\r\n", "LIST\r\n", "STOR file.txt\r\n"}[kind]
	if s.cannot(line, how) {
		line = "STOR upload\r\n"
		if s.cannot(line, how) {
			line = "RETR file.txt\r\n"
		}
	}
	s.say(line)
	s.expect(150)
	return 1
}

// cannot reports whether the account lacks the right to a transfer.
func (s *speaker) cannot(line string, how uint16) bool {
	switch how / howPerm0 % 4 {
	case 1:
		return strings.HasPrefix(line, "STOR")
	case 2: // a dropbox: what is there already is not its to replace
		return line != "STOR upload\r\n"
	case 3:
		return strings.HasPrefix(line, "LIST")
	}
	return false
}

func (s *speaker) say(line string) error {
	s.t.Logf("C: %.300q", line)
	s.conn.SetDeadline(time.Now().Add(s.patience))
	_, err := io.WriteString(s.conn, line)
	return err
}

func (s *speaker) expect(code int) {
	s.t.Helper()
	if got, err := s.hear(); err != nil || got != code {
		s.t.Fatalf("got %d, %v; want %d", got, err, code)
	}
}

// lines splits an input as RFC 959 §5.3.1 does, and ends the last one.
func (r *rig) lines(input []byte) []string {
	port := r.active.Addr().(*net.TCPAddr).Port
	text := strings.NewReplacer(
		"%PORT%", fmt.Sprintf("127,250,113,7,%d,%d", port>>8, port&255),
		"%EPRT%", fmt.Sprintf("|1|127.250.113.7|%d|", port),
	).Replace(string(input))
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\r\n"
	}
	return slices.DeleteFunc(strings.SplitAfter(text, "\n"), func(l string) bool { return l == "" })
}

// sayEach waits for the final reply to each line before it says the next, and
// then for the server to close.
func (s *speaker) sayEach(lines []string, vanish bool) error {
	for _, line := range lines {
		// A pipe holds nothing: a server that says goodbye and a client that
		// goes on talking would wait for each other.
		said := make(chan struct{})
		go func() { defer close(said); s.say(line) }()
		transfers := isTransfer(line)
		for {
			code, err := s.hear()
			if err != nil {
				s.raw.Close()
				<-said
				return err
			}
			if code >= 200 {
				<-said
				if code == 234 {
					conn := tls.Client(s.conn, &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}})
					if err := conn.Handshake(); err != nil {
						return fmt.Errorf("control handshake: %w", err)
					}
					s.conn, s.in = conn, bufio.NewReader(conn)
				}
				break
			}
			if !transfers {
				s.find("%.100q was answered by %d", line, code)
			}
			transfers = false // one preliminary reply
		}
	}
	if vanish {
		return nil
	}
	return s.toEnd()
}

// sayAll says all lines without waiting, while it hears the replies.
func (s *speaker) sayAll(lines []string, vanish bool, release func()) error {
	said := make(chan struct{})
	go func() {
		defer close(said)
		for _, line := range lines {
			if s.say(line) != nil {
				return
			}
		}
	}()
	go func() {
		// A transfer under way goes on once everything is said, or when what
		// is said waits for it.
		timer := time.NewTimer(2 * time.Millisecond)
		defer timer.Stop()
		select {
		case <-said:
		case <-timer.C:
		}
		release()
		if vanish {
			<-said
			s.raw.Close()
		}
	}()
	err := s.toEnd()
	s.raw.Close()
	<-said
	return err
}

// toEnd hears replies until the server closes.
func (s *speaker) toEnd() error {
	for {
		if _, err := s.hear(); err != nil {
			return err
		}
	}
}

var transferVerbs = []string{"RETR", "STOR", "APPE", "STOU", "LIST", "NLST", "MLSD"}

func isTransfer(line string) bool {
	cmd, err := ftp.ParseCommand([]byte(strings.TrimRight(line, "\r\n")))
	return err == nil && slices.Contains(transferVerbs, cmd.Verb)
}

// judge is the oracle.
func (r *rig) judge(t testing.TB, s *speaker, lines []string, running int, how uint16, tree *watched, before []byte) {
	var bad []string
	var cause error
	for deadline := time.Now().Add(fuzzPatience); ; {
		more, c, ended := r.watch.take(s.number)
		bad, cause = append(bad, more...), c
		if ended {
			break
		}
		if time.Now().After(deadline) {
			s.find("the session did not end with its connection")
			return
		}
		time.Sleep(50 * time.Microsecond)
	}
	for _, b := range bad {
		s.find("%s", b)
	}
	if how&howVanishes == 0 {
		s.count(lines, running, cause)
	}
	if n := tree.logins.Load(); n != 0 {
		s.find("%d accounts were not closed", n)
	}
	if n := tree.files.Load(); n != 0 {
		s.find("%d files were not closed", n)
	}
	if n := tree.uploads.Load(); n != 0 {
		s.find("%d uploads were neither committed nor aborted", n)
	}
	if e := tree.escape.Load(); e != nil {
		s.find("the tree was asked for %q", *e)
	}
	var after bytes.Buffer
	digest(t, tree, vfs.Name{}, &after)
	if how/howPerm0%4 == 1 && !bytes.Equal(before, after.Bytes()) {
		s.find("an account that may only read changed its tree\nfrom %s\nto %s", before, after.Bytes())
	}
	if err := r.other.say2("NOOP\r\n"); err != nil {
		s.find("another session is no longer served: %v", err)
	}
}

// count holds the replies against the lines: one final reply each, up to the
// line at which the session ended for a reason that is listed here.
func (s *speaker) count(lines []string, running int, cause error) {
	finals := s.finals
	last := 0
	if len(finals) > 0 {
		last = finals[len(finals)-1]
	}
	answered := len(finals) - running
	said := ""
	if 0 < answered && answered <= len(lines) {
		cmd, _ := ftp.ParseCommand([]byte(strings.TrimRight(lines[answered-1], "\r\n")))
		said = cmd.Verb
	}
	var want int
	switch end, why := theEnd(lines); {
	case errors.Is(cause, errTooMany):
		want = answered
		if said != "PASS" || last != 421 {
			s.find("too many failed logins at %q, %d", said, last)
		}
	case errors.Is(cause, ErrInjected):
		want = answered
		if said != "AUTH" || last != 503 {
			s.find("bytes behind AUTH at %q, %d", said, last)
		}
	case last == 234 && cause != nil: // the handshake failed
		want = answered
		if said != "AUTH" {
			s.find("a handshake at %q", said)
		}
	default:
		want = end
		if !errors.Is(cause, why) {
			s.find("the session ended with %v, want %v", cause, why)
		}
		if code := map[error]int{nil: 221, ErrForeign: 421}[why]; last != code {
			s.find("the last reply is %d, want %d", last, code)
		}
	}
	if answered != want {
		s.find("%d final replies to %d commands, %d to the transfer before: %v", len(finals), want, running, finals)
	}
	transfers := 0
	for _, line := range lines[:min(len(lines), max(0, answered))] {
		if isTransfer(line) {
			transfers++
		}
	}
	if s.starts > transfers {
		s.find("%d preliminary replies to %d transfer commands", s.starts, transfers)
	}
}

// theEnd says after how many lines the session ends by what is said, and why.
func theEnd(lines []string) (n int, why error) {
	known := make(map[string]bool)
	for _, r := range commands() {
		known[r.verb] = true
	}
	nonsense := 0
	for i, line := range lines {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		cmd, err := ftp.ParseCommand([]byte(line))
		switch {
		case len(line) > maxLine || err != nil || !known[cmd.Verb] && !slices.Contains(foreign, cmd.Verb):
			nonsense++
		case slices.Contains(foreign, cmd.Verb):
			return i + 1, ErrForeign
		case cmd.Verb == "QUIT":
			return i + 1, nil
		default:
			nonsense = 0
		}
		if nonsense >= maxNonsense {
			return i + 1, ErrForeign
		}
	}
	return len(lines), io.EOF
}

// say2 is a command of the session that looks on, and its one reply.
func (s *speaker) say2(line string) error {
	s.conn.SetDeadline(time.Now().Add(s.patience))
	if _, err := io.WriteString(s.conn, line); err != nil {
		return err
	}
	code, lines, err := s.read()
	if err == nil && code != 200 {
		err = fmt.Errorf("%d %q", code, lines)
	}
	return err
}

// fuzzTree is a small tree.
func fuzzTree(t testing.TB) vfs.FS {
	t.Helper()
	ctx := context.Background()
	tree := memfs.New()
	for _, dir := range []string{"folder", "folder/empty"} {
		name, _ := vfs.Resolve(vfs.Name{}, dir)
		if err := tree.Mkdir(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{"file.txt": "one\r\ntwo\n", "empty": "", "folder/inner": "x", "-la": "ls", `q"uote`: "q"} {
		name, _ := vfs.Resolve(vfs.Name{}, path)
		up, err := tree.Create(ctx, name, vfs.How{Size: -1})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(up, text)
		if err := up.Commit(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

// fuzzData is what the client sends on its data connections.
func fuzzData(how uint16) []byte {
	switch {
	case how&howBlocks != 0:
		return bytes.Repeat([]byte{64, 0, 2, 'h', 'i'}, 3) // three files
	case how&howZlib != 0:
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		io.WriteString(z, "squeezed")
		z.Close()
		return b.Bytes()
	}
	return []byte("text\r\nof the client")
}

// validPath is what fs.ValidPath asks of a path, less that it be UTF-8, and
// that it names nothing of the server's own.
func validPath(rel string) bool {
	if rel == "." {
		return true
	}
	for part := range strings.SplitSeq(rel, "/") {
		if part == "" || part == "." || part == ".." || strings.HasPrefix(strings.ToLower(part), vfs.Hidden) {
			return false
		}
	}
	return !strings.ContainsAny(rel, "\x00\r\n")
}

func sortByName(infos []vfs.Info) {
	slices.SortFunc(infos, func(a, b vfs.Info) int { return strings.Compare(a.Name, b.Name) })
}

// fuzzSeeds are sequences of lines: each command of the table with good and
// bad arguments, and what clients and enemies say in a row.
func fuzzSeeds() []string {
	good := map[string][]string{
		"AUTH": {"TLS", "SSL", "GSSAPI"}, "PBSZ": {"0"}, "PROT": {"P", "C", "S"}, "HOST": {"ftp.test", "[::1]"},
		"TYPE": {"A", "I", "A N", "L 8", "E"}, "MODE": {"S", "B", "Z", "C"}, "STRU": {"F", "R"},
		"EPSV": {"", "1", "2", "ALL"}, "PORT": {"%PORT%", "1,2,3,4,5,6"}, "EPRT": {"%EPRT%", "|2|::1|2000|", "|3|x|1|"},
		"RANG": {"0 3", "1 0", "0 9223372036854775807", "5 2"}, "ALLO": {"5", "5 R 6"}, "REST": {"3", "9223372036854775807"},
		"MFMT": {"20260102030405 file.txt"}, "MFF": {"Modify=20260102030405;UNIX.mode=600; file.txt"},
		"OPTS": {"UTF8 ON", "MLST type;size;", "MLST", "HASH SHA-512", "HASH", "MODE Z LEVEL 9", "STOR modify=20260102030405;", "STOR modify=x;", "STOR", "STOR ahead=on;", "STOR ahead=off"},
		"LANG": {"ES", "en", ""}, "SITE": {"HELP", "CHMOD 644 file.txt", "UTIME 20260102030405 file.txt", "IDLE 60", "CPFR file.txt", "CPTO copy"},
		"USER": {"diego", "nobody"}, "PASS": {"secreto", "wrong", "wrong", "wrong"}, "PRET": {"RETR file.txt"}, "STOU": {""},
		"XCRC": {`"file.txt" 0 3`, `"file.txt`}, "LIST": {"-al", "-al folder", "*.txt", "[", "file.txt"}, "NLST": {"folder", "*"},
		"MDTM": {"file.txt", "20260102030405 file.txt"}, "CSID": {"Name=x;"}, "HELP": {"SITE", "nothing"}, "STAT": {"", "folder"},
		"RNTO": {"new"}, "MKD": {"made"}, "RMD": {"folder/empty"}, "RMDA": {"folder"},
	}
	bad := []string{"", "", " ", "..", "../../etc/passwd", "/", "missing", "nul\x00byte", "iac\xff\xffbyte", "iac\xff", "\xff\xfb\x01x",
		"cr\rx", "99999999999999999999", "-1", `a"b`, "%s%d%n", "folder/../folder/inner", ".ftps-x"}
	var seeds []string
	for _, r := range commands() {
		var b strings.Builder
		line := func(arg string) { b.WriteString(strings.TrimRight(r.verb+" "+arg, " ") + "\r\n") }
		if r.arg == argPath || r.arg == argFolder || r.arg == argListing {
			line("file.txt")
			line("folder")
		}
		for _, a := range good[r.verb] {
			line(a)
		}
		for _, a := range bad {
			line(a)
		}
		seeds = append(seeds, b.String())
	}
	return append(seeds,
		"", "\r\n", "\n\n\n", "\x00\r\n", "\xff\xf4\xff\xf2ABOR\r\n", "\xff\xf4\xff\xf2\r\nABOR\r\nNOOP\r\n",
		strings.Repeat("\r\n", 25), strings.Repeat("what\r\n", 19)+"NOOP\r\nwhat\r\n",
		"STOR "+strings.Repeat("x", maxLine-4)+"\r\nNOOP\r\n", strings.Repeat("y", maxLine+1)+"\r\nNOOP\r\n", strings.Repeat("z", 20000)+"\r\nPWD\r\n",
		"MKD "+strings.Repeat("a", 255)+"\r\nMKD "+strings.Repeat("a", 256)+"\r\n", "CWD "+strings.Repeat("a/", 2040)+"\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "NOOP\r\nEHLO x\r\nNOOP\r\n", "noop\r\nNoOp\r\n  NOOP\r\nNOOP\tx\r\nNOOP \r\n",
		"AUTH TLS\r\nUSER diego\r\nPASS secreto\r\nPBSZ 0\r\nPROT P\r\nEPSV\r\nLIST\r\nQUIT\r\n", "AUTH TLS", "AUTH TLS\r\nAUTH TLS\r\nQUIT\r\nNOOP\r\n",
		"USER diego\r\nPASS wrong\r\nUSER diego\r\nPASS wrong\r\nUSER diego\r\nPASS wrong\r\nNOOP\r\n",
		"USER diego\r\nPASS secreto\r\nPBSZ 0\r\nPROT P\r\nTYPE I\r\nEPSV\r\nRETR file.txt\r\nREIN\r\nUSER diego\r\nPASS secreto\r\nPWD\r\n",
		"RNFR file.txt\r\nRNTO moved\r\nRNFR moved\r\nNOOP\r\nRNTO file.txt\r\nRNFR folder\r\nRNTO folder/in/itself\r\n",
		"SITE CPFR file.txt\r\nSITE CPTO copy\r\nSITE CPFR copy\r\nSITE CPTO copy\r\nSITE CPTO again\r\n",
		"EPSV\r\nRETR file.txt\r\nEPSV\r\nSTOR up\r\nEPSV\r\nAPPE up\r\nEPSV\r\nSTOU\r\nPASV\r\nMLSD\r\nEPSV\r\nNLST\r\n",
		"REST 4\r\nEPSV\r\nRETR file.txt\r\nREST 2\r\nEPSV\r\nSTOR file.txt\r\nREST 99\r\nEPSV\r\nRETR file.txt\r\nREST 9223372036854775807\r\nEPSV\r\nSTOR new\r\n",
		"RANG 1 3\r\nEPSV\r\nRETR file.txt\r\nRANG 0 9223372036854775807\r\nEPSV\r\nRETR file.txt\r\nRANG 1 2\r\nHASH file.txt\r\n",
		"MODE B\r\nEPSV\r\nRETR file.txt\r\nRETR empty\r\nLIST\r\nSTOR b1\r\nSTOR b2\r\nMODE S\r\nRETR file.txt\r\n",
		"MODE B\r\nEPSV\r\nSTOR b1\r\nSTOR b2\r\nSTOR b3\r\nSTOR b4\r\nABOR\r\nRETR file.txt\r\n",
		"MODE B\r\nOPTS STOR ahead=on;\r\nEPSV\r\nSTOR b1\r\nSTOR ../b2\r\nSTOR folder\r\nRETR file.txt\r\nSTOR\r\nSTOR b3\r\nABOR\r\nSTOR b4\r\n",
		"MODE B\r\nEPSV\r\nRETR file.txt\r\nOPTS STOR ahead=on;\r\nSTOR ../b2\r\nREIN\r\n", "MODE B\r\nEPSV\r\nRETR file.txt\r\nOPTS STOR ahead=on;\r\nSTOR folder\r\nSTOR \xff\r\nNOOP\r\n",
		"MODE Z\r\nEPSV\r\nRETR file.txt\r\nEPSV\r\nSTOR z\r\n", "TYPE A\r\nEPSV\r\nRETR file.txt\r\nEPSV\r\nSTOR a\r\nSIZE file.txt\r\nREST 1\r\nEPSV\r\nRETR file.txt\r\n",
		"PORT %PORT%\r\nLIST\r\nEPRT %EPRT%\r\nRETR file.txt\r\nEPSV ALL\r\nPORT %PORT%\r\nPASV\r\nEPSV\r\nLIST\r\n",
		"EPSV\r\nABOR\r\nRETR file.txt\r\nEPSV\r\nEPSV\r\nPASV\r\nRETR file.txt\r\n", "STAT\r\nABOR\r\nSTAT\r\nNOOP\r\nABOR\r\n", "NOOP\r\nSTAT\r\nABOR\r\nQUIT\r\n",
		"ALLO 3\r\nEPSV\r\nSTOR short\r\nALLO 9223372036854775807\r\nEPSV\r\nSTOR huge\r\n", "OPTS MLST\r\nMLST\r\nOPTS MLST size;\r\nMLST file.txt\r\nFEAT\r\n",
		"LANG ES\r\nHELP\r\nSTAT\r\nSITE HELP\r\nWHAT\r\n", "RMDA folder\r\nRMDA /\r\nDELE folder\r\nDELE empty\r\n",
	)
}
