package daemon

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"

	"ftps/pkg/fault"
)

// listeners are the open ports.
type listeners struct {
	control  net.Listener
	implicit net.Listener // or nil
	data     []net.Listener
	acme     []net.Listener

	open  *sockets // all of them bare, and those that were open at the start
	pulse *pulse   // or nil
}

// listen binds every port, or none.
func listen(cfg *Config, open *sockets, pulse *pulse) (_ *listeners, err error) {
	ls := &listeners{open: open, pulse: pulse}
	defer func() {
		if err != nil {
			ls.close()
		}
	}()
	if ls.control, err = ls.bind(forControl, cfg.Host, cfg.ControlPort, "--control-port", cfg.FreeControl); err != nil {
		return nil, err
	}
	if cfg.ImplicitPort != Off || open.has(forImplicit) && open.activated {
		if ls.implicit, err = ls.bind(forImplicit, cfg.Host, cfg.ImplicitPort, "--implicit-port", false); err != nil {
			return nil, err
		}
	}
	if ls.data, err = ls.bindData(cfg); err != nil {
		return nil, err
	}
	if ls.acme, err = ls.bindChallenges(cfg); err != nil {
		return nil, err
	}
	return ls, nil
}

// behind has every port take the PROXY protocol from trusted addresses.
func (ls *listeners) behind(trusted []netip.Prefix, refused func(netip.AddrPort, error)) {
	if len(trusted) == 0 {
		return
	}
	ls.control = takeProxies(ls.control, trusted, refused)
	if ls.implicit != nil {
		ls.implicit = takeProxies(ls.implicit, trusted, refused)
	}
	for i, l := range ls.data {
		ls.data[i] = takeProxies(l, trusted, refused)
	}
}

func (ls *listeners) close() {
	for _, l := range slices.Concat([]net.Listener{ls.control, ls.implicit}, ls.data, ls.acme) {
		if l != nil {
			l.Close()
		}
	}
}

// bind takes one port that is open already, or opens it, and has it beat.
func (ls *listeners) bind(purpose, host string, port int, flag string, orOther bool) (net.Listener, error) {
	asked := net.JoinHostPort(host, strconv.Itoa(port))
	l := ls.open.take(purpose, asked)
	if l == nil {
		var err error
		if l, err = bind(purpose, host, port, flag, orOther); err != nil {
			return nil, err
		}
		ls.open.note(purpose, asked, l)
	}
	return ls.pulse.listen(purpose+" "+l.Addr().String(), l), nil
}

// bind opens one port; flag names the setting that chose it. Without a host
// the socket is dual stack.
func bind(purpose, host string, port int, flag string, orOther bool) (net.Listener, error) {
	var lc net.ListenConfig
	if purpose == forData {
		// Keepalive is four system calls for each file, and nothing here
		// stands still for as long as its first probe takes: a transfer that
		// stalls is ended, and a connection kept open by MODE B ends with its
		// control connection, which has it.
		lc.KeepAlive = -1
	}
	l, err := lc.Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if orOther && errors.Is(err, syscall.EADDRINUSE) {
		l, err = lc.Listen(context.Background(), "tcp", net.JoinHostPort(host, "0"))
	}
	var unknown *net.DNSError
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fault.Wrap(err, "cli.server.port.busy", port, flag)
	case errors.Is(err, syscall.EACCES):
		return nil, fault.Wrap(err, "cli.server.port.denied", port, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.As(err, &unknown):
		return nil, fault.Wrap(err, "cli.server.host", host)
	}
	return nil, fault.Wrap(err, "cli.server.port.failed", port, flag, err)
}

// bindData opens the data ports: all of the range, because a port that others
// hold would break each transfer that is sent to it.
func (ls *listeners) bindData(cfg *Config) (open []net.Listener, err error) {
	for first := cfg.FirstData; ; first += cfg.LastData - cfg.FirstData + 1 {
		last := first + cfg.LastData - cfg.FirstData
		open, err = ls.bindRange(cfg.Host, first, last)
		// A throwaway server moves on to the next range of the same length.
		if err == nil || !cfg.FreeData || !errors.Is(err, syscall.EADDRINUSE) || last > 60000 {
			return open, err
		}
	}
}

func (ls *listeners) bindRange(host string, first, last int) (open []net.Listener, err error) {
	for port := first; port <= last; port++ {
		l, err := ls.bind(forData, host, port, "--data-port", false)
		if err != nil {
			for _, l := range open {
				l.Close()
			}
			return nil, err
		}
		open = append(open, l)
	}
	return open, nil
}

func addrPort(l net.Listener) netip.AddrPort {
	return tcpAddrPort(l.Addr())
}
