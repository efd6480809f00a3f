// Package load is a raw client of FTP servers, whoever wrote them: it does
// one kind of work as leanly as it can and tells what came of it. It shares
// nothing with the client library, so that no server is driven better than
// another. [Link] is a wide area network in front of a server.
package load

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Order is what a run is to do.
type Order struct {
	Work     string // a row of works
	Addr     string
	User     string
	Password string
	Name     string // of the file, or the folder of the files
	Sessions int    // side by side; 0 is 1
	Count    int    // files, commands or sessions in all
	Bytes    int64  // of each file
	TLS12    bool
	Sources  int // local addresses that the sessions come from
}

// Result is what came of it.
type Result struct {
	Wall    float64 // seconds
	CPU     float64 // seconds of this process
	Ops     int64
	Bytes   int64
	Resumed int64 // data connections that resumed
	Full    int64 // and that did not
	TLS     string
	Fault   string
}

// work is a kind of work: what is got ready, and what is done then, both once
// for each session.
type work struct {
	bare bool // sessions are opened by do itself
	do   func(r *run, n int, s *session) error
}

var works = map[string]work{
	// down and up move one big file again and again.
	"down": {do: func(r *run, n int, s *session) error {
		return r.each(n, func(int) error { return s.fetch(&r.counts, "RETR "+r.o.Name) })
	}},
	"up": {do: func(r *run, n int, s *session) error {
		return r.each(n, func(int) error { return s.give(&r.counts, fmt.Sprintf("STOR %s.%d", r.o.Name, n), r.o.Bytes) })
	}},
	// get and put move many files.
	"get": {do: func(r *run, n int, s *session) error {
		return r.each(n, func(i int) error { return s.fetch(&r.counts, fmt.Sprintf("RETR %s/%s", r.o.Name, FileName(i))) })
	}},
	"put": {do: func(r *run, n int, s *session) error {
		return r.each(n, func(i int) error {
			return s.give(&r.counts, fmt.Sprintf("STOR %s/%s", r.o.Name, FileName(i)), r.o.Bytes)
		})
	}},
	"list": {do: func(r *run, n int, s *session) error {
		return r.each(n, func(int) error { return s.fetch(&r.counts, "MLSD "+r.o.Name) })
	}},
	"noop": {do: func(r *run, n int, s *session) error {
		return r.each(n, func(int) error { return s.do("NOOP", "2") })
	}},
	"handshake": {bare: true, do: func(r *run, n int, _ *session) error {
		return r.each(n, func(int) error {
			s, err := r.o.shake(n)
			if err != nil {
				return err
			}
			r.saw(s)
			s.quit()
			return nil
		})
	}},
	"login": {bare: true, do: func(r *run, n int, _ *session) error {
		return r.each(n, func(int) error {
			s, err := r.o.open(n)
			if err != nil {
				return err
			}
			r.saw(s)
			s.quit()
			return nil
		})
	}},
	// idle opens sessions and holds them until the run is let go.
	"idle": {bare: true, do: func(r *run, n int, _ *session) error {
		return r.each(n, func(i int) error {
			s, err := r.o.open(i)
			if err != nil {
				return err
			}
			r.saw(s)
			s.tcp.SetDeadline(time.Time{})
			s.in, s.big = nil, nil
			r.mu.Lock()
			r.held = append(r.held, s)
			r.mu.Unlock()
			return nil
		})
	}},
}

// FileName is the name of the i-th of many files.
func FileName(i int) string { return fmt.Sprintf("file-%07d", i) }

// run is an order being carried out.
type run struct {
	o *Order
	counts
	mu   sync.Mutex
	held []*session
	tls  string
}

// each does the n-th session's share of the order's count.
func (r *run) each(n int, do func(i int) error) error {
	for i := n; i < r.o.Count; i += r.o.Sessions {
		if err := do(i); err != nil {
			return err
		}
		r.ops.Add(1)
	}
	return nil
}

func (r *run) saw(s *session) {
	state := s.ctl.ConnectionState()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tls = tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
}

// Main carries out the order in the first argument. It says "ready" once its
// sessions stand, begins at the next line that it reads, tells its result,
// and lets its sessions go at the end of what it reads: so whoever measures
// knows what belongs to the work.
func Main(order string, in io.Reader, out io.Writer) error {
	var o Order
	if err := json.Unmarshal([]byte(order), &o); err != nil {
		return err
	}
	o.Sessions = max(1, o.Sessions)
	w, ok := works[o.Work]
	if !ok {
		return errors.New("no such work: " + o.Work)
	}
	lines := bufio.NewScanner(in)
	r := &run{o: &o}
	sessions := make([]*session, o.Sessions)
	if !w.bare {
		for i := range sessions {
			s, err := o.open(i)
			if err != nil {
				return err
			}
			defer s.quit()
			sessions[i] = s
			r.saw(s)
		}
	}
	fmt.Fprintln(out, "ready")
	lines.Scan()

	began, before := time.Now(), cpu()
	faults := make(chan error, o.Sessions)
	for i, s := range sessions {
		go func() { faults <- w.do(r, i, s) }()
	}
	var first error
	for range sessions {
		if err := <-faults; err != nil && first == nil {
			first = err
		}
	}
	result := Result{Wall: time.Since(began).Seconds(), CPU: cpu() - before,
		Ops: r.ops.Load(), Bytes: r.bytes.Load(), Resumed: r.resumed.Load(), Full: r.full.Load(), TLS: r.tls}
	if first != nil {
		result.Fault = first.Error()
	}
	if err := json.NewEncoder(out).Encode(result); err != nil {
		return err
	}
	lines.Scan()
	for _, s := range r.held {
		s.tcp.Close()
	}
	return nil
}

// RunAs carries out the order in os.Args[2] and exits, if the program was
// started as "PROGRAM load ORDER".
func RunAs() {
	if len(os.Args) != 3 || os.Args[1] != "load" {
		return
	}
	if err := Main(os.Args[2], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
