//go:build torture

package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is what a process of its own does to the server.
type load struct {
	Addr string
	One  bool // from a single address, else from 250

	Silent  int  // connections that say nothing
	Half    int  // that begin a handshake and stop
	Idle    int  // sessions that log in and stop
	Slow    int  // that write a byte a second
	Deaf    int  // sessions that ask for a file and never read
	Again   bool // whoever is cut comes back
	PerSec  int  // new connections a second, with Again
	Account string
}

// reached is what came of it.
type reached struct {
	Silent, Half, Idle, Slow, Deaf int64
	Opened, Cut                    int64
	Fault                          string
}

const loadEnv = "FTPS_TORTURE_LOAD"

// runningLoad is the process.
type runningLoad struct {
	cmd   *exec.Cmd
	in    io.Closer
	lines *bufio.Scanner
}

// startLoad starts the process and waits until everything is connected.
func startLoad(t *testing.T, l load) (*runningLoad, reached) {
	t.Helper()
	order, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestTortureLoad$", "-test.v", "-test.timeout", "1h")
	cmd.Env = append(os.Environ(), loadEnv+"="+string(order))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &runningLoad{cmd: cmd, in: in, lines: bufio.NewScanner(out)}
	t.Cleanup(func() { r.in.Close(); r.cmd.Process.Kill() })
	return r, r.next(t)
}

// next returns the next figures that the process tells.
func (r *runningLoad) next(t *testing.T) reached {
	t.Helper()
	for r.lines.Scan() {
		var got reached
		if json.Unmarshal(r.lines.Bytes(), &got) == nil {
			if got.Fault != "" {
				t.Errorf("the load: %s", got.Fault)
			}
			return got
		}
	}
	t.Fatal("the load ended without a word")
	return reached{}
}

// stop ends the process and returns its last figures.
func (r *runningLoad) stop(t *testing.T) reached {
	t.Helper()
	r.in.Close()
	last := r.next(t)
	r.cmd.Wait()
	return last
}

// TestTortureLoad is the load's process.
func TestTortureLoad(t *testing.T) {
	order := os.Getenv(loadEnv)
	if order == "" {
		t.Skip("it is a part of TestTorture")
	}
	var l load
	if err := json.Unmarshal([]byte(order), &l); err != nil {
		t.Fatal(err)
	}
	var r reached
	var fault atomic.Value
	stop := make(chan struct{})
	var pace <-chan time.Time
	if l.Again {
		tick := time.NewTicker(time.Second / time.Duration(l.PerSec))
		defer tick.Stop()
		pace = tick.C
	}
	var next atomic.Int64
	local := func() string {
		if l.One {
			return "127.9.9.9"
		}
		return fmt.Sprintf("127.7.0.%d", 1+next.Add(1)%250)
	}
	tell := func() {
		now := reached{Silent: atomic.LoadInt64(&r.Silent), Half: atomic.LoadInt64(&r.Half), Idle: atomic.LoadInt64(&r.Idle),
			Slow: atomic.LoadInt64(&r.Slow), Deaf: atomic.LoadInt64(&r.Deaf),
			Opened: atomic.LoadInt64(&r.Opened), Cut: atomic.LoadInt64(&r.Cut)}
		now.Fault, _ = fault.Load().(string)
		line, _ := json.Marshal(now)
		fmt.Printf("\n%s\n", line)
	}

	// Each kind opens one connection, and then holds it until it is cut.
	type kind struct {
		want int
		up   *int64
		open func() (net.Conn, error)
	}
	plain := func() (net.Conn, error) {
		d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(local())}}
		return d.Dial("tcp", l.Addr)
	}
	kinds := []kind{
		{l.Silent, &r.Silent, plain},
		{l.Half, &r.Half, func() (net.Conn, error) {
			conn, err := plain()
			if err != nil {
				return nil, err
			}
			io.WriteString(conn, "AUTH TLS\r\n")
			lines := bufio.NewReader(conn)
			conn.SetDeadline(time.Now().Add(patience))
			for range 2 {
				if _, err := lines.ReadString('\n'); err != nil {
					conn.Close()
					return nil, err
				}
			}
			conn.SetDeadline(time.Time{})
			_, err = io.WriteString(conn, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
			return conn, err
		}},
		{l.Slow, &r.Slow, func() (net.Conn, error) {
			conn, err := plain()
			if err == nil {
				go func() {
					tick := time.NewTicker(time.Second)
					defer tick.Stop()
					for range tick.C {
						if _, err := conn.Write([]byte("X")); err != nil {
							return
						}
					}
				}()
			}
			return conn, err
		}},
		{l.Idle, &r.Idle, func() (net.Conn, error) {
			p, err := loginPeer(l.Addr, local(), l.Account, "secreto")
			if err != nil {
				return nil, err
			}
			return p.conn, nil
		}},
		{l.Deaf, &r.Deaf, func() (net.Conn, error) {
			p, err := loginPeer(l.Addr, local(), l.Account, "secreto")
			if err != nil {
				return nil, err
			}
			conn, _, err := p.transfer("RETR big")
			if conn == nil {
				p.close()
				return nil, fmt.Errorf("RETR: %v", err)
			}
			for range 1000 { // and commands whose replies it does not read
				if p.send("FEAT") != nil {
					break
				}
			}
			return p.conn, nil
		}},
	}
	var first, all sync.WaitGroup
	workers := make(chan struct{}, 64) // that connect at the same time
	for _, k := range kinds {
		for range k.want {
			first.Add(1)
			all.Go(func() {
				opened := sync.OnceFunc(first.Done)
				defer opened()
				for {
					if l.Again {
						select {
						case <-pace:
						case <-stop:
							return
						}
					}
					workers <- struct{}{}
					conn, err := k.open()
					<-workers
					opened()
					switch {
					case err != nil && !l.Again:
						fault.CompareAndSwap(nil, err.Error())
						return
					case err != nil:
						atomic.AddInt64(&r.Cut, 1)
						continue
					}
					atomic.AddInt64(&r.Opened, 1)
					atomic.AddInt64(k.up, 1)
					cut := make(chan struct{})
					go func() {
						select {
						case <-stop:
							conn.Close()
						case <-cut:
						}
					}()
					if k.up == &r.Deaf {
						<-stop
					} else {
						conn.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Time{})
						io.Copy(io.Discard, conn)
					}
					close(cut)
					conn.Close()
					atomic.AddInt64(k.up, -1)
					select {
					case <-stop:
						return
					default:
						atomic.AddInt64(&r.Cut, 1)
					}
					if !l.Again {
						return
					}
				}
			})
		}
	}
	if l.Again {
		time.Sleep(time.Second) // it never has all that it wants
	} else {
		first.Wait()
	}
	tell()
	io.Copy(io.Discard, os.Stdin)
	tell()
	close(stop)
	all.Wait()
}
