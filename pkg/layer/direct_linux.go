//go:build (amd64 || arm64) && !race

package layer

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// Direct returns c with its small reads and writes made without telling Go's
// scheduler of each. They never block, for the socket does not; but a call
// that the scheduler knows of wakes the thread that watches over calls that
// last, which then looks on for as long as anything runs. For a server that
// answers one short line after the other that is a third of its time.
//
// The race detector learns from the sockets of package net what happens
// before what, and so there are none of these under it.
func Direct(c net.Conn) net.Conn {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return c
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return c
	}
	d := &direct{Conn: c, raw: raw}
	d.in.try, d.out.try = d.receive, d.send
	return d
}

// directMost is how much is written at once without telling the scheduler, in
// bytes: what takes longer is to be known to it.
const directMost = 16 << 10

type direct struct {
	net.Conn
	raw     syscall.RawConn
	in, out half
	ack     bool    // the next read that has to wait is to be acknowledged at once
	more    uintptr // MSG_MORE where the end follows what is written
	held    uintptr // the same, for all that is written
}

// half is one direction.
type half struct {
	mu    sync.Mutex
	b     []byte
	n     int
	errno syscall.Errno
	try   func(fd uintptr) (done bool)
}

func (h *half) run(wait func(func(uintptr) bool) error, b []byte) (n int, errno syscall.Errno, err error) {
	h.b, h.n, h.errno = b, 0, 0
	err = wait(h.try)
	h.b = nil
	return h.n, h.errno, err
}

func (d *direct) receive(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd,
			uintptr(unsafe.Pointer(&d.in.b[0])), uintptr(len(d.in.b)), syscall.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			d.in.n = int(n)
			return true
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			if d.ack {
				d.ack = false
				var on int32 = 1
				syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_QUICKACK,
					uintptr(unsafe.Pointer(&on)), unsafe.Sizeof(on), 0)
			}
			return false
		}
		d.in.errno = errno
		return true
	}
}

// ackAtOnce is AckAtOnce for the next read, and costs nothing where that has
// not to wait.
func (d *direct) ackAtOnce() { d.ack = true }

func (d *direct) send(fd uintptr) bool {
	for len(d.out.b) > 0 {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd,
			uintptr(unsafe.Pointer(&d.out.b[0])), uintptr(len(d.out.b)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL|d.more, 0, 0)
		switch errno {
		case 0:
			d.out.n += int(n)
			d.out.b = d.out.b[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			d.out.errno = errno
			return true
		}
	}
	return true
}

func (d *direct) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return d.Conn.Read(b)
	}
	d.in.mu.Lock()
	defer d.in.mu.Unlock()
	n, errno, err := d.in.run(d.raw.Read, b)
	if n == 0 && errno == 0 && err == nil {
		return 0, io.EOF
	}
	return n, d.explain("read", errno, err)
}

func (d *direct) Write(b []byte) (int, error) { return d.write(b, 0) }

// WriteLast is what the function of that name is about.
func (d *direct) WriteLast(b []byte) (int, error) { return d.write(b, syscall.MSG_MORE) }

func (d *direct) hold() {
	d.out.mu.Lock()
	defer d.out.mu.Unlock()
	d.held = syscall.MSG_MORE
}

func (d *direct) write(b []byte, more uintptr) (int, error) {
	if len(b) == 0 || len(b) > directMost {
		return d.Conn.Write(b)
	}
	d.out.mu.Lock()
	defer d.out.mu.Unlock()
	d.more = more | d.held
	n, errno, err := d.out.run(d.raw.Write, b)
	return n, d.explain("write", errno, err)
}

// explain makes the error that package net would.
func (d *direct) explain(op string, errno syscall.Errno, err error) error {
	if errno == 0 && err == nil {
		return nil
	}
	if errno != 0 {
		err = os.NewSyscallError(op, errno)
	}
	if raw, ok := errors.AsType[*net.OpError](err); ok {
		err = raw.Err
	}
	return &net.OpError{Op: op, Net: d.LocalAddr().Network(), Source: d.LocalAddr(), Addr: d.RemoteAddr(), Err: err}
}

func (d *direct) CloseWrite() error { return closeWrite(d.Conn) }

// NetConn returns the connection beneath.
func (d *direct) NetConn() net.Conn { return d.Conn }
