package ftptest

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/vfs"
)

// A dialogue is what a client and a server say to each other, one line each,
// as it was recorded:
//
//	# what this is, who said it, and when
//	S: 220
//	C: AUTH TLS
//	S: 234
//	TLS
//	C: EPSV
//	S: 229
//	C: STOR hello.txt
//	S: 150
//	DATA> "hello\n"
//	S: 226 Transfer complete
//
// The lines are
//
//	C: LINE      what the client sends; \x00 and the like as Go writes them, where the line is quoted
//	S: 226       a reply with that code,
//	S: 226 TEXT  whose text begins so,
//	S: 226 /RE/  or has a match of a regular expression; its lines are joined by line feeds
//	TLS          the client begins TLS; TLS 1.2 with that version at most
//	DATA> TEXT   the client sends the text on a data connection, and ends it in order
//	DATA< TEXT   the client reads a data connection to its end: just this, or a match of /RE/
//	CUT> TEXT    the client sends the text and closes without close_notify
//	HAS PATH TEXT  the accounts' trees hold this file from the beginning
//	FRESH        from here on data connections resume no TLS session
//	END          the server has closed the connection
//
// A text for data is quoted as in Go. The client connects to a data port as
// soon as it is told one, and begins TLS on it when the data's turn comes. In
// MODE Z the data are compressed on the wire and plain in the file. {PORT}
// and {EPRT} in a client's line are where it waits in active mode.

// turn is one line of a dialogue.
type turn struct {
	line int // in the file
	kind string
	text string
	path string         // HAS
	code int            // S:
	re   *regexp.Regexp // S: and DATA<
}

func (t turn) String() string { return fmt.Sprintf("line %d: %s %.100s", t.line, t.kind, t.text) }

// parseDialogue reads a dialogue.
func parseDialogue(text string) ([]turn, error) {
	var turns []turn
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" || line[0] == '#' {
			continue
		}
		t := turn{line: i + 1}
		t.kind, t.text, _ = strings.Cut(line, " ")
		var err error
		switch t.kind {
		case "C:", "DATA>", "CUT>":
			err = t.unquote()
		case "HAS":
			t.path, t.text, _ = strings.Cut(t.text, " ")
			err = t.unquote()
		case "S:":
			code, rest, _ := strings.Cut(t.text, " ")
			if t.code, err = strconv.Atoi(code); err == nil {
				t.text = rest
				err = t.pattern()
			}
		case "DATA<":
			if err = t.pattern(); err == nil && t.re == nil {
				err = t.unquote()
			}
		case "TLS", "FRESH", "END":
		default:
			err = errors.New("what is that?")
		}
		if err != nil {
			return nil, fmt.Errorf("%v: %w", t, err)
		}
		turns = append(turns, t)
	}
	return turns, nil
}

func (t *turn) unquote() (err error) {
	if strings.HasPrefix(t.text, `"`) {
		t.text, err = strconv.Unquote(t.text)
	}
	return err
}

func (t *turn) pattern() (err error) {
	if n := len(t.text); n > 1 && t.text[0] == '/' && t.text[n-1] == '/' {
		t.re, err = regexp.Compile(t.text[1 : n-1])
	}
	return err
}

// reply holds a reply against an S: line.
func (t turn) reply(code int, lines []string) error {
	text := strings.Join(lines, "\n")
	switch {
	case code != t.code,
		t.re != nil && !t.re.MatchString(text),
		t.re == nil && !strings.HasPrefix(text, t.text):
		return fmt.Errorf("%v: got %d %q", t, code, text)
	}
	return nil
}

// data holds what came on a data connection against a DATA< line.
func (t turn) data(got string) error {
	if t.re != nil && !t.re.MatchString(got) || t.re == nil && got != t.text {
		return fmt.Errorf("got %q", got)
	}
	return nil
}

// Replay says the client's lines of a recorded dialogue to the server, which
// must say its own. The form of a dialogue is told at the head of dialogue.go.
func Replay(t testing.TB, s *Server, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	turns, err := parseDialogue(string(text))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	p := &player{t: t, s: s, c: s.Dial(t)}
	p.resume = p.c.TLS
	for _, turn := range turns {
		if err := p.play(turn); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
}

// player is the client of a dialogue.
type player struct {
	t      testing.TB
	s      *Server
	c      *Conn
	resume *tls.Config // of data connections
	data   net.Conn    // to the data port told last, TLS not begun; or nil
	active net.Listener
	zlib   bool
}

func (p *player) play(t turn) error {
	switch t.kind {
	case "C:":
		line := p.fill(t.text)
		switch line {
		case "MODE Z":
			p.zlib = true
		case "MODE S":
			p.zlib = false
		}
		p.c.Write(line + "\r\n")
	case "S:":
		code, lines, err := p.c.Read()
		if err != nil {
			return fmt.Errorf("%v: %w", t, err)
		}
		p.told(code, lines)
		return t.reply(code, lines)
	case "TLS":
		if t.text == "1.2" {
			p.c.TLS.MaxVersion = tls.VersionTLS12
		}
		p.c.StartTLS()
	case "HAS":
		for _, a := range p.s.options.Accounts {
			if err := plant(a.FS, t.path, t.text); err != nil {
				return fmt.Errorf("%v: %w", t, err)
			}
		}
	case "FRESH":
		p.resume = p.c.TLS.Clone()
		p.resume.ClientSessionCache = nil
	case "DATA>", "CUT>", "DATA<":
		if err := p.transfer(t); err != nil {
			return fmt.Errorf("%v: %w", t, err)
		}
	case "END":
		if codes := p.c.ExpectClosed(); len(codes) != 0 {
			return fmt.Errorf("%v: replies came: %v", t, codes)
		}
	}
	return nil
}

// plant makes a file and the folders above it.
func plant(tree vfs.FS, path, text string) error {
	ctx := context.Background()
	name, err := vfs.Resolve(vfs.Name{}, path)
	if err != nil {
		return err
	}
	var above []vfs.Name
	for n := name.Parent(); !n.IsRoot(); n = n.Parent() {
		above = append(above, n)
	}
	for _, folder := range slices.Backward(above) {
		if err := tree.Mkdir(ctx, folder); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	up, err := tree.Create(ctx, name, vfs.How{Size: -1})
	if err != nil {
		return err
	}
	defer up.Abort()
	if _, err := io.WriteString(up, text); err != nil {
		return err
	}
	return up.Commit(ctx)
}

// fill puts the client's own address in the place of {PORT} and {EPRT}.
func (p *player) fill(line string) string {
	if !strings.Contains(line, "{PORT}") && !strings.Contains(line, "{EPRT}") {
		return line
	}
	p.hangUp()
	l, err := net.Listen("tcp", net.JoinHostPort(p.c.server.Addr().String(), "0"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { l.Close() })
	p.active = l
	at := l.Addr().(*net.TCPAddr).AddrPort()
	return strings.NewReplacer("{PORT}", ftp.FormatPORT(at), "{EPRT}", ftp.FormatEPRT(at)).Replace(line)
}

// told connects to a data port that a reply names.
func (p *player) told(code int, lines []string) {
	var port uint16
	switch code {
	case 227:
		if at, err := ftp.ParsePASVReply(lines[0]); err == nil {
			port = at.Port()
		}
	case 229:
		port, _ = ftp.ParseEPSVReply(lines[0])
	}
	if port != 0 {
		p.hangUp()
		p.data = p.c.OpenData(int(port))
	}
}

// hangUp lets go of a data connection that no transfer used.
func (p *player) hangUp() {
	if p.data != nil {
		p.data.Close()
		p.data = nil
	}
}

// transfer carries one data connection.
func (p *player) transfer(t turn) error {
	raw := p.data
	p.data = nil
	if raw == nil && p.active != nil {
		p.active.(*net.TCPListener).SetDeadline(time.Now().Add(Patience))
		var err error
		if raw, err = p.active.Accept(); err != nil {
			return err
		}
		raw.SetDeadline(time.Now().Add(Patience))
		p.active.Close()
		p.active = nil
	}
	if raw == nil {
		return errors.New("no data port was told")
	}
	defer raw.Close()
	conn := tls.Client(raw, p.resume)
	if t.kind == "DATA<" {
		got, err := io.ReadAll(conn)
		if err == nil && p.zlib {
			got, err = inflate(got)
		}
		if err != nil {
			return err
		}
		conn.Close()
		return t.data(string(got))
	}
	data := []byte(t.text)
	if p.zlib {
		data = deflate(data)
	}
	if err := conn.Handshake(); err != nil {
		return err
	}
	if _, err := conn.Write(data); err != nil || t.kind == "CUT>" {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, conn)
	return err
}

func deflate(data []byte) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(data)
	z.Close()
	return b.Bytes()
}

func inflate(data []byte) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
