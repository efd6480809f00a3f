package hostile

import (
	"bufio"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/layer"
)

// Session is one control connection.
type Session struct {
	server  *Server
	number  int
	surplus bool
	raw     net.Conn

	mu   sync.Mutex // wire's swap, and data for cut
	wire net.Conn
	data net.Conn

	listener net.Listener
	active   string
	cwd      string
	from     string // RNFR
	rest     int
	name     string
}

// patience bounds everything a session waits for.
const patience = 30 * time.Second

// Offset is what REST said for the next transfer.
func (c *Session) Offset() int { return c.rest }

// Reply sends one reply; the text may have several lines.
func (c *Session) Reply(code int, text string) {
	c.Raw(string(ftp.Reply{Code: code, Lines: strings.Split(text, "\n")}.AppendTo(nil)))
}

// Raw sends bytes on the control connection as they are.
func (c *Session) Raw(text string) {
	c.mu.Lock()
	wire := c.wire
	c.mu.Unlock()
	wire.SetWriteDeadline(time.Now().Add(patience))
	io.WriteString(wire, text)
}

// Hangup closes the control connection.
func (c *Session) Hangup() { c.cut() }

// cut ends the session from outside.
func (c *Session) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Close()
	if c.data != nil {
		c.data.Close()
	}
	if c.listener != nil {
		c.listener.Close()
	}
}

func (c *Session) serve() {
	defer c.cut()
	if c.server.o.Implicit && !c.secure() {
		return
	}
	if c.surplus {
		c.Reply(421, "too many connections")
		return
	}
	if !c.hooked("", "") {
		c.Reply(220, "Bienvenido")
	}
	for {
		// One line at a time and no read ahead, so that AUTH can swap the
		// connection.
		line, err := c.readLine()
		if err != nil {
			return
		}
		c.server.mu.Lock()
		c.server.log = append(c.server.log, line)
		c.server.mu.Unlock()
		verb, arg, _ := strings.Cut(line, " ")
		if c.hooked(verb, arg) {
			switch verb {
			case "RETR", "STOR", "APPE":
				c.rest = 0 // RFC 3659 §5.3: an offset is for the next transfer only
			}
			continue
		}
		if !c.run(verb, arg) {
			return
		}
	}
}

func (c *Session) hooked(verb, arg string) bool {
	hook := c.server.o.Hooks[verb]
	return hook != nil && hook(c, arg)
}

// readLine reads byte by byte in the clear, and through what aborted leaves.
func (c *Session) readLine() (string, error) {
	var b [1]byte
	var line []byte
	for {
		if _, err := io.ReadFull(c.wire, b[:]); err != nil {
			return "", err
		}
		if b[0] == '\n' {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		line = append(line, b[0])
	}
}

// stamped returns the server's TLS configuration with tickets that say which
// session and kind of connection they come from, and hands over what a
// presented ticket said.
func (c *Session) stamped(kind string, presented *string) *tls.Config {
	ring := c.server.tls
	if kind == "data" && c.server.o.DataConfig != nil {
		ring = c.server.o.DataConfig
	}
	config := ring.Clone()
	config.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		ss.Extra = append(ss.Extra[:0:0], []byte(fmt.Sprintf("%d/%s", c.number, kind)))
		return c.server.tls.EncryptTicket(cs, ss)
	}
	config.UnwrapSession = func(id []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		ss, err := c.server.tls.DecryptTicket(id, cs)
		if err == nil && ss != nil && len(ss.Extra) > 0 {
			*presented = string(ss.Extra[0])
		}
		return ss, err
	}
	return config
}

// secure puts TLS on the control connection.
func (c *Session) secure() bool {
	var stamp string
	tc := tls.Server(layer.StrictEOF(c.raw), c.stamped("control", &stamp))
	c.raw.SetDeadline(time.Now().Add(patience))
	if tc.Handshake() != nil {
		return false
	}
	c.raw.SetDeadline(time.Time{})
	c.mu.Lock()
	c.wire = tc
	c.mu.Unlock()
	return true
}

// TCP returns the bare data connection: accepted, or dialled in active mode.
func (c *Session) TCP() (net.Conn, error) {
	if c.active != "" {
		raw, err := net.DialTimeout("tcp", c.active, patience)
		c.active = ""
		return raw, err
	}
	if c.listener == nil {
		return nil, errors.New("no data port")
	}
	defer c.listener.Close()
	c.listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	return c.listener.Accept()
}

// Data returns the data connection after its handshake. refused is the text
// for a 522 where the rules about resumption do not let it pass.
func (c *Session) Data() (tc *tls.Conn, raw net.Conn, refused string, err error) {
	raw, err = c.TCP()
	if err != nil {
		return nil, nil, "", err
	}
	c.mu.Lock()
	c.data = raw
	c.mu.Unlock()
	raw = layer.StrictEOF(raw)
	var stamp string
	tc = tls.Server(raw, c.stamped("data", &stamp))
	raw.SetDeadline(time.Now().Add(patience))
	if err := tc.Handshake(); err != nil {
		raw.Close()
		return nil, nil, "", err
	}
	raw.SetDeadline(time.Time{})
	if !tc.ConnectionState().DidResume {
		stamp = ""
	}
	c.server.mu.Lock()
	c.server.stamps = append(c.server.stamps, stamp)
	c.server.mu.Unlock()
	if c.server.o.RequireReuse && stamp != fmt.Sprintf("%d/control", c.number) {
		refused = "session of the control connection not resumed: " + stamp
	}
	return tc, raw, refused, nil
}

// transfer runs one data connection and sends the replies round it. ABOR
// ends it early.
func (c *Session) transfer(work func(tc *tls.Conn) error) {
	var tc *tls.Conn
	var raw net.Conn
	var refused string
	var err error
	if c.server.o.EarlyTLS {
		if tc, raw, refused, err = c.Data(); err != nil {
			c.Reply(425, "no data connection")
			return
		}
		c.Reply(150, "Preparado")
	} else {
		c.Reply(150, "Preparado")
		if tc, raw, refused, err = c.Data(); err != nil {
			c.Reply(425, "no data connection: "+err.Error())
			return
		}
	}
	if refused != "" {
		tc.Close()
		c.Reply(522, refused)
		return
	}
	aborted := make(chan bool, 1)
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { aborted <- c.watch(raw, stop) })
	err = work(tc)
	switch {
	case err != nil:
		raw.Close()
	case c.server.o.NoCloseNotify:
		if hc, ok := raw.(interface{ CloseWrite() error }); ok {
			hc.CloseWrite()
		}
		raw.SetReadDeadline(time.Now().Add(time.Second))
		io.Copy(io.Discard, raw)
		raw.Close()
	default:
		layer.End(tc, raw, patience)
	}
	close(stop)
	c.wire.SetReadDeadline(time.Unix(1, 0))
	watch.Wait()
	c.wire.SetReadDeadline(time.Time{})
	switch wasAborted := <-aborted; {
	case wasAborted:
		c.Reply(426, "broken off")
		c.Reply(226, "ABOR done")
	case err != nil:
		c.Reply(426, err.Error())
	default:
		c.Reply(226, "Transferencia completada")
	}
}

// watch waits for ABOR during a transfer and cuts its data connection.
func (c *Session) watch(data net.Conn, stop <-chan struct{}) bool {
	line, err := c.readLine()
	if err != nil || !strings.HasPrefix(line, "ABOR") {
		return false
	}
	c.server.mu.Lock()
	c.server.log = append(c.server.log, line)
	c.server.mu.Unlock()
	data.Close()
	return true
}

func (c *Session) path(arg string) string {
	if !strings.HasPrefix(arg, "/") {
		arg = c.cwd + "/" + arg
	}
	return path.Clean(arg)
}

func (c *Session) facts(f *File) string {
	if f.Dir {
		return "type=dir;modify=" + ftp.FormatTime(f.Time) + ";perm=elcm; "
	}
	return fmt.Sprintf("type=file;size=%d;modify=%s;perm=rwadf; ", len(f.Data), ftp.FormatTime(f.Time))
}

// children are the names in a folder, sorted.
func (c *Session) children(dir string) []string {
	var names []string
	for name := range c.server.files {
		if name != "/" && path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names
}

// send writes in blocks, so that a test can cut in between.
func (c *Session) send(tc *tls.Conn, b []byte) error {
	size := c.server.o.BlockSize
	if size == 0 {
		size = len(b)
	}
	w := bufio.NewWriterSize(tc, 64<<10)
	for len(b) > 0 {
		n := min(size, len(b))
		tc.SetWriteDeadline(time.Now().Add(patience))
		if _, err := w.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return w.Flush()
}

func number(s string) int { n, _ := strconv.Atoi(s); return n }

func hexSum(b []byte) string { return hex.EncodeToString(sum(b)) }
