package hostile

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path"
	"strings"
	"time"

	"ftps/pkg/ftp"
)

// run does what an honest server does. It reports false where the session is
// over.
func (c *Session) run(verb, arg string) bool {
	s := c.server
	switch verb {
	case "AUTH":
		c.Reply(234, "go ahead")
		return c.secure()
	case "PBSZ", "PROT", "TYPE", "OPTS", "NOOP", "LANG":
		c.Reply(200, "ok")
	case "FEAT":
		lines := s.o.Features
		if lines == nil {
			lines = DefaultFeatures
		}
		c.Reply(211, "Features:\n "+strings.Join(lines, "\n ")+"\nEnd")
	case "USER":
		c.name = arg
		c.Reply(331, "password")
	case "PASS":
		if c.name != User || arg != Password {
			c.Reply(530, "wrong")
			break
		}
		c.Reply(230, "Login exitoso")
	case "QUIT":
		c.Reply(221, "bye")
		return false
	case "EPSV", "PASV":
		c.passive(verb)
	case "EPRT":
		if ap, err := ftp.ParseEPRT(arg); err == nil {
			c.active = ap.String()
			c.Reply(200, "ok")
		} else {
			c.Reply(501, "bad")
		}
	case "PORT":
		if ap, err := ftp.ParsePORT(arg); err == nil {
			c.active = ap.String()
			c.Reply(200, "ok")
		} else {
			c.Reply(501, "bad")
		}
	case "REST":
		c.rest = number(arg)
		c.Reply(350, "ok")
	case "ABOR":
		c.Reply(226, "nothing to abort")
	case "RETR", "STOR", "APPE":
		c.file(verb, c.path(arg))
	case "LIST", "MLSD":
		c.list(verb, c.path(arg))
	default:
		s.mu.Lock()
		code, text := c.tree(verb, arg)
		s.mu.Unlock()
		c.Reply(code, text)
	}
	return true
}

func (c *Session) passive(verb string) {
	if c.listener != nil {
		c.listener.Close()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.Reply(425, "no port")
		return
	}
	c.mu.Lock()
	c.listener = l
	c.mu.Unlock()
	ap := netip.MustParseAddrPort(l.Addr().String())
	if verb == "EPSV" {
		c.Reply(229, ftp.FormatEPSVReply(ap.Port()))
	} else {
		c.Reply(227, ftp.FormatPASVReply(ap))
	}
}

// Port is the port that the last EPSV or PASV announced.
func (c *Session) Port() uint16 {
	return netip.MustParseAddrPort(c.listener.Addr().String()).Port()
}

// Listen opens a data port without a reply.
func (c *Session) Listen() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	c.mu.Lock()
	c.listener = l
	c.mu.Unlock()
	return err
}

func (c *Session) file(verb, name string) {
	s := c.server
	rest := c.rest
	c.rest = 0
	s.mu.Lock()
	f := s.files[name]
	s.mu.Unlock()
	if verb == "RETR" {
		if f == nil || f.Dir || rest > len(f.Data) {
			c.Reply(550, "no such file")
			return
		}
		c.transfer(func(tc *tls.Conn) error { return c.send(tc, f.Data[rest:]) })
		return
	}
	s.mu.Lock()
	parent := s.files[path.Dir(name)]
	s.mu.Unlock()
	if parent == nil || f != nil && f.Dir {
		c.Reply(550, "cannot store there")
		return
	}
	var data []byte
	switch {
	case f != nil && verb == "APPE":
		data = bytes.Clone(f.Data)
	case f != nil && rest > 0:
		data = bytes.Clone(f.Data[:min(rest, len(f.Data))])
	}
	c.transfer(func(tc *tls.Conn) error {
		// What came is kept even from a broken upload: the file grows in
		// sight, as on most servers. Who reads it meanwhile holds a shorter
		// slice, which nothing that is appended touches.
		buf := make([]byte, 32<<10)
		for {
			tc.SetReadDeadline(time.Now().Add(patience))
			n, err := tc.Read(buf)
			data = append(data, buf[:n]...)
			s.mu.Lock()
			s.files[name] = &File{Data: data, Time: time.Now().UTC().Truncate(time.Second)}
			s.mu.Unlock()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
}

func (c *Session) list(verb, name string) {
	s := c.server
	var b strings.Builder
	s.mu.Lock()
	f := s.files[name]
	if f != nil && f.Dir {
		if verb == "MLSD" {
			b.WriteString("type=cdir; .\r\ntype=pdir; ..\r\n")
		}
		for _, child := range c.children(name) {
			f := s.files[path.Join(name, child)]
			if verb == "MLSD" {
				b.WriteString(c.facts(f) + child + "\r\n")
				continue
			}
			mode := "-rw-r--r--"
			if f.Dir {
				mode = "drwxr-xr-x"
			}
			fmt.Fprintf(&b, "%s 1 owner group %d %s %s\r\n", mode, len(f.Data), f.Time.Format("Jan _2 15:04"), child)
		}
	}
	s.mu.Unlock()
	if f == nil || !f.Dir {
		c.Reply(550, "no such folder")
		return
	}
	c.transfer(func(tc *tls.Conn) error { return c.send(tc, []byte(b.String())) })
}

// tree answers the commands without a data connection. The server is locked.
func (c *Session) tree(verb, arg string) (int, string) {
	s := c.server
	if verb == "PWD" {
		return 257, ftp.QuotePath(c.cwd) + " here"
	}
	if verb == "MFMT" {
		when, name, _ := strings.Cut(arg, " ")
		t, err := ftp.ParseTime(when)
		if f := s.files[c.path(name)]; f != nil && err == nil {
			f.Time = t
			return 213, "Modify=" + when + "; " + name
		}
		return 550, "no such file"
	}
	name := c.path(arg)
	f := s.files[name]
	switch verb {
	case "MKD":
		if f != nil || s.files[path.Dir(name)] == nil {
			return 550, "cannot make it"
		}
		s.files[name] = &File{Dir: true, Time: time.Now().UTC().Truncate(time.Second)}
		return 257, ftp.QuotePath(name) + " made"
	case "RNTO":
		s.files[name] = s.files[c.from]
		delete(s.files, c.from)
		return 250, "ok"
	case "CDUP":
		c.cwd = path.Dir(c.cwd)
		return 250, "ok"
	case "SIZE", "MDTM", "MLST", "HASH", "DELE", "RMD", "CWD", "RNFR":
	default:
		return 500, "unknown command"
	}
	if f == nil {
		return 550, "no such file or folder"
	}
	switch verb {
	case "CWD":
		if !f.Dir {
			return 550, "No es directorio"
		}
		c.cwd = name
		return 250, "ok"
	case "RNFR":
		c.from = name
		return 350, "to what"
	case "DELE", "RMD":
		if f.Dir && len(c.children(name)) > 0 {
			return 550, "not empty"
		}
		delete(s.files, name)
		return 250, "gone"
	case "MLST":
		return 250, "Here\n " + c.facts(f) + name + "\nEnd"
	}
	if f.Dir {
		return 550, "not a file"
	}
	switch verb {
	case "SIZE":
		return 213, fmt.Sprint(len(f.Data))
	case "MDTM":
		return 213, ftp.FormatTime(f.Time)
	}
	return 213, fmt.Sprintf("SHA-256 0-%d %s %s", len(f.Data), hexSum(f.Data), arg)
}
