package daemon

import (
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"

	"ftps/pkg/fault"
)

// What a listening socket is for; as systemd's FileDescriptorName= too.
const (
	forControl  = "control"
	forImplicit = "implicit"
	forData     = "data"
	forMetrics  = "metrics"
	forACME     = "acme"
	forAdmin    = "admin"
)

// opened is a listening socket that this process did not or need not open.
type opened struct {
	purpose string // "" where only its address says so
	asked   string // the address in the settings that it was opened for; "" is any
	l       net.Listener
}

// sockets are those that were open when the program started, and later all
// that it has.
type sockets struct {
	waiting []opened // not yet taken
	taken   []opened

	activated bool // by systemd: each has to be used
}

// take returns the socket for an address of the settings, or nil.
func (s *sockets) take(purpose, asked string) net.Listener {
	i := slices.IndexFunc(s.waiting, func(o opened) bool {
		switch {
		case o.purpose == purpose:
			return o.asked == "" || o.asked == asked
		case o.purpose == "":
			return samePort(o.l, asked)
		}
		return false
	})
	if i < 0 {
		return nil
	}
	l := s.waiting[i].l
	s.waiting = slices.Delete(s.waiting, i, i+1)
	s.note(purpose, asked, l)
	return l
}

func samePort(l net.Listener, asked string) bool {
	tcp, ok := l.Addr().(*net.TCPAddr)
	_, port, err := net.SplitHostPort(asked)
	return ok && err == nil && port == strconv.Itoa(tcp.Port)
}

func (s *sockets) has(purpose string) bool {
	return slices.ContainsFunc(s.waiting, func(o opened) bool { return o.purpose == purpose })
}

// note remembers a socket for a successor.
func (s *sockets) note(purpose, asked string, l net.Listener) {
	s.taken = append(s.taken, opened{purpose, asked, l})
}

// close closes what nobody took.
func (s *sockets) close() {
	for _, o := range s.waiting {
		o.l.Close()
	}
	s.waiting = nil
}

// activated returns the sockets that systemd has opened (sd_listen_fds(3)).
// A socket is named by its purpose, or known by its port.
func activated() (*sockets, error) {
	s := &sockets{activated: true}
	for _, f := range activation.Files(true) {
		l, err := net.FileListener(f)
		f.Close()
		if err != nil {
			s.close()
			return nil, fault.Wrap(err, "service.activation", f.Name(), err)
		}
		o := opened{l: l}
		switch f.Name() {
		case forControl, forImplicit, forMetrics, forACME, forAdmin:
			o.purpose = f.Name()
		}
		s.waiting = append(s.waiting, o)
	}
	return s, nil
}

// unused names a socket of systemd's that no setting is for: somebody listens
// there and would never answer.
func (s *sockets) unused() error {
	var left []string
	for _, o := range s.waiting {
		left = append(left, o.l.Addr().String())
	}
	if left == nil {
		return nil
	}
	return fault.New("service.activation.unused", strings.Join(left, ", "))
}

// fromFile makes a listener of a socket that was handed over.
func fromFile(f *os.File) (net.Listener, error) {
	defer f.Close()
	return net.FileListener(f)
}
