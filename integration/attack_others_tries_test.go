//go:build interop

package integration

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tries are the attacks that any server can be put to. Each is short and
// bounded; what it says of a server is what came of it in this one run.
var tries = []struct {
	word string // in the names of folders: one that goes into any settings file
	name string
	try  func(t *testing.T, g target) verdict
}{
	{"bounce", "bounce: PORT, EPRT to another address", tryBounce},
	{"low-port", "bounce: PORT to the client's port 1023", tryLowPort},
	{"other-address", "port theft from another address", func(t *testing.T, g target) verdict { return tryTheft(t, g, "127.0.0.2") }},
	{"same-address", "port theft from the same address, without a ticket", func(t *testing.T, g target) verdict { return tryTheft(t, g, "") }},
	{"ticket", "another session of the account, with its own ticket, takes over STOR", tryTicket},
	{"injection", "commands behind AUTH, in the clear", tryInjection},
	{"truncation", "truncation: FIN without close_notify", tryTruncation},
	{"http", "HTTP on the control port (ALPACA)", tryHTTP},
	{"traversal", "traversal, symlinks that leave", tryTraversal},
	{"race", "symlink race, 100,000 swaps", tryRace},
	{"listing", "a name with a line break forges a line of LIST", tryForgedLine},
	{"nul", "`DELE keep\\0.txt` removes `keep`", tryNUL},
	{"nonsense", "`REST x`, `PBSZ x`, PORT of seven numbers", tryNonsense},
	{"names", "which names exist, by words and by time", tryNames},
	{"guessing", "guessing passwords for 10 s, 8 connections", tryGuessing},
	{"lingering", "a transfer goes on after its session", tryLingering},
	{"silence", "2,000 silent connections of one address shut others out", trySilence},
}

const unjailed = "as whoever starts it, it has no chroot"

func ownerOf(path string) (uid, gid int, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, 0, false
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	return int(s.Uid), int(s.Gid), ok
}

// visited listens and tells of the first connection within a while.
func visited(t *testing.T, addr string) (port int, came func(time.Duration) bool) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	got := make(chan struct{}, 1)
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.Close()
			got <- struct{}{}
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, func(d time.Duration) bool {
		select {
		case <-got:
			return true
		case <-time.After(d):
			return false
		}
	}
}

// goes asks for a port and a transfer, and tells the reply to the first.
func goes(p *player, line string) int {
	code, _, err := p.do(line)
	if err == nil && code/100 == 2 {
		p.send("LIST")
	}
	return code
}

func tryBounce(t *testing.T, g target) verdict {
	port, came := visited(t, "127.0.0.9:0")
	first := goes(g.login(t), fmt.Sprintf("PORT 127,0,0,9,%d,%d", port/256, port%256))
	second := goes(g.login(t), fmt.Sprintf("EPRT |1|127.0.0.9|%d|", port))
	return judge(came(3*time.Second), fmt.Sprintf("%d, %d", first, second))
}

func tryLowPort(t *testing.T, g target) verdict {
	_, came := visited(t, "127.0.0.1:1023")
	code := goes(g.login(t), "PORT 127,0,0,1,3,255")
	return judge(came(3*time.Second), fmt.Sprint(code))
}

// tryTheft has a stranger at the data port first.
func tryTheft(t *testing.T, g target, from string) verdict {
	content := bytes.Repeat([]byte("secret "), 10<<10)
	g.plant(t, "file", content)
	p := g.login(t)
	text, err := p.want(229, "EPSV")
	must(t, err)
	_, after, _ := strings.Cut(text, "(|||")
	number, _, _ := strings.Cut(after, "|)")
	thief := &player{local: from, limit: 15 * time.Second}
	stolen := make(chan bool, 1)
	raw, err := thief.dial("127.0.0.1:" + number)
	must(t, err)
	defer raw.Close()
	go func() {
		conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
		got, _ := io.ReadAll(io.LimitReader(conn, 16))
		stolen <- len(got) > 0
	}()
	mine, dialErr := p.dial("127.0.0.1:" + number)
	if dialErr == nil {
		defer mine.Close()
	}
	whole := false
	if err := p.send("RETR file"); err == nil && dialErr == nil {
		if code, _, err := p.read(); err == nil && code/100 == 1 {
			mine.SetDeadline(time.Now().Add(10 * time.Second))
			got, _ := io.ReadAll(tls.Client(mine, p.tls))
			whole = bytes.Equal(got, content)
		}
	}
	raw.SetReadDeadline(time.Now().Add(5 * time.Second))
	switch taken := <-stolen; {
	case taken:
		return fell("the stranger has the file")
	case !whole:
		return resisted("but the transfer is lost")
	}
	return resisted("and the transfer goes on")
}

// tryTicket has a second session, which may be another program's on another
// machine, feed the first one's upload.
func tryTicket(t *testing.T, g target) verdict {
	victim, thief := g.login(t), g.login(t)
	for _, p := range []*player{victim, thief} { // each has shown its own ticket
		if _, _, err := p.download("LIST"); err != nil {
			return without("no transfer: " + err.Error())
		}
	}
	text, err := victim.want(229, "EPSV")
	must(t, err)
	_, after, _ := strings.Cut(text, "(|||")
	number, _, _ := strings.Cut(after, "|)")
	raw, err := thief.dial("127.0.0.1:" + number)
	must(t, err)
	defer raw.Close()
	must(t, victim.send("STOR taken"))
	raw.SetDeadline(time.Now().Add(8 * time.Second))
	conn := tls.Client(raw, thief.tls)
	if err := conn.Handshake(); err == nil {
		conn.Write([]byte("forged"))
		conn.CloseWrite()
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	victim.limit = 8 * time.Second
	for range 2 { // 150, and what became of it
		if code, _, err := victim.read(); err != nil || code >= 200 {
			break
		}
	}
	got, _ := os.ReadFile(filepath.Join(g.home, "taken"))
	return judge(string(got) == "forged", "")
}

func tryInjection(t *testing.T, g target) verdict {
	p, err := connectPeer(g.addr, "")
	must(t, err)
	defer p.close()
	must(t, p.send("AUTH TLS\r\nSYST"))
	code, _, err := p.read()
	if err != nil || code != 234 {
		return resisted(fmt.Sprint(code))
	}
	p.conn.SetDeadline(time.Now().Add(8 * time.Second))
	conn := tls.Client(p.conn, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	if err := conn.Handshake(); err != nil {
		return resisted("no handshake behind it")
	}
	p.conn, p.lines, p.limit = conn, bufio.NewReader(conn), 8*time.Second
	code, _, _ = p.do("NOOP")
	return judge(code == 215, "")
}

func tryTruncation(t *testing.T, g target) verdict {
	p := g.login(t)
	code, err := p.cut("STOR half", bytes.Repeat([]byte("x"), 100<<10), false)
	if err != nil {
		return resisted("no reply")
	}
	info, err := os.Stat(filepath.Join(g.home, "half"))
	if err != nil {
		return judge(code/100 == 2, fmt.Sprintf("%d, no such file", code))
	}
	return judge(code/100 == 2, fmt.Sprintf("%d, a file of %d bytes", code, info.Size()))
}

func tryHTTP(t *testing.T, g target) verdict {
	p, err := connectPeer(g.addr, "")
	must(t, err)
	defer p.close()
	p.limit = 8 * time.Second
	must(t, p.send("POST /<script> HTTP/1.1\r\nHost: <script>\r\n\r\nSYST\r\nNOOP"))
	ran, reflected, replies := false, false, 0
	for {
		code, lines, err := p.read()
		if err != nil {
			break
		}
		replies++
		ran = ran || code == 215
		reflected = reflected || strings.Contains(strings.Join(lines, ""), "<script>")
		if replies == 6 {
			break
		}
		p.limit = 2 * time.Second
	}
	switch {
	case reflected:
		return fell("it sends the page's words back")
	case ran || replies > 2:
		return fell("it goes on behind the headers")
	}
	return resisted("closed")
}

func tryTraversal(t *testing.T, g target) verdict {
	if g.unjailed {
		return without(unjailed)
	}
	must(t, os.Mkdir(filepath.Join(g.home, "d"), 0o777))
	links := map[string]string{"relative": "../outside", "absolute": g.outside, "root": "/"}
	ways := []string{"../outside", "/../outside", "d/../../outside", "../../outside", "....//outside", "..\\outside", "%2e%2e/outside", g.outside, "root" + g.outside}
	for name, to := range links {
		must(t, os.Symlink(to, filepath.Join(g.home, name)))
		ways = append(ways, name)
	}
	p := g.login(t)
	var out []string
	for _, way := range ways {
		if got, _, err := p.download("RETR " + way + "/secret"); err != nil {
			p = g.login(t)
		} else if bytes.Contains(got, []byte(outsideSecret)) {
			out = append(out, way)
		}
	}
	return judge(len(out) > 0, strings.Join(out, ", "))
}

// tryRace swaps a folder and a link that leaves in one step, again and again,
// while the client reads through the name.
func tryRace(t *testing.T, g target) verdict {
	if g.unjailed {
		return without(unjailed)
	}
	d, l := filepath.Join(g.home, "d"), filepath.Join(g.home, "l")
	must(t, os.Mkdir(d, 0o777))
	g.plant(t, "d/secret", []byte("harmless"))
	must(t, os.Symlink("../outside", l))
	over := make(chan struct{})
	var swaps atomic.Int64
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			if err := unix.Renameat2(unix.AT_FDCWD, d, unix.AT_FDCWD, l, unix.RENAME_EXCHANGE); err != nil {
				t.Errorf("swap: %v", err)
				return
			}
			swaps.Add(1)
			time.Sleep(20 * time.Microsecond) // or nobody else would get at the folder
		}
	})
	p := g.login(t)
	reads, out, refused := 0, 0, 0
	for end := time.Now().Add(60 * time.Second); (swaps.Load() < 100_000 || reads+refused < 200) && time.Now().Before(end); {
		got, _, err := p.download("RETR d/secret")
		switch {
		case err != nil:
			p.close()
			p = g.login(t)
		case bytes.Contains(got, []byte(outsideSecret)):
			out++
		case len(got) > 0:
			reads++
		default:
			refused++
		}
	}
	close(over)
	wait.Wait()
	how := fmt.Sprintf("%d swaps, %d reads inside, %d refused", swaps.Load(), reads, refused)
	if out > 0 {
		how = fmt.Sprintf("%d reads outside of %d", out, out+reads)
	}
	return judge(out > 0, how)
}

func tryForgedLine(t *testing.T, g target) verdict {
	g.plant(t, "innocent\r\n-rw-r--r-- 1 ftp ftp 1 Jan  1 00:00 forged", []byte("x"))
	p := g.login(t)
	got, _, err := p.download("LIST")
	if err != nil {
		return resisted(err.Error())
	}
	forged := false
	for line := range strings.Lines(string(got)) {
		forged = forged || strings.HasPrefix(line, "-") && strings.HasSuffix(strings.TrimSpace(line), "forged")
	}
	return judge(forged, "")
}

func tryNUL(t *testing.T, g target) verdict {
	g.plant(t, "keep", []byte("x"))
	p := g.login(t)
	code, _, _ := p.do("DELE keep\x00.txt")
	_, err := os.Stat(filepath.Join(g.home, "keep"))
	return judge(err != nil, fmt.Sprint(code))
}

func tryNonsense(t *testing.T, g target) verdict {
	var took []string
	for _, line := range []string{"REST x", "PBSZ x", "PORT 127,0,0,1,200,200,7"} {
		p := g.login(t)
		if code, _, err := p.do(line); err == nil && code < 400 {
			took = append(took, fmt.Sprintf("%s (%d)", strings.Fields(line)[0], code))
		}
	}
	return judge(len(took) > 0, strings.Join(took, ", "))
}

// guess tries a login on a new connection and returns what was said, and how
// long the answer to PASS took.
func guess(g target, local, user, password string) (said string, took time.Duration) {
	p, err := connectPeer(g.addr, local)
	if err != nil {
		return "no connection", 0
	}
	defer p.close()
	p.limit = 20 * time.Second
	if _, err := p.want(234, "AUTH TLS"); err != nil {
		return "no TLS", 0
	}
	conn := tls.Client(p.conn, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	p.conn, p.lines = conn, bufio.NewReader(conn)
	code, lines, err := p.do("USER " + user)
	said = fmt.Sprint(code, lines, err)
	began := time.Now()
	code, lines, err = p.do("PASS " + password)
	return strings.ReplaceAll(said+fmt.Sprint(code, lines, err), user, "NAME"), time.Since(began)
}

// tryNames compares a name that exists with one that does not, in turn, from
// a new address each time.
func tryNames(t *testing.T, g target) verdict {
	if g.anonymous {
		return without("its account here is the anonymous one")
	}
	words := make(map[string]bool)
	var times [2][]time.Duration
	for i, end := 0, time.Now().Add(60*time.Second); i < 25 && time.Now().Before(end); i++ {
		for k, name := range []string{g.user, "nobody-of-that-name"} {
			said, took := guess(g, fmt.Sprintf("127.0.%d.%d", 10+k, 1+i), name, "wrong")
			// A reference or a clock in it is not what tells them apart.
			words[string(bytes.Map(func(r rune) rune {
				if strings.ContainsRune("0123456789abcdef", r) {
					return -1
				}
				return r
			}, []byte(said)))] = true
			times[k] = append(times[k], took)
		}
	}
	slower := 0
	for _, a := range times[0] {
		for _, b := range times[1] {
			if a > b {
				slower++
			}
		}
	}
	share := float64(slower) / float64(len(times[0])*len(times[1]))
	median := func(list []time.Duration) float64 {
		slices.Sort(list)
		return float64(list[len(list)/2].Microseconds()) / 1000
	}
	how := fmt.Sprintf("medians %.1f and %.1f ms, the existing one slower in %.0f %% of pairs", median(times[0]), median(times[1]), share*100)
	if len(words) > 1 {
		how = "other words; " + how
	}
	return judge(len(words) > 1 || share > 0.8 || share < 0.2, how)
}

func tryGuessing(t *testing.T, g target) verdict {
	var tried atomic.Int64
	end := time.Now().Add(10 * time.Second)
	last := end.Add(6 * time.Second) // they go on while the right one is tried
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for n := 0; time.Now().Before(last); n++ {
				said, _ := guess(g, "127.0.0.5", g.user, fmt.Sprintf("guess-%d-%d", i, n))
				switch {
				case replied(said, 530, 430):
					if time.Now().Before(end) {
						tried.Add(1)
					}
				default:
					time.Sleep(50 * time.Millisecond)
				}
			}
		})
	}
	// An answer need not be a check: what counts is whether the right one among
	// them would have done.
	time.Sleep(time.Until(end))
	let := 0
	for range 8 {
		if said, _ := guess(g, "127.0.0.5", g.user, g.password); time.Now().Before(last) && replied(said, 230) {
			let++
		}
	}
	p, err := loginPeer(g.addr, "", g.user, g.password)
	wait.Wait()
	how := fmt.Sprintf("%d answered", tried.Load())
	if err != nil {
		return fell(how + ", and nobody else gets in")
	}
	p.close()
	if let == 0 {
		return resisted(how + ", but the right one among them is refused like the others")
	}
	return judge(tried.Load() >= 100, how+", and the right one among them is let in")
}

// RFC 959 §7: a control connection that is lost is an abort and a logout.
func tryLingering(t *testing.T, g target) verdict {
	const size = 32 << 20
	g.plant(t, "big", make([]byte, size))
	p := g.login(t)
	conn, code, err := p.transfer("RETR big")
	if conn == nil || err != nil {
		return without(fmt.Sprintf("no transfer: %d, %v", code, err))
	}
	defer conn.Close()
	p.close()
	time.Sleep(3 * time.Second) // no byte is read meanwhile: the server has most of it still to send
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	n, _ := io.Copy(io.Discard, conn)
	return judge(n == size, strconv.FormatInt(n>>20, 10)+" of 32 MiB came")
}

func trySilence(t *testing.T, g target) verdict {
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	d := net.Dialer{Timeout: 2 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}}
	for range 2000 {
		c, err := d.Dial("tcp", g.addr)
		if err != nil {
			break
		}
		open = append(open, c)
	}
	how := ""
	if len(open) < 2000 {
		how = fmt.Sprintf("%d connected", len(open))
	}
	in := make(chan error, 1)
	go func() {
		p, err := loginPeer(g.addr, "", g.user, g.password)
		if err == nil {
			p.close()
		}
		in <- err
	}()
	select {
	case err := <-in:
		return judge(err != nil, how)
	case <-time.After(15 * time.Second):
		return fell(strings.TrimPrefix(how+", no login within 15 s", ", "))
	}
}
